"""ENVELOPE, as RFC 3501 §7.4.2 spells it: date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to,
message-id."""

from functools import lru_cache
from typing import Final

from mssmail.mime.addresses import Mailbox, parse
from mssmail.mime.headers import HeaderBlock
from mssmail.mime.limits import DEFAULT
from mssmail.mime.nstring import nstring

_SHORT_OCTETS: Final = 256


def render(block: HeaderBlock, *, limit: int = DEFAULT.addresses) -> bytes:
    """The parenthesised octets of a header's ENVELOPE; at most `limit` addresses a field.

    Text is as it stands in the header, unfolded, encoded words included. Sender and Reply-To that are absent or empty
    are those of From. Of a field that stands several times, the first counts.
    """
    author = _addresses(block.first(b"from"), limit)
    sender = _addresses(block.first(b"sender"), limit)
    reply_to = _addresses(block.first(b"reply-to"), limit)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(block.first(b"date")),
        nstring(block.first(b"subject")),
        author,
        author if sender == b"NIL" else sender,
        author if reply_to == b"NIL" else reply_to,
        _addresses(block.first(b"to"), limit),
        _addresses(block.first(b"cc"), limit),
        _addresses(block.first(b"bcc"), limit),
        nstring(block.first(b"in-reply-to")),
        nstring(block.first(b"message-id")),
    )


def _addresses(value: bytes | None, limit: int) -> bytes:
    if not value:
        return b"NIL"
    return _spelt_short(value, limit) if len(value) <= _SHORT_OCTETS else _spelt(value, limit)


def _spelt(value: bytes, limit: int) -> bytes:
    spelt = [_address(entry) for entry in parse(value, limit=limit).entries]
    return b"(%b)" % b"".join(spelt) if spelt else b"NIL"


_spelt_short = lru_cache(maxsize=4096)(_spelt)
"""Few people write to few others again and again; long lists aren't kept."""


def _address(entry: Mailbox) -> bytes:
    return b"(%b %b %b %b)" % (nstring(entry.name), nstring(entry.adl), nstring(entry.mailbox), nstring(entry.host))
