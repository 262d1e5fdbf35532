"""Answers of a DICOMweb server are taken, asked for again, or rejected, and never quoted."""

import logging
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pydicom
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.core.errors import InputError
from pipeline.exchange import session
from pipeline.exchange.server import Rejected, Server
from pipeline.exchange.session import PassingFault, checked_address
from tests.exchange.faulty import STALL_S, serving
from tests.exchange.studies import STUDY, write_study
from tests.formats.dicom.test_series import slice_of

INSTANCE = STUDY, f"{STUDY}.1", f"{STUDY}.1.1"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def faulty(study):
    with serving() as running:
        running.hold_all(study / "t1")
        yield running


def result() -> pydicom.Dataset:
    dataset = slice_of(0)
    dataset.preamble = bytes(128)
    return dataset


def client(faulty, waits_s=(0.01, 0.01), **options) -> Server:
    return Server(faulty.url, waits_s=waits_s, stall_s=STALL_S, **options)


def test_an_instance_has_the_bytes_of_the_server(faulty, study):
    assert client(faulty).retrieve(*INSTANCE) == (study / "t1/000.dcm").read_bytes()


@pytest.mark.parametrize(
    "fault", ["500", "503", "429", "lost", "stall", "cut", "cut without length"]
)
def test_a_fault_that_may_pass_is_asked_for_again_and_then_reported(faulty, study, fault):
    faulty.faults["wado"] = [fault, fault]
    assert client(faulty).retrieve(*INSTANCE) == (study / "t1/000.dcm").read_bytes()
    assert faulty.count("wado") == 3
    faulty.faults["wado"] = [fault] * 3
    with pytest.raises(PassingFault):
        client(faulty).retrieve(*INSTANCE)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("html", "gives no DICOMweb answer .*not of a web page"),
        ("404", "answers 404 Not Found. Check the address and the UID"),
        ("406", "answers 406 Not Acceptable"),
        ("401", "answers 401 Unauthorized. Set TUMORFLOW_DICOMWEB_USER and"),
        ("403", "answers 403 Forbidden. Set TUMORFLOW_DICOMWEB_USER and"),
        ("302", "answers 302 Found, a redirect. Name the address that it leads to"),
        ("endless", "sends an answer of more than 200,000 bytes"),
    ],
)
@pytest.mark.parametrize("kind", ["wado", "series", "stow"])
def test_a_wrong_answer_is_rejected_at_once(faulty, fault, said, kind):
    faulty.faults[kind] = [fault]
    server = client(faulty, largest_bytes=200_000)
    ask = {
        "wado": lambda: server.retrieve(*INSTANCE),
        "series": lambda: server.series(STUDY),
        "stow": lambda: server.store(result()),
    }[kind]
    if kind == "stow":
        said = {"html": "gives no DICOMweb answer|does not say", "404": "does not store .*404"}.get(
            fault, "does not store .* answers 406" if fault == "406" else said
        )
    with pytest.raises((InputError, PassingFault), match=said) as raised:
        ask()
    assert "Jane" not in str(raised.value)
    assert faulty.count(kind) == 1


@pytest.mark.parametrize("fault", ["refuse", "refuse 409"])
def test_an_instance_that_is_not_stored_is_named_with_the_reason(faulty, fault):
    faulty.faults["stow"] = [fault]
    reason = r"does not store instance 1\.2\.826\.0\.1\.1: SOP class not supported .*0122H"
    with pytest.raises(Rejected, match=reason):
        client(faulty).store(result())


@pytest.mark.parametrize("fault", ["500", "lost", "stall", "cut", "nothing", "html"])
def test_a_store_is_not_sent_again_by_itself(faulty, fault):
    faulty.faults["stow"] = [fault]
    with pytest.raises(PassingFault):
        client(faulty).store(result())
    assert faulty.count("stow") == 1


