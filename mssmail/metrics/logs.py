"""Log lines: their shape, and what may never stand in them.

An event is a fixed name with ids: `log.info("delivered", message=12)`. `redact` is a second fence behind that habit:
keys that could carry content or a secret are cut out at every level, keys and words that are an address everywhere
above debug. An exception is logged by its type and its frames; its message, which may quote content, never is.

Other libraries' records keep only what stands in their source: the template of a record that has arguments, never the
arguments; a record that comes without is reduced to its place, since its text may have been composed at run time.
"""

import logging
import re
import secrets
import sys
from collections.abc import Callable, MutableMapping
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

from mssmail.metrics.registry import counter

EventDict = MutableMapping[str, Any]
Logger = structlog.typing.FilteringBoundLogger

NEVER: Final = frozenset(
    "authorization body code content credential credentials data envelope header headers key otp password pin preview "
    "query search secret snippet subject text token totp".split()
)
"""Keys whose value is cut out at every level."""
ADDRESSES: Final = frozenset(
    "address addresses authzid from login mail_from name owner rcpt rcpt_to recipient recipients reply_to sender to "
    "user username".split()
)
"""Keys whose value is cut out above debug."""
CUT: Final = "(cut)"
_ADDRESS: Final = re.compile(r"[^\s<>\"'@]{1,64}@[^\s<>\"'@]{1,255}")
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_MAX_FRAMES: Final = 30
_MAX_CAUSES: Final = 8

_LOST = counter("mssmail_log_lost", "Log lines that standard error would not take.")
_INCIDENTS = counter("mssmail_incidents", "Failures that are this program's own.")


def configure(level: str = "info", shape: str = "json", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging for this process. `shape`: `json` or `console`.

    Aiosmtpd's `mail.log` writes each DATA line at debug and each command at info, so that it is held at warning.
    """
    wanted = _LEVELS[level]
    out = _Stream(stream or sys.stderr)
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if shape == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    chain: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
        redact if wanted > logging.DEBUG else redact_secrets,
    ]
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(wanted),
        logger_factory=lambda *_: out,
        cache_logger_on_first_use=True,
    )
    handler = _Foreign(out, structlog.stdlib.ProcessorFormatter(processors=[*chain, _without_record, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(wanted, logging.INFO))
    for name in ("mail.log", "asyncio", "sqlalchemy", "aiosmtpd"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False


def get_logger(room: str) -> Logger:
    """A logger whose lines bear the room's name, as `servers.smtp`."""
    log: Logger = structlog.get_logger(room=room)
    return log


def failure(log: Logger, event: str, error: BaseException, **ids: object) -> str:
    """Log a failure of our own, once, and return its incident id, which is all that a peer may be told of it."""
    incident = secrets.token_hex(6)
    _INCIDENTS.inc()
    log.error(event, incident=incident, exc_info=error, **ids)
    return incident


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Cut out secrets, content and addresses: a structlog processor for levels above debug."""
    for key, value in event.items():
        name = key.lower()
        if name in NEVER or name in ADDRESSES:
            event[key] = CUT
        elif isinstance(value, str):
            if "@" in value:
                event[key] = _ADDRESS.sub(CUT, value)
        elif not isinstance(value, int | float | None):
            event[key] = _plain(value)
    return event


def redact_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Cut out secrets and content, at debug too."""
    for key, value in event.items():
        if key.lower() in NEVER:
            event[key] = CUT
        elif not isinstance(value, str | int | float | None):
            event[key] = str(value)
    return event


def _plain(value: object) -> object:
    """What isn't text or number, as text: octets are cut out, a structure is searched for addresses."""
    if isinstance(value, bytes | bytearray | memoryview):
        return CUT
    if isinstance(value, list | tuple) and all(isinstance(item, int) for item in value):
        return value
    return _ADDRESS.sub(CUT, str(value))


def describe_exception(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the types of the exception and its causes and by its frames, without messages."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        # Not under `exception`, which the console renderer sets in lines of its own.
        event["error"] = _types(error)
        event["frames"] = _frames(error.__traceback__)
    return event


def _types(error: BaseException) -> str:
    """`Outer < Cause < Cause of that`, at most `_MAX_CAUSES`."""
    names: list[str] = []
    one: BaseException | None = error
    while one is not None and len(names) < _MAX_CAUSES:
        kind = type(one)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(one, BaseExceptionGroup):
            inner = sorted({type(item).__qualname__ for item in one.exceptions[:100]})
            name += f"[{', '.join(inner[:_MAX_CAUSES])}]"
        elif isinstance(one, OSError) and one.errno is not None:
            name += f"({one.errno})"
        names.append(name)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return " < ".join(names)


def _frames(trace: TracebackType | None) -> str:
    """`module:line function` of the innermost `_MAX_FRAMES` frames, outermost first."""
    frames: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        module = trace.tb_frame.f_globals.get("__name__", "?")
        frames.append(f"{module}:{trace.tb_lineno} {code.co_name}")
        del frames[:-_MAX_FRAMES]
        trace = trace.tb_next
    return "; ".join(frames)


def _without_record(_logger: object, _method: str, event: EventDict) -> EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


class _Stream:
    """Writes lines to a stream and counts those it won't take: a full disk under the log must not stop mail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            _LOST.inc()

    debug = info = warning = error = critical = log = msg


class _Foreign(logging.Handler):
    """Records of other libraries, reduced to what stands in their source."""

    def __init__(self, out: _Stream, formatter: logging.Formatter) -> None:
        super().__init__()
        self._out = out
        self._format: Callable[[logging.LogRecord], str] = formatter.format

    def emit(self, record: logging.LogRecord) -> None:
        reduced = logging.makeLogRecord(
            {
                "name": record.name,
                "levelno": record.levelno,
                "levelname": record.levelname,
                "msg": "%s",
                "args": (_source(record),),
                "exc_info": record.exc_info,
            }
        )
        self._out.msg(self._format(reduced))


def _source(record: logging.LogRecord) -> str:
    """`logger: template` where the template is surely a literal, else `logger: module:line`."""
    if record.args and isinstance(record.msg, str):
        return f"{record.name}: {record.msg}"
    return f"{record.name}: {record.module}:{record.lineno}"
