"""Files below a folder; symbolic links are followed, since cohorts are often laid out by links."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..core.errors import InputError

MOST_LINKS = 4
"""Largest number of links to folders on one path."""

ENDINGS = (".nii", ".nii.gz", ".mha", ".mhd")
"""Of volumes: NIfTI and MetaImage, in small letters or capitals."""


def files_below(folder: Path) -> list[Path]:
    """List the visible files below a folder; unlike by `Path.rglob` and `os.walk`, links to folders
    are followed.

    Returns
    -------
    list of Path
        Sorted. Names that begin with a dot are left out. A broken link is listed, so that reading
        it reports it. A link to one of its parent folders is not followed. A folder that is reached
        in several ways is listed under each path, since its path may name a case. A folder that an
        unpacker made of a file is listed as that file, see `of_one_file`.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    InputError
        If a path contains more than `MOST_LINKS` links to folders: links to each other give
        infinitely many paths.
    """
    return sorted(path for path, is_folder in _below(folder, (), 0) if not is_folder)


def folders_below(folder: Path) -> list[Path]:
    """List the visible folders below a folder as `files_below` does the files, sorted."""
    return sorted(path for path, is_folder in _below(folder, (), 0) if is_folder)


def _below(
    folder: Path, above: tuple[tuple[int, int], ...], links: int
) -> Iterator[tuple[Path, bool]]:
    """Every path below a folder, and whether it is a folder to list; `above` identifies its parent
    folders, `links` counts the links on the way.
    """
    if links > MOST_LINKS:
        raise InputError(
            f"{folder}: lies behind more than {MOST_LINKS} links to folders. Remove links that lead"
            " to each other."
        )
    state = folder.stat()
    own = (state.st_dev, state.st_ino)
    if own in above:
        return
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        is_folder = entry.is_dir() and not (is_volume(entry) and of_one_file(entry) != entry)
        yield entry, is_folder
        if is_folder:
            yield from _below(entry, (*above, own), links + entry.is_symlink())


def expanded(path: str) -> Path:
    """A path with ``~`` at its start as the home folder; InputError if there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{path}: {str(error)[0].lower()}{str(error)[1:]}. Write the path out, or ~/ for your"
            " own."
        ) from None


def is_volume(path: Path) -> bool:
    """Whether a path is named like a NIfTI or MetaImage file, in small letters or capitals."""
    return path.name.lower().endswith(ENDINGS)


def pattern_expression(pattern: str, named: Mapping[str, str]) -> re.Pattern:
    """The regular expression of a pattern of file names.

    ``{NAME}`` stands for what the expression of that name matches, the same wherever it is, and
    ``*`` for any text without a ``/``; endings of volumes match in either case.
    """
    expression, first = "", {f"{{{name}}}": f"(?P<{name}>{text})" for name, text in named.items()}
    places = tuple(first)
    for part in re.split(f"({'|'.join(map(re.escape, (*places, '*')))})", pattern):
        if part == "*":
            expression += "[^/]*"
        elif part in places:
            expression += first.pop(part, f"(?P={part[1:-1]})")
        else:
            ending = next((ending for ending in reversed(ENDINGS) if part.endswith(ending)), "")
            expression += re.escape(part.removesuffix(ending)) + f"(?i:{re.escape(ending)})"
    return re.compile(expression)


def of_one_file(path: Path) -> Path:
    """The one volume in a folder named like a volume, as some unpackers make:
    ``C_t1.nii/0057_t1.nii``; else `path` itself, so that reading reports it.
    """
    inner = volumes_in(path) if path.is_dir() else []
    return inner[0] if len(inner) == 1 else path


def volumes_in(folder: Path) -> list[Path]:
    """Visible volumes that lie directly in a folder, by their names, sorted."""
    return sorted(
        path for path in folder.iterdir() if is_volume(path) and not path.name.startswith(".")
    )
