"""Scores of one item while the network segments the next."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..network.prediction import Prediction

Item = TypeVar("Item")
Scores = TypeVar("Scores")


@dataclass(frozen=True)
class Scored(Generic[Item, Scores]):
    """An item with its scores, seconds in the network (None where its prediction was kept from
    before) and of the rest.
    """

    item: Item
    scores: Scores
    network_seconds: float | None
    rest_seconds: float


def scored(
    segment: Callable[[Item], Prediction],
    score: Callable[[Item, Prediction], Scores],
    items: Sequence[Item],
) -> Iterator[Scored[Item, Scores]]:
    """Score each item, such as a case, in a thread while the network segments the next."""

    def one(item: Item, prediction: Prediction, seconds: float) -> Scored[Item, Scores]:
        network_seconds = None if prediction.kept else seconds
        started = time.perf_counter()
        scores = score(item, prediction)
        return Scored(item, scores, network_seconds, time.perf_counter() - started)

    with ThreadPoolExecutor(1) as beside:
        waiting: Future | None = None
        for item in items:
            started = time.perf_counter()
            prediction = segment(item)
            seconds = time.perf_counter() - started
            if waiting:
                yield waiting.result()
            waiting = beside.submit(one, item, prediction, seconds)
        if waiting:
            yield waiting.result()
