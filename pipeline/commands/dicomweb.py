"""Query a DICOMweb server, fetch studies, segment them, and store results on the server.

    python -m pipeline dicomweb list URL --patient-id ID --study-date 20260101-20261231
    python -m pipeline dicomweb fetch URL STUDY_UID... --out FOLDER
    python -m pipeline dicomweb segment URL STUDY_UID... --out FOLDER --formats seg,sr --store
    python -m pipeline dicomweb store URL FILE.dcm... --out FOLDER

`list` prints UID, case name, date, modalities and counts of studies, without identities. `fetch`
brings the MR series of studies into FOLDER/dicom; given again, it fetches only what is missing.
`segment` fetches and segments as `predict` does, into FOLDER, and with --store stores the DICOM
files of the results. `store` stores DICOM files, and what is still in FOLDER/outbox: what could not
be stored stays there with the reason, and the next `store` or `segment --store` sends it. The
server is asked before anything is sent, and again after a fault, so that nothing is stored twice.

User and password or a token come from the environment: TUMORFLOW_DICOMWEB_USER and
TUMORFLOW_DICOMWEB_PASSWORD, or TUMORFLOW_DICOMWEB_TOKEN. The certificate of the server must be
trusted; REQUESTS_CA_BUNDLE may name that of your own authority. Research use only, not for
diagnosis.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core.errors import InputError
from ..core.progress import Bar, logged_above_bars
from ..exchange import segmenter
from ..exchange.fetching import fetch_study
from ..exchange.outbox import Outbox, Sent
from ..exchange.server import Server
from ..exchange.session import PassingFault
from ..formats.dicom.header import pseudonym
from ..segmenting.many import Outcome

_DICOM, _OUTBOX = "dicom", "outbox"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("action", choices=_ACTIONS, metavar="ACTION", help=" | ".join(_ACTIONS))
    parser.add_argument("url", metavar="URL", help="https://HOST/PATH of the server")
    parser.add_argument(
        "what", nargs="*", metavar="STUDY_UID|FILE", help="studies, or DICOM files to store"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="for studies, results and the outbox"
    )
    parser.add_argument(
        "--store", action="store_true", help="store the DICOM files of the results (segment)"
    )
    parser.add_argument("--patient-id", metavar="ID", help="whose studies (list)")
    parser.add_argument(
        "--study-date", metavar="DATE", help="YYYYMMDD, or YYYYMMDD-YYYYMMDD (list)"
    )
    parser.add_argument(
        "--modality", default="MR", help="that studies have; default: MR, any with '' (list)"
    )
    segmenter.add_arguments(parser, formats="nifti,seg")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says; 1 if a study failed or something is not stored."""
    needs_out = arguments.action != "list"
    if needs_out and not arguments.out:
        raise InputError(f"{arguments.action} needs --out FOLDER.")
    if arguments.action in ("fetch", "segment") and not arguments.what:
        raise InputError(
            f"{arguments.action} needs the UIDs of studies. `python -m pipeline dicomweb list"
            f" {arguments.url}` shows them."
        )
    if arguments.action == "list" and arguments.what:
        raise InputError(
            "list takes no UIDs and files. Use --patient-id, --study-date, --modality."
        )
    server = Server(arguments.url)
    try:
        return _ACTIONS[arguments.action](server, arguments)
    except PassingFault as fault:
        raise InputError(f"{server.url}: {fault}. Try again later.") from None


def _list(server: Server, arguments: argparse.Namespace) -> int:
    wanted = {
        "PatientID": arguments.patient_id,
        "StudyDate": arguments.study_date,
        "ModalitiesInStudy": arguments.modality,
    }
    found = server.studies({keyword: value for keyword, value in wanted.items() if value})
    for study in sorted(found, key=lambda each: (each.date, each.uid)):
        counts = f"{study.series or '?'} series, {study.instances or '?'} files"
        case = f"study-{pseudonym('study', study.uid)}"
        print(f"{study.uid}  {case}  {study.date or 'no date '}  {study.modalities}  {counts}")
    print(f"{len(found)} {'study' if len(found) == 1 else 'studies'}", file=sys.stderr)
    return 0


def _fetch(server: Server, arguments: argparse.Namespace) -> int:
    folders, failed = _fetched(server, arguments)
    for folder in folders:
        print(folder)
    return 1 if failed else 0


def _fetched(server: Server, arguments: argparse.Namespace) -> tuple[list[Path], int]:
    """The folders of studies, and the number of those that could not be fetched."""
    folders, failed = [], 0
    with logged_above_bars():
        for study in arguments.what:
            try:
                folders.append(fetch_study(server, study, arguments.out / _DICOM))
            except InputError as error:
                failed += 1
                print(f"failed: {error}", file=sys.stderr)
    return folders, failed


def _segment(server: Server, arguments: argparse.Namespace) -> int:
    chosen = segmenter.segmenter(arguments, arguments.out)
    folders, failed = _fetched(server, arguments)
    outbox = Outbox(arguments.out / _OUTBOX)
    for outcome in _outcomes(chosen, folders):
        if outcome.state == "failed":
            failed += 1
            Bar.write(f"failed: {outcome.failure}", sys.stderr)
            continue
        files = chosen.dicom_files(outcome.case)
        names = [file.name for file in files]
        Bar.write("  ".join([outcome.case, outcome.state, outcome.summary, *names]))
        if arguments.store:
            outbox.add(files, server.url)
    left = _sent(outbox, server) if arguments.store else 0
    return 1 if failed or left else 0


def _outcomes(chosen: segmenter.Segmenter, folders: list[Path]) -> Iterator[Outcome]:
    """What becomes of the studies in folders; nothing is written if there are none."""
    cases = chosen.find(folders)
    if cases:
        with logged_above_bars():
            yield from Bar(chosen.segment(cases), "segment", len(cases), unit="case")


def _store(server: Server, arguments: argparse.Namespace) -> int:
    outbox = Outbox(arguments.out / _OUTBOX)
    outbox.add(map(Path, arguments.what), server.url)
    if not outbox.waiting():
        print(f"{outbox.folder}: nothing to send", file=sys.stderr)
    return 1 if _sent(outbox, server) else 0


def _sent(outbox: Outbox, server: Server) -> int:
    """Send what is in the outbox, print what became of it; number of what is left."""
    said: dict[str, Callable[[Sent], str]] = {
        "stored": lambda one: f"{one.uid}: stored",
        "there": lambda one: f"{one.uid}: was stored before",
    }
    for one in outbox.send(server):
        if one.arrived:
            print(said[one.state](one))
        else:
            print(f"not stored: {one.uid}: {one.reason}", file=sys.stderr)
    waiting = outbox.waiting()
    for url, count in waiting.items():
        print(f"{outbox.folder}: {count} not stored yet, for {url}", file=sys.stderr)
    return waiting.get(server.url, 0)


_ACTIONS: dict[str, Callable[[Server, argparse.Namespace], int]] = {
    "list": _list,
    "fetch": _fetch,
    "segment": _segment,
    "store": _store,
}
