"""The folder that the pipeline runs in."""

import os
from pathlib import Path

NAME = "workspace"
"""What stands for the outs of the last `dvc repro` where a run or model is named."""


def root() -> Path:
    """Root of the DVC repository; outside of one, the current folder.

    In the temporary workspace of a queued experiment it is the root of the clone.
    """
    here = Path.cwd()
    around = (folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir())
    return Path(os.environ.get("DVC_ROOT") or next(around, here))
