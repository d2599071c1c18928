"""Whether a sender is told what became of a message for one recipient (RFC 3461 §5.2, RFC 2852 §4). Pure.

That nobody is told of a message without a sender is known before anything is asked here.
"""

from typing import assert_never

from mssmail.base.relay import NEVER, By, Notify, Wishes
from mssmail.mime.report import Action


def is_told(
    action: Action, notify: Notify | None, wishes: Wishes, *, dsn: bool = False, deliver_by: bool = False
) -> bool:
    """Decide on one recipient. `dsn`, `deliver_by`: what a host that the message was relayed to takes over itself."""
    if notify == NEVER:
        return False
    match action:
        case Action.FAILED:
            return notify is None or Notify.FAILURE in notify
        case Action.DELAYED:
            return notify is None or Notify.DELAY in notify
        case Action.DELIVERED:
            return notify is not None and Notify.SUCCESS in notify
        case Action.RELAYED:
            succeeded = notify is not None and Notify.SUCCESS in notify
            # Who was to hear of a delay can't any more: it is told that nobody watches the time from here on.
            timed = wishes.by_s is not None and wishes.by is By.NOTIFY and not deliver_by
            wants_time = notify is None or Notify.DELAY in notify
            return (succeeded and not dsn) or (timed and wants_time) or (wishes.by_s is not None and wishes.by_trace)
    assert_never(action)
