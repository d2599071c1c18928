"""An OCSP answer is believed only where it is of the right certificate, fresh, and by who may say so."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mssmail.base.clock import FakeClock, SystemClock
from mssmail.demo.pki import Authority, DemoPki
from mssmail.identity.ocsp import SKEW_S, Answer, Question, Status, Unbelievable, ask, believe
from tests.support.issuance import Manner, Wish, answer, issue

FOR_OCSP = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
NAME = (((NameOID.COMMON_NAME, "Repondeur"),),)
Delegate = Callable[["Scene"], Authority]


class Scene:
    """A CA, a certificate of it, and a question about that."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.pki = DemoPki.create_or_load(folder, self.clock)
        self.certificate, _ = issue(self.pki.persons, self.clock)
        self.other, _ = issue(self.pki.persons, self.clock)
        self.question = ask(self.certificate, self.pki.persons.certificate)

    def delegate(
        self,
        by: Authority | None = None,
        *,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ((FOR_OCSP, False),),
        ends: float = 9.0,
    ) -> Authority:
        wish = Wish(NAME, extensions=extensions, ends=ends, begins=-10.0)
        certificate, key = issue(by or self.pki.persons, self.clock, wish)
        return Authority("delegate", certificate, key)  # type: ignore[arg-type]

    def said(self, manner: Manner, question: Question | None = None) -> bytes:
        asked = (question or self.question).octets
        return answer(asked, self.pki.persons, self.certificate, self.clock, manner)

    def believe(self, octets: bytes, listed: frozenset[int] = frozenset()) -> Answer:
        return believe(octets, self.question, self.clock.now(), listed.__contains__)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (ocsp.OCSPCertStatus.GOOD, Status.GOOD),
        (ocsp.OCSPCertStatus.REVOKED, Status.REVOKED),
        (ocsp.OCSPCertStatus.UNKNOWN, Status.UNKNOWN),
    ],
)
@pytest.mark.parametrize("by_name", [False, True])
def test_of_the_authority(scene: Scene, said: ocsp.OCSPCertStatus, status: Status, by_name: bool) -> None:
    """What the CA itself signs is believed until its next update."""
    found = scene.believe(scene.said(Manner(said, by_name=by_name, ends=600.0)))
    assert (found.status, found.until) == (status, scene.clock.now() + 600.0)


@pytest.mark.parametrize("by_name", [False, True])
def test_of_a_delegate(scene: Scene, by_name: bool) -> None:
    """So is what a responder signs that the CA certified for that."""
    delegate = scene.delegate()
    manner = Manner(signer=delegate, shown=(delegate.certificate,), by_name=by_name)
    assert scene.believe(scene.said(manner)).status is Status.GOOD


def test_rsa(scene: Scene) -> None:
    """An RSA responder's signature is verified too."""
    wish = Wish(NAME, key=lambda: rsa.generate_private_key(65537, 2048), extensions=((FOR_OCSP, False),))
    certificate, key = issue(scene.pki.persons, scene.clock, wish)
    signer = Authority("rsa", certificate, key)  # type: ignore[arg-type]
    assert scene.believe(scene.said(Manner(signer=signer, shown=(certificate,)))).status is Status.GOOD


@pytest.mark.parametrize("nonce", [lambda asked: asked, lambda asked: None])
def test_nonce(scene: Scene, nonce: Callable[[bytes], bytes | None]) -> None:
    """Our nonce comes back, or none does."""
    scene.believe(scene.said(Manner(nonce=nonce)))


def test_without_an_end(scene: Scene) -> None:
    """An answer that doesn't say until when it holds, holds for a moment."""
    found = scene.believe(scene.said(Manner(begins=0.0, ends=None)))
    assert found.until == scene.clock.now() + SKEW_S


USAGE = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
DELEGATES: dict[str, Delegate] = {
    "not for OCSP": lambda s: s.delegate(
        extensions=((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),)
    ),
    "without a use": lambda s: s.delegate(extensions=()),
    "may not sign": lambda s: s.delegate(extensions=((FOR_OCSP, False), (USAGE, True))),
    "of another CA": lambda s: s.delegate(s.pki.organisations),
    "of the root": lambda s: s.delegate(s.pki.root),
    "expired": lambda s: s.delegate(ends=-1.0),
}


@pytest.mark.parametrize("delegate", DELEGATES.values(), ids=DELEGATES)
def test_false_delegate(scene: Scene, delegate: Delegate) -> None:
    """A responder that the CA didn't certify for this, or not any more, says nothing."""
    signer = delegate(scene)
    with pytest.raises(Unbelievable, match="signed neither"):
        scene.believe(scene.said(Manner(signer=signer, shown=(signer.certificate,))))


