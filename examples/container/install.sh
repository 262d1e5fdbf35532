#!/bin/sh
# Installs TumorFlow into /opt/tumorflow of a Debian or Ubuntu root: what Dockerfile and
# tumorflow.def have in common. As root, with network:
#
#     sh install.sh SOURCE cpu|gpu
#
# SOURCE is the repository, or those of its files that .dockerignore lets through. `gpu` adds the
# CUDA libraries; the driver comes from the host (docker run --gpus all, apptainer run --nv).
set -eu

source=$1
device=$2
target=/opt/tumorflow

case $device in
    cpu) accelerated= ;;
    gpu) accelerated='tensorflow[and-cuda]' ;;
    *) echo "install.sh: $device: is neither cpu nor gpu" >&2; exit 1 ;;
esac

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends ca-certificates git python3 python3-venv
rm -rf /var/lib/apt/lists/*

python3 -m venv "$target"
# pip compiles all modules now; a read-only root could not keep what Python compiles later
"$target/bin/pip" install --no-cache-dir --requirement "$source/requirements.txt" \
    --constraint "$source/.constraints.txt" $accelerated
"$target/bin/pip" install --no-cache-dir --no-deps "$source"
cp "$source/examples/container/environment.sh" "$target/environment.sh"
mkdir -p /work
