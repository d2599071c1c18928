"""Whether a sender is told: what was asked for, by what became of the message (RFC 3461 §5.2)."""

import pytest

from mssmail.base.relay import NEVER, By, Notify, Wishes
from mssmail.mime.report import Action
from mssmail.policy.notify import is_told

S, F, D = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY
FAILED, DELAYED, DELIVERED, RELAYED = Action.FAILED, Action.DELAYED, Action.DELIVERED, Action.RELAYED

TOLD: dict[Notify | None, set[Action]] = {
    None: {FAILED, DELAYED},
    NEVER: set(),
    S: {DELIVERED, RELAYED},
    F: {FAILED},
    D: {DELAYED},
    S | F: {DELIVERED, RELAYED, FAILED},
    S | D: {DELIVERED, RELAYED, DELAYED},
    F | D: {FAILED, DELAYED},
    S | F | D: {FAILED, DELAYED, DELIVERED, RELAYED},
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("notify", TOLD, ids=str)
def test_by_notify(notify: Notify | None, action: Action) -> None:
    """Each wish lets its own through; without one failures and delays are told, successes aren't."""
    assert is_told(action, notify, Wishes()) is (action in TOLD[notify])


@pytest.mark.parametrize("notify", TOLD, ids=str)
def test_who_takes_the_reports_over(notify: Notify | None) -> None:
    """A host that takes over what was asked for does the telling (RFC 3461 §5.2.1)."""
    assert not is_told(RELAYED, notify, Wishes(), dsn=True)


TIMED = Wishes(by_s=60, by=By.NOTIFY)


@pytest.mark.parametrize(
    ("notify", "wishes", "dsn", "deliver_by", "told"),
    [
        (None, TIMED, True, True, False),
        (None, TIMED, True, False, True),
        (D, TIMED, True, False, True),
        (F, TIMED, True, False, False),
        (S, TIMED, True, False, False),
        (S, TIMED, False, True, True),
        (NEVER, TIMED, False, False, False),
        (None, Wishes(by_s=60, by=By.NOTIFY, by_trace=True), True, True, True),
        (NEVER, Wishes(by_s=60, by=By.NOTIFY, by_trace=True), True, True, False),
        (None, Wishes(by_s=60, by=By.RETURN), True, True, False),
        (None, Wishes(by_s=60, by=By.RETURN, by_trace=True), True, True, True),
    ],
)
def test_a_time_for_delivery(notify: Notify | None, wishes: Wishes, *, dsn: bool, deliver_by: bool, told: bool) -> None:
    """Nobody watches the time any more, or each host was to tell: the sender hears of it (RFC 2852 §4)."""
    assert is_told(RELAYED, notify, wishes, dsn=dsn, deliver_by=deliver_by) is told