def test_results_come_in_pages_also_from_a_server_that_ignores_the_offset(faulty):
    faulty.faults["instances"] = ["", "same page"]
    assert len(client(faulty).instances(*INSTANCE[:2])) == 20
    assert faulty.count("instances") == 2


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2/3", "", "1" * 65, "1..2", "١.٢"])
def test_a_uid_that_is_none_is_rejected(faulty, uid):
    faulty.places[uid] = INSTANCE[:2]
    with pytest.raises(InputError, match="lists a result without a valid SOPInstanceUID"):
        client(faulty).instances(*INSTANCE[:2])


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({"USER": "me", "PASSWORD": "secret"}, "Basic bWU6c2VjcmV0"),
        ({"TOKEN": "abc.def"}, "Bearer abc.def"),
        ({}, None),
    ],
)
def test_credentials_come_from_the_environment(faulty, monkeypatch, variables, sent):
    for name, value in variables.items():
        monkeypatch.setenv(f"TUMORFLOW_DICOMWEB_{name}", value)
    client(faulty).series(STUDY)
    assert faulty.headers.get("Authorization") == sent
    assert faulty.headers["Host"] == faulty.url.split("/")[2]


@pytest.mark.parametrize(
    "variables",
    [
        {"USER": "me"},
        {"PASSWORD": "secret"},
        {"TOKEN": "secret", "USER": "me", "PASSWORD": "secret"},
        {"TOKEN": "secret\nX: y"},
        {"TOKEN": "secrét"},
    ],
)
def test_credentials_that_are_not_whole_are_rejected_and_not_quoted(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"TUMORFLOW_DICOMWEB_{name}", value)
    with pytest.raises(InputError, match="TUMORFLOW_DICOMWEB_") as raised:
        Server("http://127.0.0.1:1")
    assert "secr" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "pacs/dicom-web",
        "ftp://pacs",
        "https://",
        "https://a b",
        "https://me:secret@pacs/dicom-web",
        "https://pacs:port",
        "https://pacs?token=secret",
    ],
)
def test_an_address_that_is_not_valid_is_rejected_and_not_quoted(url):
    with pytest.raises(InputError) as raised:
        checked_address(url)
    assert "secret" not in str(raised.value)


def test_plain_http_is_warned_of_unless_it_stays_on_this_machine(caplog):
    for url in ("http://127.0.0.1:8042/dicom-web", "http://localhost", "https://pacs.example.org"):
        checked_address(url)
    assert not caplog.records
    assert checked_address("http://pacs.example.org/dicom-web/") == (
        "http://pacs.example.org/dicom-web"
    )
    assert "http://pacs.example.org: is not encrypted" in caplog.text


def test_a_server_that_is_not_there_is_reported_without_the_query(caplog):
    caplog.set_level(logging.DEBUG)
    server = Server("http://127.0.0.1:1", waits_s=(0.01,))
    with pytest.raises(PassingFault, match=r"the connection failed \(Connection refused\)"):
        server.studies({"PatientID": "MRN4711"})
    assert "trying again" in caplog.text
    assert "MRN4711" not in caplog.text


def test_an_answer_that_trickles_has_stalled(faulty, monkeypatch):
    monkeypatch.setattr(session, "_SLOWEST_BYTES_PER_S", 10**12)
    faulty.faults["wado"] = ["endless"]
    with pytest.raises(PassingFault, match="bytes a second"):
        client(faulty, waits_s=()).retrieve(*INSTANCE)


def test_pydicom_reads_what_is_sent(faulty, study):
    dataset = pydicom.dcmread(study / "t1/003.dcm")
    client(faulty).store(dataset)
    assert faulty.stored == [dataset.SOPInstanceUID]


def test_a_slow_network_that_takes_longer_than_a_stall_stores_all(faulty):
    large = result()
    large.Rows, large.Columns, large.PixelData = 4000, 2500, bytes(20_000_000)
    faulty.faults["stow"] = ["slow"]
    Server(faulty.url, stall_s=1.5).store(large)
    assert faulty.slowest_s > 2


def test_a_list_that_is_too_long_to_parse_is_rejected(faulty, monkeypatch):
    monkeypatch.setattr(session, "LARGEST_TEXT_BYTES", 1000)
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        client(faulty).instances(*INSTANCE[:2])
    assert len(client(faulty).retrieve(*INSTANCE)) > 1000


def certificate(folder: Path) -> Path:
    """Key and certificate of 127.0.0.1 that nobody but a test trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    today = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "certificate.pem").write_bytes(private + signed.public_bytes(pem))
    return folder / "certificate.pem"


def test_a_certificate_is_verified(faulty, tmp_path, monkeypatch):
    file = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    faulty.socket = context.wrap_socket(faulty.socket, server_side=True)
    url = faulty.url.replace("http:", "https:")
    with pytest.raises(InputError, match=r"has a certificate that is not trusted \(self"):
        Server(url).series(STUDY)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    assert len(Server(url).series(STUDY)) == 1
