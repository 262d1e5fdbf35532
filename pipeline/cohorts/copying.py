"""The copies of a verified cohort in data/raw.

Files are copied, not hard-linked: DVC makes the files it tracks read-only, and a link would make
the source read-only too.
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm.contrib.concurrent import thread_map

from ..core.catalogue import CaseEntry, Catalogue
from ..core.errors import InputError
from ..core.progress import Bar
from ..core.records import replacing, sha256, write_bytes
from ..formats.raw_cases import Found

_COPIES_AT_ONCE = 4  # hides the latency of syncing each small file to the disk


def copy_cases(raw: Path, found: Sequence[Found], entries: Sequence[CaseEntry]) -> None:
    """Copy cases as found to the paths of their entries as verified, in the same order; a file that
    is there with the same bytes is kept. InputError if one has changed since it was verified.
    """
    shown = {"tqdm_class": Bar, "desc": "copy", "unit": "case"}
    thread_map(partial(_copy, raw), found, entries, max_workers=_COPIES_AT_ONCE, **shown)


def _copy(raw: Path, case: Found, entry: CaseEntry) -> None:
    files = [(case.images[name], file) for name, file in entry.images.items()]
    for path, file in [*files, (case.labels, entry.labels)]:
        if not isinstance(path, Path) or file is None:
            raise TypeError(f"case {case.case} has a part that is not a file")
        copy = raw / file.path
        if copy.is_file() and sha256(copy) == file.sha256:
            continue
        with replacing(copy) as sibling:
            shutil.copyfile(path, sibling)
            if sha256(sibling) != file.sha256:
                raise InputError(
                    f"{path}: changed while it was copied. Make sure that nothing writes to it,"
                    " and run `dvc repro` again."
                )
    if case.native and entry.native:
        write_bytes(raw / entry.native, case.native.read_bytes())


def remove_others(raw: Path, catalogue: Catalogue) -> None:
    """Remove the files of an earlier cohort or an interrupted run, and empty folders."""
    expected = {raw / entry.native for entry in catalogue.cases if entry.native}
    for entry in catalogue.cases:
        expected.update(raw / file.path for file in (*entry.images.values(), entry.labels) if file)
    for path in sorted(raw.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in expected:
            path.unlink()
