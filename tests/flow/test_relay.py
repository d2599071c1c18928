"""Mail on its way to other operators: taken up, tried again, given up, and told of, with nothing lost on the way."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.ids import POST
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import Attempt, By, Cause, Errand, Notify, Outcome, RecipientWishes, Wishes
from mssmail.crypto.envelope import Unsealable
from mssmail.flow.purge import Purge
from mssmail.settings.queue import Queue as QueueSettings
from mssmail.settings.units import Seconds
from mssmail.store.queue_state import State
from tests.flow.test_mail import big
from tests.support.houses import settings_for
from tests.support.relays import HOSPITAL, LABORATORY, MESSAGE, Post, ToldCourier, all_of, beyond

DAY = 86_400
DR = f"dr@{HOSPITAL}"
DOWN = all_of(Cause.UNREACHABLE)
LATER = all_of(Cause.DEFERRED, 451, "later")


async def told(post: Post, who: Principal) -> list[str]:
    """What the sender was told, by the trail: the actions of reports."""
    return [str(said["action"]) for _, account, _, said in post.events("reported") if account == who.account]


@pytest.mark.parametrize("size", [0, 200, 300_000, 3_000_000])
async def test_what_was_sent_is_given(post: Post, anne: Principal, size: int) -> None:
    """The other operator gets the octets that were taken, without the lines that are a box's own."""
    octets = big(size) if size else MESSAGE
    ident = await post.send(anne, DR, octets=octets)
    await post.turn()
    ((errand, given),) = post.courier.given
    assert given == octets
    assert (errand.sender, errand.size_octets) == (anne.address, len(octets))
    assert post.states(ident) == [State.RELAYED]


async def test_recipients_of_a_domain_go_together(post: Post, anne: Principal) -> None:
    """One errand for each domain of a message, its recipients with their wishes in the envelope's order."""
    wished = RecipientWishes(Notify.SUCCESS | Notify.FAILURE, "rfc822;dr@x")
    wishes = Wishes("HDRS", "id-7", True, True, True, -3)
    await post.send(anne, beyond(DR, wished), f"labo@{LABORATORY}", f"urgences@{HOSPITAL}", wishes=wishes)
    await post.turn()
    errands = {errand.domain: errand for errand, _ in post.courier.given}
    assert [(str(a), w) for a, w in errands[HOSPITAL].recipients] == [
        (DR, wished),
        (f"urgences@{HOSPITAL}", RecipientWishes()),
    ]
    assert len(errands) == 2
    assert all(errand.wishes == wishes for errand in errands.values())


async def test_a_body_goes_with_its_last_recipient(post: Post, anne: Principal) -> None:
    """Once all have it, nothing of the message is left but its trace, and that goes after some days."""
    await post.send(anne, DR, f"labo@{LABORATORY}")
    await post.turn()
    assert post.rows("SELECT * FROM wraps") == []
    post.clock.advance(61)
    await Purge(post.house, announce=False).run()
    assert post.rows("SELECT * FROM bodies") == []
    assert len(post.rows("SELECT * FROM queue_attempts")) == 2
    await post.after(7 * DAY)
    for table in ("queue_messages", "queue_recipients", "queue_attempts", "queue_leases"):
        assert post.rows(f"SELECT * FROM {table}") == []


async def test_purge_spares_what_waits(post: Post, anne: Principal) -> None:
    """However short a box's term, a queued body lives as long as the queue tries it, and no longer than a day more."""
    post.courier.always = DOWN
    await post.send(anne, DR)
    await post.turn()
    await post.after(5 * DAY - 60)
    await Purge(post.house, announce=False).run()
    ((period,),) = post.rows("SELECT period FROM wraps WHERE account_id = ?", POST)
    assert post.clock.now() + 60 < period <= post.clock.now() + 60 + 2 * DAY + 1
    post.courier.always = all_of(Cause.DELIVERED, 250)
    await post.after(30)
    assert post.courier.given[-1][1] == MESSAGE


