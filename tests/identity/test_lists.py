"""Revocation lists: which are taken, which of two counts, and what is kept of those fetched."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mssmail.base.clock import FakeClock, utc
from mssmail.demo.pki import DemoPki
from mssmail.identity import lists
from mssmail.identity.anchors import TrustFileError
from mssmail.identity.lists import Foreign, ListReader, by_subject, fetched_file, keep
from tests.support.issuance import authority, revocation_list


class Scene:
    """CAs that are known, and a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "revocation"
        self.clock = FakeClock()
        self.pki = DemoPki.create_or_load(folder / "pki", self.clock)
        self.known = by_subject((self.pki.persons.certificate, self.pki.root.certificate))
        self.issuer = self.pki.persons.certificate.subject.public_bytes()

    def keep(self, content: bytes) -> bool:
        return keep(self.folder, content, self.known, self.clock.now()).newer

    def kept(self) -> frozenset[int]:
        files = [fetched_file(self.folder, issuer) for issuer in self.known]
        return ListReader().read((), files, self.known)[self.issuer].serials

    def made(self, *serials: int, begins_h: float = 0.0, ends_h: float = 24.0) -> bytes:
        return revocation_list(self.pki.persons, self.clock, serials, begins_h=begins_h, ends_h=ends_h)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_newer_replaces(scene: Scene) -> None:
    """A newer list takes the place of an older one, never the reverse: that one may be sent again by anybody."""
    old = scene.made(begins_h=-2.0)
    assert scene.keep(old)
    assert scene.keep(scene.made(7, begins_h=-1.0))
    assert not scene.keep(old)
    assert not scene.keep(scene.made(begins_h=-1.0))
    assert scene.kept() == {7}
    assert {file.suffix for file in scene.folder.iterdir()} == {".crl"}


def test_damaged_file_gives_way(scene: Scene) -> None:
    """A kept list that can't be read any more is left aside, and replaced by what is fetched."""
    scene.keep(scene.made(7, begins_h=-1.0))
    file = fetched_file(scene.folder, scene.issuer)
    file.write_bytes(file.read_bytes()[:-5])
    assert ListReader().read((), [file], scene.known) == {}
    assert scene.keep(scene.made(8, begins_h=-2.0))
    assert scene.kept() == {8}


def _pem(octets: bytes) -> bytes:
    return x509.load_der_x509_crl(octets).public_bytes(Encoding.PEM)


def test_pem(scene: Scene) -> None:
    """A list fetched as PEM is kept too; several at once are not."""
    assert scene.keep(_pem(scene.made(7)))
    assert scene.kept() == {7}
    with pytest.raises(TrustFileError, match="several"):
        scene.keep(_pem(scene.made(7)) * 2)


def partial(**scope: object) -> x509.IssuingDistributionPoint:
    """A scope narrowed in one way."""
    words = "only_contains_user_certs only_contains_ca_certs indirect_crl only_contains_attribute_certs".split()
    flags = {word: bool(scope.get(word)) for word in words}
    reasons = frozenset({x509.ReasonFlags.key_compromise}) if scope.get("reasons") else None
    return x509.IssuingDistributionPoint(None, None, only_some_reasons=reasons, **flags)


def extended(value: x509.ExtensionType) -> Callable[[Scene], bytes]:
    return lambda s: revocation_list(s.pki.persons, s.clock, (), extensions=((value, True),))


BAD: dict[str, tuple[Callable[[Scene], bytes], str]] = {
    "garbage": (lambda s: b"<html>", "not a revocation list"),
    "empty": (lambda s: b"", "not a revocation list"),
    "cut": (lambda s: s.made()[:-3], "not a revocation list"),
    "altered": (lambda s: s.made()[:-3] + b"\0\0\0", "didn't sign"),
    "signed by another": (
        lambda s: revocation_list(s.pki.persons, s.clock, signer=s.pki.organisations),
        "didn't sign",
    ),
    "expired": (lambda s: s.made(begins_h=-9.0, ends_h=-1.0), "expired"),
    "of the future": (lambda s: s.made(begins_h=2.0), "future"),
    "changes alone": (extended(x509.DeltaCRLIndicator(1)), "changes alone"),
    "CAs alone": (extended(partial(only_contains_ca_certs=True)), "some certificates"),
    "indirect": (extended(partial(indirect_crl=True)), "some certificates"),
    "some reasons": (extended(partial(reasons=True)), "some certificates"),
    "unknown critical extension": (
        extended(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0")),
        "1.2.3.4",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_not_kept(scene: Scene, case: tuple[Callable[[Scene], bytes], str]) -> None:
    """What isn't a whole, present list that its issuer signed is refused with its cause, and changes nothing."""
    make, word = case
    scene.keep(scene.made(7, begins_h=-1.0))
    with pytest.raises(TrustFileError, match=word):
        scene.keep(make(scene))
    assert scene.kept() == {7}


def test_foreign(scene: Scene) -> None:
    """A list of a CA that isn't an anchor is told apart."""
    with pytest.raises(Foreign):
        scene.keep(revocation_list(scene.pki.organisations, scene.clock))


def test_who_may_not_sign_lists(scene: Scene) -> None:
    """A CA whose certificate doesn't let it sign lists has none."""
    usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
    mute = authority(scene.pki.root, scene.clock, "MUTE", extensions=((usage, True),))
    known = by_subject((mute.certificate,))
    with pytest.raises(TrustFileError, match="didn't sign"):
        keep(scene.folder, revocation_list(mute, scene.clock), known, scene.clock.now())


def test_only_changed_files_are_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that wasn't changed isn't parsed again, unless the CAs were."""
    read: list[str] = []
    parsed = lists._parsed

    def noted(place: str, content: bytes) -> list[x509.CertificateRevocationList]:
        read.append(Path(place).name)
        return parsed(place, content)

    scene.keep(scene.made(7, begins_h=-1.0))
    monkeypatch.setattr(lists, "_parsed", noted)
    files, reader = (*scene.pki.crls, fetched_file(scene.folder, scene.issuer)), ListReader()
    reader.read(files, (), scene.known)
    assert len(read) == 4
    scene.clock.advance(60.0)
    scene.pki.revoke(scene.pki.persons, 9)
    read.clear()
    assert 9 in reader.read(files, (), scene.known)[scene.issuer].serials
    assert read == ["persons.crl"]
    reader.read(files, (), by_subject((scene.pki.persons.certificate,)))
    assert len(read) == 5


def test_a_hundred_thousand(scene: Scene) -> None:
    """A list of 100,000 entries is kept, and each entry counts."""
    now = scene.clock.now()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(scene.pki.persons.certificate.subject)
        .last_update(utc(now))
        .next_update(utc(now + 2 * 86_400))
    )
    entry = x509.RevokedCertificateBuilder().revocation_date(utc(now))
    builder._revoked_certificates = [entry.serial_number((1 << 100) + n).build() for n in range(100_000)]
    assert scene.keep(builder.sign(scene.pki.persons.key, hashes.SHA256()).public_bytes(Encoding.DER))
    found = scene.kept()
    assert len(found) == 100_000
    assert {(1 << 100), (1 << 100) + 99_999} <= found
