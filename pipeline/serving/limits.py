"""What strangers may ask of the server: sizes, numbers and seconds."""

from dataclasses import dataclass

MEBI, GIBI = 2**20, 2**30
MOST_VOXELS = 2**26
"""Of a series: 512 x 512 x 256."""
MOST_SERIES = 100
"""Of an upload."""
MOST_MEMBERS = 20_000
"""Of an archive: its files and folders."""
MOST_TEXT = 200
"""Letters of what an upload says of itself: names, descriptions."""
READER = "reader"
READER_BYTES = 3 * GIBI // 2
"""The process that reads uploads, and the memory that it may take."""


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes
    ----------
    most_bytes, most_unpacked : int
        Of an upload, and of what it unpacks to.
    most_uploads, most_waiting, most_cases : int
        Uploads at once; cases that wait or are worked on; cases in the store.
    reserve_bytes : int
        What must stay free on the disk.
    read_s, segment_s : float
        How long reading an upload, and segmenting a case, may take.
    stall_s, slowest_bytes_s : float
        How long a request may send nothing, and how few bytes a second on average.
    """

    most_bytes: int = 4 * GIBI
    most_unpacked: int = 8 * GIBI
    most_uploads: int = 4
    most_waiting: int = 50
    most_cases: int = 1000
    reserve_bytes: int = 512 * MEBI
    read_s: float = 180.0
    segment_s: float = 1800.0
    stall_s: float = 30.0
    slowest_bytes_s: float = 20_000.0
