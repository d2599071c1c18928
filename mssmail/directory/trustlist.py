"""The white list of the trust space: which operators' certificates speak for which domains.

Knows the published XML (`ListeBlancheMSSante`) and one file in service beside the one before it; never certificates or
connections: names come in and go out as `DistinguishedName`. A list is taken whole or not at all, and the one in
service serves on: malformed, empty, older or sharply shrunk ones are refused, since a peer's list decides who may
write to doctors.

A domain stands in the list once per certificate of its operator: domain → set of names. An entry whose own name can't
be read is left out and counted; the others serve.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, unique
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Final
from xml.parsers import expat

from mssmail.base.address import Address
from mssmail.base.clock import Clock
from mssmail.base.dn import DistinguishedName
from mssmail.base.refusal import Reason, Refusal
from mssmail.files import put_in_place, write_beside

NAMESPACE: Final = "https://listeblanche.mssante.fr/schema"
MAX_OCTETS: Final = 64 << 20
"""Some twenty times the list of 2026."""
MAX_DOMAINS: Final = 200_000
AHEAD_S: Final = 86_400.0
"""How far in the future a list may say it was made: clocks differ, and a date beyond would bar all later lists."""

_ROOT: Final = ("ListeBlancheMSSante",)
_DATE: Final = (*_ROOT, "DateDeGeneration")
_DOMAIN: Final = (*_ROOT, "ListeDomaines", "Domaine")
_NAME: Final = (*_DOMAIN, "Nom")
_DN: Final = (*_DOMAIN, "DNCertificatOperateur")
_MAX_DEPTH: Final = 16
_MAX_TEXT: Final = 4096


@unique
class Cause(Enum):
    """Why a list may not serve."""

    MALFORMED = "malformed"
    EMPTY = "empty"
    FUTURE = "future"
    OLDER = "older"
    SHRUNK = "shrunk"
    SIGNATURE = "signature"
    NONE = "none"
    """There is no list before the one in service."""


class Unfit(Refusal):
    """This list may not serve; the one in service does."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(Reason.IMPORT, detail)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class TrustList:
    """A list that was read. Domains are in lower case."""

    generated_at: float
    """Epoch seconds, by its publisher."""
    operators: Mapping[str, frozenset[DistinguishedName]] = field(repr=False)
    entries: int
    unread: int = 0
    """Entries left out because their domain or name can't be read."""
    names: frozenset[DistinguishedName] = field(default=frozenset(), repr=False)
    """Every certificate's name in it."""
    digest: str = ""
    """SHA-256 of its octets, in hexadecimal."""

    def lists(self, domain: str) -> bool:
        return domain in self.operators

    def speaks_for(self, name: DistinguishedName, domain: str) -> bool:
        """Whether a certificate's name is one of the domain's."""
        return name in self.operators.get(domain, ())

    def knows(self, name: DistinguishedName) -> bool:
        """Whether a certificate's name is any domain's."""
        return name in self.names


@dataclass(frozen=True, slots=True)
class Difference:
    """How a list differs from the one before it: domains in alphabetical order."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[str, ...]
    """Domains whose certificates changed."""


def read(octets: bytes) -> TrustList:
    """Read a list. Raises Unfit for what isn't one, with the line where that shows.

    Safe against whatever XML may hold: no document type, so no entities; depth, size and text are bounded.
    """
    if len(octets) > MAX_OCTETS:
        raise Unfit(Cause.MALFORMED, f"the list is larger than {MAX_OCTETS >> 20} MiB")
    reader = _Reader()
    try:
        reader.parser.Parse(octets, True)
    except expat.ExpatError as error:
        text = f"not well-formed: line {error.lineno}: {expat.ErrorString(error.code)}"
        raise Unfit(Cause.MALFORMED if octets.strip() else Cause.EMPTY, text) from None
    return reader.finish(sha256(octets).hexdigest())


def compare(old: TrustList, new: TrustList) -> Difference:
    """What changed from one list to the next."""
    before, after = old.operators, new.operators
    return Difference(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(domain for domain in after.keys() & before.keys() if after[domain] != before[domain])),
    )


class _Reader:
    """Collects what a parse meets. Paths of element names in the list's namespace."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype
        self._path: tuple[str, ...] = ()
        self._words: list[str] = []
        self._length = 0
        self._name: str | None = None
        self._dn: str | None = None
        self._date: float | None = None
        self._names: dict[str, DistinguishedName | None] = {}
        """By printed name: an operator stands in hundreds of entries."""
        self._operators: dict[str, set[DistinguishedName]] = {}
        self._entries = 0
        self._unread = 0

    def _doctype(self, *_: object) -> None:
        raise self._no("a document type declaration, which a list hasn't got")

    def _no(self, what: str) -> Refusal:
        return Unfit(Cause.MALFORMED, f"line {self.parser.CurrentLineNumber}: {what}")

    def _start(self, element: str, _: dict[str, str]) -> None:
        space, name = element.rpartition(" ")[::2]
        if len(self._path) >= _MAX_DEPTH:
            raise self._no("elements nested too deep")
        if not self._path and (space != NAMESPACE or name != _ROOT[0]):
            raise self._no(f"not a white list: its root element is {name[:80]}")
        # an element of another namespace has a name that none of ours is
        self._path = (*self._path, name if space == NAMESPACE else element)
        self._words.clear()
        self._length = 0
        if self._path == _DOMAIN:
            self._name = self._dn = None

    def _text(self, text: str) -> None:
        self._length += len(text)
        if self._length <= _MAX_TEXT:
            self._words.append(text)

    def _end(self, _: str) -> None:
        path, self._path = self._path, self._path[:-1]
        if path == _NAME:
            self._name = "".join(self._words).strip()
        elif path == _DN:
            self._dn = "".join(self._words).strip()
        elif path == _DATE:
            self._date = self._moment("".join(self._words).strip())
        elif path == _DOMAIN:
            self._take()
        self._words.clear()
        self._length = 0

    def _moment(self, text: str) -> float:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise self._no("DateDeGeneration is no date") from None
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()

    def _take(self) -> None:
        self._entries += 1
        if self._entries > MAX_DOMAINS:
            raise self._no(f"more than {MAX_DOMAINS} entries")
        text = self._dn or ""
        if text not in self._names:
            self._names[text] = DistinguishedName.parse(text)
        name = self._names[text]
        address = Address.parse(f"postmaster@{self._name}") if self._name else None
        if name is None or address is None:
            self._unread += 1
        else:
            self._operators.setdefault(address.domain, set()).add(name)

    def finish(self, digest: str) -> TrustList:
        if self._date is None:
            raise Unfit(Cause.MALFORMED, "the list has no DateDeGeneration")
        if not self._operators:
            raise Unfit(Cause.EMPTY, "the list names no domain")
        operators = {domain: frozenset(names) for domain, names in self._operators.items()}
        names = frozenset(name for listed in operators.values() for name in listed)
        return TrustList(self._date, operators, self._entries, self._unread, names, digest)


