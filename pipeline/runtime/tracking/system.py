"""CPU, memory and GPU of the machine while a stage runs, by MLflow's own monitor."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

_FIRST_S, _GROWTH, _LAST_S = 0.5, 1.25, 30.0
"""Seconds between two samples: few at first, for stages of seconds; growing up to the last, so that
a training of a day has a few thousand.
"""


@contextmanager
def monitored(run_id: str, stage: str, store: str) -> Iterator[None]:
    """Log ``system/<stage>/cpu_utilization_percentage`` and so on while the block runs.

    GPUs are logged where the package nvidia-ml-py (or pyrsmi) is installed. A monitor that cannot
    be started or fails is left out: it must not stop a stage.
    """
    monitor = _started(run_id, stage, store)
    try:
        yield
    finally:
        if monitor:
            monitor.finish()


def _started(run_id: str, stage: str, store: str) -> Any:
    try:
        from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        class Monitor(SystemMetricsMonitor):
            """Samples ever less often, unless the user chose an interval."""

            def publish_metrics(self, metrics: Mapping[str, float]) -> None:
                super().publish_metrics(metrics)
                if not MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get():
                    self.sampling_interval = min(self.sampling_interval * _GROWTH, _LAST_S)

        monitor = Monitor(run_id, _FIRST_S, resume_logging=True, node_id=stage, tracking_uri=store)
        monitor.monitors = [
            each for each in monitor.monitors if not isinstance(each, DiskMonitor | NetworkMonitor)
        ]
        monitor.start()
    except Exception as fault:
        log.debug("no system metrics: %s", fault)
        return None
    return monitor
