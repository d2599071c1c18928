"""A download ends within its bounds, is whole, and comes from whom it should."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from mssmail import fetch
from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.fetch import Caller, Download, Validators, download
from tests.support.origin import Answer, Asked, Origin

NONE = Validators()


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    built = Origin(tmp_path / "origin", lambda asked: Answer(404))
    yield built
    built.close()


def get(
    origin: Origin,
    folder: Path,
    path: str = "/extract.zip?key=hush",
    known: Validators = NONE,
    *,
    clock: FakeClock | None = None,
    stop: Event | None = None,
    trusted: bool = True,
) -> Download | None:
    with Caller(clock or FakeClock(), stop or Event(), 60.0, origin.authority if trusted else None) as caller:
        return download(caller, origin.base + path, folder, known)


def test_whole_file_and_its_name(origin: Origin, tmp_path: Path) -> None:
    """The octets are those sent, the name is the server's, and the validators are kept."""
    body = bytes(range(256)) * 4000
    headers = {
        "ETag": '"v1"',
        "Last-Modified": "Mon, 21 Sep 2026 10:00:00 GMT",
        "Content-Disposition": 'attachment; filename="PS_LibreAcces_202609210000.zip"',
    }
    origin.answer = lambda asked: Answer(200, body, headers)
    found = get(origin, tmp_path)
    assert found is not None
    assert (found.path.name, found.path.read_bytes() == body) == ("PS_LibreAcces_202609210000.zip", True)
    assert found.path.stat().st_mode & 0o777 == 0o600
    assert found.validators == Validators('"v1"', "Mon, 21 Sep 2026 10:00:00 GMT")


def test_unchanged(origin: Origin, tmp_path: Path) -> None:
    """What the server said last is sent back, and a 304 fetches nothing."""
    origin.answer = lambda asked: Answer(304 if asked.headers.get("If-None-Match") == '"v1"' else 200, b"")
    assert get(origin, tmp_path, known=Validators('"v1"', "Mon, 21 Sep 2026 10:00:00 GMT")) is None
    assert origin.asked[-1].headers["If-Modified-Since"] == "Mon, 21 Sep 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    "disposition", ['attachment; filename="../../etc/passwd"', 'filename=".hidden"', "filename=a/b", "x" * 3000, ""]
)
def test_name_stays_in_its_folder(origin: Origin, tmp_path: Path, disposition: str) -> None:
    """A name that isn't a plain one gives way to the address's."""
    origin.answer = lambda asked: Answer(200, b"x", {"Content-Disposition": disposition} if disposition else {})
    found = get(origin, tmp_path)
    assert found is not None
    assert found.path == tmp_path / "extract.zip"


def test_redirection_is_followed(origin: Origin, tmp_path: Path) -> None:
    """A few redirections lead to the file, whose address names it."""

    def answer(asked: Asked) -> Answer:
        return Answer(200, b"here") if asked.path == "/b.txt" else Answer(302, b"", {"Location": "/b.txt"})

    origin.answer = answer
    found = get(origin, tmp_path)
    assert found is not None
    assert (found.path.name, found.path.read_bytes()) == ("b.txt", b"here")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(500, b"secret text"), "answers 500"),
        (Answer(304), "answers 304"),
        (Answer(206, b"part"), "answers 206"),
        (Answer(302, b"", {"Location": "/again"}), "redirects without end"),
        (Answer(302, b"", {"Location": "http://127.0.0.1/x"}), "isn't https"),
        (Answer(302, b"", {"Location": "https://user:word@127.0.0.1/x"}), "isn't https"),
        (Answer(302, b"", {"Location": "file:///etc/passwd"}), "isn't https"),
        (Answer(302, b"", {}), "redirects without end"),
        (Answer(200, b"short", octets=100), "IncompleteRead"),
        (Answer(200, b"", octets=3 << 30), "would send more than"),
    ],
)
def test_refused(origin: Origin, tmp_path: Path, answer: Answer, words: str) -> None:
    """Anything but a whole file over HTTPS is refused for now, and the detail names no address."""
    origin.answer = lambda asked: answer
    with pytest.raises(Refusal) as refused:
        get(origin, tmp_path)
    assert refused.value.reason is Reason.UNAVAILABLE
    assert words in refused.value.detail
    assert "hush" not in refused.value.detail


def test_stranger_is_not_trusted(origin: Origin, tmp_path: Path) -> None:
    """A certificate of no known authority is refused, and nothing was asked."""
    with pytest.raises(Refusal, match="isn't trusted"):
        get(origin, tmp_path, trusted=False)
    assert origin.asked == []


def test_name_is_checked(origin: Origin, tmp_path: Path) -> None:
    """A certificate of another host is refused."""
    with Caller(FakeClock(), Event(), 60.0, origin.authority) as caller, pytest.raises(Refusal, match="isn't trusted"):
        download(caller, origin.base.replace("127.0.0.1", "localhost") + "/x", tmp_path, NONE)


def test_endless_body(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body beyond the limit is cut off where it crosses it."""
    monkeypatch.setattr(fetch, "MAX_DOWNLOAD_OCTETS", 1000)
    origin.answer = lambda asked: Answer(200, bytes(2000))
    with pytest.raises(Refusal, match="more than 1000 octets"):
        get(origin, tmp_path)


@pytest.mark.parametrize("end", ["stop", "time"])
@pytest.mark.parametrize("at", ["handshake", "answer"])
def test_silent_peer_ends_when_told(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, at: str
) -> None:
    """Told to stop, or out of time, a call ends although the peer is silent, in the handshake too."""
    monkeypatch.setattr(fetch, "WATCH_S", 0.01)
    clock, stop, release = FakeClock(), Event(), Event()

    def give_up() -> None:
        if end == "stop":
            stop.set()
        else:
            clock.advance(61.0)

    def answer(asked: Asked) -> Answer:
        give_up()
        release.wait(20.0)
        return Answer(200)

    origin.answer = answer
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = origin.base

        def accept() -> None:
            taken, _ = silent.accept()
            give_up()
            release.wait(20.0)
            taken.close()

        if at == "handshake":
            Thread(target=accept, daemon=True).start()
            where = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with (
            Caller(clock, stop, 60.0, origin.authority) as caller,
            pytest.raises(Refusal, match="stopped" if end == "stop" else "took longer than 60 s"),
        ):
            download(caller, where + "/x", tmp_path, NONE)
        release.set()


def test_clear_only_where_asked(tmp_path: Path) -> None:
    """http:// is called by who asks for it alone, and by redirection from https:// neither."""
    origin = Origin(tmp_path / "origin", lambda asked: Answer(200, asked.body[::-1]), clear=True)
    with Caller(FakeClock(), Event(), 60.0) as caller, pytest.raises(Refusal, match="isn't https"):
        caller.get(origin.base, {})
    assert origin.asked == []
    with Caller(FakeClock(), Event(), 60.0, allow_clear=True) as caller:
        for _ in range(2):
            response = caller.post(origin.base + "/x", b"abc", {"Content-Type": "text/plain"})
            assert (response.status, b"".join(caller.read(response, 3))) == (200, b"cba")
    assert origin.asked[0].headers["Content-Type"] == "text/plain"
    origin.close()


def test_full_disk(origin: Origin, tmp_path: Path) -> None:
    """A disk that takes no more is told as such."""
    origin.answer = lambda asked: Answer(200, b"x")
    (tmp_path / "extract.zip").symlink_to("/dev/full")
    with pytest.raises(Refusal) as refused:
        get(origin, tmp_path)
    assert refused.value.reason is Reason.STORAGE_FULL
