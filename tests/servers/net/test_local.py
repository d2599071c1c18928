"""The local socket: the kernel says who calls, nothing of the service is lent, and hostile callers cost little."""

import os
import pwd
import re
import select
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mssmail.servers.net.local import MAX_CALLS_OF_ONE, MAX_FILES, MAX_OCTETS, MAX_PER_MINUTE, Unanswered, listening_at
from mssmail.servers.net.local import call as given
from tests.support.counter import Caller, Counter, answer, framed
from tests.support.others import ALICE, as_user, needs_root

NULL = os.open(os.devnull, os.O_RDWR)


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    with Counter(tmp_path) as made:
        yield made


def said(counter: Counter, *arguments: str, stdin: bytes = b"", files: tuple[int, ...] = ()) -> tuple[bytes, str, str]:
    """The answer, and what came on standard output and standard error."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as put:
        put.write(stdin)
        put.seek(0)
        answered = counter.ask(framed(*arguments), [put.fileno(), out.fileno(), err.fileno(), *files])
        for file in (out, err):
            file.seek(0)
        return answered, out.read().decode(), err.read().decode()


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds, however it does."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([end], [], [], 10)[0])
    finally:
        os.close(end)


def test_streams(counter: Counter) -> None:
    """What a call reads and writes is the caller's own, and its status comes back."""
    assert said(counter, "say", "7") == (b"\x07", "to output\n", "to errors\n")
    assert said(counter, "cat", stdin="é\n".encode()) == (b"\0", "é\n", "")
    assert said(counter, "fail")[0][:1] == b"\x01"


def test_caller_is_known(counter: Counter) -> None:
    """The user is who the kernel says."""
    assert said(counter, "who")[1].split()[0] == str(os.getuid())


@needs_root
def test_another_user_is_known() -> None:
    """Another user is told from us, whatever the call says."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with Counter(Path(folder)) as counter:
            told = as_user(ALICE, "--socket", str(counter.path), "account", "list")
            assert (told.returncode, told.stdout) == (0, f"{pwd.getpwnam(ALICE).pw_uid} {ALICE}\n")


def test_nothing_is_lent(counter: Counter) -> None:
    """A call has the server's environment and folder, no terminal, and no descriptor but its own three."""
    os.environ["MINE"] = "the caller's"
    assert said(counter, "environment")[1] == "the server's /\n"
    assert "No such device" in said(counter, "terminal")[1]
    assert said(counter, "open")[1] == "0 1 2\n"


def test_files(counter: Counter, tmp_path: Path) -> None:
    """Files come as descriptors that the caller opened, in their order."""
    opened = []
    for text in ("one", "two"):
        (tmp_path / text).write_text(text)
        opened.append(os.open(tmp_path / text, os.O_RDONLY))
    assert said(counter, "files", files=tuple(opened))[1] == "onetwo"
    for fd in opened:
        os.close(fd)


BODY = b"who\0"


@pytest.mark.parametrize(
    ("octets", "count", "words"),
    [
        (b"", 0, "whole"),
        (b"\0", 3, "slow"),
        (b"GET / HTTP/1.1\r\n\r\n", 3, "long"),
        (struct.pack(">I", MAX_OCTETS) + BODY, 3, "long"),
        (struct.pack(">I", 100) + BODY, 3, "slow"),
        (struct.pack(">I", 3) + b"who", 3, "no such"),
        (struct.pack(">I", 4) + b"\xff\xfe!\0", 3, "UTF-8"),
        (framed(*["x"] * 513), 3, "no such"),
        (framed("who"), 0, "no such"),
        (framed("who"), 2, "no such"),
        (framed("who"), 3 + MAX_FILES + 1, "too many files"),
        (framed("who"), 4, "kind"),
    ],
)
def test_malformed(counter: Counter, octets: bytes, count: int, words: str) -> None:
    """What is no whole call is refused with a word, within the time that a call may take, and the next is served."""
    if octets:
        answered = counter.ask(octets, [NULL] * count)
    else:
        with counter.connected() as made:
            made.shutdown(socket.SHUT_WR)
            answered = answer(made)
    assert answered[:1] == b"\x01"
    assert words in answered[1:].decode()
    assert said(counter, "say", "0")[0] == b"\0"


