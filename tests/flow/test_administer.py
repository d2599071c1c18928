"""Administrators: who is let in with what, who changes whom; and acts that wait for a second person."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Delegation, Right
from mssmail.base.role import Act, Role
from mssmail.crypto.envelope import Unsealable
from mssmail.flow import orders
from mssmail.flow.administer import Administration, Administrator, Caller, admit, local
from mssmail.flow.delegations import Administrator as Root
from mssmail.flow.forwarding import Forwardings
from mssmail.flow.house import House
from mssmail.flow.orders import Deed, Orders, Waiting
from mssmail.settings.model import Admin
from tests.support.town import CLAIRE, PAUL, Town, address

ROOT = local("root")
OPERATOR, SECURITY = frozenset({Role.OPERATOR}), frozenset({Role.SECURITY_OFFICER})
ALICE = Administrator("alice", "alice-os", 5001, OPERATOR)
BOB = Administrator("bob", "bob-os", 5002, SECURITY)
CARLA = Administrator("carla", "carla-os", 5003, frozenset({Role.AUDITOR}))
BOX = str(address(CLAIRE))
LETTING_IN = orders.given_rights(address(CLAIRE), address(PAUL), Delegation(Right.READ, 1_790_000_000, None))
CLOSING = Deed(Act.ACCOUNT_CLOSE, BOX)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    built = Town(tmp_path)
    await built.settle_in((CLAIRE, PAUL))
    for who in (ALICE, BOB, CARLA):
        await Administration(built.house, ROOT).add(who)
    yield built
    built.close()


def strict(town: Town) -> House:
    """The house where everything takes two persons."""
    admin = Admin(two_persons=tuple(act.value for act in Act))
    return town.home.with_settings(replace(town.home.settings, admin=admin))


def caller(who: Administrator) -> Caller:
    return Caller(who.name, who.roles, who.uid)


def orders_of(town: Town, who: Administrator | None = None) -> Orders:
    return Orders(strict(town), town.standing, ROOT if who is None else caller(who))


async def ordered(town: Town, who: Administrator | None = None, deed: Deed = CLOSING) -> int:
    """An order that waits; the act itself must not run."""

    async def never() -> None:
        raise AssertionError("done by one person")

    waiting = await orders_of(town, who).carry_out(deed, never)
    assert isinstance(waiting, Waiting)
    return waiting.number


async def refused(attempt: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await attempt  # type: ignore[misc]
    return caught.value


async def state(town: Town, local_part: str = CLAIRE) -> str:
    return next(a.state for a in [v async for v in town.people.all()] if a.address == address(local_part))


def told(town: Town, kind: str) -> list[dict[str, object]]:
    return [said["d"] for name, _, _, said in town.events() if name == kind and isinstance(said["d"], dict)]


# --- who is let in ---


@pytest.mark.parametrize(
    ("uid", "os_user", "verb", "name"),
    [
        (5001, "alice-os", "account list", "alice"),
        (5002, "bob-os", "admin add", "bob"),
        (5003, "carla-os", "audit tail", "carla"),
        (5001, "alice-os", "admin add", None),
        (5003, "carla-os", "account list", None),
        (5001, "somebody-else", "account list", None),
        (5009, "alice-os", "account list", None),
        (0, "root", "account list", None),
        (5001, "alice-os", "serve", None),
        (5001, "alice-os", "no such verb", None),
    ],
)
async def test_admitted(town: Town, uid: int, os_user: str, verb: str, name: str | None) -> None:
    """A verb is let through for whom number and name both fit and a role is held, and either way it is in the trail."""
    if name is not None:
        assert (await admit(town.house, uid, os_user, verb)).name == name
        assert told(town, "administered")[-1] == {"verb": verb, "uid": uid, "administrator": name}
    else:
        assert (await refused(admit(town.house, uid, os_user, verb))).reason is Reason.NOT_PERMITTED
        last = told(town, "administration-refused")[-1]
        assert (last["verb"], last["uid"]) == (verb, uid)


async def test_suspended_and_removed(town: Town) -> None:
    """Who is suspended gives no verb until resumed, and who is removed none at all."""
    administration = Administration(town.house, caller(BOB))
    await administration.suspend("alice")
    assert (await refused(admit(town.house, 5001, "alice-os", "account list"))).reason is Reason.NOT_PERMITTED
    await administration.resume("alice")
    await admit(town.house, 5001, "alice-os", "account list")
    await administration.set_roles("alice", frozenset({Role.AUDITOR}))
    await refused(admit(town.house, 5001, "alice-os", "account list"))
    await admit(town.house, 5001, "alice-os", "audit tail")
    await administration.remove("alice")
    await refused(admit(town.house, 5001, "alice-os", "audit tail"))
    kinds = ("suspended", "resumed", "changed", "removed")
    assert [told(town, f"administrator-{kind}")[-1]["administrator"] for kind in kinds] == ["bob"] * 4


NEW = Administrator("dora", "dora-os", 5004, OPERATOR)


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (replace(NEW, name="alice"), "already"),
        (replace(NEW, uid=5001), "already"),
        (replace(NEW, uid=0), "data folder"),
        (replace(NEW, name="local root"), "name"),
        (replace(NEW, name="Dora"), "name"),
        (replace(NEW, name=""), "name"),
        (replace(NEW, name="d" * 33), "name"),
        (replace(NEW, roles=frozenset()), "role"),
    ],
)
async def test_not_added(town: Town, who: Administrator, words: str) -> None:
    """Nobody becomes an administrator twice, under a doubtful name, without a role, or beside root's own rights."""
    refusal = await refused(Administration(town.house, caller(BOB)).add(who))
    assert refusal.reason is Reason.ADMINISTRATOR
    assert words in refusal.detail
    assert len(await Administration(town.house, ROOT).all()) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.suspend("bob"),
        lambda a: a.resume("bob"),
        lambda a: a.remove("bob"),
        lambda a: a.set_roles("bob", frozenset(Role)),
        lambda a: a.set_roles("alice", frozenset()),
        lambda a: a.suspend("nobody"),
    ],
)
async def test_not_changed(town: Town, change: Callable[[Administration], object]) -> None:
    """Nobody changes themselves, takes a last role away without removing, or changes who isn't there."""
    assert (await refused(change(Administration(town.house, caller(BOB))))).reason is Reason.ADMINISTRATOR
    assert [who.roles for who in await Administration(town.house, ROOT).all()] == [
        ALICE.roles,
        BOB.roles,
        CARLA.roles,
    ]