async def test_a_refusal_is_final_and_told(post: Post, anne: Principal) -> None:
    """A recipient that the peer refuses fails at once; the others of the message have theirs."""
    ident = await post.send(anne, DR, f"labo@{LABORATORY}")
    post.courier.plan.append(all_of(Cause.REFUSED, 550, "no such user"))
    await post.turn()
    assert sorted(post.states(ident)) == [State.RELAYED, State.FAILED]
    assert await told(post, anne) == ["failed"]
    ((_, account, outcome, said),) = post.events("relay-failed")
    assert (account, outcome, said["code"], said["id"]) == (anne.account, "refused", 550, ident)
    assert "no such user" not in str(said)
    assert post.rows("SELECT count(*) FROM messages") == [(1,)]


async def test_what_is_deferred_is_tried_again(post: Post, anne: Principal) -> None:
    """Pauses grow while the peer says later, and the message goes once it doesn't."""
    ident = await post.send(anne, DR)
    post.courier.always = LATER
    await post.turn()
    times = []
    for _ in range(8):
        ((due,),) = post.rows("SELECT due_at FROM queue_recipients")
        times.append(due - int(post.clock.now()))
        await post.after(due - post.clock.now() - 1)
        assert len(post.courier.given) == len(times)
        await post.after(1)
    assert times == [15, 30, 60, 120, 240, 480, 960, 1920]
    post.courier.always = all_of(Cause.DELIVERED, 250)
    await post.after(4 * 3600)
    assert post.states(ident) == [State.RELAYED]
    assert len(post.rows("SELECT * FROM queue_attempts")) == 10


async def test_a_dead_domain_is_probed_by_one_message(post: Post, anne: Principal) -> None:
    """A hundred messages to a server that is away cost one connection at a time; all go once it is back."""
    post.courier.always = DOWN
    for _ in range(100):
        await post.send(anne, DR)
    await post.send(anne, f"labo@{LABORATORY}")
    await post.turn()
    assert len(post.courier.given) == 2
    for pause in (15, 30, 60, 120):
        await post.after(pause)
    assert len([1 for errand, _ in post.courier.given if errand.domain == HOSPITAL]) == 5
    post.courier.always = all_of(Cause.DELIVERED, 250)
    await post.after(600)
    assert {row[0] for row in post.rows("SELECT state FROM queue_recipients")} == {State.RELAYED}


async def test_concurrency_grows_step_by_step(post: Post, anne: Principal) -> None:
    """To one domain first one at a time, then more with each success, up to the setting."""
    for _ in range(60):
        await post.send(anne, DR)
    await post.relay.turn()
    assert len(post.relay.carriers) == 1
    await post.turn()
    assert 1 < post.courier.most <= post.house.settings.relay.max_connections_per_domain
    assert len(post.courier.given) == 60


async def test_the_sender_hears_of_a_delay_and_of_the_end(post: Post, anne: Principal) -> None:
    """After four hours a notice of delay, once; after five days the failure, and the body is gone."""
    post.courier.always = DOWN
    ident = await post.send(anne, DR)
    await post.turn()
    await post.after(4 * 3600 - 1)
    assert await told(post, anne) == []
    await post.after(1)
    await post.after(3600)
    assert await told(post, anne) == ["delayed"]
    await post.after(5 * DAY)
    await post.after(60)
    assert await told(post, anne) == ["delayed", "failed"]
    assert post.states(ident) == [State.FAILED]
    assert post.rows("SELECT * FROM wraps WHERE account_id = ?", POST) == []


