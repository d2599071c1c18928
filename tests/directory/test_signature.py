"""A list's signature: by whom, over what, and what an altered, wrapped or foreign one comes to."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from mssmail.directory import signature
from mssmail.directory.trustlist import NAMESPACE, Cause, Unfit
from tests.support.signer import NOW, Signer
from tests.support.whitelist import OPERATOR, white_list

LIST = white_list(NOW, ("hopital.mssante.fr", OPERATOR), ("labo.mssante.fr", OPERATOR))
DSIG = "{http://www.w3.org/2000/09/xmldsig#}"
OURS = Signer()


def refused(octets: bytes, *trusted: Signer) -> Cause | None:
    """Why a list is refused; None where it is taken."""
    try:
        signature.check(octets, [each.certificate for each in trusted or (OURS,)], NOW)
    except Unfit as unfit:
        return unfit.cause
    return None


@pytest.mark.parametrize("make", [lambda: OURS, lambda: Signer(rsa.generate_private_key(65537, 2048))])
def test_signed(make: Callable[[], Signer]) -> None:
    """A list that one of the trusted certificates signed is taken, whichever of them it was."""
    signer = make()
    assert refused(signer.sign(LIST), signer) is None
    assert refused(signer.sign(LIST), Signer(), signer) is None
    assert refused(b"<?xml version='1.0' encoding='UTF-8'?>\n<!-- made today -->" + signer.sign(LIST), signer) is None


def test_unsigned_and_foreign() -> None:
    """No signature, another's, and one of a certificate out of its dates count for nothing."""
    assert refused(LIST) is Cause.SIGNATURE
    assert refused(Signer().sign(LIST)) is Cause.SIGNATURE
    old = Signer(ended_days_ago=1)
    assert refused(old.sign(LIST), old) is Cause.SIGNATURE


def altered(octets: bytes) -> bytes:
    return octets.replace(b"labo.mssante.fr", b"mafia.example")


def added(octets: bytes) -> bytes:
    """An entry more, outside of what was signed: behind the signed list, under the same root."""
    root = etree.fromstring(octets)
    domains = root.find(f"{{{NAMESPACE}}}ListeDomaines")
    more = etree.fromstring(white_list(NOW, ("mafia.example", OPERATOR))).find(f"{{{NAMESPACE}}}ListeDomaines")
    domains.append(more[0])
    return bytes(etree.tostring(root))


def wrapped(octets: bytes) -> bytes:
    """The signed list put into the signature of a forged one, which is what would be read."""
    signed = etree.fromstring(octets)
    found = signed.find(f"{DSIG}Signature")
    forged = etree.fromstring(white_list(NOW, ("mafia.example", OPERATOR)))
    holder = etree.SubElement(found, f"{DSIG}Object")
    signed.remove(found)
    holder.append(signed)
    forged.append(found)
    return bytes(etree.tostring(forged))


def commented(octets: bytes) -> bytes:
    """Comments aren't signed: one in a domain's name must not cut it short."""
    return octets.replace(b"hopital.mssante.fr", b"hopital.mssante.fr<!-- -->", 1)


@pytest.mark.parametrize("change", [altered, added, wrapped])
def test_altered(change: Callable[[bytes], bytes]) -> None:
    """Whatever was changed, added or wrapped around since it was signed is found."""
    assert refused(change(OURS.sign(LIST))) is Cause.SIGNATURE


def test_comment() -> None:
    """What isn't signed changes nothing of what is read."""
    assert refused(commented(OURS.sign(LIST))) is None


def test_weak() -> None:
    """SHA-1 and an RSA key of 1024 bits vouch for nothing."""
    with pytest.raises(ValueError, match="2048"):
        signature.signers_of(Signer(rsa.generate_private_key(65537, 1024)).certificate.public_bytes(Encoding.PEM))


def test_no_list() -> None:
    """What is no list is told as such, and never comes to the signature: a document type least of all."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + OURS.sign(LIST)
    assert refused(bomb) is Cause.MALFORMED
    assert refused(b"") is Cause.EMPTY
