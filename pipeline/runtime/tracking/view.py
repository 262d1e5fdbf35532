"""The list of runs in the MLflow UI: its address and its columns.

The UI keeps chosen columns in the browser. A shared view, a tag of the experiment that the address
names, sets them for everyone.
"""

import argparse
import json
from urllib.parse import urlencode

_KEY = "tumorflow"
_RUN, _CREATED, _DATASET = "attributes.`Run Name`", "runDateAndNestInfo", "attributes.`Dataset`"
_WIDTHS = {
    _RUN: 420,
    _CREATED: 140,
    "metrics.`mean_region_dice`": 150,
    "metrics.`worst_dice`": 100,
    "metrics.`missed_tumours`": 125,
    "metrics.`held_out_loss`": 120,
    "metrics.`val_dice`": 90,
    "metrics.`val_loss`": 90,
    "metrics.`loss`": 90,
    "metrics.`epoch`": 70,
    "duration": 80,
    _DATASET: 260,
    "attributes.`Models`": 90,
}
"""Columns in their order, and their widths in pixels."""
_VIEW = {
    "selectedColumns": [name for name in _WIDTHS if name not in (_RUN, _CREATED)],
    "columnOrder": list(_WIDTHS),
    "columnWidths": _WIDTHS,
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
    "runsHiddenMode": "FIRST_10_RUNS",
    "viewMaximized": False,
    "runListHidden": False,
    "compareRunSections": [
        {
            "uuid": "headline",
            "name": "Model metrics",  # those without a group, which MLflow would show last
            "display": True,
            "isReordered": False,
            "deleted": False,
            "isGenerated": True,
        }
    ],
    "compareRunCharts": [],
    "isAccordionReordered": True,
    "useGroupedValuesInCharts": True,
    "hideEmptyCharts": True,
    "groupBy": None,
    "groupsExpanded": {},
    "autoRefreshEnabled": True,
}

TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    f"mlflow.sharedViewState.{_KEY}": json.dumps(_VIEW),
}
"""Tags of the experiment."""


def path(experiment_id: str) -> str:
    """Path of the list in the UI. Without `workflowType` it opens the pages for language models."""
    query = urlencode({"workflowType": "machine_learning", "viewStateShareKey": _KEY})
    return f"/#/experiments/{experiment_id}/runs?{query}"


def main() -> None:
    """Print the address of the list of runs."""
    from . import store

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    print(f"training runs: http://127.0.0.1:{port}{path(store.opened()[1])}")


if __name__ == "__main__":
    main()