@pytest.mark.parametrize(("by", "heard"), [(By.RETURN, ["failed"]), (By.NOTIFY, ["delayed"])])
async def test_a_time_set_by_the_sender(post: Post, anne: Principal, by: By, heard: list[str]) -> None:
    """DELIVERBY: returned or told of when its time is over, and the seconds left are passed on (RFC 2852)."""
    post.courier.always = LATER
    await post.send(anne, DR, wishes=Wishes(by_s=1000, by=by))
    await post.turn()
    await post.after(999)
    assert [errand.wishes.by_s for errand, _ in post.courier.given] == [1000, 1]
    await post.after(2)
    assert await told(post, anne) == heard


async def test_nobody_is_told_of_a_message_without_sender(post: Post) -> None:
    """A report that fails is forgotten: there is no bounce of a bounce."""
    ident = await post.send(None, DR)
    post.courier.always = all_of(Cause.REFUSED, 550)
    await post.turn()
    assert post.states(ident) == [State.FAILED]
    assert post.events("reported") == []


async def test_a_killed_worker_loses_nothing(post: Post, anne: Principal, tmp_path: Path) -> None:
    """What a worker had in hand when it was killed is tried by its next life, with a mark in its trace."""
    post.courier.gate.clear()
    ident = await post.send(anne, DR)
    await post.relay.turn()
    for carrier in post.relay.carriers:
        carrier.cancel()
    await asyncio.gather(*post.relay.carriers, return_exceptions=True)
    assert post.states(ident) == [State.SENDING]
    post.courier.gate.set()
    post.relay = post.worker()
    await post.relay.begin(last=True)
    await post.turn()
    assert post.states(ident) == [State.RELAYED]
    assert [row[0] for row in post.rows("SELECT cause FROM queue_attempts ORDER BY attempt")] == [
        "interrupted",
        "delivered",
    ]


async def test_two_workers_never_have_the_same(post: Post, anne: Principal) -> None:
    """Each message is carried once, however many workers look at the queue."""
    idents = [await post.send(anne, DR, f"labo@{LABORATORY}") for _ in range(40)]
    other = post.worker()
    post.courier.gate.clear()
    await asyncio.gather(post.relay.turn(), other.turn())
    post.courier.gate.set()
    for _ in range(50):
        await asyncio.gather(post.relay.turn(), other.turn())
        await post.settled()
        if other.carriers:
            await asyncio.wait(other.carriers)
    assert len(post.courier.given) == 80
    assert all(post.states(ident) == [State.RELAYED] * 2 for ident in idents)
    await other.close()


async def test_two_workers_tell_once(post: Post, anne: Principal) -> None:
    """However many workers meet a deadline at the same moment, each message's sender hears of it once."""
    post.courier.always = DOWN
    for _ in range(120):
        await post.send(anne, DR)
    post.clock.advance(4 * 3600)
    other = post.worker()
    for _ in range(5):
        await asyncio.gather(post.relay.terms.look(), other.terms.look())
    assert await told(post, anne) == ["delayed"] * 120
    await other.close()


async def test_stopping_waits_for_the_last_step(post: Post, anne: Principal) -> None:
    """A server that stops lets what is under way end, and writes what came of it."""
    post.courier.gate.clear()
    ident = await post.send(anne, DR)
    await post.relay.turn()
    closing = asyncio.create_task(post.relay.close())
    await asyncio.sleep(0)
    post.courier.gate.set()
    await closing
    assert post.states(ident) == [State.RELAYED]


async def test_nothing_is_begun_once_it_stops(post: Post, anne: Principal) -> None:
    """What a look at the queue took as the server began to stop is given back untried."""
    ident = await post.send(anne, DR)
    await asyncio.gather(post.relay.turn(), post.relay.close())
    await post.relay.turn()
    assert post.courier.given == []
    assert post.states(ident) == [State.WAITING]
    assert post.rows("SELECT * FROM queue_leases") == []


