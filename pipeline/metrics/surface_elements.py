"""Surface elements (surfels) of a mask and their areas.

An element lies where the 2x2x2 voxels around a corner of the voxel grid are neither all in the mask
nor all outside. Singleton axes are left out: the elements of a slice are parts of its outline. They
and their areas are those of Nikolov et al., J Med Internet Res 23(7):e26151 (2021), as published in
DeepMind's surface-distance.
"""

from functools import cache
from itertools import permutations, product

import numpy as np

_NORMALS: dict[int, dict[int, list[tuple[int, ...]]]] = {
    2: {0b0001: [(4, 4)], 0b0011: [(8, 0)], 0b0110: [(4, 4), (4, 4)]},
    3: {
        0b00000001: [(1, 1, 1)],
        0b00000011: [(2, 2, 0), (2, 2, 0)],
        0b00000110: [(1, 1, 1), (1, 1, 1)],
        0b00000111: [(4, 0, 0), (2, 2, 2), (1, 1, 1)],
        0b00001111: [(4, 0, 0), (4, 0, 0)],
        0b00010110: [(1, 1, 1), (1, 1, 1), (1, 1, 1)],
        0b00010111: [(1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 1, 1)],
        0b00011000: [(1, 1, 1), (1, 1, 1)],
        0b00011001: [(0, 2, 2), (0, 2, 2), (1, 1, 1)],
        0b00011011: [(0, 2, 2), (2, 2, 2), (2, 2, 2), (2, 0, 2)],
        0b00011110: [(4, 0, 0), (2, 2, 2), (1, 1, 1), (1, 1, 1)],
        0b00111100: [(2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)],
        0b01101001: [(1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)],
    },
}
"""Triangles of marching cubes in each kind of neighbourhood: number of axes, then code of one such
neighbourhood, then of each triangle (on two axes, line) the absolute normal, in eighths, as long as
its area. All other neighbourhoods are rotations, reflections or complements of these.
"""


def surface_elements(
    mask: np.ndarray, steps_mm: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Find the surface elements of a mask.

    Parameters
    ----------
    mask : bool array
        With an empty voxel on every side.
    steps_mm : tuple of float
        Voxel edge lengths.

    Returns
    -------
    corners : bool array, a voxel shorter along each axis
        Where an element lies.
    areas : (N,) float64 array
        Of `areas_mm`; in the order of C.
    """
    areas = areas_mm(steps_mm)
    codes = mask.view(np.uint8)  # of the voxels around a corner, the first the highest bit
    for turn, axis in enumerate(reversed(range(mask.ndim))):
        along = np.moveaxis(codes, axis, 0)
        codes = np.moveaxis(along[:-1] << 2**turn | along[1:], 0, axis)
    corners = (codes != 0) & (codes != len(areas) - 1)
    return corners, areas[codes[corners]]


@cache
def areas_mm(steps_mm: tuple[float, ...]) -> np.ndarray:
    """Area of the surface in each of the neighbourhoods that voxels can form.

    By marching cubes (Lorensen and Cline, SIGGRAPH 1987): the surface crosses each edge between a
    voxel inside and one outside half way, and each face of the cube in the lines that cut off its
    voxels of the rarer kind; these lines close to loops. A loop that is not flat can be filled in
    several ways; `_NORMALS` has the fan of triangles that is largest in a cube of equal edges,
    which gives the areas of surface-distance in all 256 neighbourhoods.

    Returns
    -------
    (16,) or (256,) float64 array
        Lengths in mm of 2 axes, areas in mm2 of 3. The index has one bit for each voxel, in the
        order of C, the first the highest.

    Raises
    ------
    ValueError
        If there are neither 2 nor 3 axes.
    """
    axes = len(steps_mm)
    if axes not in _NORMALS:
        raise ValueError(
            f"surface elements are defined on 2 or 3 axes longer than one voxel, not on {axes}"
        )
    corners = list(product((0, 1), repeat=axes))
    bit = {corner: 1 << place for place, corner in enumerate(reversed(corners))}
    # the component of a normal along an axis grows with the edges along the other axes
    across = np.prod(steps_mm) / np.array(steps_mm) if axes == 3 else np.array(steps_mm[::-1])
    areas = np.zeros(2 ** len(corners))
    for code, normals in _NORMALS[axes].items():
        inside = [corner for corner in corners if bit[corner] & code]
        for order in permutations(range(axes)):
            scaled = np.array(normals)[:, order] / 8 * across
            area = sum(np.linalg.norm(scaled, axis=1).tolist())
            for flips in product((0, 1), repeat=axes):
                turned = sum(
                    bit[tuple(corner[axis] ^ flip for axis, flip in zip(order, flips, strict=True))]
                    for corner in inside
                )
                areas[[turned, len(areas) - 1 - turned]] = area
    areas.flags.writeable = False
    return areas
