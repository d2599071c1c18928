"""Which command is in order when, and what is announced when."""

import pytest

from mssmail.wire.imap import table
from mssmail.wire.imap.fault import Fault
from mssmail.wire.imap.frame import Frame
from mssmail.wire.imap.machine import Machine, Stage, State
from mssmail.wire.imap.table import Rejected

_ANY = {"CAPABILITY", "NOOP", "LOGOUT", "ID"}
_BEFORE = _ANY | {"AUTHENTICATE", "LOGIN"}
_SIGNED_IN = _ANY | set(
    "ENABLE SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST "
    "LSUB STATUS APPEND GETQUOTA GETQUOTAROOT SETACL DELETEACL GETACL LISTRIGHTS MYRIGHTS "
    "NAMESPACE IDLE".split()
)
_SELECTED = _SIGNED_IN | set("CHECK CLOSE UNSELECT EXPUNGE SEARCH FETCH STORE COPY MOVE".split())
_SELECTED |= {f"UID {name}" for name in ("EXPUNGE", "SEARCH", "FETCH", "STORE", "COPY", "MOVE")}


def _machine(state: State, *, tls: bool = True) -> Machine:
    machine = Machine(tls=tls)
    if state is State.LOGOUT:
        machine.ended()
    elif state is not State.NOT_AUTHENTICATED:
        machine.signed_in()
        if state is State.SELECTED:
            machine.selected()
    return machine


@pytest.mark.parametrize(
    ("state", "tls", "allowed"),
    [
        (State.NOT_AUTHENTICATED, False, _ANY | {"STARTTLS"}),
        (State.NOT_AUTHENTICATED, True, _BEFORE),
        (State.AUTHENTICATED, True, _SIGNED_IN),
        (State.SELECTED, True, _SELECTED),
        (State.LOGOUT, True, set()),
    ],
)
def test_commands_in_order(state: State, tls: bool, allowed: set[str]) -> None:
    """Each state takes its own commands and no other (RFC 3501 §6); nobody signs in before TLS."""
    machine = _machine(state, tls=tls)
    in_order = {row.name.decode() for row in table.ROWS if machine.objection(row.states, row.tls) is None}
    assert in_order == allowed


@pytest.mark.parametrize(
    ("octets", "state", "tls", "fault"),
    [
        (b"a LOGIN x y", State.NOT_AUTHENTICATED, False, Fault.PRIVACY_REQUIRED),
        (b"a LOGIN ((((", State.NOT_AUTHENTICATED, False, Fault.PRIVACY_REQUIRED),
        (b"a AUTHENTICATE PLAIN", State.NOT_AUTHENTICATED, False, Fault.PRIVACY_REQUIRED),
        (b"a LOGIN x y", State.AUTHENTICATED, True, Fault.WRONG_STATE),
        (b"a STARTTLS", State.NOT_AUTHENTICATED, True, Fault.WRONG_STATE),
        (b"a STARTTLS", State.AUTHENTICATED, True, Fault.WRONG_STATE),
        (b"a SELECT &", State.NOT_AUTHENTICATED, True, Fault.WRONG_STATE),
        (b"a FETCH ((((", State.AUTHENTICATED, True, Fault.WRONG_STATE),
        (b"a UID FETCH ((((", State.AUTHENTICATED, True, Fault.WRONG_STATE),
        (b"a NOOP", State.LOGOUT, True, Fault.WRONG_STATE),
    ],
)
def test_out_of_order(octets: bytes, state: State, tls: bool, fault: Fault) -> None:
    """A command out of order is refused for that, before its arguments are looked at."""
    outcome = table.read(Frame((octets,)), _machine(state, tls=tls))
    assert isinstance(outcome, Rejected)
    assert outcome.error.fault is fault
    assert outcome.tag == b"a"
    assert outcome.name is not None


def test_a_session_from_greeting_to_logout() -> None:
    """States and stages follow what was done."""
    machine = Machine(tls=False)
    seen = [(machine.state, machine.stage)]
    for step in (
        machine.started_tls,
        machine.signed_in,
        machine.selected,
        machine.selected,
        machine.unselected,
        machine.ended,
    ):
        step()
        seen.append((machine.state, machine.stage))
    assert seen == [
        (State.NOT_AUTHENTICATED, Stage.CLEAR),
        (State.NOT_AUTHENTICATED, Stage.SECURED),
        (State.AUTHENTICATED, Stage.SIGNED_IN),
        (State.SELECTED, Stage.SIGNED_IN),
        (State.SELECTED, Stage.SIGNED_IN),
        (State.AUTHENTICATED, Stage.SIGNED_IN),
        (State.LOGOUT, Stage.SIGNED_IN),
    ]


_ALL = (
    "IMAP4rev1 LITERAL+ MULTIAPPEND CONDSTORE ESEARCH CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE "
    "CREATE-SPECIAL-USE STATUS=SIZE QUOTA=RES-STORAGE QUOTA RIGHTS=texk ACL APPENDLIMIT=1000 ID ENABLE NAMESPACE "
    "IDLE UNSELECT MOVE UIDPLUS"
).split()


@pytest.mark.parametrize(
    ("stage", "mechanisms", "expected"),
    [
        (Stage.CLEAR, ("PLAIN", "LOGIN"), ["IMAP4rev1", "STARTTLS", "LOGINDISABLED"]),
        (
            Stage.SECURED,
            ("PLAIN", "LOGIN", "EXTERNAL"),
            ["IMAP4rev1", "SASL-IR", "LITERAL+", "AUTH=PLAIN", "AUTH=LOGIN", "AUTH=EXTERNAL", "ID"],
        ),
        (Stage.SIGNED_IN, ("PLAIN", "LOGIN"), _ALL),
    ],
)
def test_announced(stage: Stage, mechanisms: tuple[str, ...], expected: list[str]) -> None:
    """A stage announces what can be used at it, IMAP4rev1 first."""
    announced = table.capabilities(stage, mechanisms, 1_000)
    assert announced[0] == "IMAP4rev1"
    assert sorted(announced) == sorted(expected)


def test_rows_are_told_apart_by_name() -> None:
    """No two rows share a name, so that none hides another."""
    names = [row.name for row in table.ROWS]
    assert len(set(names)) == len(names)
    assert all(name == name.upper() for name in names)
