"""The queue as an administrator sees and changes it."""

import pytest

from mssmail.base.ids import POST
from mssmail.base.principal import Principal
from mssmail.base.relay import Cause
from mssmail.flow.queue_desk import UNREADABLE, QueueDesk
from mssmail.store.queue_state import State
from tests.support.relays import HOP, HOSPITAL, LABORATORY, Post, all_of

DR = f"dr@{HOSPITAL}"
LABO = f"labo@{LABORATORY}"
LATER = all_of(Cause.DEFERRED, 451, "greylisted")
DOWN = all_of(Cause.UNREACHABLE, detail="connection refused")


@pytest.fixture
def desk(post: Post) -> QueueDesk:
    return QueueDesk(post.house, "root")


async def test_where_a_message_is(post: Post, anne: Principal, desk: QueueDesk) -> None:
    """Each attempt shows its peer, TLS and answer, during the wait and after the end, until the trace goes."""
    ident = await post.send(anne, DR)
    post.courier.plan.append(LATER)
    await post.turn()
    (listed,) = await desk.waiting()
    (waiting,) = listed.recipients
    assert (listed.ident, listed.sender, waiting.address, waiting.cause) == (ident, str(anne.address), DR, "deferred")
    assert waiting.due_at == int(post.clock.now()) + 15
    await post.after(15)
    assert await desk.waiting() == []
    found = await desk.show(ident)
    assert found is not None
    (recipient,) = found.recipients
    assert (recipient.state, recipient.due_at, found.ended_at) == ("relayed", None, int(post.clock.now()))
    assert [(each.cause, each.tried.hop) for each in recipient.trace] == [("deferred", HOP), ("delivered", HOP)]
    assert str(recipient.trace[0].tried.answer) == "451 greylisted"
    await post.after(7 * 86_400)
    assert await desk.show(ident) is None


async def test_altered_rows_hide_nothing_else(post: Post, anne: Principal, desk: QueueDesk) -> None:
    """What an altered row would say can't be shown; the others are, and its message can be dropped."""
    good, bad = await post.send(anne, LABO), await post.send(anne, DR)
    post.courier.always = DOWN
    await post.turn()
    number = int(bad, 16)
    for table in ("queue_messages", "queue_recipients", "queue_attempts"):
        post.home.tx().driver.execute(f"UPDATE {table} SET sealed = x'00' WHERE queue_id = ?", (number,))
    post.home.tx().driver.execute("UPDATE queue_domains SET sealed = x'00'", ())
    shown = {each.ident: (each.sender, each.recipients[0].address) for each in await desk.waiting()}
    assert shown == {good: (str(anne.address), LABO), bad: (UNREADABLE, UNREADABLE)}
    assert [each.name for each in await desk.domains()] == [UNREADABLE] * 2
    found = await desk.show(bad)
    assert found is not None
    assert [each.cause for each in found.recipients[0].trace] == ["unreachable"]
    assert await desk.drop(bad) == 1


@pytest.mark.parametrize("ident", ["", "0", "-1", "zz", "f" * 40, "7"])
async def test_no_such_message(desk: QueueDesk, ident: str) -> None:
    """What is no id, or nobody's, finds and changes nothing."""
    assert await desk.show(ident) is None
    assert await desk.hold(ident) == 0


async def test_held_and_released(post: Post, anne: Principal, desk: QueueDesk) -> None:
    """A held message isn't tried, a released one at once; both are in the trail with who did it."""
    ident = await post.send(anne, DR)
    assert await desk.hold(ident) == 1
    await post.after(3600)
    assert post.courier.given == []
    assert await desk.release(ident) == 1
    await post.turn()
    assert post.states(ident) == [State.RELAYED]
    said = [(details["act"], details["administrator"], details["id"]) for *_, details in post.events("queue-changed")]
    assert said == [("hold", "root", ident), ("release", "root", ident)]


async def test_dropped(post: Post, anne: Principal, desk: QueueDesk) -> None:
    """A dropped message is gone with its body, and nobody is told; who has it already keeps it."""
    ident = await post.send(anne, DR, LABO)
    post.courier.always = lambda errand: (LATER if errand.domain == HOSPITAL else all_of(Cause.DELIVERED, 250))(errand)
    await post.turn()
    assert await desk.drop(ident) == 1
    assert sorted(post.states(ident)) == [State.RELAYED, State.DROPPED]
    assert post.rows("SELECT * FROM wraps WHERE account_id = ?", POST) == []
    assert post.events("reported") == []
    assert await desk.drop(ident) == 0


@pytest.mark.parametrize("by", ["ident", "domain", "all"])
async def test_tried_at_once(post: Post, anne: Principal, desk: QueueDesk, by: str) -> None:
    """An administrator who knows that a server is back needn't wait for the next probe."""
    post.courier.always = DOWN
    ident = await post.send(anne, DR)
    for _ in range(8):
        await post.after(600)
    before = len(post.courier.given)
    post.courier.always = all_of(Cause.DELIVERED, 250)
    await post.turn()
    assert len(post.courier.given) == before
    assert await desk.retry(ident if by == "ident" else None, HOSPITAL if by == "domain" else None) == 1
    await post.turn()
    assert post.states(ident) == [State.RELAYED]


async def test_paused_domain(post: Post, anne: Principal, desk: QueueDesk) -> None:
    """Nothing is given to a paused domain, even one that nothing was ever sent to; other domains go on."""
    await desk.pause(HOSPITAL.upper())
    waiting, other = await post.send(anne, DR), await post.send(anne, LABO)
    await post.turn()
    assert (post.states(waiting), post.states(other)) == ([State.WAITING], [State.RELAYED])
    shown = {each.name: (each.paused, dict(each.counts)) for each in await desk.domains()}
    assert shown == {HOSPITAL: (True, {"waiting": 1}), LABORATORY: (False, {})}
    await desk.resume(HOSPITAL)
    await post.after(3)
    assert post.states(waiting) == [State.RELAYED]
    assert [kind for kind, *_ in post.events("domain-paused", "domain-resumed")] == ["domain-paused", "domain-resumed"]


async def test_trouble_shows(post: Post, anne: Principal, desk: QueueDesk) -> None:
    """A domain whose server is away shows since how many attempts, why, and when it is tried next."""
    post.courier.always = DOWN
    await post.send(anne, DR)
    await post.turn()
    await post.after(15)
    (shown,) = await desk.domains()
    assert (shown.failures, shown.cause, shown.retry_at) == (2, "unreachable", int(post.clock.now()) + 30)
