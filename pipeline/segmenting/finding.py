"""The files of one case or of many: in folders of any source, in a list, or named one by one."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..cohorts import brats, dicom, folder, registry
from ..core.catalogue import Catalogue
from ..core.errors import InputError
from ..core.records import read_json
from ..core.schema import Schema
from ..formats import metaimage, raw_cases
from ..formats.dicom.header import is_dicom
from ..formats.volume import Part
from ..formats.walking import files_below, is_volume, of_one_file
from ..runtime.errors import explained
from .lists import Entry, is_list, read_list

_CATALOGUE = "catalogue.json"


@dataclass(frozen=True)
class OneCase:
    """Files of one case, from `Model.find`. The schema is that of its source; its label values may
    differ from those of the network. `missing` are the modalities that the user declared missing;
    `in_folder` says whether its folder is that of the case, not just of files named one by one.
    """

    schema: Schema
    found: raw_cases.Found
    missing: tuple[str, ...] = ()
    in_folder: bool = True

    @property
    def name(self) -> str:
        """The case."""
        return self.found.case

    @property
    def paths(self) -> list[Path]:
        """Files and folders of the images."""
        return [path_of(origin) for origin in self.found.images.values()]


@dataclass(frozen=True)
class Unusable:
    """A case of `Model.find_all` whose files cannot be used, named by its place, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Finder:
    """Finds cases for a network: for its cohort, incomplete ones if they may lack modalities."""

    cohort: Schema
    incomplete: bool

    def one(
        self,
        place: str | Path | None,
        files: Mapping[str, str | Path],
        source: str | None,
        missing: Sequence[str],
    ) -> OneCase:
        """See `Model.find`."""
        named = {name: _image_file(name, Path(file)) for name, file in files.items()}
        self.refuse_foreign((*named, *missing))
        if both := [name for name in named if name in missing]:
            raise InputError(
                f"{', '.join(both)}: is named as a file and as missing. Choose one of the two."
            )
        if place is None and not named:
            raise InputError(
                "no case: name its folder, or its files by --t1n FILE --t1c FILE --t2w FILE"
                " --t2f FILE."
            )
        if place is None or (named and set(self.cohort.modalities) <= {*named, *missing}):
            first = path_of(next(iter(named.values())))
            name = first.name.split(".")[0]
            parent = first.parent if place is None else Path(place)
            found = raw_cases.Found(name, name, parent, named, None)
            return OneCase(self.cohort, found, tuple(missing), place is not None)
        place = Path(place)
        _require_folder(place)
        inside = in_folder(place, source, self._needed((*named, *missing)), self.incomplete)
        known = {path_of(file).name for file in named.values()}
        found = replace(
            inside.found,
            images=inside.found.images | named,
            passed_over=tuple(name for name in inside.found.passed_over if name not in known),
        )
        return leaving_out(replace(inside, found=found), missing)

    def all(
        self, places: Iterable[str | Path], source: str | None, missing: Sequence[str]
    ) -> list[OneCase | Unusable]:
        """See `Model.find_all`."""
        self.refuse_foreign(missing)
        return distinct(
            [case for place in places for case in self._at(Path(place), source, missing)]
        )

    def _at(
        self, place: Path, source: str | None, missing: Sequence[str]
    ) -> list[OneCase | Unusable]:
        """The cases of a folder or a list."""
        if not is_list(place):
            return self._below(place, source, missing)
        try:
            listed = read_list(place, self.cohort.modalities)
        except (InputError, OSError) as error:
            return [Unusable(str(place), reason(error))]
        return [one for entry in listed for one in self._listed(entry, source, missing)]

    def _below(
        self, place: Path, source: str | None, missing: Sequence[str]
    ) -> list[OneCase | Unusable]:
        """The cases of a folder."""
        try:
            _require_folder(place)
            cases = in_parent(place, source, self._needed(missing), self.incomplete)
        except (InputError, OSError) as error:
            return [Unusable(str(place), reason(error))]
        return [leaving_out(case, missing) if isinstance(case, OneCase) else case for case in cases]

    def _listed(
        self, entry: Entry, source: str | None, missing: Sequence[str]
    ) -> list[OneCase | Unusable]:
        """The case of a row; of a line with a folder alone all that are in it."""
        if entry.folder and not entry.files and not entry.case:
            return self._below(entry.folder, source, missing)
        absent = [name for name in missing if name not in entry.files]
        one = _attempted(entry.where, lambda: self.one(entry.folder, entry.files, source, absent))
        if isinstance(one, Unusable):
            return [one]
        one = leaving_out(one, missing)
        return [replace(one, found=replace(one.found, case=entry.case or one.name))]

    def refuse_foreign(self, names: Sequence[str]) -> None:
        """Raise InputError unless the network has modalities of these names."""
        foreign = [name for name in names if name not in self.cohort.modalities]
        if foreign:
            raise InputError(
                f"{', '.join(foreign)}: is no modality of the network, which takes"
                f" {', '.join(self.cohort.modalities)}. Name those."
            )

    def _needed(self, others: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in self.cohort.modalities if name not in others)


