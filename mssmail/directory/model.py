"""What the health directory says: people, structures, boxes, and what is known of a snapshot.

Knows the directory's own words and nothing of files, SQL or accounts. Every value was checked by the reader that
made it: ids are short printable tokens, addresses parse.
"""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, unique

from mssmail.base.address import Address
from mssmail.base.principal import BoxKind


@unique
class Kind(Enum):
    """What a snapshot is made of: the two kinds of extract, and changes told by the API."""

    ACTIVITY = "activity"
    """`PS_LibreAcces_Personne_activite` and its Pro Santé Connect variant: who practises what."""
    BOXES = "boxes"
    """`Extraction_Correspondance_MSSante`: which boxes there are, and whose."""
    FHIR = "fhir"
    """People, boxes and structures as the FHIR API tells them, laid over what the extracts say."""


@unique
class Fault(Enum):
    """What was wrong with a line of an extract or a resource of the API.

    The doubts are counted and the line is kept; the others skip it.
    """

    TOO_FEW_COLUMNS = "too-few-columns"
    TOO_MANY_COLUMNS = "too-many-columns"
    """A separator inside a value: every later column would be read in another's place."""
    MISSING_ID = "missing-id"
    BAD_ID = "bad-id"
    BAD_PROFESSION = "bad-profession"
    BAD_ADDRESS = "bad-address"
    BAD_KIND = "bad-kind"
    TOO_LONG = "line-too-long"
    UNDECODABLE = "undecodable"
    UNRESOLVED = "unresolved-reference"
    """A resource whose person or structure the API didn't send along."""
    LUHN = "doubt-rpps-check-digit"
    NOT_NUMERIC = "doubt-id-not-numeric"
    """Some test identities of the ANS (`ANS20231122132732`)."""
    OTHER_ENCODING = "doubt-line-in-cp1252"

    @property
    def is_doubt(self) -> bool:
        return self in _DOUBTS


_DOUBTS = frozenset({Fault.LUHN, Fault.NOT_NUMERIC, Fault.OTHER_ENCODING})


@dataclass(frozen=True, slots=True)
class FaultCount:
    """How many lines had a fault, and the first of them (the header is line 1)."""

    fault: Fault
    count: int
    first_line: int


@dataclass(frozen=True, slots=True)
class Profession:
    """A profession (TRE_G15 code) and its category (C civil, M military, E student, F civil servant; or empty)."""

    code: str
    category: str


@dataclass(frozen=True, slots=True)
class Person:
    """A professional of the newest extract; being in it is being registered and active."""

    national_id: str
    id_type: str
    """TRE_G08: `8` RPPS, `0` ADELI."""
    name: str
    given_name: str
    professions: tuple[Profession, ...]
    """Distinct, sorted; empty where no activity names one."""

    def practises(self, allowed: Collection[str]) -> bool:
        """Whether one of the professions' codes is among `allowed`."""
        return any(p.code in allowed for p in self.professions)


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure that holds a box: `1`+FINESS, `3`+SIRET, `4`+RPPS+rank."""

    structure_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Box:
    """A row of the directory of boxes. An address that stands on several rows gives several of these."""

    address: Address
    kind: BoxKind
    national_id: str | None
    """The holder of a PER box; whoever answers for another, where the extract says so."""
    structure_id: str | None
    service: str
    red_listed: bool | None
    """Receives but is never found by a search; None where the source doesn't say (the extract doesn't)."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """The file, or the API, that one kind of a snapshot was read from."""

    kind: Kind
    name: str
    sha256: str
    imported_at: float
    """Epoch seconds; kept when a later import carries this kind over."""
    rows: int
    """Lines after the header, blank ones left out; resources read of the API."""
    kept: int
    """People or boxes these made."""
    faults: tuple[FaultCount, ...]
    dated_at: float
    """Epoch seconds: what was published until then is in it. The stamp in an extract's name, or the import's time."""

    @property
    def skipped(self) -> int:
        """Lines that were left out."""
        return sum(f.count for f in self.faults if not f.fault.is_doubt)


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What is known of a snapshot as a whole."""

    version: int
    built_at: float
    people: int
    structures: int
    boxes: int
    """Rows; an address may stand on several."""
    sources: tuple[SourceInfo, ...]

    def source(self, kind: Kind) -> SourceInfo | None:
        return next((s for s in self.sources if s.kind is kind), None)

    @property
    def current_at(self) -> float:
        """Epoch seconds: what was published until then is in it.

        The older of the extracts tells, or the API, which tells of every change since.
        """
        extracts = [s.dated_at for s in self.sources if s.kind is not Kind.FHIR]
        api = self.source(Kind.FHIR)
        dates = ([min(extracts)] if extracts else []) + ([api.dated_at] if api is not None else [])
        return max(dates, default=self.built_at)


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a search: a person or a structure, with the boxes that may be shown."""

    holder: Person | Structure | None
    boxes: tuple[Box, ...]


class _Fold(dict[int, str]):
    """What each character becomes in a search key, worked out when first met: a country's names meet some hundred."""

    def __missing__(self, codepoint: int) -> str:
        char = chr(codepoint)
        # twice: upper case can compose again, and NFKD turn a wide sign into a plain one
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).upper())
        self[codepoint] = folded = "".join(
            " " if c.isspace() or c in _PUNCTUATION else _LIGATURES.get(c, c)
            for c in plain
            if not unicodedata.combining(c)
        )
        return folded


_PUNCTUATION = "-'’`´.,_/()"
_LIGATURES = {"Œ": "OE", "Æ": "AE"}  # NFKD leaves these as they are
_FOLD = _Fold()


def search_key(text: str) -> str:
    """The form by which names are compared: upper case, no accents, words parted by one space."""
    return " ".join(text.translate(_FOLD).split())


def encode_professions(professions: Collection[str]) -> str:
    """Distinct `code:category` words, sorted, parted by spaces: how a snapshot keeps them."""
    return " ".join(sorted(set(professions)))


def decode_professions(text: str) -> tuple[Profession, ...]:
    """Undo `encode_professions`."""
    return tuple(Profession(code, category) for code, _, category in (w.partition(":") for w in text.split()))
