"""Whom an IHE XDM archive is about; and that no archive, however made, costs more than it may or is read two ways."""

import io
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.ins import PatientId, Scheme
from mssmail.mime import xdm
from mssmail.mime.archive import MAX_ENTRIES, Flaw, Unread
from mssmail.mime.scan import Scanner
from mssmail.mime.xdm import MAX_PATIENTS, candidates, read
from tests.fuzz.target import cut
from tests.support.archives import (
    CALCULATED,
    LOCAL,
    METADATA,
    NIA,
    TEST,
    archive,
    cx,
    mail,
    matricule,
    metadata,
    overlapping,
    zipped,
)

HER = PatientId(Scheme.INS, matricule())
HIM = PatientId(Scheme.INS, matricule("1650759350123"))


def of(octets: bytes, sizes: bytes = b"") -> xdm.Metadata | None:
    return read(lambda: iter(cut(octets, sizes)))


def patients(octets: bytes) -> tuple[PatientId, ...]:
    found = of(octets)
    assert found is not None
    return found.patients


def flaw(octets: bytes) -> Flaw:
    with pytest.raises(Unread) as caught:
        of(octets)
    return caught.value.flaw


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (metadata(), (HER,)),
        (metadata(submission=cx(matricule())), (HER,)),
        (metadata(source=cx("77", LOCAL), entry=cx(matricule("1650759350123"), NIA)), (HIM,)),
        (metadata(entry=cx(matricule("1650759350123"))), (HER, HIM)),
        (metadata(source=cx("1850578006084")), (HER,)),
        (metadata(source=f"<![CDATA[{matricule()}^^^&1.2.250.1.213.1.4.8&ISO^NH]]>"), (HER,)),
        (metadata(source=" 1 85 05 78 006 084 " + matricule()[-2:] + cx("")), (HER,)),
        (metadata(source=f"{cx('77', LOCAL)}~{cx(matricule())}"), (HER,)),
        (metadata(source=cx(matricule(), TEST)), (PatientId(Scheme.TEST, matricule()),)),
        (
            metadata(source=cx("0123456789012345678901", CALCULATED)),
            (PatientId(Scheme.CALCULATED, "0123456789012345678901"),),
        ),
        (metadata(source=cx("77", LOCAL)), ()),
        (metadata(source=matricule()), ()),
        (metadata().replace("rim:", "").replace("xmlns:rim", "xmlns"), (HER,)),
        (metadata(encoding="ISO-8859-1").replace("Compte", "Comptes réunis").encode("latin-1"), (HER,)),
        (metadata().replace("Compte", "Comptes réunis").encode("latin-1"), (HER,)),
        (metadata(encoding="windows-1252").replace("Compte", "Œuvre").encode("cp1252"), (HER,)),
        (metadata(encoding="UTF-16").encode("utf-16"), (HER,)),
        (metadata(encoding="x-nobody-knows"), (HER,)),
    ],
)
def test_whom(said: str | bytes, found: tuple[PatientId, ...]) -> None:
    """Every patient whose INS stands in slots or identifiers is found, once, in whatever encoding, and nobody else."""
    assert patients(archive(said=said)) == found


@pytest.mark.parametrize("number", ["", "x", matricule()[:-2] + "00", "9" * 300, "'; DROP", "1" * 22, "é" * 15])
def test_numbers_that_none_has(number: str) -> None:
    """What is said to be an INS and can't be is counted, and is nobody's."""
    found = of(archive(said=metadata(source=cx(number))))
    assert found == xdm.Metadata((), 1)


@pytest.mark.parametrize(
    "name", ["ihe_xdm/subset01/metadata.xml", "IHE_XDM\\SUBSET01\\METADATA.XML", f"envoi/{METADATA}"]
)
def test_names(name: str) -> None:
    """Case, Windows' separators and a folder around it make no difference."""
    assert patients(zipped((name, metadata().encode()))) == (HER,)


def test_several_sets() -> None:
    """Each submission set is read."""
    other = metadata(source=cx(matricule("1650759350123"))).encode()
    assert set(patients(archive([("IHE_XDM/SUBSET02/METADATA.XML", other)]))) == {HER, HIM}


@pytest.mark.parametrize("octets", [zipped(), zipped(("photo.jpg", b"x")), zipped(("METADATA.XML", b"<a/>"))])
def test_other_archives(octets: bytes) -> None:
    """A zip that is no XDM archive is none, and no fault."""
    assert of(octets) is None


