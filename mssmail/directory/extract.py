"""The extracts' columns: a header tells the kind of file, lines become rows ready for a snapshot.

Knows both extracts by the names of their columns, never by position or file name, since columns get appended. Knows
nothing of SQL. Two million lines go through here in one import, so rows are plain tuples and lines are split no
further than the last column that is wanted.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter

from mssmail.base.address import Address
from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.model import Fault, Kind, encode_professions, search_key
from mssmail.directory.source import Block, Source, Tally

BATCH = 100_000
"""Rows handed on at a time: some 40 MB."""
MAX_PROFESSIONS = 10_000
"""Remembered as sound; the true files have some hundred pairs of code and category."""
MAX_OF_ONE = 20
"""Professions kept for one person; nobody has more than a few."""
MAX_VALUE_CHARS = 200
"""Names are cut there; the longest true one is half of it."""

PersonRow = tuple[str, str, str, str, str, str]
"""national id, id type, name, given name, professions as `encode_professions` spells them, both names' search key"""
BoxRow = tuple[str, str, str, str, str, str]
"""address key, kind, national id or "", structure id or "", address as written, service"""
StructureRow = tuple[str, str]
"""structure id, name"""


@dataclass(frozen=True, slots=True)
class Column:
    """A wanted column: its names, as `fold_header` leaves them."""

    names: tuple[str, ...]
    required: bool = True
    read: bool = True
    """False for one that only tells the kind of file."""


_NATIONAL = Column(("identification nationale pp",))
_ID_TYPE = Column(("type d'identifiant pp", "type identifiant pp"))
_ID = Column(("identifiant pp",))

COLUMNS: Mapping[Kind, tuple[Column, ...]] = {
    Kind.ACTIVITY: (
        _NATIONAL,
        _ID_TYPE,
        _ID,
        Column(("nom d'exercice",)),
        Column(("prenom d'exercice",)),
        Column(("code profession",)),
        Column(("code categorie professionnelle",)),
        # the register's other extracts (savoir-faire, diplômes) lack it
        Column(("code mode exercice",), read=False),
    ),
    Kind.BOXES: (
        Column(("type de bal",)),
        Column(("adresse bal",)),
        _NATIONAL,
        _ID_TYPE,
        _ID,
        Column(("type identifiant structure",)),
        Column(("identification structure",)),
        Column(("raison sociale structure bal",), required=False),
        Column(("service de rattachement",), required=False),
    ),
}
_MARKS: Mapping[Kind, frozenset[str]] = {
    Kind.BOXES: frozenset({"adresse bal", "type de bal"}),
    Kind.ACTIVITY: frozenset({"code profession", "nom d'exercice", "code mode exercice"}),
}

ID_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9/._-]{0,63}")
PROFESSION = re.compile(r"[A-Za-z0-9]{1,6}:[A-Za-z0-9]{0,4}")
_PLAIN_ADDRESS = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*@[a-z0-9]+(?:[.-][a-z0-9]+)*")
"""Up to 64 characters of this are an Address and its own key: nine in ten, at a fifth of the cost of parsing."""
_APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")


_FIRST = itemgetter(0)
"""Strings alone are sorted several times faster than the tuples that begin with them."""


