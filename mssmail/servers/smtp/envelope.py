"""MAIL and RCPT as values: paths and parameters, strictly read (RFC 5321 §4.1.1.2-3).

Parameters: RFC 1870, RFC 3461, RFC 4954, RFC 6152, RFC 6531, RFC 6710, RFC 8689, RFC 2852. Pure. A value that exists is
valid. ENVID and ORCPT are kept as the client spelt them. Source routes, comments,
quoted local parts, address literals and addresses outside angle brackets are refused: departs from RFC 5321 §4.1.2
because a gate must read an address in one way only.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from mssmail.base.address import Address
from mssmail.base.relay import NEVER, NO_WISHES, By, Notify, RecipientWishes, Wishes
from mssmail.servers.smtp import replies

MAX_ENVID: Final = 100
"""RFC 3461 §4.4."""
MAX_ORCPT: Final = 500
"""RFC 3461 §4.2."""
MIN_BY_S: Final = 60
"""The shortest time that is taken for delivery or return (RFC 2852 §3): enough for a second attempt or two."""

_PATH: Final = re.compile(r"<([^<>\x00-\x20\x7f]*)>(?: +(.*))?")
_PARAMETER: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")
"""esmtp-param (RFC 5321 §4.1.2); `=` is in no value."""
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")
"""RFC 3461 §4."""
_ORCPT: Final = re.compile(r"[A-Za-z0-9-]+;(?:[!-*,-<>-~\u0080-\U0010ffff]|\+[0-9A-F]{2})+")
"""RFC 3461 §4.2; RFC 6533 §3 for what isn't ASCII."""
_SIZE: Final = re.compile(r"[0-9]{1,20}")
"""RFC 1870 §3."""
_PRIORITY: Final = re.compile(r"0|-?[1-9]")
"""priority-value (RFC 6710 §7)."""
_BY: Final = re.compile(r"([+-]?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)
"""by-value (RFC 2852 §4)."""
_PLAIN: Final = Wishes()


class BadCommand(Exception):
    """The command can't be read; `reply` says why."""

    def __init__(self, reply: bytes) -> None:
        super().__init__()
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Mail:
    """A read MAIL command."""

    sender: Address | None
    """None for the null reverse-path, `<>`."""
    size_octets: int = 0
    """By SIZE; 0 where it isn't announced."""
    wishes: Wishes = _PLAIN


@dataclass(frozen=True, slots=True)
class Rcpt:
    """A read RCPT command."""

    recipient: Address
    wishes: RecipientWishes = NO_WISHES


@dataclass(slots=True)
class _Parameters:
    """A command's parameters, taken out one by one; a repeated one is an error."""

    given: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "_Parameters":
        parameters = cls()
        for word in text.split(" "):
            if not word:
                continue
            m = _PARAMETER.fullmatch(word)
            if m is None or m[1].upper() in parameters.given:
                raise BadCommand(replies.BAD_PARAMETER)
            parameters.given[m[1].upper()] = m[2]
        return parameters

    def take(self, keyword: str) -> str:
        """A parameter's value, empty where it isn't given. Raises BadCommand where it lacks its value."""
        if keyword not in self.given:
            return ""
        value = self.given.pop(keyword)
        if value is None:
            raise BadCommand(replies.BAD_PARAMETER)
        return value

    def flag(self, keyword: str) -> bool:
        """Whether a parameter that takes no value is given (RFC 6531 §3.4)."""
        if keyword not in self.given:
            return False
        if self.given.pop(keyword) is not None:
            raise BadCommand(replies.BAD_PARAMETER)
        return True

    def done(self) -> None:
        if self.given:
            raise BadCommand(replies.UNKNOWN_PARAMETER)


def _require(holds: object) -> None:
    if not holds:
        raise BadCommand(replies.BAD_PARAMETER)


def _split(argument: str, keyword: str, bad: bytes, *, extended: bool) -> tuple[str, str]:
    """Path without its brackets, and the text of the parameters; a space behind the colon is forgiven."""
    if argument[: len(keyword)].upper() != keyword:
        raise BadCommand(bad)
    m = _PATH.fullmatch(argument[len(keyword) :].lstrip(" "))
    if m is None or (m[2] and not extended):
        raise BadCommand(bad)
    return m[1], m[2] or ""


def parse_mail(argument: str, *, extended: bool, requires_tls: bool = False) -> Mail:
    """Read what follows `MAIL `; `extended`: the client said EHLO; `requires_tls`: REQUIRETLS is on offer.

    Raises BadCommand.
    """
    path, text = _split(argument, "FROM:", replies.BAD_MAIL, extended=extended)
    sender = Address.parse(path) if path else None
    if path and sender is None:
        raise BadCommand(replies.BAD_SENDER)
    if not text:
        if sender is not None and not sender.is_ascii:
            raise BadCommand(replies.ASCII_SENDER)
        return Mail(sender)
    parameters = _Parameters.read(text)
    utf8 = parameters.flag("SMTPUTF8")
    required = requires_tls and parameters.flag("REQUIRETLS")
    if sender is not None and not utf8 and not sender.is_ascii:
        raise BadCommand(replies.ASCII_SENDER)
    size, body, ret = parameters.take("SIZE"), parameters.take("BODY").upper(), parameters.take("RET").upper()
    envid, auth = parameters.take("ENVID"), parameters.take("AUTH")
    _require(not size or _SIZE.fullmatch(size))
    _require(body in ("", "7BIT", "8BITMIME"))
    _require(ret in ("", "FULL", "HDRS"))
    _require(not envid or (len(envid) <= MAX_ENVID and _XTEXT.fullmatch(envid)))
    priority, (by_s, by, by_trace) = _priority(parameters.take("MT-PRIORITY")), _by(parameters.take("BY"))
    # RFC 4954 §5: taken, and not believed; who signed in is the author.
    _require(auth in ("", "<>") or _XTEXT.fullmatch(auth))
    parameters.done()
    eight_bit = body == "8BITMIME"
    wishes = Wishes(ret, envid, utf8, eight_bit, required, priority, by_s, by, by_trace)
    return Mail(sender, int(size or 0), wishes)


def _priority(value: str) -> int:
    _require(not value or _PRIORITY.fullmatch(value))
    return int(value or 0)


def _by(value: str) -> tuple[int | None, By, bool]:
    """Seconds, mode and trace of BY. A time that is over can't be asked for with return (RFC 2852 §4)."""
    if not value:
        return None, By.NOTIFY, False
    m = _BY.fullmatch(value)
    if m is None:
        raise BadCommand(replies.BAD_PARAMETER)
    by_s, by = int(m[1]), By(m[2].upper())
    if by is By.RETURN:
        _require(by_s > 0)
        if by_s < MIN_BY_S:
            raise BadCommand(replies.BY_TOO_SOON)
    return by_s, by, bool(m[3])


def parse_rcpt(argument: str, *, extended: bool, utf8: bool, domain: str) -> Rcpt:
    """Read what follows `RCPT `; bare `Postmaster` is that of `domain` (RFC 5321 §4.1.1.3). Raises BadCommand."""
    path, text = _split(argument, "TO:", replies.BAD_RCPT, extended=extended)
    if path.lower() == "postmaster":
        path = f"{path}@{domain}"
    recipient = Address.parse(path)
    if recipient is None:
        raise BadCommand(replies.BAD_RECIPIENT)
    if not utf8 and not recipient.is_ascii:
        raise BadCommand(replies.ASCII_RECIPIENT)
    if not text:
        return Rcpt(recipient)
    parameters = _Parameters.read(text)
    notify, orcpt = parameters.take("NOTIFY").upper(), parameters.take("ORCPT")
    _require(not orcpt or (len(orcpt) <= MAX_ORCPT and _ORCPT.fullmatch(orcpt) and (utf8 or orcpt.isascii())))
    parameters.done()
    return Rcpt(recipient, RecipientWishes(_notify(notify), orcpt))


def _notify(value: str) -> Notify | None:
    """NEVER, or a list of what is to be told, each word once (RFC 3461 §4.1)."""
    if not value:
        return None
    wanted = NEVER
    for word in () if value == "NEVER" else value.split(","):
        _require(word in Notify.__members__ and Notify[word] not in wanted)
        wanted |= Notify[word]
    return wanted
