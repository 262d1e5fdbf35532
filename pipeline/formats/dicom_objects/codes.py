"""Codes of what is segmented, for DICOM objects.

Those of brain lesions are of the standard's context groups 7159 and 7168 (PS3.16). What they lack,
such as the resection cavity, gets a code of the private scheme 99TUMORFLOW: other tools show its
meaning, but cannot look it up.
"""

import zlib
from dataclasses import dataclass

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

PRIVATE_SCHEME = "99TUMORFLOW"
CATEGORY = codes.SCT.MorphologicallyAbnormalStructure
"""The category of every segment (SCT 49755003)."""
ANATOMY = codes.SCT.Brain
"""Where every segment is (SCT 12738006)."""


@dataclass(frozen=True)
class Structure:
    """What a label or region is.

    `name` is that of the label or region, `title` says it in words, `code` is its type; with the
    category `CATEGORY`, in `ANATOMY`.
    """

    name: str
    title: str
    code: Code


_NECROTIC = ("necrotic core of the tumor", codes.SCT.Necrosis)
_EDEMA = ("edema and infiltration (SNFH)", codes.SCT.Edema)
_ENHANCING = ("enhancing tumor", codes.NCIt.EnhancingLesion)
_NON_ENHANCING = ("non-enhancing tumor", codes.NCIt.NonEnhancingLesion)
_CYSTIC = ("cystic component", codes.SCT.Cyst)
_CAVITY = ("resection cavity", Code("ResectionCavity", PRIVATE_SCHEME, "Resection cavity"))
_WHOLE = ("whole tumor", codes.SCT.Neoplasm)
_CORE = ("tumor core", codes.SCT.NeoplasmPrimary)
_STRUCTURES = {
    "necrotic": _NECROTIC,
    "edema": _EDEMA,
    "enhancing": _ENHANCING,
    "cystic": _CYSTIC,
    "nonenhancing": _NON_ENHANCING,
    "cavity": _CAVITY,
    "tumour": _WHOLE,
    "core": _CORE,
    "WT": _WHOLE,
    "TC": _CORE,
    "ET": _ENHANCING,
    "CC": _CYSTIC,
    "RC": _CAVITY,
    "NCR": _NECROTIC,
    "NETC": _NON_ENHANCING,
    "SNFH": _EDEMA,
    "ED": _EDEMA,
}
PARTS_OF_TUMOUR = ("necrotic", "edema", "enhancing", "nonenhancing", "cystic", "TC", "WT")
"""What a mask of the whole tumour unites; a resection cavity is none of it."""


def structure(name: str) -> Structure:
    """What the label or region of a cohort is; an unknown one gets a private code by its name.

    Codes have at most 16 characters, of a longer name the first 7 and a checksum: the standard has
    an element for longer codes, which many readers do not know.
    """
    value = name if len(name) <= 16 else f"{name[:7]}-{zlib.crc32(name.encode()):08x}"
    title, code = _STRUCTURES.get(name, (name, Code(value, PRIVATE_SCHEME, name)))
    return Structure(name, title, code)
