"""Delegations over a real store and directory: given, passed on, ended by term, withdrawal, either side's standing."""

import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.clock import utc
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import FULL, Delegation, Right
from mssmail.base.section import Section
from mssmail.demo import people as demo
from mssmail.flow.delegation_notices import DelegationNotices
from mssmail.flow.delegations import Delegations
from mssmail.flow.permit import require
from mssmail.flow.read import Reader
from mssmail.flow.sessions import Sessions
from mssmail.flow.view import open_view
from mssmail.settings.model import Delegation as DelegationSettings
from mssmail.settings.units import Seconds
from tests.support.town import APP, CLAIRE, ORG, PAUL, Town, address

NADIA = "nadia.lefevre"
READ = Right.READ
DAY = 86_400


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    built = Town(tmp_path)
    await built.settle_in((CLAIRE, PAUL, ORG, APP, NADIA))
    yield built
    built.close()


async def reason_of(attempt: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        await attempt  # type: ignore[misc]
    return caught.value.reason


def now(town: Town) -> int:
    return int(town.clock.now())


async def state_of(town: Town, box: str = ORG) -> dict[str, tuple[Right, str]]:
    return {v.delegate.local: (v.given.rights, v.state) for v in await town.delegations.all(address(box))}


async def test_listed(town: Town) -> None:
    """A delegation is shown with its rights, term and giver, to either side and among all."""
    await town.delegate(ORG, CLAIRE)
    await town.delegate(ORG, PAUL, READ, from_at=now(town) + 60, until_at=now(town) + 120)
    assert await state_of(town) == {CLAIRE: (FULL, "in force"), PAUL: (READ, "to come")}
    assert [view.box.local for view in await town.delegations.all(address(PAUL))] == [ORG]
    town.clock.advance(120)
    views = await town.delegations.all()
    assert [(v.delegate.local, v.state, v.giver) for v in views] == [(CLAIRE, "in force", None), (PAUL, "ended", None)]


async def test_given_anew(town: Town) -> None:
    """A delegation given again takes the place of the one before."""
    await town.delegate(ORG, CLAIRE)
    await town.delegate(ORG, CLAIRE, READ, until_at=now(town) + 60)
    assert await state_of(town) == {CLAIRE: (READ, "in force")}


async def test_traced(town: Town) -> None:
    """Who gave or withdrew what to whom, for how long, is in the trail of the box."""
    await town.delegate(ORG, CLAIRE, until_at=now(town) + DAY)
    acting = await town.enter(authzid=str(address(ORG)))
    await town.delegations.grant(acting, address(ORG), address(PAUL), Delegation(READ, now(town), now(town) + 60))
    await town.delegations.withdraw(acting, address(ORG), address(PAUL))
    told = [(kind, said["s"], said["d"]) for kind, _, _, said in town.events() if "delegated" in kind]
    claire = acting.person
    assert [(kind, subject) for kind, subject, _ in told] == [
        ("delegated", str(address(ORG))),
        ("delegated", str(address(ORG))),
        ("undelegated", str(address(ORG))),
    ]
    details = [each for _, _, each in told if isinstance(each, dict)]
    assert details[0] == {
        "administrator": "root",
        "delegate": claire,
        "rights": ["read", "write", "send", "manage"],
        "from_at": now(town),
        "until_at": now(town) + DAY,
    }
    assert [each.get("person") for each in details[1:]] == [claire, claire]
    assert details[1]["rights"] == details[2]["rights"] == ["read"]


# --- who gives ---


async def test_owner_and_manager(town: Town) -> None:
    """The owner gives anything; who manages gives within their own; who doesn't manage gives nothing."""
    owner = await town.enter(PAUL)
    give = town.delegations.grant
    day = Delegation(READ | Right.MANAGE, now(town), now(town) + DAY)
    await give(owner, address(PAUL), address(CLAIRE), day)
    manager = await town.enter(authzid=str(address(PAUL)))
    assert (manager.rights, manager.delegated_until) == (READ | Right.MANAGE, now(town) + DAY)
    within = replace(day, rights=READ)
    await give(manager, address(PAUL), address(NADIA), within)
    nadia = await town.enter(NADIA, authzid=str(address(PAUL)))
    for giver, to, wanted in (
        (manager, NADIA, replace(within, rights=READ | Right.SEND)),
        (manager, NADIA, replace(within, until_at=None)),
        (manager, NADIA, day),
        (manager, CLAIRE, replace(day, rights=READ)),
        (nadia, CLAIRE, within),
    ):
        assert await reason_of(give(giver, address(PAUL), address(to), wanted)) is Reason.NO_RIGHT
    assert await reason_of(town.delegations.withdraw(manager, address(PAUL), address(CLAIRE))) is Reason.NO_RIGHT
    assert await reason_of(town.delegations.withdraw(nadia, address(PAUL), address(NADIA))) is Reason.NO_RIGHT
    await town.delegations.withdraw(manager, address(PAUL), address(NADIA))
    assert await state_of(town, PAUL) == {CLAIRE: (READ | Right.MANAGE, "in force")}


async def test_manager_of_another_box(town: Town) -> None:
    """The right to manage one box is none in another."""
    await town.delegate(ORG, CLAIRE)
    acting = await town.enter(authzid=str(address(ORG)))
    wanted = Delegation(READ, now(town), None)
    for giver in (acting, await town.enter()):
        attempt = town.delegations.grant(giver, address(PAUL), address(NADIA), wanted)
        assert await reason_of(attempt) is Reason.NO_RIGHT


@pytest.mark.parametrize(("box", "to"), [(APP, CLAIRE), (CLAIRE, ORG), (CLAIRE, CLAIRE), (ORG, APP)])
async def test_kinds(town: Town, box: str, to: str) -> None:
    """An application's box isn't delegated, and only persons are delegates."""
    assert await reason_of(town.delegate(box, to)) is Reason.DELEGATION


async def test_not_to_who_is_out(town: Town) -> None:
    """Nothing is given to or by a suspended or struck-off side."""
    await town.people.suspend(address(NADIA))
    assert await reason_of(town.delegate(ORG, NADIA)) is Reason.SUSPENDED
    assert await reason_of(town.delegate(NADIA, CLAIRE)) is Reason.SUSPENDED
    await town.load(town.population.without(demo.PAUL.national_id))
    assert await reason_of(town.delegate(ORG, PAUL)) is Reason.STRUCK_OFF
    assert await reason_of(town.delegate(PAUL, CLAIRE)) is Reason.STRUCK_OFF


async def test_longest_term(town: Town) -> None:
    """Where a longest term is set, every delegation has an end within it."""
    limited = replace(town.home.settings, delegation=DelegationSettings(max_term=Seconds(DAY)))
    town.home.house = town.home.with_settings(limited)
    town.delegations = Delegations(town.house, town.standing)
    assert await reason_of(town.delegate(ORG, CLAIRE)) is Reason.DELEGATION
    assert await reason_of(town.delegate(ORG, CLAIRE, until_at=now(town) + DAY + 1)) is Reason.DELEGATION
    await town.delegate(ORG, CLAIRE, until_at=now(town) + DAY)
    paul = await town.enter(PAUL)
    assert await town.delegations.revise(paul, address(CLAIRE), lambda held: READ)
    (view,) = [v for v in await town.delegations.all(address(PAUL)) if v.box == address(PAUL)]
    assert view.given == Delegation(READ, now(town), now(town) + DAY)


async def test_revised(town: Town) -> None:
    """Rights are added and taken away, the term stays; none left is a withdrawal; nothing changed is no event."""
    paul = await town.enter(PAUL)
    await town.delegate(PAUL, CLAIRE, READ, until_at=now(town) + 60)
    assert await town.delegations.revise(paul, address(CLAIRE), lambda held: held | Right.SEND)
    (view,) = await town.delegations.all(address(PAUL))
    assert view.given == Delegation(READ | Right.SEND, now(town), now(town) + 60)
    before = len(town.events())
    assert not await town.delegations.revise(paul, address(CLAIRE), lambda held: held)
    assert len(town.events()) == before
    assert await town.delegations.revise(paul, address(CLAIRE), lambda held: held & ~FULL)
    assert await town.delegations.all(address(PAUL)) == []


# --- what it opens ---


@pytest.mark.parametrize(
    ("rights", "imap", "smtp"),
    [
        (READ, True, False),
        (READ | Right.WRITE, True, False),
        (Right.SEND, False, True),
        (Right.MANAGE, False, False),
        (FULL, True, True),
    ],
)
async def test_doors(town: Town, rights: Right, imap: bool, smtp: bool) -> None:
    """Reading opens IMAP, sending opens submission, and neither the other's."""
    await town.delegate(ORG, CLAIRE, rights)
    for protocol, opens in (("imap", imap), ("smtp", smtp)):
        town.clock.advance(60)
        entering = town.enter(authzid=str(address(ORG)), protocol=protocol)
        if opens:
            principal = await entering
            assert (principal.rights, principal.address) == (rights, address(ORG))
        else:
            assert await reason_of(entering) is Reason.NOT_DELEGATED


async def test_opens_in_its_term(town: Town) -> None:
    """A delegation opens the box from the beginning of its term to its end, and not outside."""
    await town.delegate(ORG, CLAIRE, from_at=now(town) + 60, until_at=now(town) + 120)
    for opens in (False, True, False):
        if opens:
            await town.enter(authzid=str(address(ORG)))
        else:
            assert await reason_of(town.enter(authzid=str(address(ORG)))) is Reason.NOT_DELEGATED
        town.clock.advance(60)


async def test_sender(town: Town) -> None:
    """One writes in the name of a box with the right to send, in its term, while its holder is registered."""
    await town.delegate(PAUL, CLAIRE, READ | Right.WRITE)
    claire = await town.enter(protocol="smtp")
    sender = town.gate.sender
    assert await reason_of(sender(claire, address(PAUL))) is Reason.NO_RIGHT
    await town.delegate(PAUL, CLAIRE, Right.SEND, until_at=now(town) + 60)
    assert await sender(claire, address(PAUL)) != claire.account
    acting = await town.enter(authzid=str(address(PAUL)), protocol="smtp")
    assert await sender(acting, address(PAUL)) == acting.account
    town.clock.advance(60)
    for principal in (claire, acting):
        assert await reason_of(sender(principal, address(PAUL))) is Reason.NOT_YOUR_ADDRESS
    await town.delegate(PAUL, CLAIRE, Right.SEND)
    await town.load(town.population.without(demo.PAUL.national_id))
    assert await reason_of(sender(claire, address(PAUL))) is Reason.NOT_YOUR_ADDRESS


async def test_require(town: Town) -> None:
    """An act asks the store: a right that has ended since the sign-in is none, one given since neither."""
    await town.delegate(ORG, CLAIRE, READ)
    acting = await town.enter(authzid=str(address(ORG)))
    require(town.home.tx(), acting, READ)
    await town.delegate(ORG, CLAIRE)
    with pytest.raises(Refusal):
        require(town.home.tx(), acting, Right.WRITE)
    await town.undelegate(ORG, CLAIRE)
    with pytest.raises(Refusal) as caught:
        require(town.home.tx(), acting, READ)
    assert caught.value.reason is Reason.NO_RIGHT
    require(town.home.tx(), await town.enter(PAUL), FULL)


# --- open sessions ---


class Open:
    """Sessions that note why they were ended."""

    def __init__(self, town: Town) -> None:
        self.sessions = Sessions(town.house, town.standing)
        self.ended: dict[str, Reason] = {}

    def enter(self, name: str, principal: Principal) -> None:
        def end(reason: Reason) -> None:
            self.ended[name] = reason

        self.sessions.enter(principal, end)


@pytest.fixture
async def inside(town: Town) -> Open:
    """Claire acts for the organisation until a minute from now, Paul without end; both are in their own boxes too."""
    await town.delegate(ORG, CLAIRE, until_at=now(town) + 60)
    await town.delegate(ORG, PAUL, READ)
    opened = Open(town)
    await opened.sessions.start()
    for local in (CLAIRE, PAUL):
        opened.enter(local, await town.enter(local))
        opened.enter(f"{local} acting", await town.enter(local, authzid=str(address(ORG))))
    return opened


async def test_term_ends_sessions(town: Town, inside: Open) -> None:
    """A delegate's sessions end with the term, nobody else's do."""
    town.clock.advance(20)
    await inside.sessions.look()
    town.clock.advance(39)
    await inside.sessions.look()
    assert inside.ended == {}
    town.clock.advance(1)
    await inside.sessions.look()
    assert inside.ended == {"claire.martin acting": Reason.NOT_DELEGATED}


async def test_longer_term_keeps_sessions(town: Town, inside: Open) -> None:
    """A session whose delegation was prolonged stays, until the new end."""
    await town.delegate(ORG, CLAIRE, until_at=now(town) + 70)
    town.clock.advance(60)
    await inside.sessions.look()
    assert inside.ended == {}
    town.clock.advance(10)
    await inside.sessions.look()
    assert inside.ended == {"claire.martin acting": Reason.NOT_DELEGATED}


@pytest.mark.parametrize(("rights", "stays"), [(FULL, True), (FULL & ~Right.SEND, False), (READ, False)])
async def test_fewer_rights_end_sessions(town: Town, inside: Open, rights: Right, stays: bool) -> None:
    """A session that lost a right it began with ends, to begin anew with what is left."""
    await town.delegate(ORG, CLAIRE, rights)
    await inside.sessions.look()
    assert (inside.ended == {}) is stays


async def test_withdrawal_ends_sessions(town: Town, inside: Open) -> None:
    """A withdrawal ends the delegate's sessions in that box alone."""
    await town.undelegate(ORG, PAUL)
    await inside.sessions.look()
    assert inside.ended == {"paul.durand acting": Reason.NOT_DELEGATED}


async def test_either_side(town: Town, inside: Open) -> None:
    """A delegate who is struck off or suspended loses the box too, and a box that is suspended its delegates."""
    await town.people.suspend(address(ORG))
    await inside.sessions.look()
    assert set(inside.ended) == {"claire.martin acting", "paul.durand acting"}
    await town.people.resume(address(ORG))
    opened = Open(town)
    await opened.sessions.start()
    opened.enter("acting", await town.enter(PAUL, authzid=str(address(ORG))))
    await town.load(town.population.without(demo.PAUL.national_id))
    await opened.sessions.look()
    assert opened.ended == {"acting": Reason.STRUCK_OFF}


async def test_struck_off_owner(town: Town) -> None:
    """The box of a professional who is struck off is closed to delegates, at once and at the next sign-in."""
    await town.delegate(PAUL, CLAIRE)
    opened = Open(town)
    await opened.sessions.start()
    opened.enter("acting", await town.enter(authzid=str(address(PAUL))))
    await town.load(town.population.without(demo.PAUL.national_id))
    await opened.sessions.look()
    assert opened.ended == {"acting": Reason.STRUCK_OFF}
    assert await reason_of(town.enter(authzid=str(address(PAUL)))) is Reason.STRUCK_OFF


# --- notices ---


async def told(town: Town, box: str = ORG) -> list[bytes]:
    """The notices in a box, looked for twice, as two workers would."""
    for _ in range(2):
        await DelegationNotices(town.house, town.standing.credentials).look()
    leaf = (await town.people.show(address(box))).account
    principal = replace(await town.enter(PAUL), person=leaf, account=leaf, address=address(box))
    view = await open_view(town.house, principal, "INBOX", read_only=True)
    reader = Reader(town.house, view)
    found = [f async for f in reader.messages(range(len(view)), [(Section(), None)])]
    return [f.pieces[0].data or b"" for f in found if f.pieces[0] is not None]


async def test_box_is_told(town: Town) -> None:
    """A box is told once of each delegation, who got what by whom until when, and again when that changes."""
    town.clock.advance(2 * DAY)
    await town.delegate(ORG, CLAIRE, READ | Right.SEND, until_at=now(town) + DAY)
    (notice,) = await told(town)
    text = email.message_from_bytes(notice, policy=email.policy.default).get_content()
    for words in (
        "claire.martin@demo.mssante.fr",
        "lire, écrire au nom de la boîte",
        "read, write in the mailbox's name",
    ):
        assert words in text
    assert "un administrateur" in text
    assert f"{utc(now(town) + DAY):%Y-%m-%d %H:%M}" in text
    assert [said["s"] for kind, _, _, said in town.events() if kind == "delegation-told"] == [str(address(ORG))]
    town.clock.advance(60)
    await town.delegate(ORG, CLAIRE, READ)
    town.clock.advance(60)
    assert len(await told(town)) == 2


@pytest.mark.parametrize("why", ["its first day", "switched off", "suspended", "over", "withdrawn"])
async def test_box_is_not_told(town: Town, why: str) -> None:
    """Not of what belongs to setting it up, nor of what is over; nor where the settings want no notices."""
    if why == "switched off":
        town.house.renew(replace(town.house.settings, delegation=DelegationSettings(notices=False)))
    if why != "its first day":
        town.clock.advance(2 * DAY)
    await town.delegate(ORG, CLAIRE, READ, until_at=now(town) + 60)
    match why:
        case "suspended":
            await town.people.suspend(address(ORG))
        case "over":
            town.clock.advance(60)
        case "withdrawn":
            await town.undelegate(ORG, CLAIRE)
    assert await told(town) == []
    assert town.home.tx().driver.execute("SELECT count(*) FROM delegations WHERE told = 0").fetchone() == (0,)
