"""Where a result comes from: commit, hashes of its inputs, params, packages, machine, and the
command that reproduces it.

The record is the same for two clones of one commit on one machine: it holds no time, path or user.
The hashes are computed from the files and not read from dvc.lock, which DVC rewrites while stages
run and which still holds entries of an earlier reproduction.
"""

import hashlib
import json
import os
import platform
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core import params
from ..core.errors import InputError
from . import requirements
from .programs import git, output_of, state_of_code

_PRIVATE = "(a place of its own)"
_PLACES = ("cohort.location", "cohort.corrections")
_WITHOUT_EFFECT = "compute"  # the section that changes no result


def provenance(
    files: Mapping[str, Path], params_path: Path = Path("params.yaml")
) -> dict[str, Any]:
    """Record where a result comes from.

    Parameters
    ----------
    files : mapping of str to Path
        Files and folders that it was made from, by the name to show.
    params_path : Path
        The params in use, in the root of the clone.

    Returns
    -------
    dict
        ``commit``, empty outside of a repository; ``changed``, paths of code and params that
        differ from it; ``command``, which reproduces the result; ``files``, name to `dvc_md5`;
        ``params``, without the section `compute` and without a private location of the cases;
        ``seed``; ``python``, ``packages``, name to version; ``machine``: ``cpu``, ``cores``,
        ``memory_gb``, ``gpus``.

    Raises
    ------
    InputError
        If params.yaml cannot be read.
    """
    clone, values = params_path.parent, params.read(params_path)
    commit, changed = state_of_code(clone)
    return {
        "commit": commit,
        "changed": changed,
        "command": command(values, params_path),
        "files": {name: dvc_md5(path) for name, path in files.items()},
        "params": _shown(values),
        "seed": values["cohort"]["seed"],
        "python": platform.python_version(),
        "packages": packages(),
        "machine": machine(),
    }


def committed_params(params_path: Path = Path("params.yaml")) -> dict[str, Any] | None:
    """The params of HEAD as `provenance` has those in use; None without such."""
    values = _committed(params_path.parent, params_path.name)
    with suppress(KeyError, TypeError):  # a file of another format
        return None if values is None else _shown(values)
    return None


def dvc_md5(path: Path) -> str:
    """Hash of a file or folder, as in dvc.lock.

    Of a file, the MD5 of its bytes, hexadecimal; of a folder, the MD5 of the JSON list of its
    files' hashes and names (DVC's ``.dir`` object), followed by ``.dir``.
    """
    if not path.is_dir():
        md5 = hashlib.md5(usedforsecurity=False)
        with path.open("rb") as stored:
            return hashlib.file_digest(stored, lambda: md5).hexdigest()
    inside = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listed = json.dumps([{"md5": dvc_md5(path / name), "relpath": name} for name in inside])
    return f"{hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"


def packages() -> dict[str, str]:
    """Versions of the required packages that are installed, and of those in their place."""
    names = [one.name for one in requirements.required()]
    instead = [other for name in names for other in requirements.IN_PLACE_OF.get(name, ())]
    return requirements.installed(*names, *instead)


def machine() -> dict[str, Any]:
    """Processor, cores, memory in 10^9 bytes, and GPUs with their driver; no host name."""
    import psutil

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "gpus": _gpus(),
    }


def _cpu_model() -> str:
    with suppress(OSError):
        about = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"^model name\s*:\s*(.+)$", about, re.MULTILINE):
            return found[1].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    query = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    return [
        "{}, {}, driver {}".format(*(part.strip() for part in line.split(",")))
        for line in output_of("nvidia-smi", *query, timeout_s=30).splitlines()
        if line.count(",") == 2
    ]


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The params that affect the result, without private paths and addresses."""
    kept = {section: content for section, content in values.items() if section != _WITHOUT_EFFECT}
    cohort = {
        key: _place(value) if f"cohort.{key}" in _PLACES else value
        for key, value in kept["cohort"].items()
    }
    return kept | {"cohort": cohort}


def _place(location: str) -> str:
    """A public location, or one in the folders of the clone, as it is; of a private one, only that
    it was given.
    """
    public = r"|(synapse|kaggle):[\w./-]*|(data/|pipeline/)\w[\w./-]*"
    return location if re.fullmatch(public, location) and ".." not in location else _PRIVATE


def command(values: Mapping[str, Any], params_path: Path = Path("params.yaml")) -> str:
    """The shell command that checks out the code, sets the params and runs the pipeline."""
    commit = git(params_path.parent, "rev-parse", "HEAD")
    if not commit:
        return "dvc repro"
    quoted = [shlex.join(["-S", setting]) for setting in settings(values, params_path)]
    run = " ".join(["dvc exp run", *quoted]) if quoted else "dvc repro"
    return f"git checkout {commit} && {run}"


def settings(values: Mapping[str, Any], params_path: Path = Path("params.yaml")) -> list[str]:
    """What `values` change of the committed params, each as for ``dvc exp run -S``; nothing
    without a commit.
    """
    return list(_settings(_committed(params_path.parent, params_path.name), values))


def _committed(clone: Path, name: str) -> Mapping[str, Any] | None:
    """The params as committed; None where there are none."""
    with suppress(InputError):
        found = params.parse_yaml(git(clone, "show", f"HEAD:./{name}"), name, "")
        return found if isinstance(found, Mapping) else None
    return None


def _settings(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Iterator[str]:
    """Settings for ``dvc exp run -S`` that turn the committed params into the present ones."""
    if before is None:
        return
    old, new = dict(_leaves(before)), dict(_leaves(now))
    for key, value in new.items():
        if key.startswith(f"{_WITHOUT_EFFECT}.") or (key in old and old[key] == value):
            continue
        text = "FOLDER" if key in _PLACES and _place(value) == _PRIVATE else _written(value)
        yield f"{'' if key in old else '+'}{key}={text}"
    yield from (
        f"~{key}" for key in old if key not in new and not key.startswith(f"{_WITHOUT_EFFECT}.")
    )


def _leaves(values: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{name}{key}.")
        else:
            yield f"{name}{key}", value


def _written(value: Any) -> str:
    """A value in Hydra's grammar, which ``dvc exp run -S`` reads."""
    if (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z_][\w./-]*", value)
        and value.lower() not in ("true", "false", "null", "nan", "inf")
    ):
        return value
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return json.dumps(value)
