"""Fetched and watched studies segmented as by `predict`, and the DICOM files of their results."""

import argparse
import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runtime import gpus
from ..runtime.model_folder import model_folder
from ..segmenting.finding import OneCase, Unusable
from ..segmenting.many import Outcome
from ..segmenting.model import Model
from ..segmenting.segmentation import Extras


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how studies are segmented."""
    parser.add_argument(
        "--model",
        default="models",
        metavar="FOLDER|runs:/ID|EXPERIMENT",
        help="the network, as for predict (default: models)",
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
        return sorted(self.out.glob(f"{glob.escape(case)}.*dcm"))


def segmenter(arguments: argparse.Namespace, out: Path) -> Segmenter:
    """What the arguments say; InputError if the network cannot be read."""
    from ..network.card import read_card

    if arguments.device:
        gpus.use(arguments.device)
    folder = model_folder(arguments.model)
    return Segmenter(
        Model(folder, read_card(folder)), out, arguments.native, tuple(arguments.missing), Extras()
    )