class Trust:
    """The list in service, in a file with the one before it beside. Safe for threads; look-ups take nanoseconds.

    It is read when it is first asked for: a command that has nothing to do with it needn't wait.
    """

    __slots__ = ("_clock", "_current", "_lock", "_looked", "_path", "_seen")

    def __init__(self, path: Path, clock: Clock) -> None:
        """`path` may not be there yet."""
        self._path = path
        self._clock = clock
        self._lock = Lock()
        self._current: TrustList | None = None
        self._seen: tuple[int, int, int] | None = None
        """What the file was like when it was last read, be it in vain."""
        self._looked = False

    @property
    def previous_path(self) -> Path:
        return self._path.with_name(self._path.name + ".previous")

    @property
    def was_given(self) -> bool:
        """Whether a list was ever put there, be it one that can't be read."""
        return self._stamp() is not None

    def current(self) -> TrustList | None:
        """The list in service; None while there is none: then no other operator may be spoken with."""
        if not self._looked:
            self.reload_if_changed()
        return self._current

    def changed(self) -> bool:
        """Whether the file was swapped since it was read: then `reload_if_changed`. Microseconds."""
        stamp = self._stamp()
        return stamp is not None and stamp != self._seen

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino, stat.st_mtime_ns

    def reload_if_changed(self) -> bool:
        """Take the file where it was swapped; whether it was. Microseconds when not, some 100 ms when it was."""
        self._looked, seen = True, self._stamp()
        if seen is None or seen == self._seen:
            return False
        try:
            current = read(self._path.read_bytes())
        except OSError:
            return False
        except Refusal:
            self._seen = seen  # what is no list doesn't become one by being read again
            return False
        self._current, self._seen = current, seen
        return True

    def take(self, octets: bytes, *, allow_shrink: bool = False, shrink_limit: float) -> tuple[TrustList, Difference]:
        """Put a list in service. `shrink_limit`: largest share of domains that may go at once.

        Raises Unfit for one that may not serve, Refusal(UNAVAILABLE, STORAGE_FULL) where it can't be kept.
        """
        new = read(octets)
        with self._lock:
            self.reload_if_changed()
            old = self._current
            if new.generated_at > self._clock.now() + AHEAD_S:
                raise Unfit(Cause.FUTURE, "the list says it was made in the future")
            if old is not None:
                self._guard(old, new, allow_shrink=allow_shrink, shrink_limit=shrink_limit)
            self._keep(octets)
            difference = compare(old, new) if old is not None else Difference(tuple(sorted(new.operators)), (), ())
            return new, difference

    def _guard(self, old: TrustList, new: TrustList, *, allow_shrink: bool, shrink_limit: float) -> None:
        if new.generated_at < old.generated_at:
            raise Unfit(Cause.OLDER, "the list is older than the one in service")
        lost = len(old.operators.keys() - new.operators.keys())
        if not allow_shrink and lost > shrink_limit * len(old.operators):
            text = f"{lost} of {len(old.operators)} domains would go at once; --allow-shrink takes it"
            raise Unfit(Cause.SHRUNK, text)

    def previous(self) -> TrustList | None:
        """The list before the one in service, if it is still there and readable."""
        try:
            return read(self.previous_path.read_bytes())
        except (OSError, Refusal):
            return None

    def roll_back(self) -> tuple[TrustList, Difference]:
        """Put the list before in service again. Raises Unfit where there is none, Refusal as `take`."""
        with self._lock:
            self.reload_if_changed()
            try:
                octets = self.previous_path.read_bytes()
            except OSError:
                raise Unfit(Cause.NONE, "there is no list before this one") from None
            back, old = read(octets), self._current
            self._keep(octets)
            return back, compare(old, back) if old is not None else Difference(tuple(sorted(back.operators)), (), ())

    def _keep(self, octets: bytes) -> None:
        """Swap the files, durably: at any moment a whole list stands under the name in service."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            put_in_place(write_beside(self._path, octets, 0o666), self._path, self.previous_path)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = Reason.STORAGE_FULL if full else Reason.UNAVAILABLE
            raise Refusal(reason, f"{self._path.name}: {error.strerror}") from error
        self.reload_if_changed()
