"""A trained network that segments cases."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..core.case import Case
from ..core.errors import InputError
from ..core.schema import Schema
from ..formats import raw_cases
from ..formats.dicom.series import DicomSeries
from ..formats.volume import Part, Volume
from ..network.card import Card, check_spacing, network_file
from ..network.settings import Engine, Settings, read_settings
from ..preparation.preprocessing import Prepared, prepare
from ..quality.confidence import estimated_dice
from ..quality.features import features_of
from ..quality.flag import Quality, assess
from ..quality.known import Known, read_known
from ..registration.aligned_files import align_case
from ..registration.native import Native
from ..registration.params import NativeRecipe
from ..verification import checks
from . import manifest, seen
from .arrays import in_memory
from .extras import Extras
from .finding import Finder, OneCase, Unusable, check_outside, leaving_out
from .manifest import timed
from .many import Job, Outcome, segment_many
from .segmentation import Segmentation
from .sources import series_of

log = logging.getLogger(__name__)

NATIVE = NativeRecipe(
    enabled=True,
    template_transform="rigid",
    interpolation="linear",
    correct_bias=False,
    extract_brain=True,
)
"""How series as acquired are brought to one grid."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with its preprocessing and postprocessing, from `load`: the folder, the
    content of its card.json, and what runs the network, if not what its settings say.
    """

    folder: Path
    card: Card
    engine: Engine | None = None

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
    def settings(self) -> Settings:
        """How cases are predicted: the content of inference.json, with the engine of this model."""
        settings = read_settings(self.folder)
        return settings.model_copy(update={"engine": self.engine}) if self.engine else settings

    @cached_property
    def _known(self) -> Known | None:
        """What inference.json says of the cases of the training."""
        return read_known(self.folder)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return manifest.trained(self.card, self.folder)

    @cached_property
    def _loaded(self) -> tuple[Any, Settings]:
        """The Keras network and its inference settings."""
        from ..network import backend, saving

        settings = self.settings
        backend.prepare(self.card.seed, self.card.train["precision"])
        architecture = self.card.network.architecture
        return saving.load_model(network_file(self.folder), architecture), settings

    def load_network(self) -> None:
        """Load Keras and the weights, unless that was done before."""
        _ = self._loaded

    @property
    def _finder(self) -> Finder:
        return Finder(self.card.cohort, self.accepts_missing_modalities)

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
        return self._finder.one(place, files or {}, source, missing)

    def find_all(
        self, places: Iterable[str | Path], source: str | None = None, missing: Sequence[str] = ()
    ) -> list[OneCase | Unusable]:
        """Find the files of many cases.

        Parameters
        ----------
        places : iterable of str or Path
            Folders that each hold one case, or many at any depth, as the source lays them out; or
            lists of cases: a ``.txt`` file with a folder a line, or a ``.csv`` file with columns
            ``case``, ``folder`` and modalities.
        source : str, optional
            As for `find`. By default a folder with a catalogue.json, such as data/raw of a clone,
            has the cases that this lists.
        missing : sequence of str
            As for `find`, for all cases.

        Returns
        -------
        list of OneCase or Unusable
            In the order of the places and names. A case that is found in several ways is listed
            once. What cannot be read is an `Unusable` with its reason.

        Raises
        ------
        InputError
            If two cases have one name, or a missing modality is not one of the network.
        """
        return self._finder.all(places, source, missing)

    def segment(
        self,
        case: str | Path | Mapping[str, str | Path] | np.ndarray | OneCase,
        affine: np.ndarray | None = None,
        *,
        source: str | None = None,
        native: bool = False,
        label_values: Literal["model", "case"] = "model",
        missing: Sequence[str] = (),
    ) -> Segmentation:
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
        return self.predict(self.prepare(one, native, label_values))

    def segment_many(
        self,
        cases: Iterable[str | Path | OneCase | Unusable],
        out: str | Path,
        *,
        native: bool = False,
        label_values: Literal["model", "case"] = "model",
        extras: Extras | None = None,
        overwrite: bool = False,
    ) -> Iterator[Outcome]:
        """Segment cases one after the other into a folder, as ``<out>/<case>.nii.gz``.

        Each is written as by `Segmentation.save`, and ``<out>/volumes.csv`` has a row for every
        case in the folder. A case is skipped if its files are there and its record names the same
        inputs by their hashes, network and settings; a call that was interrupted thus goes on
        where it was. A case that cannot be segmented does not stop the others.

        Parameters
        ----------
        cases : iterable of path, OneCase or Unusable
            Places as for `find_all`, or what it returned.
        out : str or Path
            Folder; made if it is not there.
        native, label_values
            As for `segment`.
        extras : Extras, optional
            What to write beside labels.
        overwrite : bool
            Whether to segment cases again that are done.

        Returns
        -------
        iterator of Outcome
            One for each case, when it is done, skipped or failed.

        Raises
        ------
        InputError
            Before the first case, if `out` is a file, lies in one of the places or in the folder of
            a case, or a result would replace an input; later, if a result cannot be written.
        """
        cases = list(cases)
        check_outside(Path(out), (each for each in cases if isinstance(each, str | Path)))
        found = [each for case in cases for each in self._cases_of(case)]
        job = Job(self, Path(out), native, label_values, extras or Extras(), overwrite)
        return segment_many(job, found)

    def _cases_of(self, case: str | Path | OneCase | Unusable) -> list[OneCase | Unusable]:
        return [case] if isinstance(case, OneCase | Unusable) else self.find_all([case])

    def require(self, one: OneCase, native: bool, extras: Extras) -> None:
        """Raise InputError if `extras` ask for DICOM objects that cannot be made of a case; nothing
        is computed for it.
        """
        if extras.objects:
            from . import objects

            images = one.found.images
            names = images if native else self.present(one)
            objects.require(one.name, {name: images[name] for name in names})

    def prepare(
        self, one: OneCase, native: bool = False, label_values: Literal["model", "case"] = "model"
    ) -> "PreparedCase":
        """Read, check and prepare a case; the first half of `segment`, which needs no Keras."""
        found, card, seconds = one.found, self.card, dict[str, float]()
        modalities = self.present(one)
        with timed(seconds, "read"):
            voxels, back, volumes = _read(found, card.cohort, modalities, native)
        absent = [name for name in self.modalities if name not in modalities]
        with timed(seconds, "check"):
            noticed = checks.alone(
                found,
                voxels,
                volumes,
                modalities,
                None if native and card.stripped else card.stripped,
                card.preprocess.foreground == "nonzero" and not native,
            )
        warnings = checks.incomplete(found.case, absent) + noticed.warnings
        if seen.trained_on(card, found):
            warnings.append(seen.warning(found.case))
        present = [name in modalities for name in self.modalities]
        with timed(seconds, "prepare"):
            prepared = prepare(voxels, card.preprocess, present)
        check_spacing(card, prepared.geometry.spacing_mm, str(found.folder))
        schema = self.written_schema(one, label_values)
        record = {
            "format_version": manifest.FORMAT_VERSION,
            "case": found.case,
            "inputs": _inputs(found, volumes),
            "missing_modalities": absent,
            "native": back and back.model_dump(mode="json"),
            "network_sha256": card.network_sha256,
            "data_hash": card.data_hash,
            "settings": self.settings.model_dump(mode="json"),
            "model": self._facts,
            "labels": schema.labels,
            "geometry": manifest.geometry(voxels.grid, prepared.geometry),
            "use": card.use,
            "warnings": warnings,
        }
        series = series_of({name: found.images[name] for name in volumes})
        return PreparedCase(
            voxels,
            prepared,
            schema,
            modalities,
            back,
            record,
            seconds,
            series,
            tuple(noticed.doubts),
        )

    def predict(self, case: "PreparedCase", logged: Collection[str] = ()) -> Segmentation:
        """Segment what `prepare` returned; log its warnings, without those that were `logged`."""
        for warning in case.record["warnings"]:
            if warning not in logged:
                log.warning("warning: %s", warning)

        from ..network import backend, predictor
        from ..network.engines.engine import chosen, versions

        card, seconds = self.card, dict(case.seconds)
        network, settings = self._loaded
        engine = chosen(settings.engine, card.network.architecture)
        image, geometry = case.prepared.image, case.prepared.geometry
        with timed(seconds, "network"):
            prediction = predictor.predict(
                network, card, settings, image, case.voxels.name, geometry=geometry
            )
        with timed(seconds, "postprocess"):
            classes = predictor.raw_classes(prediction, card, settings)
        volumes = manifest.volumes_ml(classes, card.cohort, case.voxels.grid)
        with timed(seconds, "quality"):
            quality = self._quality(case, prediction.probabilities, volumes)
        made_by = {
            "volumes_ml": volumes,
            "volume_errors": manifest.volume_errors(self._known, volumes, quality.flag),
            "quality": quality.model_dump(mode="json"),
            "engine": {
                "name": engine,
                "backend": backend.name(),
                "precision": card.train["precision"],
            },
            "versions": manifest.own_versions() | backend.versions() | versions(engine),
            "run": manifest.run(backend.described(), seconds),
        }
        return Segmentation(
            case=case.voxels,
            classes=classes,
            schema=case.schema,
            modalities=case.modalities,
            native=case.native,
            series=case.series,
            record=case.record | made_by,
            region_probabilities=lambda: dict(
                zip(
                    card.cohort.regions,
                    np.moveaxis(predictor.region_probabilities(prediction, card, settings), -1, 0),
                    strict=True,
                )
            ),
        )

    def _quality(
        self, case: "PreparedCase", probabilities: np.ndarray, volumes_ml: Mapping[str, float]
    ) -> Quality:
        """The quality flag of a case, by what the network sees of it, its probabilities (X, Y, Z,
        O) on that grid, the volumes of its labels, and the doubts about its input.
        """
        cohort, prepared = self.card.cohort, case.prepared
        estimated = estimated_dice(probabilities, cohort, self.card.network.output)
        return assess(
            self._known,
            features_of(prepared.image, prepared.geometry, cohort.modalities),
            {name: value if volumes_ml[name] else None for name, value in estimated.items()},
            case.doubts,
        )

    def _one_case(
        self, case: Any, affine: Any, source: str | None, native: bool, missing: Sequence[str]
    ) -> OneCase:
        self._finder.refuse_foreign(missing)
        if isinstance(case, OneCase):
            return leaving_out(case, missing)
        if isinstance(case, np.ndarray):
            if native:
                raise InputError("native: an array has one grid. Give the files of the series.")
            one = OneCase(self.card.cohort, in_memory(case, affine, self.modalities))
            return leaving_out(one, missing)
        place, files = (None, case) if isinstance(case, Mapping) else (case, {})
        return self.find(place, files, source, missing)

    def written_schema(self, one: OneCase, label_values: Literal["model", "case"]) -> Schema:
        """The schema with the label values that are written for a case."""
        cohort = self.card.cohort
        return _own_values(cohort, one.schema) if label_values == "case" else cohort

    def present(self, one: OneCase) -> tuple[str, ...]:
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
class PreparedCase:
    """A case that is ready for the network: its voxels and their grid, the prepared image, the
    schema of its labels, its modalities, the transforms to its series, what is known for the
    record, the seconds that it took by step, the series that DICOM objects refer to, and the
    doubts about its input, each a sentence.
    """

    voxels: Case
    prepared: Prepared
    schema: Schema
    modalities: tuple[str, ...]
    native: Native | None
    record: dict[str, Any]
    seconds: dict[str, float]
    series: tuple[str, DicomSeries] | None = None
    doubts: tuple[str, ...] = ()


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
