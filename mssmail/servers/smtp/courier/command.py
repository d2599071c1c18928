"""MAIL and RCPT as a server that offers so much is told them, and why it can't be given a message at all. Pure.

What a server doesn't offer is left out where the RFC lets it be, else it is a finding. Nothing that holds a space or a
control character ever becomes part of a command, wherever it came from.
"""

import re
from collections.abc import Sequence
from typing import Final

from mssmail.base.address import Address
from mssmail.base.relay import By, Cause, Errand, RecipientWishes
from mssmail.servers.smtp.courier.offer import Offer

_WORD: Final = re.compile(r"[\x21-\x7e]{1,500}")
"""ENVID and ORCPT in xtext have 100 and 500 characters at most (RFC 3461 §4.2, §4.4)."""
_WIDE_WORD: Final = re.compile(r"[^\x00-\x20\x7f]{1,500}")
"""ORCPT may hold an address in UTF-8 where SMTPUTF8 was asked for (RFC 6533 §3)."""
_PATH: Final = re.compile(r"[^\x00-\x20\x7f<>]{3,320}")
_MAX_BY_S: Final = 999_999_999
"""RFC 2852 §4: nine digits."""


def is_wide(errand: Errand) -> bool:
    """Whether it needs SMTPUTF8 (RFC 6531 §3.4)."""
    if errand.wishes.utf8 or not (errand.sender is None or errand.sender.is_ascii):
        return True
    return not all(address.is_ascii and wishes.orcpt.isascii() for address, wishes in errand.recipients)


def obstacle(errand: Errand, offer: Offer) -> tuple[Cause, str] | None:
    """Why a server that offers so much can't be given the message, for good."""
    wishes = errand.wishes
    # a report isn't lost for it (RFC 8689 §5); it goes over TLS as everything does
    if wishes.require_tls and not offer.require_tls and errand.sender is not None:
        return Cause.NO_REQUIRE_TLS, "REQUIRETLS isn't offered"
    if is_wide(errand) and not offer.utf8:
        return Cause.NO_UTF8, "SMTPUTF8 isn't offered"
    if wishes.eight_bit and not offer.eight_bit:
        return Cause.NO_EIGHT_BIT, "8BITMIME isn't offered"
    if offer.most_octets and errand.size_octets > offer.most_octets:
        return Cause.TOO_LARGE, f"{offer.most_octets} octets are the most it takes"
    if wishes.by_s is not None and wishes.by is By.RETURN:
        if wishes.by_s <= 0:
            return Cause.TOO_LATE, "the time to deliver by is over"
        if not offer.deliver_by:
            return Cause.TOO_LATE, "DELIVERBY isn't offered"
        if wishes.by_s < offer.least_by_s:
            return Cause.TOO_LATE, f"{offer.least_by_s} s are the least it promises"
    return None


def mail(errand: Errand, offer: Offer) -> bytes:
    """MAIL with its parameters and CRLF."""
    wishes = errand.wishes
    words = [f"MAIL FROM:<{'' if errand.sender is None else _path(errand.sender)}>"]
    if offer.size:
        words.append(f"SIZE={errand.size_octets}")
    if wishes.eight_bit:
        words.append("BODY=8BITMIME")
    if is_wide(errand):
        words.append("SMTPUTF8")
    if wishes.require_tls and offer.require_tls:
        words.append("REQUIRETLS")
    if offer.dsn:
        if wishes.ret:
            words.append(f"RET={_word(wishes.ret)}")
        if wishes.envid:
            words.append(f"ENVID={_word(wishes.envid)}")
    if offer.priority and wishes.priority:
        words.append(f"MT-PRIORITY={wishes.priority}")
    if offer.deliver_by and wishes.by_s is not None:
        left = max(-_MAX_BY_S, min(_MAX_BY_S, wishes.by_s))
        words.append(f"BY={left};{wishes.by.value}{'T' if wishes.by_trace else ''}")
    return " ".join(words).encode() + b"\r\n"


def rcpt(address: Address, wishes: RecipientWishes, offer: Offer) -> bytes:
    """RCPT likewise."""
    line = f"RCPT TO:<{_path(address)}>"
    if offer.dsn:
        if wishes.notify is not None:
            line += f" NOTIFY={wishes.notify.spelt}"
        if wishes.orcpt:
            line += f" ORCPT={_word(wishes.orcpt, _WIDE_WORD)}"
    return line.encode() + b"\r\n"


def rcpts(recipients: Sequence[tuple[Address, RecipientWishes]], offer: Offer) -> list[bytes]:
    return [rcpt(address, wishes, offer) for address, wishes in recipients]


def _path(address: Address) -> str:
    path = str(address)
    if _PATH.fullmatch(path) is None:
        raise ValueError("an address that can't be said")
    return path


def _word(text: str, form: re.Pattern[str] = _WORD) -> str:
    if form.fullmatch(text) is None:
        raise ValueError("a parameter that can't be said")
    return text
