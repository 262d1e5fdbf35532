"""Which modality an MR series is, derived from its header."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MODALITIES = ("t1n", "t1c", "t2w", "t2f")


@dataclass(frozen=True)
class Acquisition:
    """How a series was acquired, by the elements of classic MR; `image_type` of enhanced MR has the
    component as its last value, `b_value` is in s/mm².
    """

    description: str = ""
    protocol: str = ""
    sequence_name: str = ""
    scanning_sequence: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    contrast_agent: str = ""
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    b_value: float | None = None

    @property
    def derived(self) -> bool:
        """Whether it was computed from other images, or written anew by software."""
        return "DERIVED" in self.image_type[:1]


class Recognised(NamedTuple):
    """A modality, or None, and why; `by_user` if a row of the user's table says so."""

    modality: str | None
    reason: str
    by_user: bool = False


_IMAGE_TYPES = {
    "localizer": "LOCALIZER",
    "diffusion image": "DIFFUSION; ADC; FA; TRACEW; TENSOR; DIFFUSION_ANISO",
    "susceptibility image": "SWI; MNIP",
    "perfusion image": "PERFUSION; ASL; CBF; CBV; RELCBF; RELCBV; MTT; TTP; PBP",
    "projection or reformatted image": (
        "MIP; MIN_IP; MAX_IP; PROJECTION IMAGE; MPR; MPR_THICK; REFORMATTED; CPR"
    ),
    "phase, real or imaginary image": (
        "P; PHASE; PHASE MAP; R; REAL; I; IMAGINARY; VELOCITY; FIELD_MAP; PHASE_MAP"
    ),
    "computed map": "SUBTRACTION; SUBTRACT; T1 MAP; T2 MAP; T2_STAR MAP; T1_MAP; T2_MAP; B0; B1",
    "picture of a screen": "SCREEN SAVE; CSA REPORT",
}
"""Values of ImageType, from the third, of series that are no modality."""
_EXCLUDED = {
    "localizer": (
        r"\b(loc|locali[sz]ers?|scouts?|survey|plan|(3|three) ?planes?|aa"
        r" ?(head|scout)\w*|calib\w*|asset|shim\w*|smartbrain)\b"
    ),
    "diffusion image": (
        r"\b(\w?dwi\w*|e?adc\w*|diff\w*|dti\w*|hardi|ivim|resolve|tensor|trace\w*|fa|colou?r ?fa|b"
        r" ?\d{3,4}\w*)\b"
    ),
    "susceptibility image": (
        r"\b(swi\w*|swan\w*|susc\w*|veno\w*|ha?emo\w*|qsm)\b|t2 ?\*|\bt2"
        r" ?st(ar)?\b|\b(gre|ffe|fl2d|mpgr|medic)\b"
    ),
    "perfusion image": (
        r"\b(perf\w*|pwi|dsc\w*|dce\w*|\w?asl|pcasl|r?r?el?cb[fv]|r?cb[fv]|mtt|ttp|tmax|k"
        r" ?trans|dyn\w*|twist)\b"
    ),
    "angiography": r"\b(tof|\w?mr[av]|angio\w*|pc ?a|phase ?contrast|\d?d? ?pc)\b",
    "projection": r"\b(m?ip|mi[pn]p?s?|min ?ip|vrt|thick ?mpr|mpr ?(thick|range))\b",
    "spectroscopy": r"\b(mrs\w*|svs\w*|csi|spectro\w*|press)\b",
    "functional image": r"\b(bold\w*|fmri|resting|rest\d?|task)\b",
    "field map": r"\b(field ?map\w*|b[01] ?(map|field)\w*|b0)\b",
    "computed map": (
        r"\b(subs?|subtr\w*|\w*map|maps|synth\w*|symri|mask|seg\w*|overlay|fus(ed|ion))\b"
    ),
    "picture of a screen": r"\b(report|screen ?save)\b",
    "image of another part of the body": (
        r"\b([ctl] ?spine|\w*spine|cervical|thoracic|lumbar|orbits?|neck|iacs?)\b"
    ),
    "heavily T2-weighted steady-state image": r"\b(ciss|fiesta\w*|b ?ffe|bffe|drive)\b",
    "image with fat suppressed by inversion": r"\bstir\b",
}
_BEFORE = (
    r"(?:(?<![a-z])|(?<=ax)|(?<=axi)|(?<=sag)|(?<=cor)|(?<=tra)|(?<=2d)|(?<=3d)|(?<=se)|(?<=wip))"
)
_T1 = re.compile(
    rf"{_BEFORE}t1(?!\d)|\bmp ?rage|\bmp2rage|\b(i?r ?)?f?spgr\b|\bbravo\b|\btfl3?d?\b"
)
_T2 = re.compile(rf"{_BEFORE}t2(?!\d)|\bfrfse\b")
_FLAIR = re.compile(r"flair|dark ?fluid|\btirm\b|fluid ?att")
_PD = re.compile(r"\bpd\w{0,2}\b|proton|\bpdw\b")
_NO_CONTRAST = re.compile(
    r"\b(pre\w*|without|w[ /]?o|non?"
    r" ?(contrast|c|gad\w*|gd|ce)|nativ\w*|plain|unenhanced|no)\b|(?<!\w)- ?c\b"
)
_CONTRAST = re.compile(
    r"\b(post\w*|(w|with|\+)? ?(gd|gado?|gad\w+|gbca)|contrast|kontrast|contraste|inj\w*|enhanced|"
    r"km|ce|cm|magnevist|dotarem|multihance|prohance|omniscan|optimark|eovist|ablavar|vueway)\b|\+"
    r" ?c\b|\bc ?\+|\+ ?gd|\+ ?con|"
    r"t1 ?w? ?(c|ce|ca|gd|gad|post|km|pc)\b"
)
_NOT_OF_CONTRAST = re.compile(r"\bpost(erior)? ?(fossa|op\w*|surg\w*|rad\w*|rt|treat\w*)\b")
_EXACT = re.compile(r"\d+(\.\d+){2,} \(.*\)", re.DOTALL)
_NO_AGENT = {"", "no", "none", "n", "without", "off", "0", "n/a", "na", "no contrast", "null"}