def test_revoked_delegate(scene: Scene) -> None:
    """Nor does one that the CA's list holds."""
    signer = scene.delegate()
    said = scene.said(Manner(signer=signer, shown=(signer.certificate,)))
    with pytest.raises(Unbelievable, match="signed neither"):
        scene.believe(said, frozenset({signer.certificate.serial_number}))


@dataclass(frozen=True)
class Bad:
    """An answer, and a word of why it isn't believed."""

    make: Callable[[Scene], bytes]
    word: str


def _altered(octets: bytes) -> bytes:
    return octets[:-3] + bytes((octets[-3] ^ 1,)) + octets[-2:]


def _unshown(scene: Scene) -> bytes:
    return scene.said(Manner(signer=scene.delegate()))


def _status(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


BAD = {
    "garbage": Bad(lambda s: b"<html>no</html>", "malformed"),
    "empty": Bad(lambda s: b"", "malformed"),
    "cut": Bad(lambda s: s.said(Manner())[:-20], "malformed"),
    "later": Bad(lambda s: _status(ocsp.OCSPResponseStatus.TRY_LATER), "try_later"),
    "unauthorized": Bad(lambda s: _status(ocsp.OCSPResponseStatus.UNAUTHORIZED), "unauthorized"),
    "another certificate": Bad(lambda s: s.said(Manner(about=s.other)), "another certificate"),
    "another nonce": Bad(lambda s: s.said(Manner(nonce=lambda asked: bytes(32))), "nonce"),
    "altered": Bad(lambda s: _altered(s.said(Manner())), "signed neither"),
    "signed by a stranger": Bad(lambda s: s.said(Manner(signer=s.pki.organisations)), "signed neither"),
    "delegate not shown": Bad(_unshown, "signed neither"),
    "old": Bad(lambda s: s.said(Manner(begins=-900.0, ends=-1.0)), "old"),
    "old without an end": Bad(lambda s: s.said(Manner(begins=-SKEW_S - 1, ends=None)), "old"),
    "of the future": Bad(lambda s: s.said(Manner(begins=SKEW_S + 1, ends=900.0)), "future"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_not_believed(scene: Scene, bad: Bad) -> None:
    """Anything else tells nothing, and says why."""
    with pytest.raises(Unbelievable, match=bad.word):
        scene.believe(bad.make(scene))


def test_weak_hash(scene: Scene) -> None:
    """An answer signed over a shorter hash than SHA-256 isn't believed."""
    with pytest.raises(Unbelievable, match="signed neither"):
        scene.believe(scene.said(Manner(digest=hashes.SHA224())))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize(("letter", "status"), [("V", Status.GOOD), ("R", Status.REVOKED), ("", Status.UNKNOWN)])
@pytest.mark.parametrize("delegated", [False, True])
def test_openssl_answers(tmp_path: Path, letter: str, status: Status, delegated: bool) -> None:
    """OpenSSL's own responder understands the question, and its answer is believed."""
    scene = Scene(tmp_path / "pki")
    scene.clock = FakeClock(SystemClock().now())  # OpenSSL goes by the machine's
    pki = scene.pki = DemoPki.create_or_load(tmp_path / "today", scene.clock)
    certificate, _ = issue(pki.persons, scene.clock)
    question = ask(certificate, pki.persons.certificate)
    signer = scene.delegate() if delegated else pki.persons
    (tmp_path / "signer.pem").write_bytes(signer.pem)
    (tmp_path / "signer.key").write_bytes(signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "ca.pem").write_bytes(pki.persons.pem)
    (tmp_path / "asked").write_bytes(question.octets)
    revoked = "260101000000Z" if letter == "R" else ""
    serial = certificate.serial_number.to_bytes((certificate.serial_number.bit_length() + 7) // 8, "big").hex().upper()
    row = f"{letter}\t360101000000Z\t{revoked}\t{serial}\tunknown\t/CN=x\n"
    (tmp_path / "index").write_text(row if letter else "")
    command = "openssl ocsp -index index -CA ca.pem -rsigner signer.pem -rkey signer.key -ndays 1"
    subprocess.run(
        [*command.split(), "-reqin", "asked", "-respout", "said"], cwd=tmp_path, check=True, capture_output=True
    )
    answer = believe((tmp_path / "said").read_bytes(), question, scene.clock.now() + 1, frozenset[int]().__contains__)
    assert answer.status is status
