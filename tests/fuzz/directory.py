"""What the directory reads under fuzz: rows of extracts, archives, resources of the API."""

import io
import json
import os
import tempfile
from pathlib import Path

from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.extract import open_rows
from mssmail.directory.model import Fault, Kind
from mssmail.directory.resource import Held, read
from mssmail.directory.source import Source, Tally, open_source
from tests.fuzz.target import Target

_FILE = Path(tempfile.mkdtemp(prefix="mssmail-fuzz-")) / f"extract-{os.getpid()}"


def _columns(header: str) -> bytes:
    return header.encode() + b"\n"


_ACTIVITY = _columns(
    "Type d'identifiant PP|Identifiant PP|Identification nationale PP|Nom d'exercice|Prénom d'exercice|Code profession|"
    "Code catégorie professionnelle"
)
_BOXES = _columns(
    "Type de BAL|Adresse BAL|Type Identifiant PP|Identifiant PP|Identification nationale PP|"
    "Type identifiant structure|Identification Structure|Service de rattachement|Nom d'exercice|Prénom d'exercice|"
    "Code Profession|Raison Sociale structure BAL"
)


def _read_all(source: Source) -> None:
    """Every row, or a refusal of the whole file."""
    try:
        rows = open_rows(source, lambda lines, octets: None)
        for batch in rows.people() if rows.layout.kind is Kind.ACTIVITY else rows.boxes():
            repr(batch)
    except Refusal as refusal:
        assert refusal.reason is Reason.IMPORT


def rows(data: bytes) -> None:
    """The first octet chooses the columns, or none."""
    content = (_ACTIVITY, _BOXES, b"")[data[0] % 3] + data[1:] if data else b""
    source = Source("f", "", len(content), io.BytesIO(content), Tally())
    _read_all(source)
    source.tally.counts()


def archive(data: bytes) -> None:
    """Whatever a file is, it is read or refused."""
    _FILE.write_bytes(data)
    try:
        with open_source(_FILE) as source:
            _read_all(source)
    except Refusal as refusal:
        assert refusal.reason is Reason.IMPORT


def resource(data: bytes) -> None:
    """Any JSON object is held or told as a fault; what is held can be told from others."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        outcome = read(found, {})
        assert isinstance(outcome, Fault) or outcome.key
        if isinstance(outcome, Held):
            repr(outcome).encode()
            for text in (outcome.person, outcome.structure, outcome.name, outcome.given, *map(str, outcome.boxes)):
                text.encode()


_ROW_WORDS = b"""| 8 0 810000000017 10001234567 PER ORG APP CAB a@h.fr A@H.FR 10 C S FINESS SIRET 750000001 \xe9
\xc3\xa9
\x85
\xef\xbb\xbf \xc2\xb2 \xd9\xa1 1/2""".split()
_JSON_WORDS = tuple(
    f'"{word}"'.encode()
    for word in """resourceType Practitioner PractitionerRole Organization id identifier value system active telecom
    extension email emailType MSSANTE type name family given qualification code coding text reference practitioner
    url valueString valueBoolean valueCoding""".split()
)
TARGETS = (
    Target("directory-rows", rows, (*_ROW_WORDS, b"\n", b"\r\n", b'"', b" ", b"8|10001234567|810001234567|A|B|10|C\n")),
    Target("directory-archive", archive, (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\x0e\0", b"\x0c\0", b"\x08\0"), 2048),
    Target("directory-resource", resource, (*_JSON_WORDS, b"{", b"}", b"[", b"]", b":", b",", b"true", b"\\ud800")),
)