def reason(error: Exception) -> str:
    """Why a case cannot be used, for the user."""
    if isinstance(error, OSError) and error.filename:
        return explained(error)
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def in_folder(
    place: Path, source: str | None, needed: tuple[str, ...], incomplete: bool = False
) -> OneCase:
    """The one case of an existing folder with the needed modalities; `source` as for `Model.find`,
    `incomplete` whether some of them may be missing.

    Raises
    ------
    InputError
        If the source is unknown or the folder holds no case or several.
    """
    if source is None:
        has_dicom = not brats.holds_images(place) and any(
            path.is_file() and is_dicom(path) for path in files_below(place)
        )
        source = "dicom" if has_dicom else "brats"
    if source == "brats":
        style, found = brats.read_folder(place)
        return OneCase(brats.schema(style), found)
    if source == "dicom":
        found = dicom.read_study(place, needed, incomplete)
        return OneCase(dicom.schema(tuple(found.images)), found)
    schema, listed = _found_by(source, place, incomplete)
    if len(listed) != 1:
        one = (
            f"Let `case` in its {folder.NAME} match one."
            if source == "folder"
            else "Name the folder of one."
        )
        raise InputError(
            f"{place}: holds {len(listed)} cases, among them"
            f" {', '.join(case.case for case in listed[:3])}. {one}"
        )
    return OneCase(schema, listed[0])


def in_parent(
    place: Path, source: str | None, needed: tuple[str, ...], incomplete: bool = False
) -> list[OneCase | Unusable]:
    """Every case of an existing folder, which may be that of one case; arguments as for
    `in_folder`.

    Without a source, a folder with a catalogue.json, such as data/raw, has the cases that it lists;
    else the cases are in BraTS naming, each in a folder of its own at any depth, or DICOM studies.

    Raises
    ------
    InputError
        If the source is unknown, or the folder holds no case, or without a source both BraTS naming
        and DICOM studies.
    """
    if source is None and (place / _CATALOGUE).is_file():
        catalogue = read_json(place / _CATALOGUE, Catalogue)
        cohort = catalogue.cohort
        return [OneCase(cohort, raw_cases.found_in(place, entry)) for entry in catalogue.cases]
    if source not in (None, "brats", "dicom"):
        schema, listed = _found_by(source, place, incomplete)
        return [OneCase(schema, found) for found in listed]
    folders = brats.case_folders(place)
    kind = source or _kind(place, folders)
    folders = dicom.study_folders(place) if kind == "dicom" else folders or [place]
    return [_attempted(str(at), _reader(at, place, kind, needed, incomplete)) for at in folders]


