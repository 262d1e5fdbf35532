"""Gaussian noise as a function of a seed and a place: any library computes the same."""

from typing import Any

MIX = ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1))
"""Shifts and factors of a 32-bit hash (Wellons, "Prospecting for Hash Functions", 2018: lowbias32,
https://nullprogram.com/blog/2018/07/31)."""
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
    second = _mixed(xp, xp.bitwise_xor(first, xp.full_like(first, SECOND)))
    radius = xp.sqrt(-2 * xp.log(_uniform(xp, first)))
    return radius * xp.cos(6.283185307179586 * _uniform(xp, second))


def _mixed(xp: Any, number: Any) -> Any:
    for shift, factor in MIX:
        number = xp.bitwise_xor(number, xp.right_shift(number, xp.full_like(number, shift)))
        number = xp.multiply(number, xp.full_like(number, factor))
    return number


def _uniform(xp: Any, number: Any) -> Any:
    """The 24 highest bits as a float32 in the middle of its step of 2**-24 in (0, 1)."""
    high = xp.right_shift(number, xp.full_like(number, 8))
    cast = xp.cast if hasattr(xp, "cast") else xp.astype
    return (cast(high, "float32") + 0.5) * 2.0**-24