def recognise(acquisition: Acquisition) -> Recognised:
    """Determine the modality of a series.

    The series description decides first; if it names no weighting, the protocol and then the
    sequence name. Echo, repetition and inversion time must not contradict it. If no text names a
    weighting, the times decide, by the usual ranges of spin-echo weighting (Bernstein, King, Zhou,
    Handbook of MRI Pulse Sequences, 2004, ch. 14). A T1 FLAIR is T1: its inversion time is some 0.7
    to 1.1 s, that of a T2 FLAIR more than 1.6 s at 1.5 T. A contrast agent in the header counts
    only if the description does not mention contrast.
    """
    if excluded := _exclusion(acquisition):
        return Recognised(None, excluded)
    for text in (acquisition.description, acquisition.protocol, acquisition.sequence_name):
        weighting = _weighting(_plain(text), acquisition)
        if weighting.reason:
            return _with_contrast(weighting, acquisition)
    return _with_contrast(_weighting_by_times(acquisition), acquisition)


def _plain(text: str) -> str:
    """Lower case, with blanks for marks that join words; plus, minus, star and slash stay."""
    if re.search("[a-z][A-Z][a-z]", text):
        text = re.sub(r"(?<=[a-z0-9])([A-Z][a-z])", r" \1", text)
    text = re.sub(r"[_.,;:()\[\]{}=&]+|(?<=\w)-(?=\w)", " ", text.lower())
    return re.sub(r"\s+", " ", text).strip()


def _exclusion(acquisition: Acquisition) -> str:
    kinds = {value.strip().upper() for value in acquisition.image_type[2:]}
    for reason, values in _IMAGE_TYPES.items():
        found = kinds & set(values.split("; "))
        if found and not (reason.startswith("projection") and not acquisition.derived):
            return f"{reason} (ImageType {', '.join(sorted(found))})"
    if acquisition.b_value:
        return f"diffusion image (b = {acquisition.b_value:g} s/mm²)"
    text = _plain(acquisition.description) or _plain(acquisition.protocol)
    for reason, pattern in _EXCLUDED.items():
        match = re.search(pattern, text)
        if match and not (match[0] in ("gre", "ffe", "rest") and _T1.search(text)):
            return f"{reason} ({match[0]!r} in its description)"
    if "EP" in acquisition.scanning_sequence:
        return "echo-planar image (ScanningSequence EP)"
    return ""