@pytest.mark.parametrize("place", ["/proc/self/comm", "/sys/kernel/notes", "/dev/zero", "/dev", "/proc/self/mem"])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_kinds(counter: Counter, place: str, number: int) -> None:
    """Folders, devices and the kernel's own files are taken for no stream and no file."""
    if not Path(place).exists():
        pytest.skip(f"no {place} here")
    fd = os.open(place, os.O_RDONLY)
    descriptors = [NULL, NULL, NULL, fd]
    descriptors[number] = fd
    answered = counter.ask(framed("say"), descriptors if number == 3 else descriptors[:3])
    os.close(fd)
    assert b"kind" in answered


def test_hang_up(counter: Counter) -> None:
    """When the caller is gone the command ends, and what was put aside for it is removed."""
    caller = Caller(counter, "wait")
    pid, folder = caller.output.readline().split()
    assert Path(folder).is_dir()
    caller.hang_up()
    assert gone(int(pid))
    caller.close()
    assert said(counter, "say")[0] == b"\0"
    assert not Path(folder).exists()


def test_server_ends(tmp_path: Path) -> None:
    """When the server ends its calls end, and callers are told."""
    counter = Counter(tmp_path)
    caller = Caller(counter, "wait")
    pid = int(caller.output.readline().split()[0])
    counter.end()
    assert gone(pid)
    assert b"ended" in answer(caller.connection)
    caller.close()
    with pytest.raises(Unanswered):
        given(counter.path, ["who"], ())


def test_too_many_at_once(counter: Counter) -> None:
    """One user has a few calls at a time, and more again when one has ended."""
    waiting = [Caller(counter, "wait") for _ in range(MAX_CALLS_OF_ONE)]
    pids = [int(each.output.readline().split()[0]) for each in waiting]
    assert b"too many calls at once" in counter.ask(framed("say"), [NULL] * 3)
    waiting[0].hang_up()
    assert gone(pids[0])
    while b"at once" in (answered := counter.ask(framed("say"), [NULL] * 3)):
        pass
    assert answered == b"\0"
    for each in waiting:
        each.close()


def test_too_often(counter: Counter) -> None:
    """Who calls without end is refused for a minute."""
    answers = [counter.ask(framed("say"), [NULL] * 3) for _ in range(MAX_PER_MINUTE + 3)]
    assert answers[:MAX_PER_MINUTE] == [b"\0"] * MAX_PER_MINUTE
    assert all(b"within a minute" in each for each in answers[MAX_PER_MINUTE:])


def test_place(tmp_path: Path) -> None:
    """The socket takes the place of a dead one, is open to all, and leaves what is no socket alone."""
    with Counter(tmp_path) as counter:
        assert stat.S_IMODE(counter.path.stat().st_mode) == 0o666
    with Counter(tmp_path) as counter:
        assert said(counter, "say")[0] == b"\0"
    counter.path.unlink()
    counter.path.write_text("a letter")
    with pytest.raises(OSError, match="no socket") as caught:
        listening_at(counter.path, "")
    assert caught.value.filename == str(counter.path)
    assert counter.path.read_text() == "a letter"


def test_group(tmp_path: Path) -> None:
    """With a group named, others can't even connect; an unknown group is told."""
    import grp

    own = grp.getgrgid(os.getgid()).gr_name
    with Counter(tmp_path, own) as counter:
        assert stat.S_IMODE(counter.path.stat().st_mode) == 0o660
    with pytest.raises(OSError, match="no group"):
        listening_at(tmp_path / "s", "no-such-group")


def test_long_path(tmp_path: Path) -> None:
    """A path longer than a socket's address may be serves as well."""
    deep = tmp_path / ("long" * 20) / ("longer" * 15)
    listener = listening_at(deep / "admin.sock", "")
    assert re.fullmatch(r"srw.rw.rw.", stat.filemode((deep / "admin.sock").stat().st_mode))
    os.close(listener)
    with pytest.raises(Unanswered, match="refused"):
        given(deep / "admin.sock", ["who"], ())
