"""When, where and how fast a run was made: not reproducible, so in no DVC out."""

import os
import platform
from datetime import UTC, datetime

from . import costs


def circumstances(run_id: str) -> list[str]:
    """Date, DVC experiment, MLflow run, host, and seconds of the stages before `visualize`."""
    experiment = os.environ.get("DVC_EXP_NAME", "")
    seconds = [
        f"{row['stage']} {row['seconds']:.0f} s"
        for row in costs.read()
        if row["stage"] != "visualize"
    ]
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        *([f"DVC experiment {experiment}"] if experiment else []),
        f"MLflow run {run_id}",
        f"host {platform.node()}",
        *([", ".join(seconds)] if seconds else []),
    ]
