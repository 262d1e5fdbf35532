"""What a cohort's voxels mean: its modalities, its label values, its regions."""

from typing import Literal, Self

from pydantic import model_validator

from pipeline.domain.strict import Strict


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
        Name of each region and the labels it unites, from the outermost to the innermost.
    empty_rule : {"brats", "nan"}
        What a score of an empty region counts for, see `pipeline.domain.scores`.

    Raises
    ------
    pydantic.ValidationError
        If label values repeat, a region names an unknown label, regions are not nested from the
        outermost to the innermost, or a label cannot be told from the regions it belongs to.
    """

    cohort: str
    dimensions: Literal[2, 3]
    modalities: tuple[str, ...]
    labels: dict[str, int]
    regions: dict[str, tuple[str, ...]]
    empty_rule: Literal["brats", "nan"]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        values = list(self.labels.values())
        if len(set(values)) != len(values) or not all(0 < value < 256 for value in values):
            raise ValueError(f"label values must be distinct and in 1..255, got {self.labels}")
        if len(set(self.modalities)) != len(self.modalities) or not self.modalities:
            raise ValueError(f"modalities must be distinct and at least one, got {self.modalities}")
        if not self.regions:
            raise ValueError("regions must be at least one, got none")
        outer = set(self.labels)
        for name, members in self.regions.items():
            if not members or not set(members) <= outer:
                raise ValueError(f"region {name} must lie within the one before it, {sorted(outer)}, got {members}")
            outer = set(members)
        if any(len(own) != 1 for own in self.own_labels.values()) or set(self.labels) != set(self._covered):
            raise ValueError(f"each region must add one label to the next smaller one, got {self.regions}")
        return self

    @property
    def own_labels(self) -> dict[str, set[str]]:
        """Labels of each region that no smaller region holds."""
        names = list(self.regions)
        inner = [set(self.regions[name]) for name in names[1:]] + [set()]
        return {name: set(self.regions[name]) - smaller for name, smaller in zip(names, inner, strict=True)}

    @property
    def _covered(self) -> set[str]:
        return set().union(*self.own_labels.values())

    def classes_of(self, region: str) -> list[int]:
        """Class indices (1..K, in the order of `labels`) that make up a region."""
        names = list(self.labels)
        return [names.index(label) + 1 for label in self.regions[region]]