async def test_stopping_lets_go_of_what_hangs(post: Post, anne: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What doesn't end in time is another worker's at once."""
    monkeypatch.setattr("mssmail.flow.relay.LAST_STEP_S", 0.01)
    post.courier.gate.clear()
    ident = await post.send(anne, DR)
    await post.relay.turn()
    await post.relay.close()
    assert post.states(ident) == [State.WAITING]
    assert post.rows("SELECT * FROM queue_leases") == []


async def test_an_erased_body_fails(post: Post, anne: Principal) -> None:
    """Where the message's key was destroyed while it waited, its sender hears of the failure."""
    ident = await post.send(anne, DR)
    post.clock.advance(9 * DAY)
    await Purge(post.house, announce=False).run()
    await post.turn()
    assert post.states(ident) == [State.FAILED]
    assert await told(post, anne) == ["failed"]


async def test_who_was_struck_off_since_gets_nothing(post: Post, anne: Principal) -> None:
    """What waits for a professional who left the directory meanwhile fails; the others of the message have theirs."""
    other = beyond(f"urgences@{HOSPITAL}")
    ident = await post.send(anne, DR, other)
    post.courier.plan.append(LATER)
    await post.turn()
    post.left.add(beyond(DR).address)
    await post.after(60)
    assert [address for address, _ in post.courier.given[-1][0].recipients] == [other.address]
    assert post.states(ident) == [State.FAILED, State.RELAYED]
    assert await told(post, anne) == ["failed"]
    assert [(outcome, said["id"]) for _, _, outcome, said in post.events("relay-failed")] == [("struck-off", ident)]
    alone = await post.send(anne, DR)
    post.courier.plan.append(LATER)
    await post.turn()
    await post.after(60)
    assert post.states(alone) == [State.FAILED]


def failing(error: Exception) -> Callable[[Errand], Attempt]:
    def carry(errand: Errand) -> Attempt:
        raise error

    return carry


@pytest.mark.parametrize("error", [ValueError("cut short"), Refusal(Reason.UNAVAILABLE, "no store")])
async def test_a_fault_of_ours_is_put_off_as_any(post: Post, anne: Principal, error: Exception) -> None:
    """What can't be carried for a fault of ours is tried after pauses that grow, without harm to others of its domain,
    until its lifetime is over and its sender told.
    """
    post.courier.always = failing(error)
    ident = await post.send(anne, DR)
    await post.turn()
    assert post.states(ident) == [State.WAITING]
    assert post.rows("SELECT failures FROM queue_domains") == [(0,)]
    await post.after(15)
    assert len(post.courier.given) == 2
    post.courier.plan.append(all_of(Cause.DELIVERED, 250))
    other = await post.send(anne, DR)
    await post.turn()
    assert post.states(other) == [State.RELAYED]
    await post.after(5 * DAY)
    assert post.states(ident) == [State.FAILED]
    assert (await told(post, anne))[-1] == "failed"


async def test_what_was_delivered_is_written_without_its_report(
    post: Post, anne: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that can't be made doesn't send the message out again and again."""

    async def broken(*_: object) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr("mssmail.flow.bounce.Bounces.notices", broken)
    ident = await post.send(anne, beyond(DR, RecipientWishes(Notify.SUCCESS)))
    post.courier.always = lambda errand: Attempt(None, [Outcome(Cause.DELIVERED)] * len(errand.recipients))
    await post.turn()
    assert post.states(ident) == [State.RELAYED]


async def test_who_left_fails_though_the_message_is_damaged(post: Post, anne: Principal) -> None:
    """Whatever hinders the others, no recipient stays in a worker's hands without a lease."""
    ident = await post.send(anne, DR, f"urgences@{HOSPITAL}")
    post.courier.plan.append(LATER)
    await post.turn()
    post.left.add(beyond(DR).address)
    post.courier.always = failing(Unsealable())
    await post.after(60)
    assert post.states(ident) == [State.FAILED, State.FAILED]


async def test_whose_lease_lapsed_says_nothing_of_the_end(post: Post, anne: Principal) -> None:
    """A worker that lost its lease meanwhile doesn't say that the message failed: another one has it in hand."""
    late, post.courier.always = post.courier, all_of(Cause.REFUSED, 550)
    late.gate.clear()
    ident = await post.send(anne, DR)
    await post.relay.turn()
    post.clock.advance(91)
    post.courier = ToldCourier()
    post.courier.gate.clear()
    other = post.worker()
    await other.turn()
    await other.turn()
    late.gate.set()
    await post.settled()
    assert post.states(ident) == [State.SENDING]
    post.courier.gate.set()
    await asyncio.wait(other.carriers)
    assert post.states(ident) == [State.RELAYED]
    assert post.events("relay-failed") == []
    await other.close()


async def test_one_deadline_that_fails_keeps_nothing_else(
    post: Post, anne: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice that can't be made for a fault of ours keeps neither others' nor the tidying of what has ended."""
    ended = await post.send(None, DR)
    await post.turn()
    post.courier.always = LATER
    await post.send(anne, DR)
    await post.turn()

    async def broken(*_: object) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr("mssmail.flow.bounce.Bounces.notices", broken)
    post.clock.advance(7 * DAY)
    await post.relay.terms.look()
    assert post.states(ended) == []


@pytest.mark.parametrize("down", [False, True])
async def test_an_altered_recipient_keeps_no_other(post: Post, anne: Principal, down: bool) -> None:
    """A recipient's row that was altered fails alone: the others get the message, or its sender hears of them."""
    ident = await post.send(anne, DR, f"urgences@{HOSPITAL}")
    post.home.tx().driver.execute("UPDATE queue_recipients SET sealed = x'00' WHERE number = 1", ())
    if down:
        post.clock.advance(4 * 3600)
        await post.relay.terms.look()
        assert await told(post, anne) == ["delayed"]
        post.clock.advance(5 * DAY)
        await post.relay.terms.look()
        assert await told(post, anne) == ["delayed", "failed"]
        assert post.states(ident) == [State.FAILED, State.FAILED]
    else:
        await post.turn()
        assert post.states(ident) == [State.FAILED, State.RELAYED]
        assert [(outcome, said["id"]) for _, _, outcome, said in post.events("relay-failed")] == [("unreadable", ident)]


async def test_an_altered_trace_ends_nothing(post: Post, anne: Principal) -> None:
    """A row of the trace that was altered doesn't make the message fail when its notice of delay is due."""
    post.courier.always = LATER
    ident = await post.send(anne, DR)
    await post.turn()
    post.home.tx().driver.execute("UPDATE queue_attempts SET sealed = x'00'", ())
    post.clock.advance(4 * 3600)
    await post.relay.terms.look()
    assert post.states(ident) == [State.WAITING]
    assert await told(post, anne) == ["delayed"]


async def test_as_much_memory_as_carriers(post: Post, anne: Principal, tmp_path: Path) -> None:
    """At once no more is under way than the setting says, whatever waits."""
    settings = replace(post.house.settings, queue=QueueSettings(concurrency=3))
    post.house.renew(settings)
    for k in range(30):
        await post.send(anne, *[f"dr@h{k}-{j}.mssante.fr" for j in range(3)])
    post.courier.gate.clear()
    await post.relay.turn()
    await asyncio.sleep(0)
    post.courier.gate.set()
    await post.settled()
    await post.turn()
    assert post.courier.most == 3
    assert len(post.courier.given) == 90


async def test_settings_bound_the_lifetime(tmp_path: Path) -> None:
    """A shorter lifetime counts for what is queued from then on."""
    settings = replace(settings_for(tmp_path), queue=QueueSettings(lifetime=Seconds(600), delay_notice=Seconds(7200)))
    post = Post(tmp_path, settings=settings)
    anne = post.home.add_account("anne")
    post.courier.always = LATER
    ident = await post.send(anne, DR)
    await post.turn()
    await post.after(600)
    assert post.states(ident) == [State.FAILED]
    assert await told(post, anne) == ["failed"]
    await post.relay.close()
    post.close()
