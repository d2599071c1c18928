"""Files and archives become lines, with limits."""

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mssmail.base.refusal import Reason, Refusal
from mssmail.directory import source as source_module
from mssmail.directory.model import Fault
from mssmail.directory.source import MAX_LINE_OCTETS, open_source


def lines_of(path: Path) -> list[tuple[int, str]]:
    with open_source(path) as source:
        return [(n, text) for block in source.blocks() for n, text in enumerate(block.lines, block.first_line)]


class Trickle(io.BytesIO):
    """A stream that gives a few octets at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        super().__init__(content)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._step)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_framing_doesnt_depend_on_reads(step: int, end: str) -> None:
    """However the octets arrive, the lines, their numbers and the count of too long ones are the same."""
    wanted = ["tête", "", "é" * 10, "last"]
    long = "x" * (MAX_LINE_OCTETS + 1)
    content = ("\ufeff" + end.join([*wanted[:2], long, *wanted[2:]])).encode()
    tally = source_module.Tally()
    blocks = source_module.Source("f", "", len(content), Trickle(content, step), tally).blocks()
    lines = {n: text for block in blocks for n, text in enumerate(block.lines, block.first_line) if text}
    assert lines == {1: "tête", 4: "é" * 10, 5: "last"}
    assert [(f.fault, f.count, f.first_line) for f in tally.counts()] == [(Fault.TOO_LONG, 1, 3)]


def zipped(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("members", "chosen"),
    [
        ([("x.txt", b"a")], "a"),
        ([("dir/PS_LibreAcces_Personne_activite_1.txt", b"a"), ("PS_LibreAcces_SavoirFaire_1.txt", b"b")], "a"),
        ([("lisez-moi.pdf", b"b"), ("../../Extraction_Correspondance_MSSante_1.txt", b"a")], "a"),
    ],
)
def test_member_is_chosen_by_name(tmp_path: Path, members: Sequence[tuple[str, bytes]], chosen: str) -> None:
    """The extract is found among other members, and a path in a member's name leads nowhere."""
    assert lines_of(zipped(tmp_path / "a.zip", members)) == [(1, chosen)]


def empty(path: Path) -> Path:
    """A file of no octet."""
    path.touch()
    return path


def bomb(path: Path) -> Path:
    """An archive whose member unpacks to more than the (lowered) limit."""
    return zipped(path, [("x.txt", b"0" * 2_000_001)])


def damaged(path: Path) -> Path:
    """An archive with an octet of its data changed."""
    zipped(path, [("x.txt", bytes(range(256)) * 5000)])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def cut(path: Path) -> Path:
    """The first half of an archive."""
    zipped(path, [("x.txt", bytes(range(256)) * 5000)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def encrypted(path: Path) -> Path:
    """An archive that says its member is encrypted."""
    zipped(path, [("x.txt", b"hello")])
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p, "no such file"),
        (lambda p: p.parent, "no such file"),
        (empty, "empty"),
        (lambda p: zipped(p, []), "no extract"),
        (lambda p: zipped(p, [("x.txt", b"")]), "empty"),
        (lambda p: zipped(p, [("a.txt", b"1"), ("b.txt", b"2")]), "several extracts"),
        (lambda p: zipped(p, [(f"{n}.bin", b"1") for n in range(1001)]), "more than 1000 files"),
        (bomb, "would unpack"),
        (damaged, "damaged archive"),
        (cut, "damaged archive"),
        (encrypted, "encrypted"),
    ],
)
def test_bad_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path], words: str
) -> None:
    """A missing, empty, damaged, encrypted or exploding file is refused with what is wrong with it."""
    monkeypatch.setattr(source_module, "MAX_UNPACKED_OCTETS", 2_000_000)
    path = make(tmp_path / "a.zip")
    with pytest.raises(Refusal) as refused:
        lines_of(path)
    assert refused.value.reason is Reason.IMPORT
    assert words in refused.value.detail
    assert str(tmp_path) not in refused.value.detail