def test_nothing_printed() -> None:
    """Who is concerned doesn't show in what Python prints of it."""
    assert matricule() not in repr(of(archive()))


# --- archives that nobody should write ---


def encrypted() -> bytes:
    """METADATA.XML marked as encrypted, in the table and in its own header."""
    octets = bytearray(zipped((METADATA, metadata().encode())))
    octets[6] |= 1
    octets[octets.rindex(b"PK\1\2") + 8] |= 1
    return bytes(octets)


def link() -> bytes:
    info = zipfile.ZipInfo(METADATA)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as made:
        made.writestr(info, "/etc/passwd")
    return octets.getvalue()


def lying(announced: int) -> bytes:
    """Metadata that unpack to more than the table says."""
    octets = bytearray(zipped((METADATA, b" " * 900_000)))
    at = octets.rindex(b"PK\1\2")
    octets[at + 24 : at + 28] = struct.pack("<L", announced)
    return bytes(octets)


def two_faced() -> bytes:
    """Its own header gives a file another name than the table."""
    return zipped((METADATA, metadata().encode())).replace(b"METADATA", b"INNOCENT", 1)


def wrong_sum() -> bytes:
    octets = bytearray(zipped((METADATA, metadata().encode()), method=zipfile.ZIP_STORED))
    at = octets.index(b"185057")
    octets[at] ^= 1
    return bytes(octets)


DEEP = "".join(f"<a{n * n % 99_991}>" for n in range(20_000))
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    "<x>&c;</x>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
MANY = "".join(
    f'<Slot name="sourcePatientId"><Value>{cx(matricule(f"18505780{n:05}"))}</Value></Slot>' for n in range(99)
)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", Flaw.DAMAGED),
        (b"PK\5\6", Flaw.DAMAGED),
        (b"PK\5\6" * 20_000, Flaw.DAMAGED),
        (archive()[:-1], Flaw.DAMAGED),
        (archive() + b"\n", Flaw.DAMAGED),
        (archive()[1:], Flaw.DAMAGED),
        (b"MZ" + archive(), Flaw.DAMAGED),
        (two_faced(), Flaw.DAMAGED),
        (wrong_sum(), Flaw.DAMAGED),
        (encrypted(), Flaw.ENCRYPTED),
        (zipped((METADATA, b"<a/>"), method=zipfile.ZIP_BZIP2), Flaw.UNSUPPORTED),
        (archive([("../../etc/cron.d/x", b"")]), Flaw.TRAVERSAL),
        (archive([("/etc/cron.d/x", b"")]), Flaw.TRAVERSAL),
        (archive([("C:/autoexec.bat", b"")]), Flaw.TRAVERSAL),
        (archive([("a\\..\\..\\x", b"")]), Flaw.TRAVERSAL),
        (link(), Flaw.TRAVERSAL),
        (overlapping(3, metadata().encode()), Flaw.OVERLAP),
        (zipped((METADATA, b" " * 50_000_000)), Flaw.BOMB),
        (zipped((METADATA, b" " * 3_000_000)), Flaw.BOMB),
        (lying(1000), Flaw.BOMB),
        (lying(2_000_000_000), Flaw.BOMB),
        (archive((f"{n}", b"") for n in range(MAX_ENTRIES)), Flaw.TOO_MANY),
        (archive((f"IHE_XDM/S{n}/METADATA.XML", b"<a/>") for n in range(20)), Flaw.TOO_MANY),
        (archive(said=f"<x>{MANY}</x>"), Flaw.TOO_MANY),
        (zipped(("IHE_XDM.ZIP", archive())), Flaw.NESTED),
        (zipped(("IHE_XDM/SUBSET01/DOC.XML", b"<a/>")), Flaw.NO_METADATA),
        (archive([(METADATA.lower(), b"<a/>")]), Flaw.DAMAGED),
        (archive(said=LAUGHS), Flaw.DOCTYPE),
        (archive(said=OUTSIDE), Flaw.DOCTYPE),
        (archive(said=LAUGHS.encode("utf-16")), Flaw.DOCTYPE),
        (archive(said=DEEP), Flaw.DEEP),
        (archive(said=metadata().replace("</rim:Slot>", "", 1)), Flaw.MALFORMED),
        (archive(said="n'importe quoi"), Flaw.MALFORMED),
        (archive(said=""), Flaw.MALFORMED),
    ],
)
def test_refused(octets: bytes, expected: Flaw) -> None:
    """Each archive that can't be read, or mustn't be, is told by what is wrong with it."""
    assert flaw(octets) is expected


