"""Gaussian noise as a function of a seed and a place: any library computes the same."""

from typing import Any

MIX = ((16, 0x7FEB352D), (15, 0x846CA68B))
LAST_SHIFT = 16
"""With `MIX` the shifts and factors of a 32-bit hash (Wellons, "Prospecting for Hash Functions",
2018: lowbias32, https://nullprogram.com/blog/2018/07/31)."""
SECOND = 0x9E3779B9


def standard_normal(xp: Any, seed: Any, place: Any) -> Any:
    """Noise of mean 0 and variance 1 by the Box-Muller transform of two hashes.

    Parameters
    ----------
    xp : module
        `numpy`, or `keras.ops`.
    seed, place : uint32 arrays of `xp`
        That can be broadcast against each other.

    Returns
    -------
    float32 array, within +-5.9
    """
    first = _mixed(xp, xp.bitwise_xor(place, _mixed(xp, seed)))
    second = _mixed(xp, xp.bitwise_xor(first, xp.array(SECOND, "uint32")))
    radius = xp.sqrt(-2 * xp.log(_uniform(xp, first)))
    return radius * xp.cos(6.283185307179586 * _uniform(xp, second))


def _mixed(xp: Any, number: Any) -> Any:
    for shift, factor in MIX:
        number = xp.multiply(_folded(xp, number, shift), xp.array(factor, "uint32"))
    return _folded(xp, number, LAST_SHIFT)


def _folded(xp: Any, number: Any, shift: int) -> Any:
    return xp.bitwise_xor(number, xp.right_shift(number, xp.array(shift, "uint32")))


def _uniform(xp: Any, number: Any) -> Any:
    """The 24 highest bits as a float32 in the middle of its step of 2**-24 in (0, 1)."""
    high = xp.right_shift(number, xp.array(8, "uint32"))
    cast = xp.cast if hasattr(xp, "cast") else xp.astype
    return (cast(high, "float32") + 0.5) * 2.0**-24
