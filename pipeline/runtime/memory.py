"""Memory of this machine."""

from pathlib import Path


def usable_memory() -> int:
    """Memory in bytes of this machine, or of the container."""
    import psutil

    bounds = [psutil.virtual_memory().total]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        bound = Path(path).read_text(encoding="utf-8").strip() if Path(path).is_file() else ""
        if bound.isdigit():
            bounds.append(int(bound))
    return min(bounds)