def _weighting(text: str, acquisition: Acquisition) -> Recognised:
    """T1, T2 or FLAIR by words; an empty reason where the text names none."""
    t1, t2, flair = bool(_T1.search(text)), bool(_T2.search(text)), bool(_FLAIR.search(text))
    echo, inversion = acquisition.echo_time_ms, acquisition.inversion_time_ms
    if t1 and t2:
        return Recognised(None, "its description names both T1 and T2")
    if flair and not t1 and not t2:
        t1 = (echo is not None and echo < 40) or (inversion is not None and 0 < inversion < 1400)
    but = f"by its description, but the echo time is {echo} ms"
    if t1:
        late = echo is not None and echo > 60
        return Recognised(None, f"T1 {but}") if late else Recognised("t1n", "description")
    if flair:
        early = echo is not None and echo < 40
        return Recognised(None, f"FLAIR {but}") if early else Recognised("t2f", "description")
    if t2 and inversion is not None and inversion > 1600:
        return Recognised("t2f", f"T2 with an inversion time of {inversion:g} ms")
    if t2:
        early = echo is not None and echo < 50
        contradiction = Recognised(None, f"T2 {but} (proton density)")
        return contradiction if early else Recognised("t2w", "description")
    return Recognised(None, "proton-density image" if _PD.search(text) else "")


def _weighting_by_times(acquisition: Acquisition) -> Recognised:
    echo, repetition = acquisition.echo_time_ms, acquisition.repetition_time_ms
    inversion = acquisition.inversion_time_ms or 0
    is_known = bool({"SE", "IR", "GR"} & set(acquisition.scanning_sequence))
    if echo is None or repetition is None or not is_known:
        return Recognised(None, "neither its description nor its header tells the weighting")
    times = (
        f"echo time {echo:g} ms, repetition time {repetition:g} ms, inversion time {inversion:g} ms"
    )
    if inversion > 1600 and echo > 60:
        return Recognised("t2f", times)
    if echo < 30 and (
        600 <= inversion <= 1400
        or ("SE" in acquisition.scanning_sequence and repetition < 1000 and not inversion)
    ):
        return Recognised("t1n", times)
    if "SE" in acquisition.scanning_sequence and echo > 70 and repetition > 2000 and not inversion:
        return Recognised("t2w", times)
    return Recognised(
        None, f"its description is silent, and its times are of no known weighting ({times})"
    )


def _with_contrast(weighting: Recognised, acquisition: Acquisition) -> Recognised:
    if weighting.modality != "t1n":
        return weighting
    text = _NOT_OF_CONTRAST.sub("", _plain(acquisition.description))
    before, after = _NO_CONTRAST.search(text), _CONTRAST.search(text)
    if before:
        return Recognised("t1n", f"{weighting.reason}, without contrast ({before[0].strip()!r})")
    if after:
        return Recognised("t1c", f"{weighting.reason}, with contrast ({after[0].strip()!r})")
    if acquisition.contrast_agent.strip().lower() not in _NO_AGENT:
        return Recognised("t1c", f"{weighting.reason}, with contrast (ContrastBolusAgent)")
    return weighting


def overridden(
    acquisition: Acquisition, kind: str, series: str, table: Mapping[str, str | None]
) -> Recognised | None:
    """Look a series up in the user's table; None if no row matches.

    Parameters
    ----------
    kind, series : str
        See `Header` and `Frame`.
    table : dict of str to (str or None)
        "SeriesInstanceUID (kind)", SeriesInstanceUID, or regular expression searched in the
        description and "description (kind)", case ignored -> modality, None to leave the series
        out. Exact keys come before expressions, the narrower one first; of the expressions, the
        first that matches.
    """
    for key in (exact_key(series, kind), series):
        if series and key in table:
            return Recognised(table[key], f"modalities.yaml, {key!r}", by_user=True)
    for pattern, modality in table.items():
        searched = (acquisition.description, f"{acquisition.description} ({kind})")
        if not is_exact(pattern) and any(
            re.search(pattern, text, re.IGNORECASE) for text in searched
        ):
            return Recognised(modality, f"modalities.yaml, {pattern!r}", by_user=True)
    return None


def exact_key(series: str, kind: str) -> str:
    """The key of one volume of a series that holds several."""
    return f"{series} ({kind})"


def is_exact(key: str) -> bool:
    """Whether a key of the table is a UID and kind, and so no regular expression."""
    return bool(_EXACT.fullmatch(key))


def choose(series: Sequence[Recognised], derived: Sequence[bool]) -> dict[str, list[int]]:
    """Assign series, as recognised and perhaps `derived`, to modalities.

    Returns
    -------
    dict of str to list of int
        Modality -> indices of the series that may be it, in the order t1n, t1c, t2w, t2f: the
        user's choice before what was recognised, an original before a derived image. More than one
        index: the user has to choose.
    """
    chosen = {}
    for modality in MODALITIES:
        ranks = {
            index: 0 if found.by_user else 1 + is_derived
            for index, (found, is_derived) in enumerate(zip(series, derived, strict=True))
            if found.modality == modality
        }
        if ranks:
            best = min(ranks.values())
            chosen[modality] = [index for index, rank in ranks.items() if rank == best]
    return chosen
