"""Every source, by the name that `cohort.source` is set to."""

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
