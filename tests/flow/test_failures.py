"""Failed sign-ins: what is counted, what is locked, who passes by, and what an administrator does about it."""

import asyncio
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from mssmail.base.principal import Door
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.demo import people as demo
from tests.support.town import CLAIRE, FAST, PASSWORD, PAUL, WRONG, Town, address, der

HERE, THERE = "192.0.2.1", "192.0.2.2"


async def refused(town: Town, *given: str, **more: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        await town.enter(*given, **more)  # type: ignore[arg-type]
    return caught.value.reason


def claire(town: Town) -> Door:
    person = demo.CLAIRE
    leaf = town.pki.person(person.national_id, person.surname, person.given_name, person.title)
    return Door("imap", HERE, der(leaf.cert))


async def fail(town: Town, times: int, **more: str) -> list[Reason]:
    return [await refused(town, CLAIRE, WRONG, "111111", **more) for _ in range(times)]


async def test_address_locked(town: Town) -> None:
    """The tenth failure locks the address for everybody behind it, for the lock's time; another isn't touched."""
    for local in ("a", "b", "c", "d", "e"):
        for _ in range(2):
            with pytest.raises(Refusal):
                secret = Secret("nobody123456")
                await town.login.by_password(Door("imap", "127.0.0.5"), "", f"{local}@demo.mssante.fr", secret)
    assert await refused(town, client="127.0.0.5") is Reason.LOCKED
    await town.enter(client="127.0.0.6")
    town.clock.advance(15 * 60)
    await town.enter(client="127.0.0.5")


async def test_account_locked(town: Town) -> None:
    """Ten failures on an account from many addresses lock it, known or not, until the lock's time is over."""
    for n in range(10):
        await fail(town, 1, client=f"198.51.100.{n}")
    assert await refused(town) is Reason.LOCKED
    for n in range(10):
        with pytest.raises(Refusal):
            door = Door("imap", f"198.51.100.{n}")
            await town.login.by_password(door, "", "nobody@demo.mssante.fr", Secret("nobody123456"))
    with pytest.raises(Refusal) as caught:
        await town.login.by_password(Door("imap", HERE), "", "nobody@demo.mssante.fr", Secret("nobody123456"))
    assert caught.value.reason is Reason.LOCKED
    town.clock.advance(15 * 60)
    await town.enter()


async def test_owner_not_locked_out(town: Town) -> None:
    """A stranger's failures keep out neither who has a live grant nor who has a certificate."""
    await town.enter()
    for n in range(11):
        await fail(town, 1, client=f"198.51.100.{n}")
    await town.enter()
    await town.login.by_certificate(claire(town), "")


async def test_locked_address_takes_certificates(town: Town) -> None:
    """A certificate gets in from a locked address."""
    await fail(town, 10)
    assert await refused(town) is Reason.LOCKED
    await town.login.by_certificate(claire(town), "")


async def test_ended_grant_counts_not(town: Town, hashes: list[str]) -> None:
    """A mail program that goes on with its saved password when the grant has ended locks nobody out, restarts or not;
    the same password with other digits is a failure."""
    code = town.code()
    await town.enter(code=code)
    town.clock.advance(9 * 3600)
    other = town.worker()
    for login in (town.login, other):
        told = [await refused(town, CLAIRE, PASSWORD, code, login=login, protocol=p) for p in ("imap", "smtp") * 8]
        assert set(told) == {Reason.GRANT_ENDED}
    assert set(hashes) == {"valid-code", "ended"}
    await town.enter()
    assert await refused(town, CLAIRE, PASSWORD, code) is Reason.GRANT_ENDED
    await town.people.end_grants(address(CLAIRE))
    assert await town.bans.list() == []
    assert await refused(town, CLAIRE, PASSWORD, code, client=THERE) is Reason.CREDENTIALS
    assert await refused(town, CLAIRE, PASSWORD, code, protocol="https") is Reason.CREDENTIALS
    assert await refused(town, CLAIRE, WRONG, code) is Reason.CREDENTIALS
    assert await refused(town, CLAIRE, PASSWORD, f"{(int(code) + 1) % 1_000_000:06d}") is Reason.CREDENTIALS
    town.clock.advance(31 * 86_400)
    await town.enter()
    assert await refused(town, CLAIRE, PASSWORD, code, login=town.worker()) is Reason.CREDENTIALS


async def lock_account(town: Town) -> None:
    for n in range(10):
        await fail(town, 1, client=f"198.51.100.{n}")


async def test_known_place_passes_by_lock(town: Town) -> None:
    """From where the owner came in the last 30 days a new code is taken though strangers locked the account."""
    await town.enter()
    town.clock.advance(29 * 86_400)
    await lock_account(town)
    assert await refused(town, client=THERE) is Reason.LOCKED
    await town.enter()
    town.clock.advance(31 * 86_400)
    await lock_account(town)
    assert await refused(town) is Reason.LOCKED


async def test_known_place_has_its_own_lock(town: Town) -> None:
    """Where the owner came from, ten failures are the end all the same."""
    await town.enter()
    town.clock.advance(9 * 3600)
    told = await fail(town, 12)
    assert told == [Reason.CREDENTIALS] * 10 + [Reason.LOCKED] * 2


async def test_certificate_lifts_lock(town: Town) -> None:
    """A certificate lifts its account's lock, once a day at most, so that it gives nobody endless tries."""
    for locked in (False, True):
        await lock_account(town)
        assert await refused(town) is Reason.LOCKED
        await town.login.by_certificate(replace(claire(town), client="203.0.113.9"), "")
        told = [ban.locked_until > 0 for ban in await town.bans.list() if ban.shown == str(address(CLAIRE))]
        assert told == ([True] if locked else [])
        town.clock.advance(30 * 60)
    await town.enter()
    assert [kind for kind, *_ in town.events()].count("ban-cleared") == 1


async def test_never_banned(tmp_path: Path) -> None:
    """Failures close no address of those named; each account's own count goes on."""
    auth = replace(FAST, never_banned=tuple(map(ip_network, ("192.0.2.0/24", "2001:db8:9::/48", "2001:db8:8::5"))))
    town = Town(tmp_path, auth)
    await town.settle_in()
    for client in (HERE, "2001:db8:9:1::5", "2001:db8:8::5"):
        for n in range(11):
            with pytest.raises(Refusal):
                await town.login.by_password(Door("imap", client), "", f"u{n}{client[0]}@demo.mssante.fr", Secret("x"))
    assert {c.shown for c in await town.bans.list()} == {None}
    await town.enter()
    town.clock.advance(9 * 3600)
    told = await fail(town, 11, client="192.0.2.77")
    assert told[-1] is Reason.LOCKED
    town.close()


async def test_ban_add(town: Town) -> None:
    """An administrator closes an address for as long as they say; certificates pass."""
    await town.bans.add("2001:db8:1:2::77", 3600)
    assert await refused(town, client="2001:db8:1:2::1") is Reason.LOCKED
    await town.login.by_certificate(replace(claire(town), client="2001:db8:1:2::1"), "")
    (counted,) = await town.bans.list()
    assert (counted.shown, counted.count) == ("2001:db8:1:2::/64", 0)
    assert counted.locked_until == int(town.clock.now()) + 3600
    town.clock.advance(3600)
    await town.enter(client="2001:db8:1:2::1")
    for wrong in ("nobody", "a@b.fr", ""):
        with pytest.raises(ValueError, match="address"):
            await town.bans.add(wrong, 60)


async def test_many_at_once(town: Town) -> None:
    """Guesses that come all at once tell no more than the failures that are borne."""
    told = await asyncio.gather(*(town.enter(password=WRONG) for _ in range(25)), return_exceptions=True)
    reasons = [e.reason for e in told if isinstance(e, Refusal)]
    assert reasons.count(Reason.CREDENTIALS) == FAST.max_failures
    assert reasons.count(Reason.LOCKED) == 25 - FAST.max_failures


async def test_growing_delay(town: Town) -> None:
    """Each failure's answer is held back twice as long as the one before, five seconds at most."""
    await fail(town, 10)
    assert town.waited == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5])