async def test_rows_are_sealed(town: Town) -> None:
    """A role written into the database by hand opens nothing: the row is sealed with its number."""
    tx = town.home.tx()
    rows = dict(tx.driver.execute("SELECT uid, sealed FROM administrators").fetchall())
    assert not any(b"alice" in sealed or b"operator" in sealed for sealed in rows.values())
    town.home.write.run_blocking(
        lambda tx: tx.driver.execute("UPDATE administrators SET sealed = ? WHERE uid = 5001", [rows[5002]])
    )
    with pytest.raises(Unsealable):
        await admit(town.house, 5001, "alice-os", "admin add")


# --- two persons ---


async def test_done_by_two(town: Town) -> None:
    """What takes two persons waits, is carried out when another approves, and names both in the trail."""
    number = await ordered(town, ALICE)
    assert await state(town) == "open"
    assert [each.number for each in await orders_of(town, BOB).waiting()] == [number]
    await orders_of(town, BOB).approve(number)
    assert await state(town) == "closed"
    closed = told(town, "account-closed")[-1]
    assert (closed["administrator"], closed["ordered_by"], closed["order"]) == ("bob", "alice", number)
    assert await orders_of(town, BOB).waiting() == []
    assert (await refused(orders_of(town, BOB).approve(number))).reason is Reason.ORDER


async def test_forwarding_takes_two(town: Town) -> None:
    """A forwarding waits, is set when another approves, and not where it was changed meanwhile."""
    forwardings = Forwardings(town.house, town.standing.credentials, town.gate)
    deed = orders.forwarded(address(CLAIRE), address(PAUL), keep=False)
    number = await ordered(town, BOB, deed)
    assert await forwardings.show(address(CLAIRE)) is None
    await orders_of(town).approve(number)
    shown = await forwardings.show(address(CLAIRE))
    assert shown is not None
    assert (shown.to, shown.keep) == (address(PAUL), False)
    assert told(town, "forward-set")[-1]["ordered_by"] == "bob"
    number = await ordered(town, BOB, orders.forwarded(address(CLAIRE), address(PAUL), keep=True))
    await forwardings.clear(Root("root"), address(CLAIRE))
    assert (await refused(orders_of(town).approve(number))).reason is Reason.ORDER


