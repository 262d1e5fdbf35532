"""The folder of an exported network: the graph, `pipeline.json`, the runner and a note."""

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from ..core.errors import InputError
from ..core.records import write_bytes
from ..network.card import Card
from ..network.params import mirrored_axes
from ..network.settings import Settings
from . import runner

Format = Literal["onnx", "openvino"]
Precision = Literal["bfloat16", "float16", "float32", "int8"]
FILES = frozenset(
    {"network.onnx", "network.xml", "network.bin", "pipeline.json", "run.py", "README.txt"}
)


def check(folder: Path) -> None:
    """Raise InputError unless a folder can be written: it is not there, empty, or an export."""
    if folder.is_dir() and (names := {path.name for path in folder.iterdir()}):
        foreign = sorted(names - FILES)
        if foreign or "pipeline.json" not in names:
            raise InputError(
                f"{folder}: holds {', '.join((foreign or sorted(names))[:3])}, and is no exported"
                " network. Name a new folder."
            )
    elif folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file. Name a folder.")


def network_files(graph: Any, form: Format) -> dict[str, bytes]:
    """The files of a network, from its ONNX graph."""
    raw = graph.SerializeToString(deterministic=True)
    return {"network.onnx": raw} if form == "onnx" else _openvino_files(raw)


def _openvino_files(raw: bytes) -> dict[str, bytes]:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it would report
    import openvino

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "network.xml"
        network = openvino.Core().read_model(raw)
        openvino.save_model(network, path, compress_to_fp16=False)
        return {at.name: at.read_bytes() for at in (path, path.with_suffix(".bin"))}


def described(
    card: Card, settings: Settings, files: dict[str, bytes], precision: Precision
) -> dict[str, Any]:
    """Content of pipeline.json: what a runner needs beside the network, in plain values."""
    schema, thresholds = card.cohort, settings.postprocess.thresholds
    settings.check_output(card.network.output)
    postprocess = settings.postprocess.model_dump(mode="json", exclude={"thresholds"})
    return {
        "format_version": runner.FORMAT_VERSION,
        "use": card.use,
        "cohort": schema.cohort,
        "trained": {"network_sha256": card.network_sha256, "precision": card.train["precision"]},
        "network": {
            "file": min(files, key=lambda name: name.endswith(".bin")),
            "sha256": {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()},
            "precision": precision,
        },
        "modalities": list(schema.modalities),
        "accepts_missing_modalities": card.accepts_missing_modalities,
        "labels": schema.labels,
        "regions": [
            {
                "name": name,
                "labels": list(labels),
                "around": schema.around[name],
                "own_label": min(schema.own_labels[name]),
                "innermost": name in schema.innermost,
                "threshold": thresholds.get(name, 0.5),
            }
            for name, labels in schema.regions.items()
        ],
        "preprocess": card.preprocess.model_dump(mode="json"),
        "spacing_mm": list(card.spacing_mm),
        "patch": list(card.patch),
        "slices": card.network.slices,
        "output": card.network.output,
        "type_head": card.network.type_head,
        "overlap": settings.overlap,
        "mirrored_axes": list(mirrored_axes(settings.mirror, len(card.patch))),
        "batch_size": settings.batch_size,
        "postprocess": postprocess,
    }


def write(folder: Path, files: dict[str, bytes], pipeline: dict[str, Any]) -> None:
    """Write the folder whole or not at all, in the place of an earlier export; InputError as of
    `check`.
    """
    check(folder)
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        made, replaced = Path(place) / "made", Path(place) / "replaced"
        for name, raw in files.items():
            write_bytes(made / name, raw)
        # keys in the order of `described`; labels in that of their class indices
        write_bytes(made / "pipeline.json", f"{json.dumps(pipeline, indent=1)}\n".encode())
        shutil.copyfile(runner.__file__, made / "run.py")
        write_bytes(made / "README.txt", _note(pipeline).encode())
        if folder.exists():
            folder.rename(replaced)
        made.rename(folder)


def _note(pipeline: dict[str, Any]) -> str:
    files = " ".join(f"--{name} FILE" for name in pipeline["modalities"])
    engine = "openvino" if pipeline["network"]["file"].endswith(".xml") else "onnxruntime"
    return f"""{pipeline["use"]}

A network of TumorFlow, trained on the cohort {pipeline["cohort"]}, in {engine}'s format.

    pip install numpy nibabel {engine}
    python run.py {files} --out LABELS.nii.gz

{pipeline["network"]["file"]}  the network: windows (B, C, {_sides(pipeline)}) float32 to logits
pipeline.json  preparation, windows, thresholds, postprocessing, label values
run.py  all of it in NumPy, to use or to read
"""


def _sides(pipeline: dict[str, Any]) -> str:
    return ", ".join(map(str, pipeline["patch"]))
