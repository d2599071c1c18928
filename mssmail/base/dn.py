"""Distinguished names (X.501) as values that compare: attribute by attribute, by OID, never as printed strings.

Two names are equal when they hold the same attributes with the same values, whatever their order, grouping, spacing or
case (X.520 caseIgnoreMatch); accents count. The order of a printed name and that of a certificate are each other's
reverse, and a multi-valued RDN has none, so order tells nothing that a listed operator is known by.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

MAX_CHARS: Final = 2048
MAX_ATTRIBUTES: Final = 32

# RFC 4514 §3, and the names that tools print for others found in certificates of organisations
_OIDS: Final = {
    "CN": "2.5.4.3",
    "SN": "2.5.4.4",
    "SERIALNUMBER": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "S": "2.5.4.8",
    "STREET": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "T": "2.5.4.12",
    "TITLE": "2.5.4.12",
    "GN": "2.5.4.42",
    "GIVENNAME": "2.5.4.42",
    "ORGANIZATIONIDENTIFIER": "2.5.4.97",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "E": "1.2.840.113549.1.9.1",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
}
_NAMES: Final = {oid: name for name, oid in reversed(_OIDS.items())}
_TYPE = re.compile(r" *(?:OID\.)?([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+) *= *", re.IGNORECASE)
_PLAIN = re.compile(r'[^\\",+;<>\0]+')
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
_ESCAPABLE: Final = frozenset(' "#+,;<=>\\')


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """Attributes as (dotted OID, value); equal and hashed by `key` alone."""

    attributes: tuple[tuple[str, str], ...] = field(compare=False)
    key: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def of(cls, attributes: Iterable[tuple[str, str]]) -> "DistinguishedName":
        """From attributes that a certificate holds, in its order."""
        taken = tuple(attributes)
        return cls(taken, tuple(sorted((oid, _matched(value)) for oid, value in taken)))

    @classmethod
    def parse(cls, text: str) -> "DistinguishedName | None":
        """Read a printed name (RFC 4514 §3, with the spaces and the quotes of RFC 2253 §4); None where it isn't one.

        An attribute whose name isn't known, a value in hexadecimal (#…) and an empty value make it none.
        """
        if len(text) > MAX_CHARS:
            return None
        attributes: list[tuple[str, str]] = []
        at = 0
        while len(attributes) < MAX_ATTRIBUTES:
            kind = _TYPE.match(text, at)
            oid = None if kind is None else _oid(kind[1])
            if kind is None or oid is None:
                return None
            read = _value(text, kind.end())
            if read is None or not read[0]:
                return None
            attributes.append((oid, read[0]))
            at = read[1]
            if at == len(text):
                return cls.of(attributes)
            if text[at] not in ",+;":
                return None
            at += 1
        return None

    def __str__(self) -> str:
        """As RFC 4514 prints it, in the order it was given in."""
        return _printed(self.attributes)


@lru_cache(1024)  # operators' names are printed with each message
def _printed(attributes: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{_NAMES.get(oid, oid)}={_escaped(value)}" for oid, value in attributes)


def _oid(name: str) -> str | None:
    return name if name[0].isdigit() else _OIDS.get(name.upper())


def _matched(value: str) -> str:
    """caseIgnoreMatch, nearly: composed alike, case folded, runs of space as one (RFC 4518 §2)."""
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def _value(text: str, at: int) -> tuple[str, int] | None:
    """The value that begins at `at`, unescaped, and where it ends."""
    if text[at : at + 1] == "#":
        return None
    quoted = text[at : at + 1] == '"'
    at += quoted
    octets = bytearray()
    kept = 0
    while at < len(text):
        plain = _PLAIN.match(text, at)
        if plain is not None:
            octets += plain[0].encode("utf-8", "surrogatepass")
            at = plain.end()
            continue
        character = text[at]
        if character == "\\":
            pair = _HEX.match(text, at + 1)
            if pair is not None:
                octets.append(int(pair[0], 16))
                at += 3
            elif text[at + 1 : at + 2] in _ESCAPABLE:
                octets += text[at + 1].encode()
                at += 2
            else:
                return None
            kept = len(octets)
        elif quoted and character == '"':
            return _ended(octets, len(octets), _skipped(text, at + 1))
        elif quoted and character in ",+;<>":
            octets += character.encode()
            at += 1
        elif character in ",+;" and not quoted:
            break
        else:
            return None
    return None if quoted else _ended(octets, kept, at)


def _ended(octets: bytearray, kept: int, at: int) -> tuple[str, int] | None:
    """The octets as text, without the space at its end that wasn't escaped."""
    octets[kept:] = octets[kept:].rstrip(b" ")
    try:
        return octets.decode(), at
    except UnicodeDecodeError:
        return None


def _skipped(text: str, at: int) -> int:
    while text[at : at + 1] == " ":
        at += 1
    return at


def _escaped(value: str) -> str:
    shown = "".join(f"\\{c}" if c in '"+,;<>\\' else "\\00" if c == "\0" else c for c in value)
    if shown.startswith((" ", "#")):
        shown = "\\" + shown
    if shown.endswith(" ") and not shown.endswith("\\ "):
        shown = shown[:-1] + "\\ "
    return shown
