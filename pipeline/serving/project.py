"""A project whose results the page shows: the outs of its last `dvc repro`, and what can be run."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import RootModel

from ..core.case_means import mean_region_dice
from ..core.catalogue import Catalogue
from ..core.records import read_json, read_table
from ..correcting.cohort import readable
from ..report.page.cases import LOCAL_HELD_OUT
from ..runtime import params_file
from .refusals import Refusal

_HEAD_LETTERS = 4096
_WAY_BACK = '<body>\n<p class="top"><a href="/projects">Back to the projects of this server</a></p>'
_HELD_OUT_FILES = ("metrics/cases.csv", "data/raw/catalogue.json")
Rows = Sequence[Mapping[str, Any]]
Plain = RootModel[dict[str, Any]]


@dataclass(frozen=True)
class HeldOut:
    """A held-out case: its mean Dice over the regions, that of each region (NaN where undefined),
    and whether its prediction can be shown.
    """

    case: str
    mean: float
    dice: dict[str, float]
    shown: bool


@dataclass(frozen=True)
class Preset:
    """A file of presets/: what its head says, and whether params.yaml has its values."""

    name: str
    about: tuple[str, ...]
    used: bool


class Waiting(NamedTuple):
    """Numbers of corrected cases that the cohort of the last `dvc repro` lacks, and of all; names
    of those whose record is damaged.
    """

    waiting: int
    corrected: int
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class Project:
    """The results in the folder of a project; every one is read anew when it is asked for.

    Parameters
    ----------
    folder : Path
        Root of the clone.
    corrections : Path
        Folder of corrected cases.
    """

    folder: Path
    corrections: Path

    @property
    def raw(self) -> Path:
        """Folder of the cases and their catalogue."""
        return self.folder / "data/raw"

    @property
    def predictions(self) -> Path:
        """Folder of the predictions of the held-out cases."""
        return self.folder / "metrics/predictions"

    def catalogue(self) -> Catalogue:
        """The catalogue of the cohort; InputError without one."""
        return read_json(self.raw / "catalogue.json", Catalogue)

    def is_evaluated(self) -> bool:
        """Whether `dvc repro` left results here."""
        return all((self.folder / name).is_file() for name in _HELD_OUT_FILES)

    def rows(self) -> Rows:
        """The rows of metrics/cases.csv; InputError if the project has none."""
        if not self.is_evaluated():
            raise Refusal(
                "This folder has no results: run `dvc repro` in it, or start the server with"
                " --project FOLDER.",
                HTTPStatus.NOT_FOUND,
            )
        return read_table(self.folder / "metrics/cases.csv").to_dict("records")

    def held_out(self) -> list[HeldOut]:
        """The held-out cases, the worst first."""
        rows = self.rows()
        dice = {(row["case"], row["name"]): row["dice"] for row in rows if row["kind"] == "region"}
        regions = dict.fromkeys(name for _, name in dice)
        return [
            HeldOut(
                case,
                mean,
                {region: dice[case, region] for region in regions if (case, region) in dice},
                self._prediction(case).is_file(),
            )
            for case, mean in mean_region_dice(rows).items()
        ]

    def scores(self, case: str) -> list[Mapping[str, Any]]:
        """The rows of a held-out case; InputError if it is none."""
        rows = [row for row in self.rows() if row["case"] == case]
        if not rows:
            said = "The last `dvc repro` has no held-out case of this name."
            raise Refusal(said, HTTPStatus.NOT_FOUND)
        return rows

    def hash_of(self, case: str) -> str:
        """What a held-out case and its prediction are identified by: 32 hexadecimal digits."""
        self.scores(case)
        digest = hashlib.sha256(self.catalogue().entry(case).model_dump_json().encode())
        for path in (self._prediction(case), self._uncertainty(case)):
            if path.is_file():
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:32]

    def summary(self) -> dict[str, Any] | None:
        """The mean region Dice of metrics/evaluate.json with its interval; None without one."""
        path = self.folder / "metrics/evaluate.json"
        return read_json(path, Plain).root.get("mean_region_dice") if path.is_file() else None

    def evaluation_sha256(self) -> str:
        """Of metrics/evaluate.json, by which its MLflow run is known; empty without one."""
        path = self.folder / "metrics/evaluate.json"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    @property
    def report(self) -> Path:
        """File of the report."""
        return self.folder / "metrics/report.html"

    def presets(self) -> list[Preset]:
        """The presets, those of the project or else of this installation."""
        own = self.folder / "presets"
        folder = own if own.is_dir() else params_file.PRESETS
        params = self.folder / "params.yaml"
        values = params_file.parse(params_file.read_text(params), params) if params.exists() else {}
        return [_preset(path, values) for path in sorted(folder.glob("*.yaml"))]

    def waiting(self) -> Waiting:
        """How many corrected cases wait for the next training."""
        listed, damaged = readable(self.corrections)
        entries = self.catalogue().cases if (self.raw / "catalogue.json").is_file() else ()
        known = {_content(entry.images, entry.labels) for entry in entries if entry.labels}
        waiting = [one for one in listed if _content(one.images, one.labels) not in known]
        return Waiting(len(waiting), len(listed), tuple(damaged))

    def _prediction(self, case: str) -> Path:
        return self.predictions / f"{case}.nii.gz"

    def _uncertainty(self, case: str) -> Path:
        return self.predictions / "uncertainty" / f"{case}.nii.gz"


def served_report(path: Path) -> tuple[str, list[str]]:
    """A report whose links to held-out cases lead to the server that it comes from, with a link
    back to it, and the hashes of the scripts that it allows itself (``sha256-...``); InputError
    without one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        said = "This folder has no metrics/report.html. Run `dvc repro`."
        raise Refusal(said, HTTPStatus.NOT_FOUND) from None
    page = text.replace(LOCAL_HELD_OUT, "/held-out/").replace("<body>", _WAY_BACK, 1)
    return page, script_hashes(text)


def _content(images: Mapping[str, Any], labels: Any) -> tuple[str, ...]:
    """What identifies a labelled case, in a catalogue or as it was corrected."""
    return labels.content_sha256, *sorted(file.content_sha256 for file in images.values())


def script_hashes(page: str) -> list[str]:
    """Hashes of scripts that the policy of a page allows, by its head."""
    head = page[:_HEAD_LETTERS]
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"', head)
    found = re.findall(r"sha256-[A-Za-z0-9+/]{43}=", policy[1]) if policy else []
    return list(dict.fromkeys(found))


def _preset(path: Path, values: Mapping[str, Any]) -> Preset:
    text = params_file.read_text(path)
    about = list[str]()
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        about.append(line.removeprefix("#").strip())
    leaves = params_file.leaves(params_file.parse(text, path), values)
    used = bool(values) and all(_value(values, key) == value for key, value in leaves)
    return Preset(path.stem, tuple(about), used)


def _value(values: Any, key: str) -> Any:
    """The value of a dotted key; None where there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values
