"""Every source, by the name that `cohort.source` is set to.

A new source of the project is one file in this folder and one line here.
"""

from ..core.errors import InputError
from ..core.extensions import resolve
from . import brats, brats2012, cheng, dicom, folder, lgg, msd, phantom
from .source import Source

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        phantom.SOURCE,
        *brats.SOURCES,
        *brats2012.SOURCES,
        msd.SOURCE,
        cheng.SOURCE,
        lgg.SOURCE,
        dicom.SOURCE,
        folder.SOURCE,
    )
}


def source(name: str, key: str = "cohort.source", code: str | None = None) -> Source:
    """The source of a name: a key of `SOURCES`, or ``package.module:attribute`` of the user's own,
    in the file or folder `code` (`own_code.download`).

    `key` is the key of params.yaml or the option that has the name, for messages. InputError if
    there is no such source; see `pipeline.core.extensions.resolve`.
    """
    found = resolve(name, SOURCES, key, code)
    if not isinstance(found, Source):
        raise InputError(
            f"{key} {name}: is a {type(found).__name__}. Set it to an instance of"
            " pipeline.cohorts.source.Source (docs/extending/source.md)."
        )
    return found