async def test_done_by_one(town: Town) -> None:
    """Where the setting doesn't name an act, one person is enough, and nothing waits."""
    plain = Orders(town.house, town.standing, caller(ALICE))
    assert await plain.carry_out(CLOSING, lambda: town.people.close(address(CLAIRE))) is None
    assert await state(town) == "closed"


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (ALICE, ALICE, Reason.ORDER),
        (ALICE, replace(ALICE, name="other"), Reason.ORDER),
        (ALICE, CARLA, Reason.NOT_PERMITTED),
        (None, None, Reason.ORDER),
    ],
)
async def test_not_by_these_two(
    town: Town, first: Administrator | None, second: Administrator | None, reason: Reason
) -> None:
    """Nobody approves their own order, under another name either, nor one that their roles don't reach; root is one."""
    number = await ordered(town, first)
    assert (await refused(orders_of(town, second).approve(number))).reason is reason
    assert await state(town) == "open"
    assert len(await orders_of(town).waiting()) == 1


async def test_root_and_an_administrator_are_two(town: Town) -> None:
    """Who has the data folder counts as one person beside an administrator."""
    await orders_of(town).approve(await ordered(town, ALICE))
    assert await state(town) == "closed"


async def test_rejected(town: Town) -> None:
    """A rejected order is gone; whoever gave it may take it back."""
    number = await ordered(town, ALICE)
    assert (await refused(orders_of(town, CARLA).reject(number))).reason is Reason.NOT_PERMITTED
    await orders_of(town, ALICE).reject(number)
    assert (await refused(orders_of(town, BOB).approve(number))).reason is Reason.ORDER
    assert told(town, "order-rejected")[-1]["ordered_by"] == "alice"


async def test_expired(town: Town) -> None:
    """After its time an order can't be approved, and its end is in the trail."""
    number = await ordered(town, ALICE)
    town.clock.advance(72 * 3600)
    assert "time" in (await refused(orders_of(town, BOB).approve(number))).detail
    assert await orders_of(town, BOB).waiting() == []
    assert told(town, "order-expired")[-1]["order"] == number
    assert await state(town) == "open"


async def suspend_alice(town: Town) -> None:
    await Administration(town.house, ROOT).suspend("alice")


async def remove_alice(town: Town) -> None:
    await Administration(town.house, ROOT).remove("alice")


async def demote_alice(town: Town) -> None:
    await Administration(town.house, ROOT).set_roles("alice", frozenset({Role.AUDITOR}))


async def close_meanwhile(town: Town) -> None:
    await town.people.close(address(CLAIRE))


async def test_let_in_meanwhile(town: Town) -> None:
    """A delegation that was given or changed meanwhile isn't overwritten by an older order."""
    number = await ordered(town, BOB, LETTING_IN)
    await town.delegate(CLAIRE, PAUL)
    assert (await refused(orders_of(town).approve(number))).reason is Reason.ORDER


@pytest.mark.parametrize("change", [suspend_alice, remove_alice, demote_alice, close_meanwhile])
async def test_facts_changed(town: Town, change: Callable[[Town], object]) -> None:
    """What was ordered is looked at again: who ordered must still be allowed to, and the box must still be there."""
    number = await ordered(town, ALICE)
    await change(town)  # type: ignore[misc]
    before = len(told(town, "account-closed"))
    assert (await refused(orders_of(town, BOB).approve(number))).reason in (Reason.ORDER, Reason.ACCOUNT_MISSING)
    assert len(told(town, "account-closed")) == before
    assert told(town, "order-approved") == []


