"""What a server offers in its answer to EHLO (RFC 5321 §4.1.1.1). Pure."""

from dataclasses import dataclass

from mssmail.servers.smtp.courier.reply import Reply


@dataclass(frozen=True, slots=True)
class Offer:
    """The extensions that the courier has a use for."""

    name: str = ""
    """The name that the server gives itself; proves nothing."""
    starttls: bool = False
    pipelining: bool = False
    chunking: bool = False
    utf8: bool = False
    eight_bit: bool = False
    dsn: bool = False
    require_tls: bool = False
    priority: bool = False
    deliver_by: bool = False
    least_by_s: int = 0
    """The shortest time it can promise with By.RETURN (RFC 2852 §3); 0: any."""
    size: bool = False
    most_octets: int = 0
    """The largest message it takes (RFC 1870 §3); 0: it doesn't say."""
    most_recipients: int = 0
    """Of one transaction (RFC 9422, RCPTMAX); 0: it doesn't say."""
    most_messages: int = 0
    """Of one connection (RFC 9422, MAILMAX); 0: it doesn't say."""


def offer_of(reply: Reply) -> Offer:
    """Read a positive answer to EHLO; what isn't known is passed over."""
    words: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, rest = line.decode("ascii", "replace").strip().partition(" ")
        words.setdefault(keyword.upper(), rest.strip())
    limits = dict(word.upper().split("=", 1) for word in words.get("LIMITS", "").split() if "=" in word)
    return Offer(
        name=reply.lines[0].decode("ascii", "replace").strip().partition(" ")[0][:255],
        starttls="STARTTLS" in words,
        pipelining="PIPELINING" in words,
        chunking="CHUNKING" in words,
        utf8="SMTPUTF8" in words,
        eight_bit="8BITMIME" in words,
        dsn="DSN" in words,
        require_tls="REQUIRETLS" in words,
        priority="MT-PRIORITY" in words,
        deliver_by="DELIVERBY" in words,
        least_by_s=_number(words.get("DELIVERBY", "")),
        size="SIZE" in words,
        most_octets=_number(words.get("SIZE", "")),
        most_recipients=_number(limits.get("RCPTMAX", "")),
        most_messages=_number(limits.get("MAILMAX", "")),
    )


def _number(text: str) -> int:
    """RFC 1870 §3: up to 20 digits; anything else says nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0
