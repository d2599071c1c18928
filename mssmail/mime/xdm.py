"""Which patients an IHE XDM archive is about, by its METADATA.XML (IHE ITI TF-1 §16, TF-3 §4.2). Pure.

The metadata's other words are skipped, and the documents aren't opened. Bounded in time and memory whatever the archive
is: `archive` unpacks no more than `MAX_OCTETS`; of XML no document type is taken, so there are no entities, and nothing
outside is ever asked for; depth, elements and text are bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from mssmail.base.ins import AUTHORITIES, PatientId, patient
from mssmail.mime.archive import Archive, Entry, Flaw, Stream, Unread
from mssmail.mime.node import Node
from mssmail.mime.parameters import Parameters, decoded_one
from mssmail.mime.words import decode as decode_words

MAX_OCTETS: Final = 4 << 20
"""Of all METADATA.XML of an archive together: that of a usual one has 15 KB."""
MAX_SETS: Final = 16
"""Submission sets of an archive, each in a folder of its own."""
MAX_PATIENTS: Final = 32
"""A message is about one."""
_MAX_DEPTH: Final = 64
_MAX_ELEMENTS: Final = 200_000
_MAX_VALUE: Final = 1_024

_FOLDER: Final = "IHE_XDM"
_FILE: Final = "METADATA.XML"
_SLOT: Final = "sourcePatientId"
_SCHEMES: Final = frozenset(
    {
        "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427",  # XDSDocumentEntry.patientId
        "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446",  # XDSSubmissionSet.patientId
        "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a",  # XDSFolder.patientId
    }
)
_ZIP: Final = frozenset({b"zip", b"x-zip", b"x-zip-compressed", b"zip-compressed"})


def candidates(root: Node) -> list[Node]:
    """The parts of a message that may be an archive, by what their headers say; those of embedded messages too.

    By media type or name alone, whatever the name: programs spell IHE_XDM.ZIP as they like.
    """
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if node.children:
            waiting += node.children
        elif _is_candidate(node):
            found.append(node)
    found.sort(key=lambda node: node.body_start)
    return found


def _is_candidate(node: Node) -> bool:
    if node.type == b"application" and node.subtype in _ZIP:
        return True
    named = node.disposition is not None and _named_zip(node.disposition[1], "filename")
    return named or _named_zip(node.parameters, "name")


def _named_zip(parameters: Parameters, name: str) -> bool:
    text = decoded_one(parameters, name) if parameters else None
    if text is not None and "=?" in text:
        text = decode_words(text.encode("utf-8", "replace"))
    return text is not None and text.rstrip().lower().endswith(".zip")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an archive says of patients."""

    patients: tuple[PatientId, ...]
    """Each once; none where it knows them by a number of its own alone."""
    unsound: int = 0
    """Numbers that are said to be an INS and can't be."""


def read(stream: Stream) -> Metadata | None:
    """Read an archive; None where it is one, but not of XDM. Raises Unread."""
    archive = Archive(stream)
    found = _metadata(archive.entries)
    if not found:
        if any(_FOLDER in map(str.upper, entry.path) for entry in archive.entries):
            raise Unread(Flaw.NO_METADATA)
        if any(_is_nested(entry) for entry in archive.entries):
            raise Unread(Flaw.NESTED)
        return None
    reader = _Reader()
    for octets in archive.read(found, MAX_OCTETS):
        reader.take(octets)
    return Metadata(tuple(reader.patients), reader.unsound)


def _metadata(entries: Sequence[Entry]) -> list[Entry]:
    """The sets' metadata, by name; the archive's folder may lie in another one."""
    found: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        path = tuple(map(str.upper, entry.path))
        if len(path) >= 3 and path[-1] == _FILE and path[-3] == _FOLDER:
            if path in found:
                raise Unread(Flaw.DAMAGED)
            found[path] = entry
    if len(found) > MAX_SETS:
        raise Unread(Flaw.TOO_MANY)
    return list(found.values())


def _is_nested(entry: Entry) -> bool:
    name = entry.path[-1].upper() if entry.path else ""
    return name.endswith(".ZIP") and "XDM" in name


class _Reader:
    """Collects the patients of an archive's metadata."""

    def __init__(self) -> None:
        self.patients: dict[PatientId, None] = {}
        self.unsound = 0
        self._elements = 0
        self._depth = 0
        self._within: int | None = None
        """The depth of the slot under way."""
        self._words: list[str] = []
        self._length = 0

    def take(self, octets: bytes) -> None:
        """Read one file. Raises Unread."""
        if not self._parse(octets, None) and not self._parse(octets, "iso-8859-1"):
            raise Unread(Flaw.MALFORMED)

    def _parse(self, octets: bytes, encoding: str | None) -> bool:
        """Whether it is well-formed in that encoding; None: in the one that it names itself, or UTF-8."""
        parser = expat.ParserCreate(encoding, namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        self._depth, self._within = 0, None
        try:
            parser.Parse(octets, True)
        except (expat.ExpatError, ValueError, LookupError):  # the latter two: of encodings that nobody knows
            return False
        return True

    def _doctype(self, *_: object) -> None:
        raise Unread(Flaw.DOCTYPE)

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > _MAX_DEPTH:
            raise Unread(Flaw.DEEP)
        if self._elements > _MAX_ELEMENTS:
            raise Unread(Flaw.BOMB)
        name = element.rpartition(" ")[2]
        if name == "ExternalIdentifier":
            if attributes.get("identificationScheme", "").strip().lower() in _SCHEMES:
                self._identify(attributes.get("value", ""))
        elif name == "Slot" and attributes.get("name") == _SLOT and self._within is None:
            self._within = self._depth
        if self._within is not None:
            self._words.clear()
            self._length = 0

    def _text(self, text: str) -> None:
        if self._within is not None:
            self._length += len(text)
            if self._length <= _MAX_VALUE:
                self._words.append(text)

    def _end(self, _: str) -> None:
        if self._within is not None:
            if self._words and self._length <= _MAX_VALUE:
                self._identify("".join(self._words))
            self._words.clear()
            if self._within == self._depth:
                self._within = None
        self._depth -= 1

    def _identify(self, text: str) -> None:
        """Take identifiers of HL7's type CX, `number^^^&authority&ISO`, several with `~` between."""
        for each in text[:_MAX_VALUE].split("~"):
            parts = each.strip().split("^")
            authority = parts[3].split("&") if len(parts) > 3 else []
            oid = authority[1].strip() if len(authority) > 1 else ""
            if oid not in AUTHORITIES:
                continue
            found = patient(oid, parts[0])
            if found is None:
                self.unsound += 1
            else:
                self.patients[found] = None
            if len(self.patients) > MAX_PATIENTS:
                raise Unread(Flaw.TOO_MANY)
