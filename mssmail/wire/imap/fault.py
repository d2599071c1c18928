"""What a client can do wrong, as values: a closed set of faults, and the error that carries one inside wire.

`ProtocolError` is raised by framing, parsing and the state machine only; `table.read` turns it into a value, so that
a session never catches it. Details are fixed sentences of ours: nothing that the peer sent, nothing secret.
"""

from enum import Enum, unique


@unique
class Fault(Enum):
    """How a command breaks the protocol. `responses.FAULT_REPLIES` has the reply of each."""

    SYNTAX = "syntax"
    UNKNOWN_COMMAND = "unknown-command"
    WRONG_STATE = "wrong-state"
    PRIVACY_REQUIRED = "privacy-required"
    """A sign-in before TLS."""
    LINE_TOO_LONG = "line-too-long"
    LITERAL_TOO_BIG = "literal-too-big"
    MESSAGE_TOO_BIG = "message-too-big"
    """The message of an APPEND exceeds what the server takes (RFC 7889)."""
    COMMAND_TOO_BIG = "command-too-big"
    TOO_MANY_LITERALS = "too-many-literals"
    TOO_MANY = "too-many"
    """More list members, ranges or search keys than a command may hold."""
    TOO_DEEP = "too-deep"
    CHARSET = "charset"
    MAILBOX_NAME = "mailbox-name"
    """Not modified UTF-7, or too long."""
    USE_ATTRIBUTE = "use-attribute"
    """CREATE asks for a special use nobody knows (RFC 6154)."""


class ProtocolError(Exception):
    """The peer broke the grammar. `detail` says where, in words that quote nothing."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault.value, detail)
        self.fault = fault
        self.detail = detail
