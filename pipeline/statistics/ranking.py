"""Ranking of several runs over all cases and metrics, as the BraTS challenge ranks participants.

Bakas et al., "Identifying the best machine learning algorithms for brain tumor segmentation,
progression assessment, and overall survival prediction in the BRATS challenge", arXiv:1811.02629
(2018), section on the ranking; the challenges published the same procedure as PermRanker
(github.com/IUCompPath/PermRanker).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ..core.errors import InputError
from .bootstrap import SEED
from .paired import sign_flip_p


def ranks(values: np.ndarray, directions: Sequence[int]) -> np.ndarray:
    """Rank runs against each other in every case and column.

    Parameters
    ----------
    values : (R, N, M) array_like of float
        Run, case, column (a metric of a region); NaN where undefined, worse than any value.
    directions : (M,) sequence of {1, -1}
        1 where higher is better.

    Returns
    -------
    (R, N, M) float array
        1 for the best; ties share the mean of their ranks.
    """
    losses = -np.asarray(values, float) * np.asarray(directions)
    return rankdata(np.where(np.isnan(losses), np.inf, np.round(losses, 12)), axis=0)


def ranked(
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    directions: Mapping[str, int],
    *,
    seed: int = SEED,
) -> list[dict[str, Any]]:
    """Rank runs by their mean rank over cases, regions and metrics.

    The mean rank of a run in a case, over regions and metrics, is the challenge's cumulative rank;
    its mean over cases, divided by the number of runs, the challenge's final ranking score. To
    compare two runs, the challenge lets their cumulative ranks change places at random in each
    case, and takes as p how often their means then lie further apart, in the observed direction;
    ours counts both directions and ties, so it is about twice as large.

    Parameters
    ----------
    runs : mapping of str to sequence of mapping
        Name of a run to its rows, as for `pipeline.statistics.paired.compare_pairs`. Cases and
        targets that are not in every run are left out.
    directions : mapping of str to {1, -1}
        Metrics to rank by; 1 where higher is better.

    Returns
    -------
    list of dict
        From the best run to the worst, equals by name: ``run``; ``place``, runs of equal mean rank
        sharing the best of their places; ``mean_rank``, 1 to the number of runs; ``score``, that
        divided by their number; ``cases``; ``rankings``, how many ranks the mean was taken over;
        ``first``, in how many of these the run is best or shares that; ``p_next``, two-sided,
        against the run below, absent from the last.

    Raises
    ------
    InputError
        If the runs share no case and target.
    """
    names = list(runs)
    tables = [
        {(row["case"], row["kind"], row["name"]): row for row in rows} for rows in runs.values()
    ]
    shared = [key for key in tables[0] if all(key in table for table in tables)]
    if not shared:
        raise InputError(
            f"{', '.join(names)}: no case and target is in all of them. Compare runs that scored"
            " the same held-out cases."
        )
    values = np.array(
        [
            [[float(table[key][metric]) for metric in directions] for key in shared]
            for table in tables
        ]
    )
    placed = ranks(values, list(directions.values()))
    cases: dict[str, list[int]] = {}
    for place, key in enumerate(shared):
        cases.setdefault(key[0], []).append(place)
    patients = [tables[0][shared[rows[0]]]["patient"] for rows in cases.values()]
    cumulative = np.array(
        [[ranks_of_run[rows].mean() for rows in cases.values()] for ranks_of_run in placed]
    )
    means = cumulative.mean(axis=1)
    order = sorted(range(len(names)), key=lambda run: (round(means[run], 12), names[run]))
    summary = [
        {
            "run": names[run],
            "place": 1 + int((means < means[run] - 1e-12).sum()),
            "mean_rank": float(means[run]),
            "score": float(means[run]) / len(names),
            "cases": len(cases),
            "rankings": placed[run].size,
            "first": int((placed[run] == placed.min(axis=0)).sum()),
        }
        for run in order
    ]
    for row, run, below in zip(summary, order, order[1:], strict=False):
        row["p_next"] = sign_flip_p(cumulative[run] - cumulative[below], patients, seed=seed)
    return summary
