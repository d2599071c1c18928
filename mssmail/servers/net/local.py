"""A local socket whose callers are known by the operating system's user, each served by a process of its own.

Shape of a call (`call` is its other end): four octets of length, then the arguments, each ended by NUL; with the first
of these octets come the caller's three standard descriptors and then files opened for reading. The answer is an octet
of exit status and a line of text, mostly empty; what the verb says goes to the caller's own descriptors meanwhile.

The service's rights are never lent: no path, environment, folder or terminal of the caller's is taken, only
descriptors that the caller could open, and these must be what they look like. A caller that hangs up, is silent, asks
too often or too long costs one small process for seconds. Knows no verb, and nothing of who may what.
"""

import contextlib
import grp
import os
import pwd
import select
import shutil
import signal
import socket
import stat
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mssmail.base.clock import SystemClock
from mssmail.metrics.logs import failure, get_logger

MAX_OCTETS: Final = 64 << 10
MAX_ARGUMENTS: Final = 512
MAX_FILES: Final = 8
"""A directory's import names two or three."""
REQUEST_S: Final = 5.0
"""From the connection to the whole call."""
LONGEST_S: Final = 6 * 3600.0
"""The longest honest verb reads the whole directory from its API in an hour and a half."""
GRACE_S: Final = 3.0
"""Between asking a verb to end and ending it."""
MAX_CALLS: Final = 16
MAX_CALLS_OF_ONE: Final = 4
MAX_PER_MINUTE: Final = 120
"""Calls of one user; a script that makes a hundred boxes stays below."""
ANSWER_OCTETS: Final = 4096

_STANDARD: Final = 3
_LENGTH: Final = struct.Struct(">I")
_CREDENTIALS: Final = struct.Struct("3i")
_LONGEST_PATH: Final = 100
"""A unix socket's address holds 108 octets."""

_clock = SystemClock()
_log = get_logger("local")


class Unanswered(Exception):
    """Nobody serves at this socket, or the call was refused before it was read; the text says which."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it came: who is known from the operating system, what is theirs to choose."""

    uid: int
    user: str
    """The name of that number now, or the number itself."""
    arguments: tuple[str, ...]
    files: tuple[int, ...]
    """Descriptors of regular files that the caller opened for reading."""
    folder: Path
    """Not there yet, the call's own, removed after it."""


class _Malformed(Exception):
    """No call of ours, or more than is taken."""


Answer = Callable[[Call], int]
"""Carries a call out on descriptors 0, 1 and 2; its exit status."""


def listening_at(path: Path, group: str) -> int:
    """Listen, in place of a socket that an ended server left; the descriptor, for whoever calls to close.

    `group`: whose members may connect, empty for everybody. Raises OSError, with the socket's path.
    """
    try:
        gid = grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise OSError(2, f"no group {group} to open it to", str(path)) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise OSError(17, "is no socket", str(path))
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            with _reachable(path) as near:
                listener.bind(near)
        finally:
            os.umask(mask)
        os.chown(path, -1, gid)
        path.chmod(0o660 if group else 0o666)
        listener.listen(MAX_CALLS)
        return listener.detach()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