def test_elements_without_end() -> None:
    """Metadata of very many elements are given up."""
    content = "<x>" + "".join(f"<a{n % 7}{n}/>" for n in range(250_000)) + "</x>"
    assert flaw(archive(said=content)) is Flaw.BOMB


def test_patients_up_to_the_bound() -> None:
    """As many patients as may be are all found."""
    slots = MANY.split("</Slot>")[:MAX_PATIENTS]
    assert len(patients(archive(said="<x>" + "</Slot>".join([*slots, "</x>"])))) == MAX_PATIENTS


def test_memory() -> None:
    """A large archive is gone through in pieces: what it takes doesn't grow with it."""
    document = zlib.compress(b"x") * 100
    big = archive([("IHE_XDM/SUBSET01/BIG.BIN", bytes(range(256)) * 60_000 + document)], method=zipfile.ZIP_STORED)
    assert len(big) > 15_000_000

    def pieces() -> "memoryview":
        return memoryview(big)

    tracemalloc.start()
    try:
        found = read(lambda: (bytes(pieces()[at : at + 65_536]) for at in range(0, len(big), 65_536)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found is not None
    assert found.patients == (HER,)
    assert peak < 3_000_000


@given(st.binary(min_size=1, max_size=5), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_pieces(sizes: bytes, method: int) -> None:
    """However the octets are cut, the same is found."""
    octets = archive(
        [("IHE_XDM/SUBSET02/METADATA.XML", metadata(source=cx(matricule("1650759350123"))).encode())], method=method
    )
    assert of(octets, sizes) == of(octets)


@given(st.integers(0, 5_000), st.binary(min_size=1, max_size=8))
def test_damage(at: int, put: bytes) -> None:
    """Whatever is overwritten in an archive, it is read or refused, and never taken for one about another patient."""
    octets = archive()
    changed = octets[: at % len(octets)] + put + octets[at % len(octets) + len(put) :]
    try:
        found = of(changed)
    except Unread:
        return
    assert found is None or found.patients in ((HER,), ())


@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=50)), max_size=8), st.text(max_size=200))
def test_any_files(files: list[tuple[str, bytes]], said: str) -> None:
    """Any files and any metadata are read or refused."""
    try:
        octets = archive(files, said=said.encode("utf-8", "replace"))
    except (ValueError, UnicodeError):
        return
    try:
        of(octets)
    except Unread:
        pass


# --- which parts ---


@pytest.mark.parametrize(
    ("headers", "is_one"),
    [
        ("Content-Type: application/zip", True),
        ("Content-Type: application/x-zip-compressed", True),
        ("Content-Type: application/octet-stream; name=ihe_xdm.zip", True),
        ("Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=IHE-XDM.ZIP", True),
        ("Content-Disposition: attachment; filename*=utf-8''ihe%5Fxdm.zip", True),
        ('Content-Disposition: attachment; filename="=?utf-8?q?ihe=5Fxdm.zip?="', True),
        ("Content-Type: application/pdf; name=lettre.pdf", False),
        ("Content-Type: text/plain", False),
    ],
)
def test_candidates(headers: str, is_one: bool) -> None:
    """A part is looked at where its type or its name says so, wherever it stands."""
    part = f"{headers}\r\n\r\nxxxx"
    mixed = f"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nBonjour\r\n--b\r\n{part}\r\n--b--\r\n"
    embedded = f"Content-Type: message/rfc822\r\n\r\n{mixed}"
    for message in (part, mixed, embedded):
        scanner = Scanner()
        scanner.feed(message.encode())
        found = candidates(scanner.finish())
        assert len(found) == is_one
        assert all(message[node.body_start : node.end].startswith("xxxx") for node in found)


def test_a_mail_of_its_own() -> None:
    """A plain mail has none; one with an archive has that."""
    for message, count in ((b"Subject: x\r\n\r\nBonjour.\r\n", 0), (mail(archive()), 1)):
        scanner = Scanner()
        scanner.feed(message)
        assert len(candidates(scanner.finish())) == count