def fold_header(name: str) -> str:
    """The form by which column names are compared: no accents, one apostrophe, lower case, single spaces."""
    plain = unicodedata.normalize("NFKD", name.translate(_APOSTROPHES))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).strip(' "\ufeff').lower().split())


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the wanted columns stand in a file."""

    kind: Kind
    separators: int
    """In a full line without a trailing one."""
    splits: int
    """How far a line is split."""
    pick: Callable[[list[str]], tuple[str, ...]]
    """Takes a split line with an empty value appended; gives the values in the order of COLUMNS."""


def recognise(header: str, name: str) -> Layout:
    """Tell an extract's kind and its columns' places from its header.

    Raises Refusal(IMPORT) for a file of another kind, or one that lacks a column or has it twice.
    """
    columns = [fold_header(c) for c in header.split("|")]
    while columns and not columns[-1]:
        columns.pop()
    kind = next((k for k, marks in _MARKS.items() if not marks.isdisjoint(columns)), None)
    if kind is None:
        raise Refusal(Reason.IMPORT, f"{name}: the first line is not the header of a known extract")
    places = []
    for column in COLUMNS[kind]:
        found = [i for i, c in enumerate(columns) if c in column.names]
        if len(found) > 1:
            raise Refusal(Reason.IMPORT, f"{name}: column stands twice: {column.names[0]}")
        if not found and column.required:
            raise Refusal(Reason.IMPORT, f"{name}: column missing: {column.names[0]}")
        if column.read:
            places.append(found[0] if found else -1)
    return Layout(kind, len(columns) - 1, max(places) + 1, itemgetter(*places))


@dataclass(slots=True)
class Rows:
    """The lines of an opened extract after its header."""

    source: Source
    layout: Layout
    blocks: Iterator[Block]
    on_block: Callable[[int, int], None]
    """Told lines and octets read so far, after each block."""
    lines_read: int = field(default=0, init=False)

    @property
    def _tally(self) -> Tally:
        return self.source.tally

    def people(self) -> Iterator[list[PersonRow]]:
        """Batches of people sorted by id, one a person and batch; the same person may stand in several batches.

        Activities of a person become one row here because they mostly follow one another in the file.
        """
        pending: dict[str, PersonRow] = {}
        sound: set[str] = set()
        for line, (raw_id, id_type, bare_id, name, given, code, category) in self._lines():
            profession = f"{code}:{category}"
            known = pending.get(raw_id) if raw_id else None
            if known is not None and known[4] == profession:
                continue
            if profession not in sound:
                code = code.strip()
                profession = f"{code}:{category.strip()}" if code else ""
                if code and not PROFESSION.fullmatch(profession):
                    self._tally.add(Fault.BAD_PROFESSION, line)
                    continue
                if len(sound) < MAX_PROFESSIONS:
                    sound.add(profession)
            if known is not None:
                if profession and known[4].count(" ") < MAX_OF_ONE:
                    both = encode_professions([*known[4].split(), profession])
                    pending[raw_id] = (*known[:4], both, known[5])
                continue
            national_id = self._national_id(raw_id, id_type, bare_id, line)
            if national_id is None:
                continue
            if id_type != national_id[0]:
                id_type = id_type.strip()[:4] or national_id[0]
            name, name_key = _spelt(name)
            given, given_key = _spelt(given)
            key = f"{name_key} {given_key}"
            pending[raw_id or national_id] = (national_id, id_type, name, given, profession, key)
            if len(pending) >= BATCH:
                yield sorted(pending.values(), key=_FIRST)
                pending = {}
        if pending:
            yield sorted(pending.values(), key=_FIRST)

    def boxes(self) -> Iterator[tuple[list[BoxRow], list[StructureRow]]]:
        """Batches of boxes sorted by address, with the structures they name."""
        boxes: list[BoxRow] = []
        structures: dict[str, str] = {}
        for line, values in self._lines():
            kind, written, raw_id, id_type, bare_id, structure_type, structure, structure_name, service = values
            kind = kind.strip().upper()
            if kind not in _KINDS:
                self._tally.add(Fault.BAD_KIND, line)
                continue
            key = written = written.strip()
            if len(written) > 64 or not _PLAIN_ADDRESS.fullmatch(written):
                address = Address.parse(written)
                if address is None:
                    self._tally.add(Fault.BAD_ADDRESS, line)
                    continue
                key, written = address.key, str(address)
            person = ""
            if kind == "PER" or raw_id or bare_id:
                checked = self._national_id(raw_id, id_type, bare_id, line)
                if checked is None:
                    continue
                person = checked
            structure_id = _structure_id(structure_type.strip(), structure.strip())
            if structure_id is None:
                self._tally.add(Fault.BAD_ID, line)
                continue
            if structure_id and not structures.get(structure_id):
                structures[structure_id] = clean(structure_name)
            boxes.append((key, kind, person, structure_id, written, clean(service)))
            if len(boxes) >= BATCH:
                yield sorted(boxes, key=_FIRST), sorted(structures.items())
                boxes, structures = [], {}
        if boxes:
            yield sorted(boxes, key=_FIRST), sorted(structures.items())

    def _lines(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Line numbers and wanted values of the lines whose width is right."""
        least, splits, pick = self.layout.separators, self.layout.splits, self.layout.pick
        for block in self.blocks:
            blank = 0
            for line, text in enumerate(block.lines, block.first_line):
                separators = text.count("|")
                # a trailing separator is usual; any other surplus means that the columns have shifted
                if separators == least or (separators == least + 1 and text.endswith("|")):
                    values = text.split("|", splits)
                    values.append("")
                    yield line, pick(values)
                elif not text or text.isspace():
                    blank += 1
                else:
                    few = separators < least
                    self._tally.add(Fault.TOO_FEW_COLUMNS if few else Fault.TOO_MANY_COLUMNS, line)
            self.lines_read += len(block.lines) - blank
            self.on_block(self.lines_read, block.octets_read)

    def _national_id(self, national_id: str, id_type: str, bare_id: str, line: int) -> str | None:
        """Check a national id (type + id, TRE_G08), put together from its parts where it is left empty."""
        if len(national_id) == 12 and national_id[0] == "8" and national_id.isdigit() and national_id.isascii():
            # the usual case, some 100 ns
            if not luhn_holds(national_id[1:]):
                self._tally.add(Fault.LUHN, line)
            return national_id
        national_id = national_id.strip() or (bare_id.strip() and id_type.strip() + bare_id.strip())
        if not national_id:
            self._tally.add(Fault.MISSING_ID, line)
            return None
        if not ID_TOKEN.fullmatch(national_id):
            self._tally.add(Fault.BAD_ID, line)
            return None
        if not national_id.isdigit() and "/" not in national_id:
            # an employee's id has a stroke: a structure's with a number behind it
            self._tally.add(Fault.NOT_NUMERIC, line)
        return national_id


