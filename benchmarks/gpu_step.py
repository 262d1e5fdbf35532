"""Milliseconds of a training step on a GPU: the trainer's, and that of other layers and feeds.

    python -m benchmarks.gpu_step OUT device
    python -m benchmarks.gpu_step OUT present --precision mixed_bfloat16
    python -m benchmarks.gpu_step OUT variants "shuffle" "resident affine, K = 8"
    python -m benchmarks.gpu_step OUT inference

Medians of synchronised groups of steps after warm-up, on random numbers; compilation is timed
apart. A variant that fails is recorded with its error. `benchmarks/gpu.sh` calls this with a
compilation cache and time limits.
"""

import argparse
import functools
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import gpu_network, gpu_resident
from benchmarks.gpu_results import read, record
from pipeline.augmentation.on_the_fly import OnTheFly
from pipeline.core import params
from pipeline.core.schema import Schema
from pipeline.network import architectures, backend, inference, optimizer, training
from pipeline.network.batches import Sampler
from pipeline.network.losses import DiceCrossEntropy
from pipeline.network.params import NetworkParams
from pipeline.preparation import shards

ROOT = Path(__file__).parent.parent
TINY = bool(os.environ.get("GPU_TINY"))  # shapes that a CPU can do, to try the script
MODALITIES, REGIONS = 4, 3
PATCH = (16, 16, 16) if TINY else (128, 128, 128)
CASE = (20, 22, 18) if TINY else (144, 176, 144)
CASES = 3 if TINY else 32
NETWORK = NetworkParams(
    architecture="unet",
    dimensions=3,
    depth=4 if TINY else 6,
    filters=4 if TINY else 32,
    max_filters=320,
    normalization="instance",
    slices=1,
    strides=None,
    kernels=None,
    encoder="plain",
    encoder_blocks=1,
    decoder_convolutions=2,
    deep_supervision=True,
    dropout=0.0,
    output="regions",
    type_head=False,
    options={},
)
SCHEMA = Schema(
    cohort="random",
    dimensions=3,
    modalities=("t1n", "t1c", "t2w", "t2f"),
    labels={"ED": 2, "NCR": 1, "ET": 3},
    regions={"WT": ("ED", "NCR", "ET"), "TC": ("NCR", "ET"), "ET": ("ET",)},
    empty_rule="brats",
    types=False,
    lesion_rules=None,
)
# upsampling, normalisation, heads
PRESENT, BEST = ("transposed", "group", "convolution"), ("shuffle", "gradient", "convolution")
FASTEST = ("shuffle", "gradient", "product")


class Variant(NamedTuple):
    layers: tuple[str, str, str] = FASTEST
    batch: int = 2
    spatial: str | None = None  # augmentation of the resident sampler; None: one given batch
    steps: int = 1  # of one call
    precision: str = "mixed_bfloat16"