def _reader(
    at: Path, place: Path, source: str, needed: tuple[str, ...], incomplete: bool
) -> Callable[[], OneCase]:
    """Reads the case in a folder `at` below `place`."""
    if source == "brats":
        return lambda: in_folder(at, source, needed, incomplete)

    def study() -> OneCase:
        found = dicom.read_study(at, needed, incomplete, place)
        return OneCase(dicom.schema(tuple(found.images)), found)

    return study


def _attempted(place: str, find: Callable[[], OneCase]) -> OneCase | Unusable:
    try:
        return find()
    except (InputError, OSError) as error:
        return Unusable(place, reason(error))


def _kind(place: Path, folders: Sequence[Path]) -> str:
    """The source of the cases below a folder, of which these hold images in BraTS naming."""
    known = {*folders}
    for path in files_below(place):
        if known.isdisjoint(path.parents) and path.is_file() and is_dicom(path):
            if folders:
                raise InputError(
                    f"{place}: holds cases in BraTS naming and DICOM files, such as {path}. Choose"
                    " by --source brats or --source dicom."
                )
            return "dicom"
    return "brats"


def _found_by(source: str, place: Path, incomplete: bool) -> tuple[Schema, list[raw_cases.Found]]:
    find = registry.source(source, "--source").find
    if find is None:
        raise InputError(f"--source is {source!r}, which generates cases. Name another source.")
    if source == "folder":
        return folder.find(place, masked=False, incomplete=incomplete)
    return find(place, 0)


def distinct(cases: Sequence[OneCase | Unusable]) -> list[OneCase | Unusable]:
    """The cases without those found twice through overlapping places; InputError if two that differ
    have one name, also where only the case of letters differs, as not all file systems tell.
    """
    known: dict[str, OneCase] = {}
    for case in cases:
        if isinstance(case, OneCase):
            other = known.setdefault(case.name.casefold(), case)
            if _origins(case) != _origins(other):
                raise InputError(
                    f"{case.found.folder}: case {case.name} is also in {other.found.folder}, and"
                    " results are named by cases. Leave one out, rename it, or give each a name in"
                    " a list (.csv)."
                )
    kept = {id(case) for case in known.values()}
    return [case for case in cases if isinstance(case, Unusable) or id(case) in kept]


def _origins(case: OneCase) -> dict[str, str]:
    images = case.found.images
    return {name: os.path.realpath(path_of(origin)) for name, origin in images.items()}


def _require_folder(place: Path) -> None:
    if not place.is_dir():
        kind = "is a file" if place.exists() else "does not exist"
        raise InputError(
            f"{place}: {kind}. Name the folder of the case, or single files by --t1n FILE --t1c"
            " FILE --t2w FILE --t2f FILE."
        )


def check_outside(out: Path, places: Iterable[str | Path]) -> None:
    """Raise InputError if results would lie in one of the folders of cases."""
    for place in map(Path, places):
        if place.is_dir() and out.resolve().is_relative_to(place.resolve()):
            raise InputError(
                f"{out}: lies in the folder of cases {place}. Name a place outside of it: images"
                " there are taken for cases, and `dvc repro` deletes what it did not write in"
                " data/raw."
            )


def path_of(origin: Path | Part) -> Path:
    """The file or folder of an image."""
    return origin.path if isinstance(origin, Part) else origin


def _image_file(modality: str, path: Path) -> Path | Part:
    """An image that the user named, checked to be one."""
    file = of_one_file(path)
    if not file.is_file() or not is_volume(file):
        found = "is not a volume by its name" if file.exists() else "does not exist"
        found = "is a folder" if file.is_dir() else found
        raise InputError(
            f"{file}: {found}. Name one .nii, .nii.gz, .mha or .mhd file as {modality}; of a DICOM"
            " study name the folder alone."
        )
    return metaimage.whole(file)


def leaving_out(one: OneCase, missing: Sequence[str]) -> OneCase:
    """The case without the images of some modalities."""
    images = {name: file for name, file in one.found.images.items() if name not in missing}
    return replace(one, found=replace(one.found, images=images), missing=(*one.missing, *missing))
