"""A training step of nnU-Net's network in PyTorch, of the size that `gpu_step.py` measures.

    python -m benchmarks.gpu_peer OUT [VARIANT ...]

Needs torch and dynamic-network-architectures. As nnU-Net trains: SGD with Nesterov momentum,
clipping at 12, autocast, cuDNN's search on, torch.compile; the batch lies on the device.
"""

import os
import statistics
import sys
import time
from pathlib import Path

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn

from benchmarks.gpu_results import record

TINY = bool(os.environ.get("GPU_TINY"))
DEVICE = "cpu" if TINY else "cuda"
PATCH, STAGES, FILTERS = (16, 3, 4) if TINY else (128, 6, 32)
MODALITIES, REGIONS = 4, 3
# name: type of autocast, channels last, compiled, batch
VARIANTS = {
    "fp16 compiled": (torch.float16, False, True, 2),  # as nnU-Net trains
    "fp16 channels last compiled": (torch.float16, True, True, 2),
    "fp16": (torch.float16, False, False, 2),
    "fp16 compiled batch 4": (torch.float16, False, True, 4),
}


def main() -> None:
    out = Path(sys.argv[1])
    torch.backends.cudnn.benchmark = True
    for name in sys.argv[2:] or VARIANTS:
        try:
            record(out, "PyTorch peer", name, **measured(*VARIANTS[name]))
        except Exception as error:
            record(out, "PyTorch peer", name, failed=f"{type(error).__name__}: {str(error)[:200]}")
        torch.compiler.reset()
        torch.cuda.empty_cache()
    if not TINY:
        ceilings(out)


def ceilings(out: Path) -> None:
    """A matrix product and a copy by PyTorch, on random numbers."""
    first, second = (torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    source = torch.randint(0, 255, (2**32,), dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    product = _milliseconds(lambda: torch.mm(first, second), 10)
    copy = _milliseconds(lambda: target.copy_(source), 5)
    record(
        out,
        "device",
        f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}",
        matmul_tflops=2 * 8192**3 / product / 1e9,
        copy_gb_s=2 * 2**32 / copy / 1e6,
    )


def measured(dtype: torch.dtype, last: bool, compiled: bool, batch: int) -> dict:
    """Median of five synchronised groups of steps."""
    torch.manual_seed(0)
    layout = torch.channels_last_3d if last else torch.contiguous_format
    network = _network().to(DEVICE, memory_format=layout)
    rule = torch.optim.SGD(
        network.parameters(), lr=1e-3, momentum=0.99, nesterov=True, weight_decay=3e-5
    )
    scaler = torch.amp.GradScaler(DEVICE, enabled=dtype == torch.float16 and not TINY)
    image = torch.randn(batch, MODALITIES, PATCH, PATCH, PATCH, device=DEVICE).to(
        memory_format=layout
    )
    target = (torch.rand(batch, REGIONS, PATCH, PATCH, PATCH, device=DEVICE) < 0.1).float()
    levels = STAGES - 2
    targets = [
        target[:, :, :: 2**level, :: 2**level, :: 2**level].contiguous() for level in range(levels)
    ]
    weights = [2.0**-level / (2 - 2.0 ** (1 - levels)) for level in range(levels)]
    forward = torch.compile(network) if compiled else network

    def step():
        rule.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE, dtype):
            outputs = forward(image)
            loss = sum(
                weight * _loss(*pair)
                for weight, *pair in zip(weights, outputs, targets, strict=False)
            )
        scaler.scale(loss).backward()
        scaler.unscale_(rule)
        nn.utils.clip_grad_norm_(network.parameters(), 12.0)
        scaler.step(rule)
        scaler.update()
        return loss

    if not TINY:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    step()
    _synchronize()
    first = time.perf_counter() - started
    for _ in range(3):
        step()
    taken = _milliseconds(step, 2 if TINY else 12)
    return {
        "batch": batch,
        "weights": sum(values.numel() for values in network.parameters()),
        "first_step_s": first,
        "ms": taken,
        "steps_s": 1e3 / taken,
        "patches_s": 1e3 * batch / taken,
        "peak_gb": 0.0 if TINY else torch.cuda.max_memory_allocated() / 1e9,
    }


def _milliseconds(call, group: int) -> float:
    call()
    taken = []
    for _ in range(5):
        _synchronize()
        started = time.perf_counter()
        for _ in range(group):
            call()
        _synchronize()
        taken.append((time.perf_counter() - started) / group * 1e3)
    return statistics.median(taken)


def _synchronize() -> None:
    if not TINY:
        torch.cuda.synchronize()


def _network() -> nn.Module:
    return PlainConvUNet(
        input_channels=MODALITIES,
        n_stages=STAGES,
        features_per_stage=[min(FILTERS * 2**level, 320) for level in range(STAGES)],
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=[1] + [2] * (STAGES - 1),
        n_conv_per_stage=2,
        num_classes=REGIONS,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
    )


def _loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Soft Dice over the batch and cross-entropy, each region by itself, in float32."""
    logits = logits.float()
    probabilities, axes = torch.sigmoid(logits), (0, 2, 3, 4)
    shared = (probabilities * target).sum(axes)
    dice = (2 * shared + 1e-5) / (probabilities.sum(axes) + target.sum(axes) + 1e-5)
    return 1 - dice.mean() + nn.functional.binary_cross_entropy_with_logits(logits, target)


if __name__ == "__main__":
    main()
