"""Whether a person wrote a message, to somebody: what is asked before an automatic answer is given (RFC 3834 §2).

What isn't known to come from a person is answered nothing: a doctor's absence that isn't told of costs less than two
programs that answer each other. Pure.
"""

from typing import Final

from mssmail.mime.addresses import mailboxes
from mssmail.mime.headers import HeaderBlock
from mssmail.mime.parameters import media_type

_LISTS: Final = frozenset(
    {b"list-id", b"list-help", b"list-unsubscribe", b"list-subscribe", b"list-post", b"list-owner", b"list-archive"}
)
"""RFC 2369, RFC 2919."""
_BULK: Final = frozenset({b"bulk", b"junk", b"list"})
_SUPPRESS: Final = frozenset({b"all", b"oof", b"autoreply"})
_NAMING: Final = (b"to", b"cc", b"bcc", b"resent-to", b"resent-cc", b"resent-bcc")
_NOBODY: Final = frozenset(
    "noreply no-reply donotreply do-not-reply nepasrepondre ne-pas-repondre mailer-daemon postmaster majordomo "
    "listserv bounce bounces".split()
)
MAX_ADDRESSES: Final = 1_000


def is_automatic(header: HeaderBlock) -> bool:
    """Whether a program wrote it, or it was sent to many."""
    submitted = header.first(b"auto-submitted")
    said_so = submitted is not None and submitted.partition(b";")[0].strip().lower() != b"no"
    if said_so or not header.has_none_of(_LISTS):
        return True
    if (header.first(b"precedence") or b"").strip().lower() in _BULK:
        return True
    suppressed = (header.first(b"x-auto-response-suppress") or b"").lower().split(b",")
    if not _SUPPRESS.isdisjoint(word.strip() for word in suppressed):
        return True
    # reports of delivery and of reading, whatever else they say
    return media_type(header.first(b"content-type") or b"") == (b"multipart", b"report")


def is_nobodys(local: str) -> bool:
    """Whether nobody reads what is sent to an address of that local part (RFC 3834 §2)."""
    name = local.lower()
    return name in _NOBODY or name.startswith("owner-") or name.endswith(("-request", "-owner", "-bounces"))


def names(header: HeaderBlock, key: str) -> bool:
    """Whether an address, as `Address.key` has it, stands among those that the message is to: it was no blind copy."""
    wanted = key.encode()
    for field in _NAMING:
        for value in header.all(field):
            found = mailboxes(value) or ()
            if any(each.lower() == wanted for each in found[:MAX_ADDRESSES]):
                return True
    return False
