# Read by every process of the container (sh). The root may be read-only, the user any number
# without a name and without a home: whatever a library writes goes below one folder.
cache=${TUMORFLOW_CACHE:-${TMPDIR:-/tmp}/tumorflow-$(id -u)}
mkdir -p "$cache/home"

export PATH="/opt/tumorflow/bin:$PATH"
export MPLCONFIGDIR="$cache/matplotlib"
export KERAS_HOME="$cache/keras"
export JAX_COMPILATION_CACHE_DIR="$cache/jax"
export XDG_CACHE_HOME="$cache/cache"
export XDG_CONFIG_HOME="$cache/config"
export XDG_DATA_HOME="$cache/data"
export DVC_SITE_CACHE_DIR="$cache/dvc"

# git and DVC look for a home and a name; a clone that is mounted belongs to another user
[ -w "${HOME:-/nowhere}" ] || export HOME="$cache/home"
export LOGNAME="${LOGNAME:-tumorflow}" USER="${USER:-tumorflow}"
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'

export LC_ALL=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1
export PYTHONNOUSERSITE=1 # Apptainer mounts the home of the host with packages of its own
export MLFLOW_DISABLE_TELEMETRY=true
unset cache