class LocalService:
    """Serves those who call at a socket, in a process of its own."""

    def __init__(self, listener: int, folder: Path, answer: Answer) -> None:
        """`listener`: of `listening_at`, in whatever process. `folder`: where calls have folders of their own."""
        self._listener = socket.socket(fileno=listener)
        self._listener.setblocking(False)
        self._folder = folder
        self._answer = answer
        self._calls: dict[int, int] = {}
        """User by process."""
        self._recent: dict[int, deque[float]] = {}

    def live(self, life: int) -> None:
        """Serve until the pipe `life` is closed at its other end. This process and those below it are then gone."""
        os.setsid()  # Ctrl-C is for the server; and no call gets its terminal
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for leftover in self._folder.glob("call-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        ends: dict[int, int] = {}
        while True:
            poll = select.poll()
            for fd in (life, self._listener.fileno(), *ends):
                poll.register(fd, select.POLLIN)
            ready = {fd for fd, _ in poll.poll()}
            if life in ready:
                return
            for fd in ready & set(ends):
                pid = ends.pop(fd)
                os.close(fd)
                os.waitpid(pid, 0)
                self._calls.pop(pid, None)
            if self._listener.fileno() in ready:
                try:
                    pid = self._take(life, ends)
                except OSError as error:
                    failure(_log, "admin socket", error)
                    select.select([life], [], [], 1.0)  # out of descriptors or processes: not at once again
                else:
                    if pid:
                        ends[os.pidfd_open(pid)] = pid

    def _take(self, life: int, ends: Iterable[int]) -> int:
        """Accept a caller and hand them to a process of their own; its id, 0 where they were refused.

        `ends`: descriptors of the other calls, of which this one gets none.
        """
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return 0
        with connection:
            uid = _user_of(connection)
            refused = self._too_many(uid)
            if refused:
                connection.setblocking(False)
                with contextlib.suppress(OSError):
                    connection.send(b"\x01" + refused.encode())
                return 0
            pid = os.fork()
            if pid:
                self._calls[pid] = uid
                return pid
            try:
                self._listener.close()
                for fd in ends:
                    os.close(fd)
                _converse(connection, uid, life, self._folder / f"call-{os.getpid()}", self._answer)
            except BaseException as error:  # noqa: BLE001 - the child ends here, whatever happened
                failure(_log, "admin call", error)
            finally:
                os._exit(0)

    def _too_many(self, uid: int) -> str:
        """Why this user's call isn't taken; empty where it is. Only calls that might have been taken count as often."""
        if len(self._calls) >= MAX_CALLS or sum(each == uid for each in self._calls.values()) >= MAX_CALLS_OF_ONE:
            return "too many calls at once"
        now = _clock.monotonic()
        for other in [other for other, times in self._recent.items() if times[-1] < now - 60]:
            del self._recent[other]
        times = self._recent.setdefault(uid, deque())
        times.append(now)
        while times[0] < now - 60:
            times.popleft()
        if len(times) > MAX_PER_MINUTE:
            times.pop()
            return "too many calls within a minute"
        return ""


def _user_of(connection: socket.socket) -> int:
    """The user whose process connected, as the kernel noted it then."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A name of the path that is short enough for a socket's address."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _converse(connection: socket.socket, uid: int, life: int, folder: Path, answer: Answer) -> None:
    """Read a call, have it carried out by another process, and stay until it has ended or the caller is gone."""
    os.setsid()
    descriptors: list[int] = []
    status, said = 1, ""
    try:
        arguments = _receive(connection, descriptors)
        _check(descriptors)
    except _Malformed as error:
        said = str(error)
    except TimeoutError:
        said = "the call came too slowly"
    else:
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = str(uid)
        pid = os.fork()
        if not pid:
            connection.close()
            os.close(life)
            _carry_out(Call(uid, user, arguments, tuple(descriptors[_STANDARD:]), folder), descriptors, answer)
        for fd in descriptors:
            os.close(fd)
        status = _watch(connection, life, pid)
        shutil.rmtree(folder, ignore_errors=True)
        if status < 0:
            said, status = "the command was ended", 1
    connection.settimeout(1.0)
    with contextlib.suppress(OSError):
        connection.sendall(bytes([status]) + said.encode()[: ANSWER_OCTETS - 1])


def _receive(connection: socket.socket, descriptors: list[int]) -> tuple[str, ...]:
    """The arguments; what descriptors came are in `descriptors` even where it fails. Raises _Malformed, TimeoutError.

    A descriptor beyond those that are taken is closed by the kernel (MSG_CTRUNC).
    """
    until = _clock.monotonic() + REQUEST_S
    octets = b""
    wanted = _LENGTH.size
    while len(octets) < wanted:
        connection.settimeout(max(0.001, until - _clock.monotonic()))
        if octets:
            more = connection.recv(wanted - len(octets))
        else:
            more, fds, flags, _ = socket.recv_fds(connection, wanted, _STANDARD + MAX_FILES)
            descriptors += fds
            if flags & socket.MSG_CTRUNC:
                raise _Malformed("too many files")
        if not more or _clock.monotonic() > until:
            raise _Malformed("not a whole call")
        octets += more
        if len(octets) == _LENGTH.size == wanted:
            wanted += _LENGTH.unpack(octets)[0]
            if wanted > MAX_OCTETS:
                raise _Malformed("too long a command line")
    parts = octets[_LENGTH.size :].split(b"\0")
    if parts.pop() or len(parts) > MAX_ARGUMENTS or len(descriptors) < _STANDARD:
        raise _Malformed("no such call")
    try:
        return tuple(part.decode() for part in parts)
    except UnicodeDecodeError:
        raise _Malformed("the command line isn't UTF-8") from None


def _check(descriptors: Sequence[int]) -> None:
    """Take streams, terminals and plain files alone: nothing of the kernel's own, where a write means something else.

    Raises _Malformed.
    """
    kernel = {Path(place).stat().st_dev for place in ("/proc", "/sys") if Path(place).exists()}
    null = Path(os.devnull).stat().st_rdev
    for number, fd in enumerate(descriptors):
        about = os.fstat(fd)
        plain = stat.S_ISREG(about.st_mode) and about.st_dev not in kernel
        if number >= _STANDARD:
            fit = plain
        else:
            stream = stat.S_ISFIFO(about.st_mode) or stat.S_ISSOCK(about.st_mode)
            device = stat.S_ISCHR(about.st_mode) and (about.st_rdev == null or os.isatty(fd))
            fit = plain or stream or device
        if not fit:
            raise _Malformed("a file of a kind that isn't taken")


def _carry_out(call: Call, descriptors: Sequence[int], answer: Answer) -> None:
    """Become the call: its descriptors are this process's 0, 1 and 2. Never returns."""
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.umask(0o077)
        for target, fd in enumerate(descriptors[:_STANDARD]):
            os.dup2(fd, target)
            os.close(fd)
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        status = answer(call)
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass
    except KeyboardInterrupt:
        status = 130
    finally:
        os._exit(status & 0xFF)


def _watch(connection: socket.socket, life: int, pid: int) -> int:
    """Wait for the process; its exit status, or −1 where it was ended: no caller, no server, no time."""
    end = os.pidfd_open(pid)
    try:
        poll = select.poll()
        for fd in (connection.fileno(), life, end):
            poll.register(fd, select.POLLIN | select.POLLRDHUP)
        ready = {fd for fd, _ in poll.poll(LONGEST_S * 1000)}
        ended = end not in ready
        if ended:
            os.kill(pid, signal.SIGINT)
            if not select.select([end], [], [], GRACE_S)[0]:
                os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        return -1 if ended or not os.WIFEXITED(status) else os.WEXITSTATUS(status)
    finally:
        os.close(end)


def call(path: Path, arguments: Sequence[str], files: Sequence[int]) -> tuple[int, str]:
    """Give a call to the service at `path` with this process's standard descriptors; its exit status and its word.

    Waits for as long as the verb takes. Raises Unanswered.
    """
    if len(files) > MAX_FILES:
        raise Unanswered(f"{MAX_FILES} files at most go over the socket")
    body = b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with _reachable(path) as near:
                connection.connect(near)
            octets = _LENGTH.pack(len(body)) + body
            sent = socket.send_fds(connection, [octets], [0, 1, 2, *files])
            connection.sendall(octets[sent:])
        except BrokenPipeError:
            pass  # refused before it was read: the answer says why
        except OSError as error:
            raise Unanswered(f"{path}: {error.strerror}") from None
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(ANSWER_OCTETS):
                answer += more
    if not answer:
        raise Unanswered(f"{path}: the server ended the call")
    return answer[0], answer[1:].decode(errors="replace")