VARIANTS = {
    "present layers": Variant(PRESENT),
    "shuffle": Variant(("shuffle", "group", "convolution")),
    "shuffle, one-pass norm": Variant(("shuffle", "fused", "convolution")),
    "shuffle, norm with gradient": Variant(BEST),
    "fastest": Variant(),
    "fastest, batch 4": Variant(batch=4),
    "fastest, batch 8": Variant(batch=8),
    "fastest, float32": Variant(precision="float32"),
    "resident mirror, K = 8": Variant(spatial="mirror", steps=8),
    "resident affine, K = 8": Variant(spatial="affine", steps=8),
    "resident affine, K = 1": Variant(spatial="affine"),
    "resident affine, K = 8, batch 4": Variant(batch=4, spatial="affine", steps=8),
}
PROFILED = {"present layers", "shuffle, norm with gradient", "fastest", "resident affine, K = 8"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("part", choices=["device", "present", "variants", "inference"])
    parser.add_argument("names", nargs="*", help=f"variants, of {', '.join(VARIANTS)}; all without")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument(
        "--layers", choices=["present", "best"], default="present", help="present: of the network"
    )
    parser.add_argument(
        "--sampler", action="store_true", help="present: also with the trainer's own batches"
    )
    chosen = parser.parse_args()
    if chosen.part == "device":
        device(chosen.out)
    elif chosen.part == "present":
        present(chosen.out, chosen.precision, chosen.layers, chosen.sampler)
    elif chosen.part == "inference":
        whole_case(chosen.out, chosen.precision, chosen.layers)
    else:
        variants(chosen.out, chosen.names or list(VARIANTS))


def teraflop(batch: int) -> float:
    """Operations of the convolutions in one step, forward and twice that backward, in 10^12."""
    total, voxels = 0, [np.prod(PATCH) / 8**level for level in range(NETWORK.depth)]
    filters = [NETWORK.filters_at(level) for level in range(NETWORK.depth)]
    for level in range(NETWORK.depth):
        entered = filters[level - 1] if level else MODALITIES
        total += 2 * 27 * (entered + filters[level]) * filters[level] * voxels[level]
        if level + 1 < NETWORK.depth:
            total += (
                2 * 27 * 3 * filters[level] ** 2 * voxels[level]
            )  # of the decoder: twice the filters, then once
            total += (
                2 * filters[level + 1] * filters[level] * voxels[level]
            )  # each voxel sees one of the eight weights
    return float(3 * batch * total / 1e12)


def device(out: Path) -> None:
    """What is measured on, and its two ceilings: a large matrix product and a large copy."""
    where = jax.devices()[0]
    query = [
        "nvidia-smi",
        "--query-gpu=name,driver_version,memory.total,clocks.sm,power.limit",
        "--format=csv,noheader",
    ]
    card = (
        where.device_kind
        if TINY
        else subprocess.run(query, capture_output=True, text=True).stdout.strip()
    )
    side, length = (256, 2**20) if TINY else (8192, 2**31)
    first, second = (
        jax.random.normal(jax.random.key(seed), (side, side), jnp.bfloat16) for seed in (0, 1)
    )
    product, _ = _milliseconds(
        functools.partial(jax.jit(jnp.matmul), first, second), lambda answer: answer
    )
    block = jax.random.bits(jax.random.key(2), (length // 2,), jnp.uint16)
    copy, _ = _milliseconds(
        functools.partial(jax.jit(lambda array: array ^ jnp.uint16(1)), block),
        lambda answer: answer,
    )
    versions = ", ".join(f"{name} {version}" for name, version in backend.versions().items())
    record(
        out,
        "device",
        card,
        platform=where.platform,
        versions=versions,
        cores=len(os.sched_getaffinity(0)),
        matmul_tflops=2 * side**3 / product / 1e9,
        copy_gb_s=2 * length / copy / 1e6,
        step_tflop_batch_2=teraflop(2),
    )


def _milliseconds(call: Callable, wait_for: Callable, seconds: float = 2.0) -> tuple[float, float]:
    """Median time of a call over synchronised groups, and the seconds of the very first call."""
    started = time.perf_counter()
    jax.block_until_ready(wait_for(call()))
    first = time.perf_counter() - started
    started = time.perf_counter()
    jax.block_until_ready(wait_for(call()))
    once = time.perf_counter() - started
    group = int(min(max(seconds / 5 / once, 1), 20))
    taken = []
    for _ in range(5 if once < seconds else 2):
        started = time.perf_counter()
        for _ in range(group):
            answer = call()
        jax.block_until_ready(wait_for(answer))
        taken.append((time.perf_counter() - started) / group * 1e3)
    return statistics.median(taken), first


def _random_batch(batch: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(0)
    image = numbers.standard_normal((batch, *PATCH, MODALITIES), dtype=np.float32)
    return image, (numbers.random((batch, *PATCH, REGIONS), dtype=np.float32) < 0.1).astype(
        np.uint8
    )


def _optimizer():
    return optimizer.build(
        "adamw", weight_decay=1e-4, momentum=0.9, clip_norm=12.0, ema_momentum=0.98
    )


def _rates(milliseconds: float, batch: int) -> dict[str, float]:
    return {
        "ms": milliseconds,
        "steps_s": 1e3 / milliseconds,
        "patches_s": 1e3 * batch / milliseconds,
        "tflops": teraflop(batch) / milliseconds * 1e3,
    }


def present(out: Path, precision: str, layers: str, with_sampler: bool) -> None:
    """`train_on_batch` as `training` uses it, fed from the device, the host and the sampler."""
    part = "present trainer"
    backend.prepare(0, precision)
    network = gpu_network.build(
        NETWORK, MODALITIES, REGIONS, *(PRESENT if layers == "present" else BEST)
    )
    training.compile_for_training(network, DiceCrossEntropy("regions", 1.0, 1.0), _optimizer())
    image, target = _random_batch(2)
    targets = [
        training.coarser(target, factors)
        for factors in architectures.coarsening(network, target.shape[1:-1])
    ]
    on_device = jax.device_put((image, targets))

    def step(image, targets):
        return float(network.train_on_batch(image, targets, return_dict=True)["loss"])

    about = {
        "precision": precision,
        "layers": layers,
        "flags": os.environ.get("XLA_FLAGS", ""),
        "weights": network.count_params(),
    }
    resident, first = _milliseconds(lambda: step(*on_device), lambda loss: loss)
    record(
        out,
        part,
        "batch on the device",
        **about,
        first_step_s=first,
        **_rates(resident, 2),
        peak_gb=_peak_gb(),
    )
    hosted, _ = _milliseconds(lambda: step(image, targets), lambda loss: loss)
    record(out, part, "batch on the host", **about, **_rates(hosted, 2), peak_gb=_peak_gb())
    if not with_sampler:
        return
    with tempfile.TemporaryDirectory() as folder:
        sampler, on_the_fly = _sampler(Path(folder))
        batch = functools.partial(sampler.training, on_the_fly=on_the_fly)
        batch(0, 0)
        for threads in (8, 16):
            _feeding(out, network, batch, threads, hosted, about)


def _feeding(out, network, batch, threads, hosted, about) -> None:
    """The rate of the sampler alone, and of the trainer's epoch with it."""
    steps = 4 if TINY else 12
    schedule = training.Schedule(
        epochs=99,
        steps_per_epoch=steps,
        patience=0,
        learning_rate=lambda step, losses: 1e-3,
        workers=threads,
        max_queue_size=threads,
    )
    batches = training._prefetch(batch, network, schedule, 1)
    for _ in range(threads):
        next(batches)
    started = time.perf_counter()
    for _ in range(4 * threads):
        next(batches)
    alone = (time.perf_counter() - started) / (4 * threads) * 1e3
    batches.close()
    record(
        out,
        "present trainer",
        f"sampler alone, {threads} threads",
        layers=about["layers"],
        **_rates(alone, 2),
    )
    if threads == 8:  # what `train` uses on a machine of 8 cores or more
        batches = training._prefetch(batch, network, schedule, 1)
        training._train_epoch(network, schedule, batches, [])
        started = time.perf_counter()
        _, waiting = training._train_epoch(network, schedule, batches, [])
        fed = (time.perf_counter() - started) / steps * 1e3
        batches.close()
        record(
            out,
            "present trainer",
            "batches of the sampler, 8 threads",
            **about,
            **_rates(fed, 2),
            waiting_share=waiting,
            slower_than_host_batch=fed / hosted,
        )


def _sampler(folder: Path) -> tuple[Sampler, OnTheFly]:
    """The trainer's sampler over random shards of four modalities, memory-mapped."""
    cohort = _random_cases(6 if not TINY else 2)
    for number, (codes, classes) in enumerate(cohort):
        image = np.where(
            codes > 0, (codes.astype(np.float32) - 128) / gpu_resident.LEVELS, 0
        ).astype(np.float16)
        shards.write(folder, f"case_{number}", image, classes)
    path = ROOT / "params.yaml"
    members = [shards.read(folder, f"case_{number}") for number in range(len(cohort))]
    sampler = Sampler(
        members,
        SCHEMA,
        "regions",
        PATCH,
        2,
        foreground_share=0.5,
        seed=0,
        spacing_mm=(1.0, 1.0, 1.0),
    )
    return sampler, params.value(params.read(path), "train.on_the_fly", OnTheFly, path)


def _random_cases(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Codes (see `gpu_resident.Cohort`) and classes: an ellipsoid of noise, nested balls in it."""
    numbers = np.random.default_rng(0)
    axes = np.meshgrid(
        *[np.linspace(-1, 1, side, dtype=np.float32) for side in CASE], indexing="ij"
    )
    brain = (sum(axis**2 for axis in axes) < 1)[..., None]
    noise = numbers.integers(1, 256, (*CASE, MODALITIES), np.uint8)
    cases = []
    for number in range(count):
        centre = numbers.uniform(-0.4, 0.4, 3).astype(np.float32)
        square = sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True))
        classes = sum((square < radius**2).astype(np.uint8) for radius in (0.3, 0.2, 0.1))
        cases.append((np.roll(noise, number, axis=0) * brain, classes))
    return cases


def _cohort() -> gpu_resident.Cohort:
    cases = _random_cases(CASES)
    numbers = np.random.default_rng(1)
    voxels = [numbers.choice(np.argwhere(classes), 64).astype(np.int16) for _, classes in cases]
    images, classes = zip(*cases, strict=True)
    return gpu_resident.Cohort(
        *jax.device_put((np.stack(images), np.stack(classes), np.stack(voxels)))
    )


def variants(out: Path, names: list[str]) -> None:
    """Each variant in turn; those begun before are left out, so that a crash costs one of them."""
    flags = os.environ.get("XLA_FLAGS", "")
    begun = {row["name"] for row in read(out) if row["part"] == "begun" and row["flags"] == flags}
    cohort = None
    for name in names:
        if name in begun:
            continue
        record(out, "begun", name, flags=flags)
        try:
            if VARIANTS[name].spatial and cohort is None:
                cohort = _cohort()
                _sampling(out, cohort)
            _variant(out, name, cohort)
        except Exception as error:
            record(out, "variants", name, failed=f"{type(error).__name__}: {str(error)[:200]}")


def _sampling(out: Path, cohort: gpu_resident.Cohort) -> None:
    """Cost of one batch of the resident sampler by itself."""
    size = sum(array.nbytes for array in cohort) / 1e9
    for spatial in ("mirror", "affine"):
        draw = jax.jit(
            lambda key, cohort, spatial=spatial: gpu_resident.draw_batch(
                key, cohort, 2, PATCH, REGIONS, spatial
            )
        )
        taken, first = _milliseconds(
            functools.partial(draw, jax.random.key(0), cohort), lambda answer: answer, 0.5
        )
        record(
            out,
            "resident sampler",
            f"{spatial}, batch 2",
            ms=taken,
            first_call_s=first,
            cohort_gb=size,
            cases=CASES,
        )


def _variant(out: Path, name: str, cohort) -> None:
    layers, batch, spatial, count, precision = VARIANTS[name]
    backend.prepare(0, precision)
    network = gpu_network.build(NETWORK, MODALITIES, REGIONS, *layers)
    rule = _optimizer()
    rule.build(network.trainable_variables)
    state = tuple(
        [variable.value for variable in group]
        for group in (network.trainable_variables, network.non_trainable_variables)
    )
    state = (*state, [variable.value for variable in rule.variables])
    state = jax.tree.map(jnp.copy, state)
    step = _step_function(network, rule)
    if spatial is None:
        arguments = jax.device_put(_random_batch(batch))
        function = step
    else:
        arguments = (cohort, jax.random.key(0), jnp.int32(0))
        function = functools.partial(_many_steps, step, batch, spatial, count)
    started = time.perf_counter()
    compiled = jax.jit(function, donate_argnums=0).lower(state, *arguments).compile()
    compile_s = time.perf_counter() - started
    text, memory = compiled.as_text(), compiled.memory_analysis()
    held = {"state": state}

    def call():
        held["state"], loss = compiled(held["state"], *arguments)
        return loss

    taken, _ = _milliseconds(call, lambda loss: loss)
    size = (
        memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
    )
    record(
        out,
        "variants",
        name,
        flags=os.environ.get("XLA_FLAGS", ""),
        batch=batch,
        steps_a_call=count,
        **_rates(taken / count, batch),
        compile_s=compile_s,
        step_memory_gb=size / 1e9,
        loss=float(jnp.mean(call())),
        instructions=_census(text),
    )
    if name in PROFILED:
        try:
            record(
                out,
                "profile",
                name,
                flags=os.environ.get("XLA_FLAGS", ""),
                **_profile(call, 3, count),
            )
        except Exception as error:
            record(out, "profile", name, failed=f"{type(error).__name__}: {str(error)[:200]}")


def _step_function(network, rule):
    """(state, image, target) to (state, loss), with clipping, AdamW and the running average."""
    loss_of = DiceCrossEntropy("regions", 1.0, 1.0)
    weights = training.level_weights(len(network.outputs))

    def loss(trainable, fixed, image, target):
        outputs, fixed = network.stateless_call(trainable, fixed, image, training=True)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        levels = [target[:, :: 2**level, :: 2**level, :: 2**level] for level in range(len(weights))]
        return sum(
            weight * loss_of(*pair) for weight, *pair in zip(weights, levels, outputs, strict=True)
        ), fixed

    def step(state, image, target):
        trainable, fixed, moments = state
        (value, fixed), gradients = jax.value_and_grad(loss, has_aux=True)(
            trainable, fixed, image, target
        )
        trainable, moments = rule.stateless_apply(moments, gradients, trainable)
        return (trainable, fixed, moments), value

    return step


def _many_steps(step, batch, spatial, count, state, cohort, key, first):
    """So many steps in one call, each with a batch drawn on the device for its number."""

    def body(state, number):
        image, target = gpu_resident.draw_batch(
            jax.random.fold_in(key, number), cohort, batch, PATCH, REGIONS, spatial
        )
        return step(state, image, target)

    return jax.lax.scan(body, state, first + jnp.arange(count))


def whole_case(out: Path, precision: str, layers: str) -> None:
    """Sliding windows over one case of BraTS's grid: noise inside a brain."""
    backend.prepare(0, precision)
    network = architectures.inference_network(
        gpu_network.build(
            NETWORK, MODALITIES, REGIONS, *(PRESENT if layers == "present" else FASTEST)
        )
    )
    grid = (24, 24, 18) if TINY else (240, 240, 155)
    halves = [min(half, side // 3) for half, side in zip((70, 88, 70), grid, strict=True)]
    axes = np.meshgrid(
        *[(np.arange(side) - side / 2) / half for side, half in zip(grid, halves, strict=True)],
        indexing="ij",
    )
    brain = sum(axis**2 for axis in axes) < 1
    image = (
        np.random.default_rng(0).standard_normal((*grid, MODALITIES), dtype=np.float32)
        * brain[..., None]
    ).astype(np.float16)
    windows = np.random.default_rng(1).standard_normal((2, *PATCH, MODALITIES), dtype=np.float32)
    taken, first = _milliseconds(lambda: network.predict_on_batch(windows), lambda logits: logits)
    record(
        out,
        "inference",
        "predict_on_batch, 2 windows",
        precision=precision,
        layers=layers,
        first_s=first,
        seconds=taken / 1e3,
    )
    for mirror in (False, True):
        started = time.perf_counter()
        inference.predict_probabilities(network, image, PATCH, 0.5, mirror, 2, "sigmoid")
        seconds = time.perf_counter() - started
        record(
            out,
            "inference",
            f"whole case{', mirrored' * mirror}",
            precision=precision,
            layers=layers,
            grid=str(grid),
            seconds=seconds,
        )


def _census(text: str) -> dict[str, int]:
    """Count the layouts of cuDNN convolutions in compiled HLO, transpositions and fusions."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        target = re.search(r'custom_call_target="([^"]+)"', line)
        labels = re.search(r"dim_labels=([\w?>-]+)", line)
        kind = re.search(r" (transpose|copy|reduce|fusion|convolution|dot|while)\(", line)
        name = (
            f"{target[1]} {labels[1] if labels else ''} {line.split('= ')[1][:4].strip('(')}"
            if target
            else kind and kind[1]
        )
        if name:
            found[name] = found.get(name, 0) + 1
    return found


KINDS = {  # the first that matches
    "copies_ms": r"memcpy|memset",
    "layout_ms": r"nchwToNhwc|nhwcToNchw|transpose|AddPadding",
    "convolutions_ms": r"fprop|dgrad|wgrad|convolve|cudnn",
    "products_ms": r"gemm|nvjet|cublas|cutlass",
    "reductions_ms": r"reduce",
    "fusions_ms": r"fusion",
}


def _profile(call, calls: int, count: int) -> dict[str, object]:
    """Milliseconds per step by kind of kernel, and the kernels that take longest."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(calls):
                answer = call()
            jax.block_until_ready(answer)
        data = jax.profiler.ProfileData.from_file(str(next(Path(folder).rglob("*.xplane.pb"))))
        kernels: dict[str, list[float]] = {}
        for plane in data.planes:
            if "GPU" not in plane.name:
                continue
            for line in plane.lines:
                if line.name.startswith("Stream"):
                    for event in line.events:
                        kernels.setdefault(event.name, []).append(event.duration_ns / 1e6)
    steps, kinds = calls * count, dict.fromkeys(KINDS, 0.0) | {"other_ms": 0.0}
    for name, times in kernels.items():
        kinds[
            next(
                (
                    kind
                    for kind, pattern in KINDS.items()
                    if re.search(pattern, name, re.IGNORECASE)
                ),
                "other_ms",
            )
        ] += sum(times) / steps
    longest = sorted(kernels.items(), key=lambda item: -sum(item[1]))[:45]
    top = [[name[:110], sum(times) / steps, len(times) / steps] for name, times in longest]
    return {"all_ms": sum(kinds.values()), **kinds, "kernels": len(kernels), "top": top}


def _peak_gb() -> float:
    """Most device memory that this process has used, the search for algorithms included."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 1e9


if __name__ == "__main__":
    main()
