"""The schema of a cohort: its modalities, label values and regions."""

from typing import Literal, Self, get_args

from pydantic import model_validator

from .strict import Strict

RulesName = Literal[
    "brats2023-gli",
    "brats2023-ssa",
    "brats2023-ped",
    "brats2023-men",
    "brats2023-met",
    "brats2024-gli",
    "brats2024-ssa",
    "brats2024-ped",
    "brats2024-met",
    "brats2024-menrt",
    "brats2025-gli",
    "brats2025-mets",
    "brats2025-ped",
    "brats2025-men",
    "brats2025-menrt",
    "brats2025-goat",
]
"""Names of the rules in `pipeline.metrics.lesion_rules`, which is not imported: a change of a rule
must score again, not train again.
"""
RULES: tuple[str, ...] = get_args(RulesName)
MATCHING: tuple[str, ...] = tuple(name for name in RULES if name.startswith("brats2025-"))
"""Those of the evaluation of 2025 and 2026."""


class Schema(Strict):
    """The cohort schema: declared by a source, carried by the catalogue and the model card.

    Attributes
    ----------
    cohort : str
        Name of the convention, e.g. ``brats2021``.
    dimensions : {2, 3}
        2 for single slices, 3 for volumes.
    modalities : tuple of str
        Order of the channels.
    labels : dict of str to int
        Name of each label and its value in the cohort's files; 0 is background and not listed.
    regions : dict of str to tuple of str
        Name of each region and the labels it unites. A region lies within one before it or is
        disjoint from all before it; the first represents the case as a whole.
    empty_rule : {"brats", "nan"}
        The score of an empty region, see `pipeline.metrics.case_scores`.
    types : bool
        Whether each case has one label, the type of its tumour, see
        `pipeline.metrics.tumour_types`.
    lesion_rules : str or tuple of str or None
        The rules, of `RULES`, of lesion-wise scores; None for no lesion-wise score. Two may be
        named: one of 2023 or 2024 and one of 2025.

    Raises
    ------
    pydantic.ValidationError
        If label values repeat, a region names an unknown label, two regions overlap without one
        containing the other, regions do not determine a label, labels that are types share a region
        or one is called "none", or the rules are unknown or of the same years.
    """

    cohort: str
    dimensions: Literal[2, 3]
    modalities: tuple[str, ...]
    labels: dict[str, int]
    regions: dict[str, tuple[str, ...]]
    empty_rule: Literal["brats", "nan"]
    types: bool = False  # records written before it was there lack it
    lesion_rules: RulesName | tuple[RulesName, ...] | None = None  # likewise

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        values = list(self.labels.values())
        if len(set(values)) != len(values) or not all(0 < value < 256 for value in values):
            raise ValueError(f"label values must be distinct and in 1..255, got {self.labels}")
        if len(set(self.modalities)) != len(self.modalities) or not self.modalities:
            raise ValueError(f"modalities must be distinct and at least one, got {self.modalities}")
        if not self.regions:
            raise ValueError("regions must be at least one, got none")
        for name, members in self.regions.items():
            if not members or not set(members) <= set(self.labels):
                raise ValueError(
                    f"region {name} must unite some of the labels {sorted(self.labels)}, got"
                    f" {members}"
                )
            for other in self._before(name):
                if not set(members).isdisjoint(self.regions[other]) and not set(members) < set(
                    self.regions[other]
                ):
                    raise ValueError(
                        f"region {name} must lie within {other}, listed before it, or apart from"
                        f" it, got {members}"
                    )
        if any(len(own) != 1 for own in self.own_labels.values()) or set(
            self.labels
        ) != set().union(*self.own_labels.values()):
            raise ValueError(
                "each region must add one label to those within it, and each label belong to one,"
                f" got {self.regions}"
            )
        if self.types and (
            any(len(members) > 1 for members in self.regions.values()) or "none" in self.labels
        ):
            raise ValueError(
                "labels that are types need a region of their own each, and none may be called"
                f" none, got {self.regions}"
            )
        if isinstance(self.lesion_rules, tuple) and sorted(
            name in MATCHING for name in self.lesion_rules
        ) != [False, True]:
            raise ValueError(
                "lesion_rules must be one name, or one of 2023 or 2024 and one of 2025, got"
                f" {', '.join(self.lesion_rules) or 'none'}"
            )
        return self

    @property
    def merging_rules(self) -> str | None:
        """Those of `lesion_rules` of 2023 or 2024, which merge lesions by dilation."""
        return next((name for name in self._rules if name not in MATCHING), None)

    @property
    def matching_rules(self) -> str | None:
        """Those of `lesion_rules` of 2025, which match lesions one to one."""
        return next((name for name in self._rules if name in MATCHING), None)

    @property
    def _rules(self) -> tuple[str, ...]:
        named = self.lesion_rules or ()
        return (named,) if isinstance(named, str) else named

    @property
    def around(self) -> dict[str, str | None]:
        """The next larger region around each region, None where there is none."""
        return {
            name: next(
                (
                    other
                    for other in reversed(self._before(name))
                    if set(members) <= set(self.regions[other])
                ),
                None,
            )
            for name, members in self.regions.items()
        }

    @property
    def own_labels(self) -> dict[str, set[str]]:
        """Labels of each region that no smaller region holds."""
        around = self.around
        within = {
            name: [set(self.regions[inner]) for inner, outer in around.items() if outer == name]
            for name in self.regions
        }
        return {
            name: set(members).difference(*within[name]) for name, members in self.regions.items()
        }

    @property
    def innermost(self) -> list[str]:
        """Regions that hold no smaller one, in the order of `regions`."""
        outer = set(self.around.values())
        return [name for name in self.regions if name not in outer]

    def _before(self, region: str) -> list[str]:
        names = list(self.regions)
        return names[: names.index(region)]

    def classes_of(self, region: str) -> list[int]:
        """Class indices (1..K, in the order of `labels`) that make up a region."""
        names = list(self.labels)
        return [names.index(label) + 1 for label in self.regions[region]]
