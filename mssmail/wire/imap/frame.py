"""What framing yields: a command's lines and literals, the events of a connection, and the limits that bound them.

A command is lines and literals in turn; a line that ends in `{n}` or `{n+}` goes on after n octets (RFC 3501 §4.3,
RFC 7888). `framer.Framer` makes these from octets. Nothing here prints what a client sent.
"""

import re
from dataclasses import dataclass, field

from mssmail.wire.imap.fault import ProtocolError

UINT32_MAX = 0xFFFF_FFFF
CHUNK_OCTETS = 65_536
"""A LiteralData carries at most this much."""

_TAG = re.compile(rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,256})(?: |\Z)")
"""tag = 1*<any ASTRING-CHAR except "+">; the length bounds what we echo."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command may take, in octets unless said otherwise."""

    line_octets: int
    """One line without its end."""
    literal_octets: int
    """One literal held in memory."""
    literals: int
    """How many literals, streamed ones included."""
    command_octets: int
    """Lines and literals held in memory, together."""
    append_octets: int
    """One message of an APPEND; 0 lets none through."""
    skip_octets: int
    """The longest unwanted literal that is read and thrown away; a longer one ends the connection (RFC 7888 §4)."""


BEFORE_LOGIN = Limits(
    line_octets=12_288 + 512,  # SASL-IR puts a whole line of RFC 4954 §4 behind the command's name
    literal_octets=1_024,
    literals=4,  # a login and a password need two
    command_octets=16_384,
    append_octets=0,
    skip_octets=65_536,
)


def after_login(append_octets: int) -> Limits:
    """Return the limits of a signed-in session that takes messages of up to `append_octets`.

    RFC 2683 §3.2.1.5 asks for lines of 8,000 octets; 64 KiB take a UID set of ten thousand scattered messages.
    """
    return Limits(
        line_octets=65_536,
        literal_octets=65_536,
        literals=64,
        command_octets=262_144,
        append_octets=append_octets,
        skip_octets=max(4 * append_octets, 1_048_576),
    )


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal of a command: its octets, or None where they were streamed (or are about to be)."""

    size: int
    octets: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Frame:
    """A command as it came: `texts[i]`, with its `{n}`, stands before `literals[i]`; one more text ends it."""

    texts: tuple[bytes, ...]
    literals: tuple[Literal, ...] = ()

    def __repr__(self) -> str:
        return f"Frame({len(self.texts)} lines)"  # a LOGIN's password would show


@dataclass(frozen=True, slots=True)
class Complete:
    """A whole command; where messages came with it, what stands behind the last one: nothing, if it is right."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class NeedContinuation:
    """The peer waits for `+` before it sends a literal."""


@dataclass(frozen=True, slots=True)
class LiteralStart:
    """An APPEND's message is next. Answer with `accept` or `refuse` before calling `next` again.

    `frame` is the command so far, as if it ended here, so that it parses; of a message that follows another
    (RFC 3502), what stands between them. Where `synchronizing`, `accept` makes the next event a NeedContinuation.
    """

    frame: Frame
    size: int
    synchronizing: bool


@dataclass(frozen=True, slots=True)
class LiteralData:
    """Some octets of the message announced; `last` with the final ones (empty where the message is)."""

    octets: bytes
    last: bool

    def __repr__(self) -> str:
        return f"LiteralData({len(self.octets)} octets)"


@dataclass(frozen=True, slots=True)
class Line:
    """The raw line that `expect_line` asked for, without its end."""

    octets: bytes

    def __repr__(self) -> str:
        return f"Line({len(self.octets)} octets)"


@dataclass(frozen=True, slots=True)
class Refused:
    """A command was consumed and must be answered with a refusal; the connection goes on.

    `tag` is `*` where none could be read, and for a raw line. `error` is None where the session itself refused it.
    """

    tag: bytes
    error: ProtocolError | None


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection can't go on: say BYE and close. Nothing follows."""

    error: ProtocolError


Event = Complete | NeedContinuation | LiteralStart | LiteralData | Line | Refused | Broken


def tag_of(line: bytes) -> bytes:
    """Return the tag of a command's first line, or `*` where it has none that could be echoed."""
    m = _TAG.match(line)
    return m[1] if m else b"*"
