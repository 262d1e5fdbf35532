"""One training step of nnU-Net's own network, run by the interpreter of its environment: it imports
nothing of ours.

.venv-peers/bin/python benchmarks/nnunet_step.py '{"patch": [96, 96], "batch": 8, "filters": 32,
"max_filters": 256}' float32 3
"""

import json
import statistics
import sys
import time

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn

DEPTH, MODALITIES, REGIONS = 5, 4, 3


def main() -> None:
    settings, precision, steps = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = _network(len(settings["patch"]), settings["filters"], settings["max_filters"])
    rule = torch.optim.Adam(network.parameters())
    image = torch.randn(settings["batch"], MODALITIES, *settings["patch"])
    target = (torch.rand(settings["batch"], REGIONS, *settings["patch"]) < 0.1).float()
    walls, cpus = [], []
    for _ in range(steps + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        rule.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16"):
            logits = network(image)
        _loss(logits.float(), target).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 12.0)
        rule.step()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    parameters = sum(weights.numel() for weights in network.parameters())
    print(
        json.dumps(
            {
                "cpu": statistics.median(cpus[2:]),
                "wall": statistics.median(walls[2:]),
                "parameters": parameters,
            }
        )
    )


def _network(dimensions: int, filters: int, max_filters: int) -> nn.Module:
    convolution, norm = (
        (nn.Conv2d, nn.InstanceNorm2d) if dimensions == 2 else (nn.Conv3d, nn.InstanceNorm3d)
    )
    return PlainConvUNet(
        input_channels=MODALITIES,
        n_stages=DEPTH,
        features_per_stage=[min(filters * 2**level, max_filters) for level in range(DEPTH)],
        conv_op=convolution,
        kernel_sizes=3,
        strides=[1] + [2] * (DEPTH - 1),
        n_conv_per_stage=2,
        num_classes=REGIONS,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=norm,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )


def _loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Soft Dice and cross-entropy, each region by itself."""
    probabilities, axes = torch.sigmoid(logits), tuple(range(2, logits.ndim))
    shared = (probabilities * target).sum(axes)
    dice = (2 * shared + 1e-5) / (probabilities.sum(axes) + target.sum(axes) + 1e-5)
    return 1 - dice.mean() + nn.functional.binary_cross_entropy_with_logits(logits, target)


if __name__ == "__main__":
    main()
