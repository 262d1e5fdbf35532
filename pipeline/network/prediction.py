"""What a network predicts for a case, kept where it was computed until it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.regions import outputs_to_classes
from ..core.schema import Schema
from ..preparation.inverse import restore
from ..preparation.preprocessing import Geometry
from . import labelling
from .blending import DeviceSums, HostSums


@dataclass(eq=False)
class Prediction:
    """Of every voxel, from windows that are blended.

    Attributes
    ----------
    blended : HostSums or DeviceSums
        Sums over the windows: O outputs, and the deviations of U unions. Those on the host become
        means in place when these are first asked for.
    outputs : int
        O.
    background : bool
        Whether the first output is that, which is certain where no window was predicted.
    types : (O - 1,) float32 array or None
        Probabilities of the types of the case, from a type head that saw a tumour.
    geometry : Geometry or None
        Of the prepared image; needed on the raw grid alone.
    kept : bool
        Whether it was read from disk, see `kept`.
    """

    blended: HostSums | DeviceSums
    outputs: int
    background: bool
    types: np.ndarray | None
    geometry: Geometry | None
    kept: bool = False

    @cached_property
    def _means(self) -> np.ndarray:
        summed, weight = self.blended.sums_and_weight()
        np.divide(summed, weight, out=summed, where=weight > 0)
        if self.background:
            summed[weight[..., 0] == 0, 0] = 1
        if self.types is not None:
            _weigh_types(summed[..., 1 : self.outputs], self.types)
        return summed

    @property
    def probabilities(self) -> np.ndarray:
        """(X, Y, Z, O) float32, on the prepared grid: those of the windows around each voxel,
        averaged with `patches.importance`.

        Background where every window around the voxel holds nothing but zeros: such windows are not
        predicted. With a type head those of the types are multiplied with its probabilities for the
        case: the mean over windows, each weighted by the tumour predicted in it; the background's
        stay.
        """
        return self._means[..., : self.outputs]

    @property
    def disagreement(self) -> np.ndarray | None:
        """(X, Y, Z, U) float32, on the prepared grid: standard deviation over the mirror images
        (divided by their number, not by one less) in each window, in [0, 0.5], averaged over
        windows as the probabilities are; 0 where nothing was predicted. None without unions.
        """
        spread = self._means[..., self.outputs :]
        return spread if spread.shape[-1] else None

    @cached_property
    def restored(self) -> np.ndarray:
        """The probabilities on the raw grid, see `inverse.restore`."""
        assert self.geometry
        return restore(self.probabilities, self.geometry)

    @property
    def competing(self) -> np.ndarray:
        """The restored probabilities as labels are made of them: a case has one type, so the most
        probable one takes those of all labels.
        """
        return self.restored if self.types is None else of_one_type(self.restored, self.types)

    @property
    def restored_disagreement(self) -> np.ndarray | None:
        """The disagreement on the raw grid."""
        assert self.geometry
        return None if self.disagreement is None else restore(self.disagreement, self.geometry)

    def raw_classes(
        self, schema: Schema, output: str, thresholds: Mapping[str, float] = {}
    ) -> np.ndarray:
        """Class indices (X, Y, Z) uint8 on the raw grid, by `outputs_to_classes` of `competing`."""
        if isinstance(self.blended, HostSums):
            return outputs_to_classes(self.competing, schema, output, thresholds)
        assert self.geometry
        sums, before = self.blended.sums, self.blended.before
        return labelling.raw_classes(
            sums, self.outputs, before, self.types, self.geometry, schema, output, thresholds
        )


def of_one_type(probabilities: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Probabilities (..., 1 + K) of background and labels in which the most probable of the types
    (K,) has those of all labels.
    """
    joined = np.zeros_like(probabilities)
    joined[..., 0] = probabilities[..., 0]
    probabilities[..., 1:].sum(axis=-1, out=joined[..., 1 + types.argmax()])
    return joined


def _weigh_types(labels: np.ndarray, types: np.ndarray) -> None:
    """Multiply probabilities of labels (X, Y, Z, K) by those of types (K,), in place; the sum over
    the labels of each voxel stays.
    """
    tumour = labels.sum(axis=-1, keepdims=True)
    labels *= types
    weighted = labels.sum(axis=-1, keepdims=True)
    labels *= np.divide(tumour, weighted, out=np.zeros_like(tumour), where=weighted > 0)
