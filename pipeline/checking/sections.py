"""The model of every section of params.yaml, and what sections need of each other."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from ..augmentation.params import AugmentParams
from ..core import params
from ..core.errors import InputError
from ..core.extensions import NONE
from ..core.params import Cohort, OwnCode
from ..core.schema import Schema
from ..core.split_params import SplitParams
from ..network.params import NetworkParams
from ..network.settings import check_engine
from ..network.train_params import TrainParams, misfits
from ..preparation.params import PreprocessingConfig
from ..registration.params import NativeRecipe
from ..report.params import VisualizeParams
from ..runtime.requirements import keras_backend
from ..scoring.params import EvaluateParams
from .own_names import fault_of

MODELS: dict[str, Any] = {
    "cohort": Cohort,
    "compute": params.Compute,
    "native": NativeRecipe,
    "own_code": OwnCode,
    "preprocess": PreprocessingConfig,
    "split": SplitParams,
    "augment": AugmentParams,
    "network": NetworkParams,
    "train": TrainParams,
    "evaluate": EvaluateParams,
    "visualize": VisualizeParams,
}
_OWN = {
    "augment.own": "augment",
    "network.architecture": "train",
    "train.loss": "train",
    "train.optimizer": "train",
    "train.schedule": "train",
    "train.on_the_fly.own": "train",
    "evaluate.metrics": "evaluate",
}
"""Keys that name own code, and the key of `own_code` that holds it."""
Sections = Mapping[str, Any]
"""By name, those that are valid by themselves, each of its model."""


def read(values: Any, path: Path) -> tuple[Sections, list[str]]:
    """The valid sections, and a message for each fault of the others; `path` is their file."""
    fault = params.sections_fault(values)
    faults, found = [f"{path}: {fault}"] if fault else [], {}
    for name, model in MODELS.items():
        if isinstance(values, dict) and name in values:
            try:
                found[name] = params.value(values, name, model, path)
            except InputError as error:
                faults += str(error).splitlines()
    return found, faults


def misfits_of(found: Sections, schema: Schema | None) -> Iterator[str]:
    """What sections need of each other and of the cohort, as far as it is known: a message for each
    fault, without the name of the file.
    """
    yield from _own_names(found)
    for names, rule in _RULES:
        if all(name in found for name in names):
            yield from rule(schema, *(found[name] for name in names))


def _own_names(found: Sections) -> Iterator[str]:
    for key, stage in _OWN.items():
        section, *inner = key.split(".")
        if section in found and "own_code" in found:
            value = reduce(getattr, inner, found[section])
            for name in (value,) if isinstance(value, str) else value:
                if name is not value or ":" in name:
                    yield from fault_of(name, key, getattr(found["own_code"], stage))


def raised(check: Callable, *arguments: Any) -> Iterator[str]:
    """The message of the InputError that a check raises, if it does."""
    try:
        check(*arguments)
    except InputError as error:
        yield str(error).removeprefix("params.yaml: ")


def _own_code(_: Schema | None, own_code: OwnCode) -> Iterator[str]:
    for stage, code in own_code:
        if code != NONE and not Path(code).exists():
            yield (
                f"own_code.{stage} is {code!r}, which does not exist in {Path.cwd()}. Name the file"
                f" or folder of your own modules, or {NONE} for none."
            )


def _patch(
    schema: Schema | None,
    network: NetworkParams,
    train: TrainParams,
    preprocess: PreprocessingConfig,
) -> Iterator[str]:
    yield from misfits(network, train, schema, preprocess.spacing_mm)


def _prediction(
    schema: Schema | None, network: NetworkParams, evaluate: EvaluateParams
) -> Iterator[str]:
    yield from raised(check_engine, evaluate.engine, network.architecture, keras_backend())
    yield from raised(evaluate.check_output, network.output)


def _cohort(schema: Schema | None, evaluate: EvaluateParams) -> Iterator[str]:
    if not schema:
        return
    postprocess = evaluate.postprocess
    yield from raised(postprocess.check_innermost, schema)
    if postprocess.thresholds:
        from ..core.regions import thresholds_of

        yield from raised(thresholds_of, schema, postprocess.thresholds)
    if evaluate.missing_modalities:
        from ..metrics.missing_modalities import subsets  # takes half a second to import

        yield from raised(subsets, evaluate.missing_modalities, schema.modalities)


def _animations(_: Schema | None, visualize: VisualizeParams) -> Iterator[str]:
    if "mp4" in visualize.animations and not shutil.which("ffmpeg"):
        yield (
            "visualize.animations has mp4, which needs ffmpeg on PATH, and there is none: install"
            " it (apt install ffmpeg, brew install ffmpeg), or take gif or webp."
        )


_RULES: tuple[tuple[tuple[str, ...], Callable[..., Iterator[str]]], ...] = (
    (("own_code",), _own_code),
    (("network", "train", "preprocess"), _patch),
    (("network", "evaluate"), _prediction),
    (("evaluate",), _cohort),
    (("visualize",), _animations),
)
