"""TumorFlow in Python: load a trained network, segment cases, score and show the result.

    from tumorflow.api import load

    model = load("models")
    result = model.segment("BraTS2021_00777")
    result.labels, result.probabilities["ET"], result.affine
    result.score("BraTS2021_00777/BraTS2021_00777_seg.nii.gz")
    result.show()

The command `predict` uses the same functions. Research use only, not for diagnosis.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .cohorts import brats, dicom, folder, registry
from .core.case import Case
from .core.errors import InputError
from .core.grid import Grid
from .core.records import read_json, write_bytes, write_json
from .core.regions import classes_to_values, values_to_classes
from .core.schema import Schema
from .formats import metaimage, nifti, raw_cases
from .formats.dicom.header import is_dicom
from .formats.volume import Part, Volume
from .formats.walking import files_below, is_volume, of_one_file
from .network.card import Card, check_spacing, network_file, read_card
from .preparation.preprocessing import prepare
from .registration.aligned_files import align_case
from .registration.native import Native, labels_to_series
from .registration.params import NativeRecipe
from .verification import checks

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

NATIVE = NativeRecipe(
    enabled=True,
    template_transform="rigid",
    interpolation="linear",
    correct_bias=False,
    extract_brain=True,
)
"""How series as acquired are brought to one grid."""


def load(model: str | Path = "models") -> "Model":
    """Open a folder with a trained network.

    Keras and the weights are loaded by the first call of `Model.segment`.

    Parameters
    ----------
    model : str or Path
        Folder with network.keras, card.json and inference.json: ``models/`` of a clone, or such a
        folder that you downloaded.

    Raises
    ------
    InputError
        If a file is missing or unreadable, or the card describes another network.
    """
    return Model(Path(model), read_card(Path(model)))


@dataclass(frozen=True)
class OneCase:
    """Files of one case, from `Model.find`. The schema is that of its source; its label values may
    differ from those of the network. `missing` are the modalities that the user declared missing.
    """

    schema: Schema
    found: raw_cases.Found
    missing: tuple[str, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """Files and folders of the images."""
        return [_path(origin) for origin in self.found.images.values()]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with its preprocessing and postprocessing, from `load`: the folder, and the
    content of its card.json.
    """

    folder: Path
    card: Card

    @property
    def modalities(self) -> tuple[str, ...]:
        """Channels of an image in their order, such as ``("t1n", "t1c", "t2w", "t2f")``."""
        return self.card.cohort.modalities

    @property
    def accepts_missing_modalities(self) -> bool:
        """Whether cases that lack modalities can be segmented: if the network was trained with
        modality dropout (``train.on_the_fly.modality_dropout``).
        """
        return self.card.accepts_missing_modalities

    @property
    def labels(self) -> dict[str, int]:
        """Name and value of each label; 0 is background."""
        return self.card.cohort.labels

    @property
    def regions(self) -> dict[str, tuple[str, ...]]:
        """Name of each region and the labels that it unites."""
        return self.card.cohort.regions

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """The Keras network and its inference settings."""
        from .network import backend, predictor, saving

        file = self.folder / "inference.json"
        settings = read_json(file, predictor.Settings, predictor.upgraded)
        backend.prepare(self.card.seed, self.card.train["precision"])
        architecture = self.card.network.architecture
        return saving.load_model(network_file(self.folder), architecture), settings

    def find(
        self,
        place: str | Path | None,
        files: Mapping[str, str | Path] | None = None,
        source: str | None = None,
        missing: Sequence[str] = (),
    ) -> OneCase:
        """Find the files of one case.

        Parameters
        ----------
        place : str, Path or None
            Folder of the case: BraTS naming, a DICOM study, or as `source` says.
        files : mapping of str to path, optional
            Files by modality; they replace those of the folder.
        source : str, optional
            A name that `tumorflow sources` lists. By default ``dicom`` for a folder with DICOM
            files and no images in BraTS naming, else ``brats``.
        missing : sequence of str
            Modalities that the case lacks, or that are to be left out, see `segment`.

        Raises
        ------
        InputError
            If the folder or a file does not exist, does not hold exactly one case, or a modality is
            not one of the network, or is both named as a file and missing.
        """
        cohort = self.card.cohort
        named = {name: _image_file(name, Path(file)) for name, file in (files or {}).items()}
        self._refuse_foreign((*named, *missing))
        if both := [name for name in named if name in missing]:
            raise InputError(
                f"{', '.join(both)}: is named as a file and as missing. Choose one of the two."
            )
        if place is None and not named:
            raise InputError(
                "no case: name its folder, or its files by --t1n FILE --t1c FILE --t2w FILE"
                " --t2f FILE."
            )
        if place is None or (named and set(cohort.modalities) <= {*named, *missing}):
            first = _path(next(iter(named.values())))
            name = first.name.split(".")[0]
            parent = first.parent if place is None else Path(place)
            found = raw_cases.Found(name, name, parent, named, None)
            return OneCase(cohort, found, tuple(missing))
        place = Path(place)
        if not place.is_dir():
            kind = "is a file" if place.exists() else "does not exist"
            raise InputError(
                f"{place}: {kind}. Name the folder of the case, or single files by --t1n FILE"
                " --t1c FILE --t2w FILE --t2f FILE."
            )
        needed = tuple(name for name in cohort.modalities if name not in (*named, *missing))
        inside = in_folder(place, source, needed, self.accepts_missing_modalities)
        known = {_path(file).name for file in named.values()}
        found = replace(
            inside.found,
            images=inside.found.images | named,
            passed_over=tuple(name for name in inside.found.passed_over if name not in known),
        )
        return _leaving_out(replace(inside, found=found), missing)

    def segment(
        self,
        case: str | Path | Mapping[str, str | Path] | np.ndarray | OneCase,
        affine: np.ndarray | None = None,
        *,
        source: str | None = None,
        native: bool = False,
        label_values: Literal["model", "case"] = "model",
        missing: Sequence[str] = (),
    ) -> "Segmentation":
        """Segment one case on the grid of its own files.

        Parameters
        ----------
        case : path, mapping of str to path, (X, Y, Z, C) array, or OneCase
            The folder of a case; its files by modality; or its voxels, channels in the order of
            `modalities`, 0 outside of the brain.
        affine : (4, 4) array, optional
            Voxel indices to RAS+ mm; required for voxels.
        source : str, optional
            As for `find`.
        native : bool
            Register the series of a DICOM study or of files on different grids, and extract the
            brain first. `Segmentation.save` then also writes the labels on each series.
        label_values : {"model", "case"}
            Values of the cohort that the network was trained on, or of the case's own source.
        missing : sequence of str
            Modalities that are left out: their channels of an array, their files. A network that
            `accepts_missing_modalities` segments the case by the others, as if it had no such file;
            files and folders may also just lack them. A warning names them.

        Returns
        -------
        Segmentation

        Raises
        ------
        InputError
            If the case cannot be read, lacks a modality that the network needs, or all of them, has
            unequal grids, empty or non-finite voxels, or voxels of another size than the training
            cases.
        """
        one = self._one_case(case, affine, source, native, missing)
        found, card = one.found, self.card
        modalities = self._present(one)
        voxels, back, volumes = _read(found, card.cohort, modalities, native)
        absent = [name for name in self.modalities if name not in modalities]
        warnings = checks.incomplete(found.case, absent) + checks.alone(
            found,
            voxels,
            volumes,
            modalities,
            None if native and card.stripped else card.stripped,
            card.preprocess.foreground == "nonzero" and not native,
        )
        for warning in warnings:
            log.warning("warning: %s", warning)
        present = [name in modalities for name in self.modalities]
        prepared = prepare(voxels, card.preprocess, present)
        check_spacing(card, prepared.geometry.spacing_mm, str(found.folder))
        schema = _own_values(card.cohort, one.schema) if label_values == "case" else card.cohort

        from .network import backend, predictor
        from .network.engines.engine import chosen, versions

        network, settings = self._loaded
        engine = chosen(settings.engine, card.network.architecture)
        prediction = predictor.predict(
            network, card, settings, prepared.image, found.case, geometry=prepared.geometry
        )
        classes = predictor.raw_classes(prediction, card, settings)
        volumes_ml = _volumes_ml(classes, card.cohort, voxels.grid)
        return Segmentation(
            case=voxels,
            classes=classes,
            schema=schema,
            modalities=modalities,
            native=back,
            record={
                "case": found.case,
                "inputs": _inputs(found, volumes),
                "missing_modalities": absent,
                "native": back and back.model_dump(mode="json"),
                "network_sha256": card.network_sha256,
                "data_hash": card.data_hash,
                "settings": settings.model_dump(mode="json"),
                "labels": schema.labels,
                "volumes_ml": volumes_ml,
                "versions": backend.versions() | versions(engine),
                "use": card.use,
                "warnings": warnings,
            },
            region_probabilities=lambda: dict(
                zip(
                    card.cohort.regions,
                    np.moveaxis(predictor.region_probabilities(prediction, card, settings), -1, 0),
                    strict=True,
                )
            ),
        )

    def _one_case(
        self, case: Any, affine: Any, source: str | None, native: bool, missing: Sequence[str]
    ) -> OneCase:
        self._refuse_foreign(missing)
        if isinstance(case, OneCase):
            return _leaving_out(case, missing)
        if isinstance(case, np.ndarray):
            if native:
                raise InputError("native: an array has one grid. Give the files of the series.")
            one = OneCase(self.card.cohort, _in_memory(case, affine, self.modalities))
            return _leaving_out(one, missing)
        place, files = (None, case) if isinstance(case, Mapping) else (case, {})
        return self.find(place, files, source, missing)

    def _refuse_foreign(self, names: Sequence[str]) -> None:
        foreign = [name for name in names if name not in self.modalities]
        if foreign:
            raise InputError(
                f"{', '.join(foreign)}: is no modality of the network, which takes"
                f" {', '.join(self.modalities)}. Name those."
            )

    def _present(self, one: OneCase) -> tuple[str, ...]:
        """The modalities of the network that a case has, in its order; InputError unless it can be
        segmented by them.
        """
        found, cohort = one.found, self.card.cohort
        present = tuple(name for name in cohort.modalities if name in found.images)
        absent = [name for name in cohort.modalities if name not in present]
        if not present or not self.accepts_missing_modalities:
            trained = "trained with train.on_the_fly.modality_dropout.probability above 0"
            remedy = f"Add the file. Only a network {trained} segments an incomplete case."
            raw_cases.refuse_missing(found, cohort, remedy if present else "Add the files.")
        if found.passed_over and (
            undeclared := [name for name in absent if name not in one.missing]
        ):
            leave = " ".join(f"--missing {name}" for name in undeclared)
            raw_cases.refuse_missing(found, cohort, f"To leave it out: {leave}.")
        return present


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result of `Model.segment`, on the grid of the case's own files.

    Attributes
    ----------
    case : Case
        The image and its grid.
    classes : (X, Y, Z) uint8 array
        Class indices: 0 for background, 1..K in the order of ``schema.labels``.
    schema : Schema
        Names and values of the labels, and regions.
    modalities : tuple of str
        Those that the case has: the channels of its image.
    native : Native or None
        Transforms to the series as acquired, if they were registered.
    record : dict
        What made the result: hashes of the inputs and the network, settings, versions, warnings.
    region_probabilities : callable
        For `probabilities`.
    """

    case: Case
    classes: np.ndarray
    schema: Schema
    modalities: tuple[str, ...]
    native: Native | None
    record: dict[str, Any]
    region_probabilities: Callable[[], dict[str, np.ndarray]]

    def __repr__(self) -> str:
        volumes = ", ".join(f"{name} {volume:.1f} ml" for name, volume in self.volumes_ml.items())
        return f"Segmentation of {self.case.name}: {volumes}"

    @cached_property
    def probabilities(self) -> dict[str, np.ndarray]:
        """(X, Y, Z) float32 of each region, in [0, 1], before postprocessing."""
        return self.region_probabilities()

    @property
    def labels(self) -> np.ndarray:
        """(X, Y, Z) uint8: label values, 0 for background."""
        return classes_to_values(self.classes, self.schema)

    @property
    def affine(self) -> np.ndarray:
        """(4, 4) float64: voxel indices to RAS+ mm."""
        return self.case.grid.affine

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Volume of each region, in ml."""
        return self.record["volumes_ml"]

    @property
    def warnings(self) -> list[str]:
        """What looks wrong with the case, such as swapped modalities."""
        return self.record["warnings"]

    def save(self, path: str | Path) -> None:
        """Write the labels as NIfTI, and beside it what made them as ``<path>.json``.

        The path ends in ``.nii`` or ``.nii.gz``, or an InputError is raised. If the case is native,
        the labels on each series are written as ``<stem>.<modality>.nii.gz``.
        """
        path = Path(path)
        check_name(path)
        made_by = f"TumorFlow {self.record['network_sha256'][:16]}"
        labels = self.labels
        nifti.write(path, labels, self.affine, made_by)
        if self.native:
            stem = path.name.removesuffix(".gz").removesuffix(".nii")
            for name, place in self.native.series.items():
                series = path.with_name(path.name.replace(stem, f"{stem}.{name}", 1))
                voxels = labels_to_series(labels, self.native, name)
                nifti.write(series, voxels, place.grid.affine, made_by)
        write_json(path.with_name(f"{path.name}.json"), self.record)

    def score(self, reference: str | Path | np.ndarray) -> "pandas.DataFrame":
        """Score the labels against a reference: label values (X, Y, Z) on the grid of the case.

        One row per label and region, with the metrics of metrics/cases.csv (docs/metrics.md).

        Raises
        ------
        InputError
            If the reference is on another grid or holds values that the schema does not declare.
        """
        import pandas

        from .metrics.case_scores import score_case

        grid = self.case.grid
        rows = score_case(self._reference(reference), self.classes, self.schema, grid.spacing_mm)
        return pandas.DataFrame(rows)

    def show(self, reference: str | Path | np.ndarray | None = None, dpi: int = 100) -> "Picture":
        """Draw the slices with the largest tumour area, for a notebook.

        With a reference, as for `score`, its outlines and the disagreement are drawn as in the
        report.
        """
        from .report.plots.overlays import overlay
        from .report.plots.planes import view_of
        from .report.plots.segmentation import segmentation_plot

        none = np.zeros_like(self.classes) if reference is None else self._reference(reference)
        case = replace(self.case, classes=none)
        view = view_of(case, self.classes, self.modalities)
        if reference is None:
            return Picture(segmentation_plot(view, self.schema, dpi))
        return Picture(overlay(view, self.schema, "", dpi))

    def _reference(self, reference: str | Path | np.ndarray) -> np.ndarray:
        """Class indices (X, Y, Z) uint8 of a reference on the grid of the case."""
        if isinstance(reference, np.ndarray):
            if reference.shape != self.classes.shape:
                raise InputError(
                    f"reference: expected shape {self.classes.shape}, got {reference.shape}."
                )
            try:
                return values_to_classes(reference, self.schema)
            except ValueError as error:
                raise InputError(f"reference: {error}.") from None
        path = Path(reference)
        remedy = "Resample it onto the grid of the case."
        image = Path(self.case.name)
        mask = raw_cases.on_grid_of(path, raw_cases.read_mask(path), image, self.case.grid, remedy)
        return raw_cases.classes_of(path, mask, self.schema, lambda: "Convert its label values.")


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook displays: the bytes of a PNG file."""

    png: bytes = field(repr=False)

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, path: str | Path) -> None:
        """Write the PNG file."""
        write_bytes(Path(path), self.png)


def check_name(path: Path) -> None:
    """Raise an InputError unless a file name ends in .nii or .nii.gz."""
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{path}: must end in .nii or .nii.gz.")


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
    find = registry.source(source, "--source").find
    if find is None:
        raise InputError(f"--source is {source!r}, which generates cases. Name another source.")
    if source == "folder":
        schema, listed = folder.find(place, masked=False, incomplete=incomplete)
    else:
        schema, listed = find(place, 0)
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


def _path(origin: Path | Part) -> Path:
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


@dataclass(frozen=True)
class _Array(Part):
    """A modality that the caller gave as an array."""

    volume: Volume

    def read(self) -> Volume:
        return self.volume


def _in_memory(image: np.ndarray, affine: Any, modalities: tuple[str, ...]) -> raw_cases.Found:
    """A case of voxels (X, Y, Z, C)."""
    if image.ndim != 4 or image.shape[3] != len(modalities) or 0 in image.shape:
        raise InputError(
            f"image: expected shape (X, Y, Z, {len(modalities)}) with the channels"
            f" {', '.join(modalities)}, got {image.shape}."
        )
    affine = np.asarray(np.nan if affine is None else affine, np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.linalg.det(affine):
        raise InputError(
            "affine: expected an invertible (4, 4) array from voxel indices to RAS+ mm, got"
            f" {affine.tolist()}."
        )
    grid = Grid(tuple(image.shape[:3]), affine)
    parts: dict[str, Path | Part] = {}
    for channel, name in enumerate(modalities):
        voxels = np.ascontiguousarray(image[..., channel])
        parts[name] = _Array(
            Path(name), Volume(voxels, grid, hashlib.sha256(voxels.tobytes()).hexdigest())
        )
    return raw_cases.Found("array", "array", Path("array"), parts, None)


def _leaving_out(one: OneCase, missing: Sequence[str]) -> OneCase:
    """The case without the images of some modalities."""
    images = {name: file for name, file in one.found.images.items() if name not in missing}
    return replace(one, found=replace(one.found, images=images), missing=(*one.missing, *missing))


def _read(
    found: raw_cases.Found, cohort: Schema, modalities: tuple[str, ...], native: bool
) -> tuple[Case, Native | None, dict[str, Volume]]:
    """The case with these modalities, the transforms to its series, and the volumes that were
    read.
    """
    found = replace(found, labels=None)
    if not native:
        own = cohort.model_copy(update={"modalities": modalities})
        case, volumes = raw_cases.read_volumes(found, own)
        return case, None, volumes
    aligned, volumes = align_case(found, NATIVE)
    image = np.stack([aligned.images[name] for name in modalities], axis=-1)
    return Case(found.case, image, None, aligned.native.grid), aligned.native, volumes


def _inputs(found: raw_cases.Found, volumes: Mapping[str, Volume]) -> dict[str, dict[str, str]]:
    """Hashes of the files. Parts get a name from the case: the folder of a DICOM series may hold
    the patient's name.
    """
    inputs = {}
    for name, volume in sorted(volumes.items()):
        origin = found.images[name]
        file = f"{found.case}_{name}" if isinstance(origin, Part) else origin.name
        inputs[name] = {"file": file, "sha256": volume.sha256}
    return inputs


def _own_values(cohort: Schema, own: Schema) -> Schema:
    """The schema of the case's source, if it has the labels of the network under other values."""
    if list(own.labels) != list(cohort.labels):
        raise InputError(
            f"the network's labels {list(cohort.labels)} are not those of the case's naming,"
            f" {list(own.labels)}. Use --labels model."
        )
    return own


def _volumes_ml(classes: np.ndarray, cohort: Schema, grid: Grid) -> dict[str, float]:
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    masks = {name: np.isin(classes, cohort.classes_of(name)) for name in cohort.regions}
    return {name: round(float(mask.sum()) * voxel_ml, 3) for name, mask in masks.items()}