def open_rows(source: Source, on_block: Callable[[int, int], None]) -> Rows:
    """Read a source's header and be ready for its lines.

    Raises Refusal(IMPORT) as `recognise` does.
    """
    blocks = source.blocks()
    first = next(blocks, None)
    if first is None or not any(first.lines):
        raise Refusal(Reason.IMPORT, f"{source.name}: the file is empty")
    layout = recognise(first.lines[0], source.name)
    first.lines[0] = ""
    return Rows(source, layout, _again(first, blocks), on_block)


def _again(first: Block, rest: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from rest


@lru_cache(maxsize=100_000)  # names repeat
def _spelt(name: str) -> tuple[str, str]:
    """A name fit for a screen, and its search key."""
    name = clean(name)
    return name, search_key(name)


def clean(value: str) -> str:
    """A value fit for a screen: trimmed, NFC, control and formatting characters made spaces, cut to 200."""
    value = value.strip()
    if not value.isascii():
        value = unicodedata.normalize("NFC", value)
    if not value.isprintable():
        value = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return value[:MAX_VALUE_CHARS]


def _structure_id(structure_type: str, structure: str) -> str | None:
    """A structure's id with its type before it; "" where there is none, None where it isn't a token.

    The extract's documentation leaves open whether the type already stands in the id; a FINESS has 9 characters and a
    SIRET 14, so the length tells. `4`+RPPS+rank and whatever else comes stay as written.
    """
    if not structure:
        return ""
    if not ID_TOKEN.fullmatch(structure):
        return None
    if len(structure) == 9 and structure_type.upper() in ("1", "3", "FINESS"):
        return "1" + structure
    if len(structure) == 14 and structure_type.upper() in ("3", "5", "SIRET"):
        return "3" + structure
    return structure


_KINDS = frozenset(k.value for k in BoxKind if k is not BoxKind.EMP)

# Luhn sums of all groups of four digits: an even length, so that one table serves every group of a number.
_LUHN = [
    sum(int(d) if i % 2 else (int(d) * 2 // 10 + int(d) * 2 % 10) for i, d in enumerate(f"{n:04d}"))
    for n in range(10_000)
]


def luhn_holds(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of those before (ISO/IEC 7812-1 annex B)."""
    number, total = int(digits), 0
    while number:
        total += _LUHN[number % 10_000]
        number //= 10_000
    return total % 10 == 0
