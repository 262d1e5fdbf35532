"""The folder of a corrected case, which is replaced as a whole, and its earlier versions."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..core.corrected import REPLACED
from ..core.records import sha256, write_bytes
from . import cohort, record
from .record import Correction, Earlier

EARLIER = ".earlier"
"""Folder of the earlier corrections of a case; hidden, so that no cohort finds its volumes."""
PARTIAL = ".partial-"
"""Before the name of a case: the folder that is being written."""


def tidy(place: Path) -> None:
    """Remove what is left of saves that were killed, which are images of patients, and put back a
    case whose new version was not in its place yet. The folder must be locked.
    """
    for path in place.glob(f"{PARTIAL}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in place.glob(f"{REPLACED}*"):
        home = place / path.name.removeprefix(REPLACED)
        if home.exists():
            shutil.rmtree(path)
        else:
            path.rename(home)


def put(made: Path, folder: Path, others: Iterable[Path]) -> None:
    """Put a folder that was written in the place of a case, whole or not at all, and the folders of
    other cases that it replaces among its earlier versions.
    """
    aside = folder.with_name(f"{REPLACED}{folder.name}")
    if folder.exists():
        os.rename(folder, aside)
    try:
        os.rename(made, folder)
    except OSError:
        if aside.exists():
            os.rename(aside, folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
    for other in others:
        (folder / EARLIER).mkdir(exist_ok=True)
        other.rename(folder / EARLIER / other.name)


def keep(folder: Path, before: Correction, made: Path, with_images: bool) -> Earlier:
    """Copy the earlier versions of a case, the present one being the last of them, into the folder
    of the next.

    Parameters
    ----------
    with_images : bool
        Whether the next version has other images than the present one.
    """
    if (folder / EARLIER).is_dir():
        shutil.copytree(folder / EARLIER, made / EARLIER, copy_function=shutil.copyfile)
    version, images = before.version, before.images if with_images else {}
    labels = f"{EARLIER}/{version}-seg.nii.gz"
    kept = {name: f"{EARLIER}/{cohort.image_name(str(version), name)}" for name in images}
    written = f"{EARLIER}/{version}-{record.NAME}"
    sources = {images[name].file: target for name, target in kept.items()}
    # an earlier version of this project may have been killed after it replaced the labels
    if not (made / labels).exists() or sha256(folder / before.labels.file) == before.labels.sha256:
        sources |= {before.labels.file: labels, record.NAME: written}
    for source, target in sources.items():
        if (folder / source).is_file():
            write_bytes(made / target, (folder / source).read_bytes())
    return Earlier(
        version=version,
        reader=before.reader,
        corrected=before.corrected,
        labels=labels,
        record=written,
        sha256=before.labels.sha256,
        images=kept,
    )
