"""The states of a session (RFC 3501 §3), and what of TLS and sign-in decides which commands are in order.

                 +----------------------+
                 |  NOT_AUTHENTICATED   |  STARTTLS once, before any sign-in; no sign-in before TLS
                 +----------------------+
                            | signed_in
                            v
                 +----------------------+        +------------+
                 |    AUTHENTICATED     |------->|  SELECTED  |  selected, from either; a SELECT that fails
                 +----------------------+<-------+------------+  leaves AUTHENTICATED (RFC 3501 §6.3.1)
                            |       unselected         |
                            v                          v
                 LOGOUT, from anywhere: LOGOUT, or the server's BYE

It keeps no data: who signed in and what is selected is the session's own. It must never decide for a command it
doesn't know: what a command needs stands in its row of `table`.
"""

from enum import Enum, unique

from mssmail.wire.imap.fault import Fault, ProtocolError


@unique
class State(Enum):
    """RFC 3501 §3."""

    NOT_AUTHENTICATED = "not-authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


@unique
class Stage(Enum):
    """What a connection has reached, as far as it decides what is announced."""

    CLEAR = "clear"
    """Before TLS."""
    SECURED = "secured"
    """Over TLS, before sign-in."""
    SIGNED_IN = "signed-in"


@unique
class Tls(Enum):
    """What a command asks of the connection."""

    EITHER = "either"
    NEEDED = "needed"
    ABSENT = "absent"


ANY_STATE = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
BEFORE_SIGN_IN = frozenset({State.NOT_AUTHENTICATED})
SIGNED_IN = frozenset({State.AUTHENTICATED, State.SELECTED})
SELECTED = frozenset({State.SELECTED})

_STATE_NEEDED = {
    BEFORE_SIGN_IN: "already signed in",
    SIGNED_IN: "sign in first",
    SELECTED: "select a mailbox first",
}


class Machine:
    """Where a session stands. The session calls a method once the deed is done."""

    __slots__ = ("_state", "_tls")

    def __init__(self, *, tls: bool) -> None:
        self._state = State.NOT_AUTHENTICATED
        self._tls = tls

    @property
    def state(self) -> State:
        return self._state

    @property
    def tls(self) -> bool:
        return self._tls

    @property
    def stage(self) -> Stage:
        if not self._tls:
            return Stage.CLEAR
        return Stage.SECURED if self._state is State.NOT_AUTHENTICATED else Stage.SIGNED_IN

    def objection(self, states: frozenset[State], tls: Tls) -> ProtocolError | None:
        """Return why a command that needs one of `states`, and `tls`, isn't in order now; None where it is."""
        if self._state not in states:
            return ProtocolError(Fault.WRONG_STATE, _STATE_NEEDED.get(states, ""))
        if tls is Tls.NEEDED and not self._tls:
            return ProtocolError(Fault.PRIVACY_REQUIRED)
        if tls is Tls.ABSENT and self._tls:
            return ProtocolError(Fault.WRONG_STATE, "TLS is on already")
        return None

    def started_tls(self) -> None:
        assert not self._tls and self._state is State.NOT_AUTHENTICATED
        self._tls = True

    def signed_in(self) -> None:
        assert self._tls and self._state is State.NOT_AUTHENTICATED
        self._state = State.AUTHENTICATED

    def selected(self) -> None:
        assert self._state in SIGNED_IN
        self._state = State.SELECTED

    def unselected(self) -> None:
        """After CLOSE, UNSELECT, and where a SELECT or EXAMINE failed."""
        assert self._state in SIGNED_IN
        self._state = State.AUTHENTICATED

    def ended(self) -> None:
        self._state = State.LOGOUT
