#!/usr/bin/env bash
# Measure training and inference on a GPU. Every part is a process with a time limit.
#
#   benchmarks/gpu.sh OUT [PART ...]
#
# PART       device present variants peer inference training; all without
# OUT        folder for results.jsonl, table.md, logs and the compilation cache
# PYTHON     interpreter with jax[cuda13] (or jax[cuda12]) and requirements.txt, where TensorFlow is
#            not needed; for `peer` also torch and dynamic-network-architectures
# CLONE      for `training`: a clone in which `python -m pipeline preset flair-wt ...` and
#            `dvc repro augment` ran
# GPU_TINY   set to 1 to try the script on a CPU with tiny shapes
set -u
out=${1:?usage: benchmarks/gpu.sh OUT [PART ...]}
shift
parts=${*:-device present variants peer inference training}
python=${PYTHON:-python3}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit
cd "$(dirname "$0")/.." || exit
export KERAS_BACKEND=jax PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=3
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$out/cache}
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=1
last=--xla_gpu_force_conv_nhwc=true # without it XLA runs every 3D convolution channels first
fast=--xla_gpu_deterministic_ops=false
nhwc="$fast $last"
exact="--xla_gpu_deterministic_ops=true $last"
best="shuffle, norm with gradient"

"$python" - <<'CHECK' || exit
import importlib.util, os, sys
needed = "jax keras numpy scipy pandas pydantic ruamel.yaml tqdm nibabel cc3d".split()
missing = [name for name in needed if not importlib.util.find_spec(name.partition(".")[0])]
if missing:
    sys.exit(f"error: {sys.executable} lacks {', '.join(missing)}: install them with pip")
import jax
if not os.environ.get("GPU_TINY") and jax.default_backend() != "gpu":
    sys.exit(f"error: JAX sees {jax.devices()}, not a GPU: install jax[cuda13] with pip")
CHECK

limited() { # SECONDS LOG MODULE ARGUMENTS...: run a part, show its rows, say if it failed
    local limit=$1 log=$out/$2.log module=$3
    shift 3
    timeout --kill-after=5 "$limit" "$python" -m "benchmarks.$module" "$out" "$@" >"$log" 2>&1
    local status=$?
    grep '^part=' "$log" | grep -v '^part=begun' | cut -c1-400
    [ $status -eq 0 ] || { echo "failed ($status): $module $*"; tail -n 5 "$log"; }
    return $status
}

for part in $parts; do
    case $part in
    device) limited 60 device gpu_step device ;;
    present)
        XLA_FLAGS=$nhwc limited 90 present-best gpu_step present --layers best --sampler
        XLA_FLAGS=$fast limited 90 present gpu_step present
        ;;
    variants)
        XLA_FLAGS=$nhwc limited 200 variants gpu_step variants "$best" fastest \
            "resident affine, K = 8" "resident affine, K = 1" "resident mirror, K = 8" \
            "fastest, batch 4" "fastest, batch 8" "fastest, float32"
        XLA_FLAGS=$exact limited 60 variants-exact gpu_step variants fastest
        XLA_FLAGS=$fast limited 120 variants-nchw gpu_step variants "$best" \
            "shuffle, one-pass norm" "shuffle" "present layers"
        ;;
    peer) limited 150 peer gpu_peer ;;
    inference) XLA_FLAGS=$nhwc limited 120 inference gpu_step inference --layers best ;;
    training)
        if [ -z "${CLONE:-}" ]; then
            echo "left out: training (set CLONE)"
            continue
        fi
        XLA_FLAGS=$nhwc limited 150 training-4000 gpu_training "$CLONE" "best layers, 4000 steps" \
            --layers best --epochs 80 --scores
        XLA_FLAGS=$nhwc limited 60 repeat-best gpu_training "$CLONE" "best layers, repeat" \
            --layers best --epochs 1
        limited 180 training-800 gpu_training "$CLONE" "present layers, 800 steps" --scores
        limited 60 repeat-present gpu_training "$CLONE" "present layers, repeat" --epochs 1
        ;;
    *) echo "there is no part $part" && exit 2 ;;
    esac
done
"$python" -m benchmarks.gpu_results "$out"
