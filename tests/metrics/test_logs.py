"""Log lines carry events and ids; no content, no secret, no address, no message of an exception."""

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from mssmail.base.secret import Secret
from mssmail.metrics.logs import CUT, configure, failure, get_logger

CANARY = "canari-7f3a"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    levels = {name: logging.getLogger(name).level for name in ("mail.log", "asyncio", "sqlalchemy", "aiosmtpd")}
    aiosmtpd = logging.getLogger("mail.log")  # which the SMTP server turns off for its process
    disabled, aiosmtpd.disabled = aiosmtpd.disabled, False
    yield
    aiosmtpd.disabled = disabled
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def logged(level: str, **ids: object) -> dict[str, Any]:
    stream = io.StringIO()
    configure(level, "json", stream)
    get_logger("test").warning("event", **ids)
    (line,) = lines(stream)
    return line


def test_line() -> None:
    """A line is the event, its ids, the room, the level and a UTC time."""
    line = logged("info", message=12, ratio=0.5, done=True, none=None)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "event", "room": "test", "level": "warning", "message": 12, "ratio": 0.5, "done": True, "none": None,
    }  # fmt: skip


@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize("key", ["subject", "Subject", "body", "password", "code", "token", "text"])
def test_never(level: str, key: str) -> None:
    """Content and secrets are cut out at every level."""
    assert logged(level, **{key: CANARY})[key] == CUT


@pytest.mark.parametrize("key", ["address", "recipient", "login", "mail_from", "name"])
def test_addresses(key: str) -> None:
    """Who is named is cut out, but at debug."""
    assert logged("info", **{key: CANARY})[key] == CUT
    assert logged("debug", **{key: CANARY})[key] == CANARY


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("for claire.martin@demo.mssante.fr now", f"for {CUT} now"),
        (["claire.martin@demo.mssante.fr"], f"['{CUT}']"),
        ({"to": "<claire.martin@demo.mssante.fr>"}, "{'to': '<(cut)>'}"),
        (b"octets", CUT),
        ([1, 2], [1, 2]),
        (Secret(CANARY), "Secret(…)"),
    ],
)
def test_values(value: object, shown: object) -> None:
    """An address inside any value is cut out, and octets are."""
    assert logged("info", what=value)["what"] == shown


def raised() -> BaseException:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ValueError(CANARY) from error
    except ValueError as error:
        return error


def grouped() -> BaseException:
    return ExceptionGroup(CANARY, [OSError(28, CANARY), ValueError(CANARY)])


@pytest.mark.parametrize(
    ("make", "types"),
    [
        (raised, "ValueError < KeyError"),
        (grouped, "ExceptionGroup[OSError, ValueError]"),
        (lambda: OSError(28, CANARY), "OSError(28)"),
        (lambda: UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY), "UnicodeDecodeError"),
    ],
)
@pytest.mark.parametrize("shape", ["json", "console"])
def test_failure(make: Callable[[], BaseException], types: str, shape: str) -> None:
    """A failure is told by types, frames and an incident id; what the exception says is left out."""
    stream = io.StringIO()
    configure("info", shape, stream)
    incident = failure(get_logger("test"), "failed", make(), message=3)
    text = stream.getvalue()
    assert CANARY not in text
    assert incident in text
    assert types in text
    assert text.count("\n") == 1


def test_frames() -> None:
    """Frames name module, line and function, so that the place can be found."""
    stream = io.StringIO()
    configure("info", "json", stream)
    failure(get_logger("test"), "failed", raised())
    assert lines(stream)[0]["frames"].endswith(" raised")


def test_long_trace_bounded() -> None:
    """A deep recursion and a long chain of causes give a short line."""

    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise ValueError(CANARY)

    stream = io.StringIO()
    configure("info", "json", stream)
    try:
        deep(300)
    except ValueError as error:
        chained: BaseException = error
    for _ in range(50):
        outer = RuntimeError(CANARY)
        outer.__cause__, chained = chained, outer
    failure(get_logger("test"), "failed", error=chained)
    assert len(stream.getvalue()) < 5_000


@pytest.mark.parametrize(
    ("name", "template", "args", "shown"),
    [
        ("lib", "went %s at %d", (CANARY, 3), "lib: went %s at %d"),
        ("lib", f"went {CANARY}", (), "lib: test_logs:"),
        ("mail.log", "%r wrote", (CANARY,), "mail.log: %r wrote"),
    ],
)
def test_foreign(name: str, template: str, args: tuple[object, ...], shown: str) -> None:
    """Of another library's record only what stands in its source is kept."""
    stream = io.StringIO()
    configure("info", "json", stream)
    logging.getLogger(name).warning(template, *args)
    (line,) = lines(stream)
    assert line["event"].startswith(shown)
    assert line["level"] == "warning"
    assert CANARY not in stream.getvalue()


def test_foreign_exception() -> None:
    """Another library's exception is told by its type alone."""
    stream = io.StringIO()
    configure("info", "json", stream)
    logging.getLogger("lib").error("failed %s", CANARY, exc_info=raised())
    assert lines(stream)[0]["error"] == "ValueError < KeyError"
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize("level", ["debug", "info"])
def test_mail_log_held(level: str) -> None:
    """The SMTP library's lines below warning, which quote commands and DATA, are never written."""
    stream = io.StringIO()
    configure(level, "json", stream)
    logging.getLogger("mail.log").info("%r << %r", "peer", CANARY)
    logging.getLogger("mail.log").debug("DATA %s", CANARY)
    assert stream.getvalue() == ""


async def test_asyncio_exception() -> None:
    """What the event loop says of a failed callback names the type and nothing of its text."""
    stream = io.StringIO()
    configure("info", "json", stream)
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": f"failed for {CANARY}", "exception": raised(), "peer": CANARY})
    assert CANARY not in stream.getvalue()
    assert lines(stream)[0]["error"] == "ValueError < KeyError"


def test_warning() -> None:
    """A library's warning leaves a line without its text."""
    stream = io.StringIO()
    configure("info", "json", stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(CANARY, stacklevel=1)
    assert CANARY not in stream.getvalue()


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_full_disk_under_log() -> None:
    """A log that can't be written stops nobody."""
    configure("info", "json", Full())
    get_logger("test").warning("event")
    logging.getLogger("lib").warning("went %s", "on")


def test_level() -> None:
    """Below its level nothing is written."""
    stream = io.StringIO()
    configure("error", "json", stream)
    get_logger("test").warning("event")
    assert stream.getvalue() == ""
