"""Where a result comes from: commit, content of its inputs, values, packages, machine, and the
command that repeats it.

The record is the same for two clones of one commit on one machine, whatever the time, the path or
the user: it says nothing of where the clone lies, who runs it, or when. DVC's own dvc.lock is
rewritten while its stages run and holds, beside those before the running one, what an earlier
reproduction left: so the content is summed here, from the files themselves, as DVC sums it.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..core import params
from ..core.errors import InputError
from .git import git

PACKAGES = (
    *(
        "dvc",
        "tensorflow",
        "tensorflow-cpu",
        "jax",
        "keras",
        "numpy",
        "scipy",
        "nibabel",
        "simpleitk",
        "connected-components-3d",
    ),
    *(
        "nilearn",
        "h5py",
        "pydicom",
        "pandas",
        "matplotlib",
        "pillow",
        "mlflow",
        "sqlalchemy",
        "pydantic",
        "pyyaml",
        "ruamel.yaml",
        "joblib",
        "tqdm",
    ),
    *("requests", "psutil", "jinja2"),
)
CODE = ("pipeline", "dvc.yaml", "params.yaml")
_ELSEWHERE = "(a place of its own)"
_WITHOUT_EFFECT = "compute"  # where the work runs; the bytes are the same


def provenance(
    files: Mapping[str, Path], params_path: Path = Path("params.yaml")
) -> dict[str, Any]:
    """Record where a result comes from.

    Parameters
    ----------
    files : mapping of str to Path
        What it was made from, files and folders, by the name to show.
    params_path : Path
        The values in force; the folder that holds it is the clone.

    Returns
    -------
    dict
        ``commit``, empty outside of a repository; ``changed``, paths of code and values that differ
        from it; ``command``, which repeats the result; ``files``, name to `dvc_md5`; ``params``,
        without the section `compute` and without the place of the cases; ``seed``; ``python``,
        ``packages``, name to version; ``machine``: ``cpu``, ``cores``, ``memory_gb``, ``gpus``.

    Raises
    ------
    InputError
        If the values cannot be read.
    """
    clone, values = params_path.parent, params.read(params_path)
    commit = git(clone, "rev-parse", "HEAD")
    changed = (
        git(clone, "--no-optional-locks", "status", "--porcelain", "--", *CODE) if commit else ""
    )
    return {
        "commit": commit,
        "changed": sorted(line[2:].strip() for line in changed.splitlines()),
        "command": _command(commit, clone, params_path, values),
        "files": {name: dvc_md5(path) for name, path in files.items()},
        "params": _shown(values),
        "seed": values["cohort"]["seed"],
        "python": platform.python_version(),
        "packages": packages(),
        "machine": machine(),
    }


def dvc_md5(path: Path) -> str:
    """Hash of a file or folder as it stands in dvc.lock.

    Parameters
    ----------
    path : Path
        Of a file, MD5 of its bytes; of a folder, MD5 of the JSON list of its files' sums and names
        (DVC's ``.dir`` object), followed by ``.dir``.

    Returns
    -------
    str
        Hexadecimal.
    """
    if not path.is_dir():
        with path.open("rb") as stored:
            return hashlib.file_digest(
                stored, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
    inside = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listed = json.dumps([{"md5": dvc_md5(path / name), "relpath": name} for name in inside])
    return f"{hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"


def packages() -> dict[str, str]:
    """Versions of the packages of requirements.txt and of those that may stand in for them, as far
    as installed.
    """
    found = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, memory in 10^9 bytes, and GPUs with their driver; no name and no address."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "gpus": _gpus(),
    }


def _cpu_model() -> str:
    with suppress(OSError):
        found = re.search(
            r"^model name\s*:\s*(.+)$",
            Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"),
            re.MULTILINE,
        )
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    command = [
        "nvidia-smi",
        "--query-gpu=name,memory.total,driver_version",
        "--format=csv,noheader",
    ]
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=30
        ).stdout
        return [
            "{}, {}, driver {}".format(*(part.strip() for part in line.split(",")))
            for line in said.splitlines()
            if line.count(",") == 2
        ]
    return []


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that decide the result, without paths and addresses."""
    kept = {section: content for section, content in values.items() if section != _WITHOUT_EFFECT}
    return kept | {"cohort": kept["cohort"] | {"location": _place(kept["cohort"]["location"])}}


def _place(location: str) -> str:
    """Public places by name; of others, only that they were given."""
    return location if re.fullmatch(r"|(synapse|kaggle):[\w./-]*", location) else _ELSEWHERE


def _command(commit: str, clone: Path, params_path: Path, values: Mapping[str, Any]) -> str:
    """What brings back code and values and runs them."""
    if not commit:
        return "dvc repro"
    settings = [
        shlex.join(["-S", setting])
        for setting in _settings(_committed(clone, params_path.name), values)
    ]
    run = " ".join(["dvc exp run", *settings]) if settings else "dvc repro"
    return f"git checkout {commit} && {run}"


def _committed(clone: Path, name: str) -> Mapping[str, Any] | None:
    """The values as committed; None where there are none."""
    text = git(clone, "show", f"HEAD:./{name}")
    with TemporaryDirectory() as aside, suppress(InputError):
        path = Path(aside) / name
        path.write_text(text, encoding="utf-8")
        found = params.read_yaml(path, "")
        return found if isinstance(found, Mapping) else None
    return None


def _settings(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Iterator[str]:
    """Settings for ``dvc exp run -S`` that lead from the committed values to these."""
    if before is None:
        return
    old, new = dict(_leaves(before)), dict(_leaves(now))
    for key, value in new.items():
        if key.startswith(f"{_WITHOUT_EFFECT}.") or (key in old and old[key] == value):
            continue
        text = (
            "FOLDER"
            if key == "cohort.location" and _place(value) == _ELSEWHERE
            else _written(value)
        )
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
    """A value in the grammar of DVC's settings, Hydra's."""
    if (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z_][\w./-]*", value)
        and value.lower() not in ("true", "false", "null", "nan", "inf")
    ):
        return value
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return json.dumps(value)
