"""What a training needs before it is measured: multiply-adds and memory, from its shapes."""

import math
from collections.abc import Iterator

from ..network.params import NetworkParams
from .candidates import Candidate

PROCESS_GB = 1.0
"""Of a process with Keras and TensorFlow or JAX before it trains."""
_MULTIPLY_ADDS_PER_FEATURE = 670
"""Fitted to seven networks of 8 to 32 filters on two cores: within a fifth of their seconds."""
_COPIES = {False: 3.3, True: 1.3}
"""Bytes held for a byte of features, on a CPU (in float32 whatever the precision, and oneDNN's
copies) and on a GPU. Not below what was measured: 2.7 GB for 4 slices of 160 x 192 and 32 filters
and 3.3 GB for 2 volumes of 80 x 96 x 80 and 16 filters on a CPU, 5.4 GB for 2 of 128 x 128 x 128
and 32 filters on a GPU (docs/benchmarks.md).
"""
_BYTES_PER_WEIGHT = 20  # weight, gradient, two moments, running average
_BYTES_PER_CLASS = 1  # of a voxel in the memory of a GPU, beside its modalities


def multiply_adds(candidate: Candidate, network: NetworkParams) -> float:
    """Of one training step: forward, and twice that for the gradients."""
    voxels = candidate.batch * math.prod(candidate.patch)
    return 3 * sum(
        voxels / math.prod(network.factors_at(level)) * per_voxel
        for level, per_voxel in enumerate(_weights_by_level(network))
    )


def work(candidate: Candidate, network: NetworkParams) -> float:
    """Of one training step, in multiply-adds; to move a feature takes as long as many of them."""
    moved = _MULTIPLY_ADDS_PER_FEATURE * features(candidate, network)
    return multiply_adds(candidate, network) + moved


def weights(network: NetworkParams) -> float:
    """Weights of the convolutions."""
    return sum(_weights_by_level(network))


def _weights_by_level(network: NetworkParams) -> Iterator[float]:
    for level in range(network.depth):
        own = network.filters_at(level)
        kernel = math.prod(network.kernel_at(level))
        convolutions = 2 * network.blocks_at(level)
        coarser = network.filters_at(level - 1) if level else 4
        total = kernel * own * (coarser + (convolutions - 1) * own)
        if level < network.depth - 1:
            total += kernel * own * own * (1 + network.decoder_convolutions)
            total += own * network.filters_at(level + 1)  # the transposed convolution, per voxel
        yield float(total)


def features(candidate: Candidate, network: NetworkParams) -> float:
    """Numbers that a training step keeps for its gradients."""
    voxels, total = candidate.batch * math.prod(candidate.patch), 0.0
    for level in range(network.depth):
        kept = 4 * network.blocks_at(level) + 3
        if level < network.depth - 1:
            kept += 2 * network.decoder_convolutions
        total += voxels / math.prod(network.factors_at(level)) * network.filters_at(level) * kept
    return total


def memory_gb(
    candidate: Candidate, network: NetworkParams, precision: str, accelerated: bool
) -> float:
    """Of one training step, an estimate that is rather too large."""
    size = 2 if accelerated and precision != "float32" else 4
    held = features(candidate, network) * size * _COPIES[accelerated]
    held += weights(network) * _BYTES_PER_WEIGHT
    return held / 1e9 + (0.5 if accelerated else PROCESS_GB)


def resident_gb(candidate: Candidate, cases: int, modalities: int, dtype: str) -> float:
    """Of the training cases in the memory of a GPU; `dtype` is `train.resident_dtype`."""
    size = {"float16": 2, "uint8": 1}[dtype] * modalities + _BYTES_PER_CLASS
    return cases * math.prod(candidate.extent) * size / 1e9
