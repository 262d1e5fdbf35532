"""The folder that the pipeline runs in."""

import os
from pathlib import Path


def root() -> Path:
    """The repository's root, also in the temporary workspace of a queued experiment; outside of a
    repository the current folder.
    """
    here = Path.cwd()
    around = (folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir())
    return Path(os.environ.get("DVC_ROOT") or next(around, here))
