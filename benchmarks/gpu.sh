#!/usr/bin/env bash
# Measure training and inference on a GPU, in order of worth. Every part is a process with a time
# limit, and prints a row as soon as it is done; the last table is of all rows in OUT.
#
#   benchmarks/gpu.sh OUT [PART ...]
#
# PART         step peer slices training inference; all without
# OUT          folder for results.jsonl, table.md, logs and the compilation cache
# PYTHON       interpreter with jax[cuda13] (or jax[cuda12]), keras, numpy, scipy, pandas, pydantic,
#              ruamel.yaml, tqdm, psutil, nibabel, isal and connected-components-3d; nothing else is needed
# PEER_PYTHON  for `peer`: one with torch and dynamic-network-architectures; PYTHON without
# DATA         for `training`: folder of flair.npz and cheng.npz, each by `gpu_pack`
# GPU_SECONDS  of all parts together, 530 without
# GPU_TINY     set to 1 to try the script on a CPU with tiny shapes
set -u
out=${1:?usage: benchmarks/gpu.sh OUT [PART ...]}
shift
parts=${*:-step peer slices training inference}
python=${PYTHON:-python3}
slack=${GPU_TINY:+6} # times as long as a GPU takes
deadline=$((SECONDS + ${GPU_SECONDS:-530} * ${slack:-1}))
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit
data=$(cd "${DATA:-.}" && pwd) || exit
cd "$(dirname "$0")/.." || exit
export KERAS_BACKEND=jax PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=3
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$out/cache}
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=1

"$python" - <<'CHECK' || exit
import importlib.util, os, sys
needed = "jax keras numpy scipy pandas pydantic ruamel.yaml tqdm psutil nibabel isal cc3d".split()
missing = [name for name in needed if not importlib.util.find_spec(name.partition(".")[0])]
if missing:
    sys.exit(f"error: {sys.executable} lacks {', '.join(missing)}: install them with pip")
import jax
if not os.environ.get("GPU_TINY") and jax.default_backend() != "gpu":
    sys.exit(f"error: JAX sees {jax.devices()}, not a GPU: install jax[cuda13] with pip")
CHECK

limited() { # SECONDS LOG INTERPRETER MODULE ARGUMENTS...: run a part, print its rows as they come
    local limit=$(($1 * ${slack:-1})) log=$out/$2.log interpreter=$3 module=$4 left=$((deadline - SECONDS))
    shift 4
    if [ $left -lt 10 ]; then
        echo "left out, time is up: $module $*"
        return
    fi
    [ "$limit" -lt $left ] || limit=$left
    timeout --kill-after=5 "$limit" "$interpreter" -m "benchmarks.$module" "$out" "$@" 2>&1 |
        tee "$log" | grep --line-buffered '^part=' | cut -c1-400
    local status=${PIPESTATUS[0]}
    [ "$status" -eq 0 ] || { echo "failed ($status): $module $*" && tail -n 5 "$log"; }
}

train() { # KIND RESERVED SHARES: train within a share of what is left but RESERVED seconds
    if [ ! -f "$data/$1.npz" ]; then
        echo "left out: training of $1 (no $data/$1.npz)"
        return
    fi
    local seconds=$(((deadline - SECONDS - $2) / $3))
    [ $seconds -lt 180 ] || seconds=180
    limited $((seconds + 15)) "training-$1" "$python" gpu_training "$data/$1.npz" "$1" \
        --seconds "$seconds"
}

limited 60 device "$python" gpu_step --device
for part in $parts; do
    case $part in
    step)
        rows=("batch 2" "batch 8" "every transform")
        [ -z "${GPU_TINY:-}" ] || rows=("batch 2")
        limited 130 step "$python" gpu_step "${rows[@]}"
        limited 60 step-fast "$python" gpu_step "batch 2" --fast
        limited 60 step-float32 "$python" gpu_step float32
        ;;
    peer) limited 75 peer "${PEER_PYTHON:-$python}" gpu_peer "fp16 compiled" ;;
    slices) limited 60 slices "$python" gpu_step slices ;;
    training)
        train flair 60 2
        train cheng 45 1
        ;;
    inference) limited 90 inference "$python" gpu_inference ;;
    *) echo "there is no part $part" && exit 2 ;;
    esac
done
"$python" -m benchmarks.gpu_results "$out"
