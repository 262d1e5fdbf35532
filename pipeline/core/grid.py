"""Sampling grids: shape and affine, orientation, and reordering of axes."""

from dataclasses import dataclass

import nibabel.orientations as orientations
import numpy as np

Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]


@dataclass(frozen=True, eq=False)
class Grid:
    """The sampling of a volume.

    Attributes
    ----------
    shape : tuple of int
        (X, Y, Z) in voxels.
    affine : (4, 4) float64 array
        Voxel indices to RAS+ millimetres.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel, the column norms of the affine."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return x, y, z

    @property
    def orientation(self) -> str:
        """Axis codes: the direction towards which each voxel axis runs, e.g. ``LPS``."""
        return "".join(orientations.aff2axcodes(self.affine))

    def apart_mm(self, other: "Grid") -> float:
        """Largest distance in mm between corners of equal index on two grids of one shape."""
        corners = np.meshgrid(*[(0, n - 1) for n in self.shape], [1], indexing="ij")
        apart = (self.affine - other.affine) @ np.reshape(corners, (4, -1))
        return float(np.linalg.norm(apart[:3], axis=0).max())

    def differs(self, other: "Grid", tolerance_mm: float = 1e-3) -> str:
        """How another grid differs; empty if every corner lies within the tolerance."""
        if self.shape != other.shape:
            return f"shape {self.shape} against {other.shape}"
        apart_mm = self.apart_mm(other)
        if apart_mm > tolerance_mm:
            return (
                f"affines put the same voxel up to {apart_mm:.4g} mm"
                f" apart:\n{self.affine}\nagainst\n{other.affine}"
            )
        return ""


def rows_of(matrix: np.ndarray) -> Matrix:
    """A (4, 4) array as plain numbers, for records."""
    first, second, third, last = [(a, b, c, d) for a, b, c, d in matrix.astype(float).tolist()]
    return first, second, third, last


def to_canonical(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Permute and flip the axes of (X, Y, Z, ...) voxels so that they run to the right, the front
    and the top (RAS+). A view; no voxel is interpolated.
    """
    return orientations.apply_orientation(array, orientations.io_orientation(affine))


def canonical_affine(grid: Grid) -> np.ndarray:
    """(4, 4) float64: indices of the voxels as `to_canonical` orders them, to RAS+ mm."""
    turn = orientations.io_orientation(grid.affine)
    return grid.affine @ orientations.inv_ornt_aff(turn, grid.shape)


def from_canonical(voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """Put voxels on canonical axes back onto those of a grid, the inverse of `to_canonical`.

    Parameters
    ----------
    voxels : array of X * Y * Z voxels
        Flat, the first canonical axis fastest, or (X, Y, Z) on canonical axes.
    grid : Grid
        The grid that they came from.

    Returns
    -------
    (X, Y, Z) array
        A view; no voxel is interpolated.
    """
    turn = orientations.io_orientation(grid.affine)
    lengths = dict(zip(turn[:, 0].astype(int).tolist(), grid.shape, strict=True))
    canonical = voxels.reshape([lengths[axis] for axis in range(3)], order="F")
    back = orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], turn)
    return orientations.apply_orientation(canonical, back)


def onto_axes_of(voxels: np.ndarray, grid: Grid, other: Grid) -> np.ndarray | None:
    """Reorder axes so that voxels lie on another grid of the same places in space.

    Parameters
    ----------
    voxels : (X, Y, Z) array
        On `grid`.
    grid, other : Grid
        Two ways to index the same voxels, or two different grids.

    Returns
    -------
    (X, Y, Z) array or None
        A view with the axes permuted and flipped, on `other`; no voxel is interpolated. None if
        permuting and flipping does not map one grid onto the other (`Grid.differs`).
    """
    turn = orientations.ornt_transform(
        orientations.io_orientation(grid.affine), orientations.io_orientation(other.affine)
    )
    turned = orientations.apply_orientation(voxels, turn)
    there = Grid(turned.shape, grid.affine @ orientations.inv_ornt_aff(turn, grid.shape))
    return None if there.differs(other) else turned


def canonical_spacing_mm(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel edge lengths in the axis order that `to_canonical` gives."""
    order = orientations.io_orientation(affine)[:, 0].argsort()
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)[order].tolist()
    return x, y, z


def slice_plane(affine: np.ndarray) -> tuple[str, float]:
    """The anatomical plane nearest to the slices of a volume, which follow each other along the
    third axis, and the tilt from it: 0 to 54.7 degrees between the normals of both.
    """
    normal = np.abs(np.cross(affine[:3, 0], affine[:3, 1]))
    nearest = int(normal.argmax())
    tilt_deg = np.degrees(np.arccos(min(1.0, normal[nearest] / np.linalg.norm(normal))))
    return ("sagittal", "coronal", "axial")[nearest], float(tilt_deg)
