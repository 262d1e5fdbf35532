"""The section `augment` of params.yaml."""

from ..core.params import Count
from ..core.strict import Strict
from .copies import Ranges
from .transform import OwnNames, Transform, load_own


class AugmentParams(Strict):
    """The section `augment`; params.yaml explains every key."""

    copies: Count
    ranges: Ranges
    own: OwnNames

    def transforms(self, code: str) -> dict[str, Transform]:
        """By name, in the order of drawing."""
        return {**self.ranges.transforms(), **load_own(self.own, "augment.own", code)}
