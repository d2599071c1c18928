"""Others' boxes by name: found and listed for who may, in the term, while both sides stand; gone for everybody else."""

import pytest

from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import FULL, Right
from mssmail.demo import people as demo
from mssmail.flow.shared import Shared
from mssmail.flow.standing import Found
from mssmail.store import accounts
from tests.support.town import CLAIRE, ORG, PAUL, Town, address

NAME = f"Other Users/{address(PAUL)}"


async def found(town: Town, principal: Principal, name: str = NAME + "/INBOX") -> tuple[Principal, str] | None:
    """What the name comes to; None where it names nothing, and then it isn't listed either."""
    shared = Shared(town.house, town.standing)
    try:
        return await shared.find(principal, name)
    except Refusal as refusal:
        assert refusal.reason is Reason.FOLDER_MISSING
        assert not await shared.any(principal)
        assert not any(folder.name.startswith("Other Users") for folder in await shared.everything(principal))
        return None


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        (NAME, ""),
        (NAME + "/", ""),
        (NAME + "/INBOX", "INBOX"),
        (NAME + "/a/b", "a/b"),
        ("Other Users/PAUL.Durand@DEMO.mssante.fr/INBOX", "INBOX"),
    ],
)
async def test_named(town: Town, name: str, inside: str) -> None:
    """A name under the others' is an address, and a folder's name behind it."""
    await town.delegate(PAUL, CLAIRE, Right.READ)
    claire, paul = await town.enter(), await town.enter(PAUL)
    got = await found(town, claire, name)
    assert got is not None
    acting, rest = got
    assert (acting.account, acting.person, acting.rights, rest) == (paul.account, claire.person, Right.READ, inside)


@pytest.mark.parametrize("name", ["Other Users/", "Other Users//", "Other Users/INBOX", "Other Users/@/x"])
async def test_not_named(town: Town, name: str) -> None:
    """What holds no address names nothing."""
    with pytest.raises(Refusal) as caught:
        await Shared(town.house, town.standing).find(await town.enter(), name)
    assert caught.value.reason is Reason.FOLDER_MISSING


async def test_session_stands(town: Town) -> None:
    """Who opened another's box stands there as by signing in to it, and falls with either account."""
    await town.delegate(PAUL, CLAIRE)
    got = await found(town, await town.enter())
    assert got is not None

    def reason() -> Reason | None:
        tx = town.home.tx()
        standings: Found = {n: accounts.standing(tx, n) for n in (got[0].person, got[0].account)}
        return town.standing.reason_to_end(got[0], standings, frozenset())

    assert reason() is None
    await town.people.new_code(address(PAUL))
    assert reason() is Reason.CREDENTIALS
    await town.people.suspend(address(PAUL))
    assert reason() is Reason.SUSPENDED


async def test_gone(town: Town) -> None:
    """Out of its term, withdrawn, suspended or with its holder struck off, a box isn't there."""
    claire, now = await town.enter(), int(town.clock.now())
    assert await found(town, claire) is None
    await town.delegate(PAUL, CLAIRE, from_at=now + 60, until_at=now + 120)
    for there in (False, True, False):
        assert (await found(town, claire) is not None) is there
        town.clock.advance(60)
    await town.delegate(PAUL, CLAIRE)
    assert await found(town, claire) is not None
    await town.people.suspend(address(PAUL))
    assert await found(town, claire) is None
    await town.people.resume(address(PAUL))
    assert await found(town, claire) is not None
    await town.load(town.population.without(demo.PAUL.national_id))
    assert await found(town, claire) is None


@pytest.mark.parametrize(("rights", "there"), [(Right.SEND, False), (Right.MANAGE, True), (Right.READ, True)])
async def test_which_right(town: Town, rights: Right, there: bool) -> None:
    """To send tells nothing of what is in the box; to manage finds it, and lists none of its folders."""
    await town.delegate(PAUL, CLAIRE, rights)
    claire = await town.enter()
    assert (await found(town, claire) is not None) is there
    listed = await Shared(town.house, town.standing).everything(claire)
    assert any(folder.name.startswith("Other Users") for folder in listed) is (Right.READ in rights)


async def test_not_from_anothers_box(town: Town) -> None:
    """Who signed in to another's box sees that alone, and not what else is delegated to them."""
    await town.delegate(PAUL, CLAIRE)
    await town.delegate(ORG, CLAIRE, FULL)
    assert await found(town, await town.enter(authzid=str(address(ORG)))) is None


async def test_no_directory(town: Town) -> None:
    """While there is no directory one's own folders are listed all the same, and another's box is for later."""
    await town.delegate(PAUL, CLAIRE)
    claire = await town.enter()
    town.house.directory.close()
    shared = Shared(town.house, town.standing)
    assert "INBOX" in [folder.name for folder in await shared.everything(claire)]
    with pytest.raises(Refusal) as caught:
        await shared.find(claire, NAME + "/INBOX")
    assert caught.value.reason is Reason.UNAVAILABLE
