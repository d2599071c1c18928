"""An extract as a stream of lines: plain or inside a zip, framed with limits, decoded.

Knows octets, archives and encodings; never what a column means. Memory stays within a few blocks, whatever the file.

Encoding is decided line by line: strict UTF-8, else cp1252, else the line is left out. Decided for the whole file, one
bad octet would garble every accent of the country, or strike a professional off; a French line in cp1252 that happens
to be valid UTF-8 doesn't occur in names.
"""

import codecs
import hashlib
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.model import Fault, FaultCount

BLOCK_OCTETS = 1 << 20
MAX_LINE_OCTETS = 65_536
"""The longest true line is about 1,300 octets."""
MAX_UNPACKED_OCTETS = 8 << 30
"""Ten times the activity file; a larger member is taken for a bomb."""
MAX_MEMBERS = 1_000

_STAMP = re.compile(r"_(20\d{10})(?=\D|\Z)")


def dated_at(name: str, now: float) -> float:
    """When an extract was made, as the stamp in its name says (AAAAMMJJhhmm, taken for UTC); else `now`, never later.

    An hour or two of the publisher's zone don't matter to an age counted in days.
    """
    stamps = _STAMP.findall(name)
    if not stamps:
        return now
    try:
        made = datetime.strptime(stamps[-1], "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return now
    return min(made.timestamp(), now)


_WANTED = ("personne_activite", "correspondance_mssante")


class Tally:
    """Counts of faults with the first line of each."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[Fault, list[int]] = {}

    def add(self, fault: Fault, line: int) -> None:
        if (seen := self._counts.get(fault)) is None:
            self._counts[fault] = [1, line]
        else:
            seen[0] += 1

    @property
    def skipped(self) -> int:
        """Lines left out so far."""
        return sum(seen[0] for fault, seen in self._counts.items() if not fault.is_doubt)

    def counts(self) -> tuple[FaultCount, ...]:
        """All of them, the most frequent first."""
        found = (FaultCount(fault, seen[0], seen[1]) for fault, seen in self._counts.items())
        return tuple(sorted(found, key=lambda f: (-f.count, f.fault.value)))


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive lines, without their ends. A line left out stands as an empty one, so that numbers hold."""

    first_line: int
    lines: list[str]
    octets_read: int
    """Of the unpacked file, up to the end of this block at least."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened extract."""

    name: str
    sha256: str
    """Of the file as it lies on disk, archive and all."""
    octets: int
    """Unpacked."""
    stream: BinaryIO
    tally: Tally

    def blocks(self) -> Iterator[Block]:
        """Frame and decode the stream; the first block's first line is the header.

        Raises Refusal(IMPORT) where the archive or the disk fails half-way.
        """
        try:
            yield from _frame(self.stream, self.tally)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as e:
            raise Refusal(Reason.IMPORT, f"{self.name}: damaged archive") from e
        except OSError as e:
            raise Refusal(Reason.IMPORT, f"{self.name}: {e.strerror or 'unreadable'}") from e


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open an extract, told to be a zip by its first octets and not by its name; closed at the end.

    Raises Refusal(IMPORT) with a line that names the file and what is wrong with it.
    """
    name = path.name
    try:
        if not path.is_file():
            raise Refusal(Reason.IMPORT, f"{name}: no such file")
        file = path.open("rb")
    except OSError as e:
        raise Refusal(Reason.IMPORT, f"{name}: {e.strerror or 'unreadable'}") from e
    with file:
        try:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            octets = file.seek(0, 2)
            file.seek(0)
            packed = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
            file.seek(0)
        except OSError as e:
            raise Refusal(Reason.IMPORT, f"{name}: {e.strerror or 'unreadable'}") from e
        if octets == 0:
            raise Refusal(Reason.IMPORT, f"{name}: the file is empty")
        if not packed:
            yield Source(name, sha256, octets, file, Tally())
            return
        with _open_archive(file, name) as archive:
            member = _choose_member(archive, name)
            with _open_member(archive, member, name) as stream:
                yield Source(f"{name}/{Path(member.filename).name}", sha256, member.file_size, stream, Tally())


def _open_archive(file: BinaryIO, name: str) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as e:
        raise Refusal(Reason.IMPORT, f"{name}: damaged archive") from e
    if len(archive.infolist()) > MAX_MEMBERS:
        archive.close()
        raise Refusal(Reason.IMPORT, f"{name}: the archive holds more than {MAX_MEMBERS} files")
    return archive


def _choose_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Choose the one member named like an extract, or the only text; nothing is ever unpacked to disk."""
    texts = [m for m in archive.infolist() if not m.is_dir() and m.filename.lower().endswith((".txt", ".csv"))]
    wanted = [m for m in texts if any(w in m.filename.lower() for w in _WANTED)] or texts
    if len(wanted) != 1:
        found = "no extract" if not wanted else "several extracts"
        raise Refusal(Reason.IMPORT, f"{name}: the archive holds {found}")
    if wanted[0].file_size > MAX_UNPACKED_OCTETS:
        raise Refusal(Reason.IMPORT, f"{name}: would unpack to more than {MAX_UNPACKED_OCTETS >> 30} GiB")
    if wanted[0].file_size == 0:
        raise Refusal(Reason.IMPORT, f"{name}: the file in the archive is empty")
    return wanted[0]


def _open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> BinaryIO:
    try:
        return cast(BinaryIO, archive.open(member))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as e:
        raise Refusal(Reason.IMPORT, f"{name}: the archive is damaged, encrypted or of an unknown kind") from e


def _frame(stream: BinaryIO, tally: Tally) -> Iterator[Block]:
    """Cut the stream at line feeds. zipfile reads no further than the size it announced, so this ends."""
    carry, line, octets_read, discarding = b"", 1, 0, False
    while chunk := stream.read(BLOCK_OCTETS):
        octets_read += len(chunk)
        if discarding:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            chunk, discarding, line = chunk[end + 1 :], False, line + 1
        data = carry + chunk
        end = data.rfind(b"\n")
        carry = data[end + 1 :]
        if len(carry) > MAX_LINE_OCTETS:
            discarding = True
        if end >= 0:
            lines = _decode(data[:end], line, tally)
            yield Block(line, lines, octets_read)
            line += len(lines)
        if discarding:
            tally.add(Fault.TOO_LONG, line)
            carry = b""
    if carry:
        yield Block(line, _decode(carry, line, tally), octets_read)


def _decode(data: bytes, first_line: int, tally: Tally) -> list[str]:
    """Split octets into decoded lines; what can't be decoded or is too long becomes an empty line and is counted."""
    if first_line == 1:
        data = data.removeprefix(codecs.BOM_UTF8)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").removesuffix(b"\r")
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        lines = [_decode_line(raw, n, tally) for n, raw in enumerate(data.split(b"\n"), first_line)]
    if len(data) > MAX_LINE_OCTETS and max(map(len, lines)) > MAX_LINE_OCTETS:
        for i, text in enumerate(lines):
            if len(text) > MAX_LINE_OCTETS:
                tally.add(Fault.TOO_LONG, first_line + i)
                lines[i] = ""
    return lines


def _decode_line(raw: bytes, line: int, tally: Tally) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        tally.add(Fault.UNDECODABLE, line)
        return ""
    tally.add(Fault.OTHER_ENCODING, line)
    return text
