"""`mssmail cert`: what it says of certificates good and bad, of the anchors, and of fetching lists."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mssmail.base.clock import SystemClock
from mssmail.demo.people import CLAIRE, PAUL
from mssmail.demo.pki import DemoPki, Leaf
from tests.cli.conftest import CLAIRE_ADDRESS, House, Said
from tests.support.issuance import FOR_CLIENTS, Manner, Statuses, Wish, issue, save, with_octets

TRUST = """[trust]
persons_ca = "persons-anchors.pem"
organisations_ca = "organisations-anchors.pem"
crls = [{crls}]
{more}
"""


@dataclass
class Trusting:
    """A house with anchors, and its CAs."""

    house: House
    pki: DemoPki

    def settings(self, more: str = "", crls: tuple[str, ...] = ("root", "persons", "organisations")) -> None:
        """Lay down `trust`."""
        text = self.house.config.read_text().partition("[trust]")[0]
        named = ", ".join(f'"pki/{name}.crl"' for name in crls)
        self.house.config.write_text(text + TRUST.format(crls=named, more=more))

    def lay(self, wish: Wish) -> Leaf:
        certificate, key = issue(self.pki.persons, SystemClock(), wish)
        return save(self.house.folder, "shown", certificate, key)

    def inspect(self, file: Path) -> tuple[int, dict[str, object], dict[str, str]]:
        """Status, what is said, and each error's finding by its subject."""
        said = self.house("cert", "inspect", str(file), "--json")
        found = json.loads(said.out)
        return (
            said.status,
            found,
            {f["subject"]: f["finding"] for f in found["findings"] if f["severity"] == "error"},
        )


@pytest.fixture
def trusting(house: House) -> Trusting:
    pki = DemoPki.create_or_load(house.folder / "pki", SystemClock())
    for authority in (pki.persons, pki.organisations):
        (house.folder / f"{authority.slug}-anchors.pem").write_bytes(authority.pem + pki.root.pem)
    made = Trusting(house, pki)
    made.settings()
    return made


def claires(trusting: Trusting) -> Leaf:
    return trusting.pki.person(CLAIRE.national_id, CLAIRE.surname, CLAIRE.given_name, CLAIRE.title)


def test_accepted(trusting: Trusting) -> None:
    """A good certificate is said to be accepted, for whom, and which box it opens; status 0."""
    leaf = claires(trusting)
    status, found, errors = trusting.inspect(leaf.cert)
    assert (status, found["accepted"], errors) == (0, True, {})
    assert (found["purpose"], found["names"]) == ("person", {"national_id": CLAIRE.national_id})
    assert found["opens"] == [
        {"address": CLAIRE_ADDRESS, "kind": "PER", "rights": ["read", "write", "send", "manage"], "refused": None}
    ]
    certificate = x509.load_pem_x509_certificate(leaf.cert.read_bytes())
    assert found["serial"] == f"{certificate.serial_number:x}"
    text = trusting.house("cert", "inspect", str(leaf.cert)).out
    assert text.startswith("accepted\n")
    assert f"opens {CLAIRE_ADDRESS} (PER)" in text


def test_in_any_form(trusting: Trusting) -> None:
    """DER, and PEM behind a private key, are read too; the key is never shown."""
    leaf, folder = claires(trusting), trusting.house.folder
    certificate = x509.load_pem_x509_certificate(leaf.cert.read_bytes())
    (folder / "a.der").write_bytes(certificate.public_bytes(Encoding.DER))
    (folder / "b.pem").write_bytes(leaf.key.read_bytes() + leaf.cert.read_bytes())
    for name in ("a.der", "b.pem"):
        assert trusting.inspect(folder / name)[0] == 0
    assert "PRIVATE" not in trusting.house("cert", "inspect", str(folder / "b.pem")).out