async def test_roles_changed_meanwhile(town: Town) -> None:
    """Roles are given in place of those that the order saw, or not at all."""
    dora = replace(NEW, roles=SECURITY)
    await Administration(town.house, ROOT).add(dora)
    number = await ordered(town, BOB, orders.given_roles("alice", SECURITY))
    await Administration(town.house, ROOT).set_roles("alice", frozenset({Role.DIRECTORY}))
    assert (await refused(orders_of(town, dora).approve(number))).reason is Reason.ORDER
    found = {who.name: who.roles for who in await Administration(town.house, ROOT).all()}
    assert found["alice"] == {Role.DIRECTORY}


@pytest.mark.parametrize(
    ("deed", "left"),
    [
        (orders.added(NEW), {"alice", "bob", "carla", "dora"}),
        (Deed(Act.ADMIN_REMOVE, "alice"), {"bob", "carla"}),
        (orders.given_roles("alice", frozenset(Role)), {"alice", "bob", "carla"}),
        (Deed(Act.RETENTION_SHRINK), {"alice", "bob", "carla"}),
        (Deed(Act.ACCOUNT_ENROL, BOX), {"alice", "bob", "carla"}),
        (LETTING_IN, {"alice", "bob", "carla"}),
        (CLOSING, {"alice", "bob", "carla"}),
    ],
)
async def test_every_act(town: Town, deed: Deed, left: set[str]) -> None:
    """Each act that can take two persons is done when the second approves, exactly as ordered."""
    number = await ordered(town, None, deed)
    all_roles = Administrator("eve", "eve-os", 5009, frozenset(Role))
    await Administration(town.house, ROOT).add(all_roles)
    _, opened = await orders_of(town, all_roles).approve(number)
    assert (opened is not None) is (deed.act is Act.ACCOUNT_ENROL)
    assert town.home.tx().driver.execute("SELECT count(*) FROM delegations").fetchone() == (deed is LETTING_IN,)
    found = {who.name: who for who in await Administration(town.house, ROOT).all()}
    assert set(found) - {"eve"} == left
    if deed.act is Act.ADMIN_ADD:
        assert found["dora"] == NEW
    if deed.act is Act.ADMIN_ROLES:
        assert found["alice"].roles == frozenset(Role)
    assert (await state(town) == "closed") is (deed is CLOSING)


async def test_carried_out_once(town: Town) -> None:
    """Of many approvals at once, one carries the order out."""
    number = await ordered(town, ALICE)
    said = await asyncio.gather(*(orders_of(town, BOB).approve(number) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(each, tuple) for each in said) == 1
    assert len(told(town, "account-closed")) == 1


async def test_ordered_once(town: Town) -> None:
    """The same order doesn't wait twice, an impossible one not at all, and no more than a hundred wait."""
    await ordered(town, ALICE)
    for deed, reason in (
        (CLOSING, Reason.ORDER),
        (Deed(Act.ACCOUNT_CLOSE, "nobody@demo.mssante.fr"), Reason.ACCOUNT_MISSING),
        (Deed(Act.ADMIN_REMOVE, "nobody"), Reason.ADMINISTRATOR),
    ):
        assert (await refused(ordered(town, BOB, deed))).reason is reason
    for number in range(orders.MAX_WAITING - 1):
        await ordered(town, BOB, orders.added(Administrator(f"a{number}", "x", 6000 + number, OPERATOR)))
    assert (await refused(ordered(town, BOB, orders.added(NEW)))).reason is Reason.ORDER


async def test_orders_cant_be_prolonged(town: Town) -> None:
    """An order whose end was changed in the database is none."""
    number = await ordered(town, ALICE)
    town.home.write.run_blocking(lambda tx: tx.driver.execute("UPDATE orders SET until = until + 1"))
    assert (await refused(orders_of(town, BOB).approve(number))).reason is Reason.ORDER


async def test_a_failed_act_leaves_its_order(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the act itself fails, its transaction takes the consent back too, and the order waits on."""
    number = await ordered(town, ALICE)

    def full(*_: object) -> None:
        raise Refusal(Reason.STORAGE_FULL)

    with monkeypatch.context() as patched:
        patched.setattr("mssmail.flow.people.accounts.set_state", full)
        assert (await refused(orders_of(town, BOB).approve(number))).reason is Reason.STORAGE_FULL
    assert told(town, "order-approved") == []
    await orders_of(town, BOB).approve(number)
    assert await state(town) == "closed"
