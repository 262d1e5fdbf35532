#!/bin/sh
# Builds the CPU image and tries it where no image registry and no docker is at hand (as root; needs
# debootstrap, buildah, bubblewrap, network, 15 GB and about 15 minutes):
#
#     sh examples/container/try.sh /tmp/tumorflow-container
#
# 1. a Debian root by debootstrap becomes the base image, 2. buildah builds the Dockerfile on it,
# 3. the pipeline on 6 phantoms in a copy of this clone, and 4. predict run in the image: root
# read-only, /tmp in memory, no network, a user without a name or a home.
set -eu

clone=$(cd "$(dirname "$0")/../.." && pwd)
mkdir "$1" "$1/work"
folder=$(cd "$1" && pwd)
buildah() { command buildah --root "$folder/images" --runroot "$folder/run" --storage-driver vfs "$@"; }

debootstrap --variant=minbase --include=ca-certificates bookworm "$folder/root"
base=$(buildah from scratch)
cp -a "$folder/root/." "$(buildah mount "$base")"
buildah commit --quiet "$base" localhost/debian:bookworm
buildah rm "$base"
rm -rf "$folder/root"

# the certificates and name servers of this machine, which a proxy may need
buildah bud --isolation chroot --network host \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro --volume /etc/resolv.conf:/etc/resolv.conf:ro \
    --build-arg BASE=localhost/debian:bookworm --file "$clone/examples/container/Dockerfile" \
    --tag tumorflow:cpu "$clone"
image=$(buildah mount "$(buildah from tumorflow:cpu)")

in_image() {
    bwrap --unshare-all --uid 12345 --gid 12345 --clearenv --die-with-parent \
        --ro-bind "$image" / --proc /proc --dev /dev --tmpfs /tmp \
        --bind "$folder/work" /work --chdir /work \
        /bin/sh -c '. /opt/tumorflow/environment.sh && exec "$@"' tumorflow "$@"
}

git -C "$clone" archive HEAD | tar -x -C "$folder/work"
cd "$folder/work"
git init --quiet
in_image tumorflow preset phantom cohort.cases=6 train.epochs=2
in_image dvc repro
in_image tumorflow predict data/raw/Phantom_001 --out Phantom_001_seg.nii.gz
in_image sh -c '! touch /opt/tumorflow/written'
test -s Phantom_001_seg.nii.gz
echo "the image works; remove $folder when you have seen it"