BAD: dict[str, tuple[Wish, dict[str, str]]] = {
    "expired": (Wish(begins=-9.0, ends=-1.0), {"dates": "expired on"}),
    "not yet valid": (Wish(begins=1.0), {"dates": "only valid from"}),
    "everything at once": (
        Wish(
            (((NameOID.COMMON_NAME, "x"),),),
            key=lambda: rsa.generate_private_key(65537, 1024),
            extensions=((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),),
            begins=-9.0,
            ends=-1.0,
        ),
        {"dates": "expired", "key": "too short", "use": "as a client", "subject": "no national id"},
    ),
    "two CNs": (
        Wish((((NameOID.COMMON_NAME, "810000000001"),), ((NameOID.COMMON_NAME, "810000000002"),))),
        {"subject": "2 values of CN"},
    ),
    "a CA": (
        Wish(extensions=(*FOR_CLIENTS, (x509.BasicConstraints(True, None), True))),
        {"use": "a CA's certificate"},
    ),
    "of nobody": (Wish((((NameOID.COMMON_NAME, PAUL.national_id),),)), {"box": "no box here"}),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_refused(trusting: Trusting, case: tuple[Wish, dict[str, str]]) -> None:
    """Everything that is wrong is found at once, each with its remedy; status 1."""
    wish, expected = case
    status, found, errors = trusting.inspect(trusting.lay(wish).cert)
    assert (status, found["accepted"]) == (1, False)
    assert set(errors) == set(expected)
    assert all(word in errors[subject] for subject, word in expected.items())
    assert isinstance(found["findings"], list)
    assert all(f["remedy"] for f in found["findings"] if f["severity"] == "error")


def test_revoked(trusting: Trusting) -> None:
    """A certificate that the list revokes is said to be revoked."""
    leaf = trusting.pki.revoked_person(CLAIRE.national_id, "MARTIN", "CLAIRE", "Médecin")
    status, _, errors = trusting.inspect(leaf.cert)
    assert (status, errors) == (1, {"revocation": "revoked"})


def test_stranger(trusting: Trusting) -> None:
    """One of no anchor names nobody."""
    (trusting.house.folder / "other").mkdir()
    other = DemoPki.create_or_load(trusting.house.folder / "other", SystemClock())
    status, found, errors = trusting.inspect(other.person(CLAIRE.national_id, "M", "C", "Médecin").cert)
    assert (status, found["purpose"], found["names"], found["opens"]) == (1, None, None, [])
    assert errors == {"issuer": "issued by none of the anchors"}


def _malformed(trusting: Trusting) -> bytes:
    certificate, _ = issue(trusting.pki.persons, SystemClock())
    return with_octets(certificate, trusting.pki.persons, b"\x0c\x06MARTIN", b"\x13\x06M\xffRTIN")


FILES: dict[str, tuple[Callable[[Trusting], bytes], str]] = {
    "empty": (lambda t: b"", "malformed"),
    "text": (lambda t: b"not a certificate\n", "malformed"),
    "cut PEM": (lambda t: claires(t).cert.read_bytes()[:300], "not a certificate in PEM"),
    "a key alone": (lambda t: claires(t).key.read_bytes(), "malformed"),
    "1 MB": (lambda t: bytes(1 << 20), "too large"),
    "1 MB of PEM": (
        lambda t: b"-----BEGIN CERTIFICATE-----\n" + b"QUFB\n" * 200_000 + b"-----END CERTIFICATE-----\n",
        "too large",
    ),
    "nested without end": (lambda t: b"\x30\x80" * 8_000, "malformed"),
    "malformed DN": (_malformed, "malformed"),
}


@pytest.mark.parametrize("case", FILES.values(), ids=FILES)
def test_no_certificate(trusting: Trusting, case: tuple[Callable[[Trusting], bytes], str]) -> None:
    """What is no certificate is said to be none, whatever it is."""
    make, word = case
    file = trusting.house.folder / "shown"
    file.write_bytes(make(trusting))
    status, found, errors = trusting.inspect(file)
    assert (status, found["accepted"]) == (1, False)
    assert word in errors["form"]


def test_missing_file(trusting: Trusting) -> None:
    """A file that isn't there is one clear line."""
    said = trusting.house("cert", "inspect", "nowhere.pem")
    assert (said.status, said.err) == (1, "mssmail: nowhere.pem: No such file or directory\n")


@pytest.fixture
def statuses(trusting: Trusting, tmp_path: Path) -> Iterator[Statuses]:
    built = Statuses(tmp_path, trusting.pki, SystemClock())
    yield built
    built.close()


UNKNOWN = Manner(ocsp.OCSPCertStatus.UNKNOWN)


@pytest.mark.parametrize(
    ("mode", "manner", "status", "errors"),
    [
        ("prefer", Manner(), 0, {}),
        ("prefer", Manner(ocsp.OCSPCertStatus.REVOKED), 1, {"OCSP": "the responder says that it is revoked"}),
        ("prefer", UNKNOWN, 0, {}),
        (
            "require",
            Manner(ocsp.OCSPCertStatus.UNKNOWN),
            1,
            {"OCSP": "no responder vouches for it, and one is required"},
        ),
    ],
)
def test_ocsp(
    trusting: Trusting, statuses: Statuses, mode: str, manner: Manner, status: int, errors: dict[str, str]
) -> None:
    """Where a sign-in would ask OCSP, so does this."""
    trusting.settings(f'ocsp = "{mode}"')
    statuses.manner = manner
    certificate, key = statuses.issue()
    said = trusting.inspect(save(trusting.house.folder, "shown", certificate, key).cert)
    assert (said[0], said[2]) == (status, errors)
    assert statuses.asked == ["/ocsp"]


def test_vouched_without_list(trusting: Trusting, statuses: Statuses) -> None:
    """What OCSP vouches for needs no list of its own issuer's, here as at a sign-in."""
    trusting.settings('ocsp = "prefer"', crls=("root",))
    certificate, key = statuses.issue()
    assert trusting.inspect(save(trusting.house.folder, "shown", certificate, key).cert)[::2] == (0, {})


def rows(said: Said) -> dict[str, dict[str, object]]:
    """Each CA by the last word of its name."""
    return {row["name"].split()[-1]: row for row in json.loads(said.out)}


def test_status_and_refresh(trusting: Trusting, statuses: Statuses) -> None:
    """`status` shows anchors and lists, `refresh` fetches them; both are 1 while something is amiss."""
    trusting.settings(crls=("root", "persons"))
    said = trusting.house("cert", "status", "--json")
    found = rows(said)
    assert said.status == 1
    assert (found["PERSONNES"]["state"], found["ORGANISATIONS"]["state"]) == ("ok", "missing")
    assert (found["PERSONNES"]["purposes"], found["PERSONNES"]["issues"]) == (["person"], True)
    assert (found["ELEMENTAIRE"]["purposes"], found["ELEMENTAIRE"]["issues"]) == (["person", "organisation"], False)
    assert "missing" in trusting.house("cert", "status").out
    assert trusting.house("cert", "refresh").status == 2
    address = f"{statuses.base}/organisations.crl"
    trusting.settings(f'crl_sources = ["{address}"]', crls=("root", "persons"))
    said = trusting.house("cert", "refresh", "--json")
    assert (said.status, json.loads(said.out)[0]["outcome"]) == (1, "failed")
    statuses.publish(trusting.pki.organisations, 7, 8)
    said = trusting.house("cert", "refresh", "--json")
    assert (said.status, json.loads(said.out)[0]["outcome"]) == (0, "new")
    said = trusting.house("cert", "status", "--json")
    assert (said.status, rows(said)["ORGANISATIONS"]["state"], rows(said)["ORGANISATIONS"]["revoked"]) == (0, "ok", 2)
    assert "known" in trusting.house("cert", "refresh").out


def test_doctor_counts_fetched_lists(trusting: Trusting, statuses: Statuses) -> None:
    """The doctor finds the lists that were fetched, and misses those that weren't."""
    trusting.settings(f'crl_sources = ["{statuses.publish(trusting.pki.organisations)}"]', crls=("root", "persons"))

    def missing() -> list[str]:
        found = json.loads(trusting.house("doctor", "--json").out)
        return [f["finding"] for f in found if f["subject"] == "revocation lists" and f["severity"] == "error"]

    assert len(missing()) == 1
    trusting.house("cert", "refresh")
    assert missing() == []
