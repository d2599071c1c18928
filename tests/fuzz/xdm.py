"""IHE XDM archives under fuzz: what they are made of, and their metadata."""

import zlib

from mssmail.mime.archive import Unread
from mssmail.mime.transfer import decode, decode_stream
from mssmail.mime.xdm import MAX_PATIENTS, Metadata, read
from tests.fuzz.target import Target, cut
from tests.support.archives import METADATA, zipped


def _read(octets: bytes, sizes: bytes) -> Metadata | str | None:
    try:
        found = read(lambda: iter(cut(octets, sizes)))
    except Unread as unread:
        return unread.flaw.value
    if found is not None:
        assert len(found.patients) <= MAX_PATIENTS
        assert len(set(found.patients)) == len(found.patients)
        repr(found)
    return found


def octets_of_archive(data: bytes) -> None:
    """Any octets are an archive or none, the same however they are cut."""
    sizes, octets = data[:2], data[2:]
    assert _read(octets, sizes) == _read(octets, b"")


def metadata(data: bytes) -> None:
    """Any octets are metadata or none."""
    _read(zipped((METADATA, data)), b"\x40")


def transfer(data: bytes) -> None:
    """A part's octets are decoded the same in pieces; base64 up to its first padding."""
    sizes, octets = data[:2], data[2:]
    for encoding in (b"quoted-printable", b"8bit", b"base64"):
        whole = b"".join(decode_stream([octets], encoding))
        assert b"".join(decode_stream(cut(octets, sizes), encoding)) == whole
        if encoding != b"base64":
            assert whole == decode(octets, encoding)


_WORDS = b"""<Slot name="sourcePatientId"> <Value> </Value> </Slot> <ExternalIdentifier value="
identificationScheme="urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427" ^^^ &amp;1.2.250.1.213.1.4.8&amp;ISO
185057800608436 <![CDATA[ ]]> <!DOCTYPE <?xml encoding="utf-16"?> encoding="cp037" /> xmlns=""".split()
_MARKS = (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\7\x08", b"\0\0", METADATA.encode(), zlib.compress(b"<a/>")[2:-4])
TARGETS = (
    Target("xdm-archive", octets_of_archive, _MARKS, 8192),
    Target("xdm-metadata", metadata, (*_WORDS, b" ", b'"', b">", b"\xff\xfe")),
    Target("transfer", transfer, (b"=", b"=\r\n", b"=3D", b"QUJD", b"\r\n", b"=\n", b" ", b"==")),
)