async def test_window(town: Town) -> None:
    """A failure counts for an hour, each by itself."""
    await fail(town, 5)
    town.clock.advance(1800)
    await fail(town, 4)
    town.clock.advance(1801)
    await fail(town, 5)
    await town.enter()
    assert await fail(town, 1) == [Reason.CREDENTIALS]


async def test_good_sign_in_takes_back_its_own(town: Town) -> None:
    """A fresh code takes back one's own failures, and nobody else's: the address can't be washed clean."""
    await fail(town, 4)
    for _ in range(5):
        await refused(town, PAUL, WRONG, "111111")
    await town.enter()
    (ban,) = [ban for ban in await town.bans.list() if ban.shown == HERE]
    assert ban.count == 5
    await town.enter(code=town.code())  # within the grant: nothing changes
    assert sorted((ban.shown, ban.count) for ban in await town.bans.list() if ban.shown) == [
        (HERE, 5),
        (str(address(PAUL)), 5),
    ]


async def test_ban_list_and_clear(town: Town) -> None:
    """An administrator sees who is locked, and lifts it."""
    await fail(town, 10)
    listed = {ban.shown: (ban.count, ban.locked_until > 0) for ban in await town.bans.list()}
    assert listed == {HERE: (10, True), str(address(CLAIRE)): (10, True)}
    assert await town.bans.clear(HERE) == 1
    assert await town.bans.clear(str(address(CLAIRE))) == 1
    assert await town.bans.clear(HERE) == 0
    await town.enter()
    kinds = [kind for kind, *_ in town.events()]
    assert (kinds.count("banned"), kinds.count("ban-cleared")) == (2, 2)


async def test_old_failures_swept(town: Town) -> None:
    """Rows of failures that count no more don't pile up."""
    for n in range(5):
        await fail(town, 1, client=f"198.51.100.{n}")
    town.clock.advance(3601)
    await town.enter()
    assert town.home.tx().driver.execute("SELECT count(*) FROM failures").fetchone() == (0,)


async def test_locked_attempts_in_trail(town: Town) -> None:
    """While locked, one event a minute stands for all attempts, so that a flood doesn't fill the trail."""
    await fail(town, 10)
    before = len(town.events())
    await fail(town, 20)
    town.clock.advance(60)
    await fail(town, 1)
    said = [event[3]["d"] for event in town.events()[before:]]
    assert [each["attempts"] for each in said if isinstance(each, dict)] == [1, 20]
