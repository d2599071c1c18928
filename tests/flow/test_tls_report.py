"""How TLS to other operators went, day by day, in the shape of RFC 8460."""

from typing import Any

import pytest

from mssmail.base.relay import Attempt, Cause, Hop, Outcome
from mssmail.flow.tls_report import report, result_of
from tests.support.relays import HOP, HOSPITAL, LABORATORY, Post, all_of

DAY = 86_400


@pytest.mark.parametrize(
    ("cause", "hop", "result"),
    [
        (Cause.DELIVERED, HOP, "successful"),
        (Cause.REFUSED, HOP, "successful"),
        (Cause.NOT_LISTED, HOP, "certificate-not-trusted"),
        (Cause.EXPIRED, HOP, "certificate-expired"),
        (Cause.NO_STARTTLS, Hop("mx", "192.0.2.1"), "starttls-not-supported"),
        (Cause.TLS_FAILED, Hop("mx", "192.0.2.1"), "validation-failure"),
        (Cause.UNJUDGED, Hop("mx", "192.0.2.1"), ""),
        (Cause.UNREACHABLE, None, ""),
    ],
    ids=str,
)
def test_result(cause: Cause, hop: Hop | None, result: str) -> None:
    """What the other's TLS is to blame for is named as the RFC does; what it isn't, isn't counted against it."""
    assert result_of(Attempt(hop, [Outcome(cause)])) == result


async def test_report(post: Post) -> None:
    """Yesterday's counts by domain and result, and nothing of another day's; forgotten after two months."""
    anne = post.home.add_account("anne")
    for _ in range(3):
        await post.send(anne, f"dr@{HOSPITAL}")
    await post.send(anne, f"labo@{LABORATORY}")
    post.courier.always = lambda errand: all_of(Cause.CERTIFICATE if errand.domain == LABORATORY else Cause.DELIVERED)(
        errand
    )
    await post.turn()
    assert (await report(post.house))["policies"] == []
    today: Any = await report(post.house, post.clock.now())
    summaries = {
        each["policy"]["policy-domain"]: (
            each["summary"]["total-successful-session-count"],
            each["summary"]["total-failure-session-count"],
            each["failure-details"],
        )
        for each in today["policies"]
    }
    assert summaries == {
        HOSPITAL: (3, 0, []),
        LABORATORY: (0, 1, [{"result-type": "certificate-not-trusted", "failed-session-count": 1}]),
    }
    began = post.clock.now()
    await post.after(DAY)
    assert (await report(post.house))["policies"] == today["policies"]
    await post.after(70 * DAY)
    assert (await report(post.house, began))["policies"] == []
