"""How the report presents each metric, as metrics/evaluate.json describes it."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...metrics.metric import Metric, described

_TABLES = {"region": "cases", "label": "cases"}
PREFIXES = {"region": "", "lesionwise": "By lesions: ", "instances": "By instances: "}
"""Before the titles of a part of the evaluation where all titles are listed together."""


def presentations(
    evaluation: Mapping[str, Any], part: str, names: Iterable[str]
) -> dict[str, Metric]:
    """The metrics of a part of the evaluation in reading order.

    Parameters
    ----------
    evaluation : mapping
        Content of metrics/evaluate.json.
    part : {"region", "label", "lesionwise", "instances", "calibration"}
        Key of it.
    names : iterable of str
        Metrics that were measured; what the evaluation does not describe is not shown.

    Returns
    -------
    dict of str to Metric
    """
    measured, table = set(names), _TABLES.get(part, part)
    return {
        entry["name"]: described(entry)
        for entry in evaluation["metrics"]
        if entry["table"] == table and entry["name"] in measured
    }
