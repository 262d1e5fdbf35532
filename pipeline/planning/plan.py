"""A plan: every value with its reason, and the lines that are printed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..network.params import mirrored_axes
from ..network.trial import Timing
from . import choices
from .budget import Budget, Seconds, epochs_of
from .candidates import Candidate, candidates
from .choices import Choice
from .fingerprint import Fingerprint
from .machine import Machine
from .search import Search, Tried, chosen, in_words
from .shortfall import Shortfall, shortfall
from .timer import Timer


@dataclass(frozen=True)
class Plan:
    """A whole configuration.

    Attributes
    ----------
    candidate, precision, timing, steps
        The training.
    expected : Shortfall
        Of this training.
    tried : list of Tried
        What was timed for it.
    choices : list of Choice
        All values, in the order of params.yaml's sections.
    seconds : Seconds
        Expected, of the parts of `dvc repro`.
    budget_s : float
        Given for them.
    """

    candidate: Candidate
    precision: str
    timing: Timing
    steps: int
    expected: Shortfall
    tried: list[Tried]
    choices: list[Choice]
    seconds: Seconds
    budget_s: float

    @property
    def values(self) -> dict[str, Any]:
        """Dotted keys of params.yaml and their values."""
        return {choice.key: choice.value for choice in self.choices}

    @property
    def lines(self) -> Iterator[str]:
        """What is printed: trials, values with reasons, time."""
        yield "timed steps, and the Dice that each training is expected to lose, by cause"
        for one in self.tried:
            yield f"  {_tried(one)}"
        yield "values"
        width = max(len(choice.key) for choice in self.choices)
        for choice in self.choices:
            yield f"  {choice.key:<{width}}  {json.dumps(choice.value):<20}  {choice.reason}"
        yield f"time, {self.budget_s / 60:.3g} minutes for dvc repro after download"
        yield f"  expected in minutes: {self.seconds.line}; {self.seconds.total / 60:.3g} in all"


def heading(found: Fingerprint, machine: Machine) -> Iterator[str]:
    """What is printed before anything is timed: the cohort and the machine."""
    yield f"cohort {found.cohort.cohort}"
    yield from (f"  {name:<14}{text}" for name, text in found.lines)
    yield "machine"
    yield f"  {machine.line}"
    yield f"  {machine.usable_gb:.3g} GB of memory for a training"


def _tried(one: Tried) -> str:
    head = f"{in_words(one.candidate)}, {one.precision}"
    if one.timing is None:
        return f"{head}: does not fit"
    if one.shortfall is None:
        return f"{head}: {one.timing.step_s:.3g} s a step, too slow for the budget"
    return (
        f"{head}: {one.timing.step_s:.3g} s a step, {one.steps:,} steps,"
        f" {one.shortfall.total:.3f} ({one.shortfall.line})"
    )


def plan(
    found: Fingerprint, machine: Machine, budget_s: float, params: Mapping[str, Any], timer: Timer
) -> Plan:
    """Plan a configuration.

    Parameters
    ----------
    found : Fingerprint
    machine : Machine
    budget_s : float
        For `dvc repro` after `download`.
    params : mapping
        params.yaml as plain values. Of what a plan sets itself, nothing is read.
    timer : Timer

    Returns
    -------
    Plan
        The same for the same arguments, as long as the timer gives the same timings.

    Raises
    ------
    InputError
        If no training fits into memory, or into the budget; names the smallest that works.
    """
    on_device = bool(machine.device)
    common = choices.common(found, on_device)
    sections = _sections(params, common)
    copies = choices.copies_of(found, on_device).value
    budget = Budget(found, machine, copies)
    margin = params["preprocess"]["margin_voxels"]
    listed = candidates(found, sections["network"], margin)
    search = Search(listed, budget, budget_s, timer, sections)
    candidate, precision, timing, steps = chosen(search)
    epoch_s = epochs_of(steps)[0] * timing.step_s
    resident = search.resident(candidate, timing.peak_gb, epoch_s)
    assert resident  # else the search would have passed it over
    evaluated = list(choices.of_evaluation(candidate, timing, steps, budget, budget_s))
    values = {choice.key: choice.value for choice in evaluated}
    mirrored = mirrored_axes(values["evaluate.mirror"], candidate.dimensions)
    seconds = budget.seconds(
        candidate, timing, steps, values["evaluate.overlap"], 2 ** len(mirrored)
    )
    all_choices = [
        *common,
        *choices.of_network(candidate, found),
        *choices.of_training(candidate, found, precision, timing, steps, resident, on_device),
        *evaluated,
    ]
    order = list(params)
    all_choices.sort(key=lambda choice: order.index(choice.key.partition(".")[0]))
    return Plan(
        candidate=candidate,
        precision=precision,
        timing=timing,
        steps=steps,
        expected=shortfall(candidate, found, steps),
        tried=search.tried,
        choices=all_choices,
        seconds=seconds,
        budget_s=budget_s,
    )


def _sections(params: Mapping[str, Any], common: list[Choice]) -> dict[str, Any]:
    """`network` and `train` with the common choices, and the user's code, for trials."""
    network, train = dict(params["network"]), dict(params["train"])
    train["on_the_fly"] = dict(train["on_the_fly"])
    # every trial is of one kind, whatever an earlier plan has set
    network |= {"deep_supervision": False}
    train["on_the_fly"]["mirror"] = {"x": 0.5, "y": 0.0, "z": 0.0}
    train |= {"early_stopping_epochs": 0, "feed": "auto", "momentum": 0.9}
    for choice in common:
        section, _, key = choice.key.partition(".")
        if section == "network":
            network[key] = choice.value
        elif section == "train":
            _, name, last = key.split(".")
            train["on_the_fly"][name] = {**train["on_the_fly"][name], last: choice.value}
    return {"network": network, "train": train, "code": params["own_code"]["train"]}
