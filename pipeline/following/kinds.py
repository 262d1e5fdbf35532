"""The two kinds of disease that are followed apart from each other."""

from dataclasses import dataclass

from ..core.schema import Schema


@dataclass(frozen=True)
class Kind:
    """What is followed, in which region, on which images.

    Attributes
    ----------
    name, title : str
        In tables, and in words.
    mark : str
        Start of the names of its lesions, such as ``CE1``.
    region : str
        The region of the schema whose connected components are its lesions.
    modalities : tuple of str
        On the first of these that a visit has, it is measured and drawn.
    """

    name: str
    title: str
    mark: str
    region: str
    modalities: tuple[str, ...]


ENHANCING = Kind(
    "enhancing", "Contrast-enhancing disease", "CE", "ET", ("t1c", "t1n", "t2f", "t2w")
)
T2_FLAIR = Kind("t2_flair", "T2/FLAIR abnormality", "TF", "WT", ("t2f", "t2w", "t1c", "t1n"))
KINDS = (ENHANCING, T2_FLAIR)
CAVITY, CORE = "RC", "TC"


def kinds_of(schema: Schema) -> tuple[Kind, ...]:
    """The kinds whose region a schema has."""
    return tuple(kind for kind in KINDS if kind.region in schema.regions)


def classes_in(schema: Schema, region: str) -> list[int]:
    """Class indices of a region; none where the schema does not have it."""
    return schema.classes_of(region) if region in schema.regions else []
