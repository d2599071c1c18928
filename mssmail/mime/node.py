"""A part of a message: where it lies and what its header says. Made by `scan`, read by `structure` and `record`."""

from dataclasses import dataclass, field

from mssmail.mime.headers import HeaderBlock
from mssmail.mime.parameters import Parameters


@dataclass(slots=True)
class Node:
    """One part. Offsets are octets from the message's first; header_start <= body_start <= end, children lie inside.

    The header runs from `header_start` to `body_start`, its blank line included; the body from there to `end`, without
    the line break that belongs to the boundary after it. A message/rfc822 part has one child, the embedded message.
    """

    header_start: int
    body_start: int = -1
    end: int = -1
    type: bytes = b"text"
    """Media type and subtype in lower case."""
    subtype: bytes = b"plain"
    parameters: Parameters = ()
    content_id: bytes | None = None
    description: bytes | None = None
    encoding: bytes = b"7BIT"
    """Content-Transfer-Encoding in upper case."""
    md5: bytes | None = None
    disposition: tuple[bytes, Parameters] | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    lines: int = 0
    """Line feeds in the body; counted for text and message/rfc822 alone."""
    children: list["Node"] = field(default_factory=list)
    envelope: bytes | None = None
    """Of an embedded message: its rendered ENVELOPE."""
    block: HeaderBlock | None = None
    """Of the outermost message: its header block, cut at `Limits.header_octets`."""

    @property
    def size(self) -> int:
        """Octets of the body."""
        return self.end - self.body_start

    @property
    def is_multipart(self) -> bool:
        return self.type == b"multipart"

    @property
    def is_message(self) -> bool:
        """Whether it embeds a message (message/rfc822)."""
        return self.type == b"message" and self.subtype == b"rfc822"
