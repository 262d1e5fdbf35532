"""Fetched and watched studies segmented as by `predict`, and the DICOM files of their results."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..network.card import read_card
from ..runtime import gpus
from ..runtime.model_folder import add_model, model_folder
from ..segmenting.extras import FORMATS, SEG_TYPES, Extras, formats_of, object_file
from ..segmenting.finding import OneCase, Unusable
from ..segmenting.many import Outcome
from ..segmenting.model import Model


def add_arguments(parser: argparse.ArgumentParser, formats: str) -> None:
    """Declare how studies are segmented, by default into these formats."""
    add_model(parser)
    parser.add_argument(
        "--formats",
        type=formats_of,
        default=formats,
        metavar="NAME,NAME",
        help=f"of {', '.join(FORMATS)}, as for predict (default: {formats})",
    )
    parser.add_argument(
        "--seg-type",
        choices=SEG_TYPES,
        default="binary",
        help="type of the DICOM segmentation, as for predict (default: binary)",
    )
    parser.add_argument(
        "--native",
        action="store_true",
        help="register the series and extract the brain first, as for predict",
    )
    parser.add_argument(
        "--missing",
        action="append",
        default=[],
        metavar="NAME",
        help="a modality that studies lack; may be repeated",
    )
    parser.add_argument("--device", metavar="DEVICE", help="cpu, gpu, gpu:1, ..., as for predict")


@dataclass(frozen=True, eq=False)
class Segmenter:
    """Segments the studies in folders with one network into one folder."""

    model: Model
    out: Path
    native: bool
    missing: tuple[str, ...]
    extras: Extras

    def find(self, folders: Sequence[Path]) -> list[OneCase | Unusable]:
        """The cases in folders."""
        return self.model.find_all(folders, missing=self.missing)

    def segment(self, cases: Sequence[OneCase | Unusable]) -> Iterator[Outcome]:
        """See `Model.segment_many`: cases that are done in this way are skipped."""
        return self.model.segment_many(cases, self.out, native=self.native, extras=self.extras)

    def dicom_files(self, case: str) -> list[Path]:
        """The DICOM files of a case that is done."""
        labels = self.out / f"{case}.nii.gz"
        return [object_file(labels, name) for name in self.extras.objects]


def segmenter(arguments: argparse.Namespace, out: Path) -> Segmenter:
    """What the arguments say.

    Raises
    ------
    InputError
        If the network cannot be read, a format is unknown, or results are to be stored, but none is
        a DICOM file.
    """
    extras = Extras(formats=arguments.formats, seg_type=arguments.seg_type)
    if arguments.store and not extras.objects:
        raise InputError(
            f"--formats {','.join(arguments.formats)}: makes no DICOM file that --store"
            " could store. Ask for --formats nifti,seg."
        )
    if arguments.device:
        gpus.use(arguments.device)
    folder = model_folder(arguments.model)
    model = Model(folder, read_card(folder))
    return Segmenter(model, out, arguments.native, tuple(arguments.missing), extras)
