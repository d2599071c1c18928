"""Signing in by token: whose box it opens, what counts as a failure, what the trail keeps, when a session ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.ids import AccountId
from mssmail.base.principal import Door, Mechanism
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.demo import people as demo
from mssmail.flow import bearer
from mssmail.flow.login import Asked
from mssmail.flow.sessions import LOOK_AT_ALL_S, Sessions
from mssmail.settings.model import Listen
from mssmail.store import accounts
from tests.support.bearer import TokenTown
from tests.support.provider import LIFETIME_S, PROGRAM, forged, rsa_key
from tests.support.town import APP, CLAIRE, ORG, PAUL, address

THERE = "192.0.2.2"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[TokenTown]:
    built = TokenTown(tmp_path)
    await built.settle_in()
    built.trust()
    yield built
    built.close()


async def refused(town: TokenTown, token: str | Secret, authzid: str = "", **more: str) -> Reason:
    with pytest.raises(Refusal) as caught:
        await town.by_token(token, authzid, **more)
    return caught.value.reason


def details(town: TokenTown) -> dict[str, object]:
    """What the trail's last event says beside the rest."""
    said = town.events()[-1][3]["d"]
    assert isinstance(said, dict)
    return said


def guess(town: TokenTown, n: int = 0) -> str:
    return town.played.token(key=rsa_key("k2"), header={"kid": "k1"}, jti=str(n))


# --- whose box ---


async def test_provider(town: TokenTown) -> None:
    """A provider's token opens the box of the national id that it names, and the trail says by whom and by what."""
    principal = await town.by_token(town.played.token())
    assert (principal.address, principal.mechanism, principal.until) == (address(CLAIRE), Mechanism.TOKEN, None)
    kind, _, outcome, said = town.events()[-1]
    assert (kind, outcome) == ("signed-in", "ok")
    assert said["d"] == {
        "protocol": "imap",
        "mechanism": "token",
        "client": "192.0.2.1",
        "person": principal.person,
        "provider": "psc",
        "program": PROGRAM,
    }


async def test_own(town: TokenTown) -> None:
    """A token of our own opens the box of who granted it, on the protocols that it is for."""
    issued = town.grant(PAUL, "imap")
    principal = await town.by_token(issued.access)
    assert principal.address == address(PAUL)
    assert principal.authorization == issued.of.authorization_id
    assert await refused(town, issued.access, protocol="smtp") is Reason.SCOPE
    assert town.played.origin.asked == []


@pytest.mark.parametrize("own", [True, False])
async def test_authzid(town: TokenTown, own: bool) -> None:
    """One's own address, in any case, or a box delegated to one, is opened; no other, there or not."""
    token = town.grant().access if own else Secret(town.played.token())
    await town.delegate(ORG, CLAIRE)
    for authzid, opened in (("Claire.MARTIN@demo.mssante.fr", CLAIRE), (str(address(ORG)), ORG)):
        principal = await town.by_token(token, authzid)
        assert principal.address == address(opened)
        assert principal.person == (await town.by_token(token)).account
    for authzid in (str(address(PAUL)), "nobody@demo.mssante.fr", "no address", str(address(APP))):
        assert await refused(town, token, authzid) is Reason.NOT_DELEGATED


async def test_nobody_here(town: TokenTown) -> None:
    """A professional without a box is refused like a bad token, and it counts as no failure."""
    for n in range(11):
        assert await refused(town, town.played.token("810000000777", jti=str(n))) is Reason.TOKEN
    assert await town.bans.list() == []
    assert details(town)["detail"] == "names nobody here"


async def test_an_organisation_has_no_token(town: TokenTown) -> None:
    """A token that names a structure's id opens no organisation's box: only a person's is found."""
    structure = demo.CENTRE.structure_id
    assert await refused(town, town.played.token(structure)) is Reason.TOKEN


@pytest.mark.parametrize("own", [True, False])
async def test_struck_off(town: TokenTown, own: bool) -> None:
    """A good token of who has left the directory opens nothing, and says so."""
    token = town.grant().access if own else Secret(town.played.token())
    await town.by_token(token)
    await town.load(town.population.without(demo.CLAIRE.national_id))
    assert await refused(town, token) is Reason.STRUCK_OFF
    assert await town.bans.list() == []


@pytest.mark.parametrize(("own", "reason"), [(True, Reason.TOKEN), (False, Reason.SUSPENDED)])
async def test_suspended(town: TokenTown, own: bool, reason: Reason) -> None:
    """A suspension ends what was granted here; a provider's token is as good as it was, and hears why."""
    token = town.grant().access if own else Secret(town.played.token())
    await town.by_token(token)
    await town.people.suspend(address(CLAIRE))
    assert await refused(town, token) is reason


# --- failures ---


async def test_guesses_lock_the_address(town: TokenTown) -> None:
    """Ten tokens that may be made up lock the address, for good tokens and passwords alike, and no account."""
    for n in range(10):
        assert await refused(town, guess(town, n)) is Reason.TOKEN
    for token in (town.grant().access, Secret(town.played.token())):
        assert await refused(town, token) is Reason.LOCKED
    with pytest.raises(Refusal) as caught:
        await town.enter()
    assert caught.value.reason is Reason.LOCKED
    assert (await town.by_token(town.played.token(), client=THERE)).address == address(CLAIRE)
    assert (await town.enter(PAUL, client=THERE)).address == address(PAUL)
    assert [banned.shown for banned in await town.bans.list()] == ["192.0.2.1"]
    assert [kind for kind, *_ in town.events()].count("banned") == 1
    assert town.waited[:4] == [0.1, 0.2, 0.4, 0.8]


@pytest.mark.parametrize("made", ["mssat_" + "A" * 43, "mssrt_x", "mssat_", "opaque", "a.b.c", "x" * 20_000])
async def test_what_counts(town: TokenTown, made: str) -> None:
    """Whatever may be made up counts as a failure."""
    assert await refused(town, made) is Reason.TOKEN
    assert [counted.count for counted in await town.bans.list()] == [1]


async def test_what_does_not_count(town: TokenTown) -> None:
    """Expired tokens, those for another audience or scope, and an empty one, are no guesses."""
    issued, old = town.grant(), town.played.token()
    town.clock.advance(3_600 + 31)
    narrow = town.grant(scope="smtp")
    for _ in range(4):
        assert await refused(town, issued.access) is Reason.TOKEN
        assert await refused(town, issued.refresh) is Reason.TOKEN
        assert await refused(town, old) is Reason.TOKEN
        assert await refused(town, town.played.token(aud="other")) is Reason.TOKEN
        assert await refused(town, narrow.access) is Reason.SCOPE
        assert await refused(town, "") is Reason.TOKEN
    assert await town.bans.list() == []


DETAILS: list[tuple[Callable[[TokenTown], str], str]] = [
    (lambda t: t.grant().refresh.reveal(), "not an access token"),
    (lambda t: "mssat_" + "A" * 43, "unknown or revoked"),
    (lambda t: guess(t), "the signature doesn't hold"),
    (lambda t: forged({"alg": "none", "kid": "k1"}, t.played.claims()), "signed by an algorithm that isn't taken"),
    (lambda t: t.played.token(exp=1), "expired"),
    (lambda t: t.played.token(SubjectRefPro={"exercices": []}), "names no practice in an allowed profession"),
]


@pytest.mark.parametrize(("make", "detail"), DETAILS, ids=[c[1] for c in DETAILS])
async def test_trail_of_refusals(town: TokenTown, make: Callable[[TokenTown], str], detail: str) -> None:
    """What was wrong stands in the trail, and nothing of the token does."""
    token = make(town)
    await refused(town, token)
    assert any(isinstance(said["d"], dict) and said["d"].get("detail") == detail for *_, said in town.events())
    assert token not in repr(town.events())


async def test_own_token_expires_and_ends(town: TokenTown) -> None:
    """A token of our own is refused once expired, once revoked, and once its account has another password."""
    issued, other, third = town.grant(), town.grant(), town.grant()
    town.revoke(other)
    assert await refused(town, other.access) is Reason.TOKEN
    await town.by_token(third.access)
    town.home.write.run_blocking(lambda tx: accounts.set_secrets(tx, AccountId(1), None, end_sessions=True))
    assert await refused(town, third.access) is Reason.TOKEN
    assert details(town)["detail"] == "its account has changed or is closed"
    town.clock.advance(3_600)
    assert await refused(town, issued.access) is Reason.TOKEN


async def test_provider_away(town: TokenTown) -> None:
    """Without keys a provider's token can't be judged for now; our own tokens and passwords go on."""
    town.played.away()
    for _ in range(12):
        assert await refused(town, town.played.token()) is Reason.UNAVAILABLE
    assert (await town.by_token(town.grant().access)).address == address(CLAIRE)
    assert (await town.enter()).address == address(CLAIRE)
    assert await town.bans.list() == []


async def test_many_wait_for_a_slow_provider(town: TokenTown, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a provider is slow only so many wait for it, the loop goes on, and all who waited are let in."""
    monkeypatch.setattr(bearer, "MAX_CALLING", 5)
    town.played.go_on.clear()
    tokens = [town.played.token(jti=str(n)) for n in range(8)]
    waiting = [asyncio.create_task(town.by_token(token)) for token in tokens]
    own = await town.by_token(town.grant().access)
    assert own.address == address(CLAIRE)
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    town.played.go_on.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    told = [one.reason for one in found if isinstance(one, Refusal)]
    assert told == [Reason.UNAVAILABLE] * 3
    assert sum(not isinstance(one, BaseException) for one in found) == 5


async def test_known_again(town: TokenTown) -> None:
    """A token that was let in before is judged again each time: by its end, its family, its holder, the lock."""
    provided, own, other = Secret(town.played.token()), town.grant(), town.grant()
    for token in (provided, own.access, other.access) * 2:
        assert (await town.by_token(token)).address == address(CLAIRE)
    assert town.played.calls("keys") == 1
    assert await refused(town, own.access, str(address(PAUL))) is Reason.NOT_DELEGATED
    town.revoke(own)
    assert await refused(town, own.access) is Reason.TOKEN
    for n in range(9):
        await refused(town, guess(town, n))
    for token in (provided, other.access):
        assert await refused(town, token) is Reason.LOCKED
        assert (await town.by_token(token, client=THERE)).client == THERE
    await town.load(town.population.without(demo.CLAIRE.national_id))
    for token in (provided, other.access):
        assert await refused(town, token, client=THERE) is Reason.STRUCK_OFF
    await town.load()
    town.clock.advance(3_600 + 31)
    for token in (provided, other.access):
        assert await refused(town, token, client=THERE) is Reason.TOKEN


async def test_changed_meanwhile(town: TokenTown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who loses the right between the look and the sign-in isn't let in."""
    issued = town.grant()
    access = town.login._access

    def lose(door: Door, asked: Asked) -> Refusal | None:
        town.revoke(issued)
        return access(door, asked)

    monkeypatch.setattr(town.login, "_access", lose)
    assert await refused(town, issued.access) is Reason.UNAVAILABLE
    assert await refused(town, issued.access) is Reason.TOKEN


# --- what ends a session ---


async def sessions_of(town: TokenTown) -> tuple[Sessions, list[Reason]]:
    sessions, ended = Sessions(town.house, town.standing), list[Reason]()
    await sessions.start()
    return sessions, ended


async def test_revocation_ends_the_session(town: TokenTown) -> None:
    """A revoked family ends the sessions that its tokens opened, and no other."""
    sessions, ended = await sessions_of(town)
    issued, other = town.grant(), town.grant()
    sessions.enter(await town.by_token(issued.access), ended.append)
    sessions.enter(await town.by_token(other.access), lambda reason: pytest.fail("the other's"))
    sessions.enter(await town.by_token(town.played.token()), lambda reason: pytest.fail("the provider's"))
    town.revoke(issued)
    sessions.look_again()
    await sessions.look()
    assert ended == [Reason.TOKEN]


@pytest.mark.parametrize("ends", [True, False])
async def test_end_with_token(town: TokenTown, ends: bool) -> None:
    """A session outlives its token, unless the settings say otherwise."""
    town.trust(end_with_token=ends)
    sessions, ended = await sessions_of(town)
    sessions.enter(await town.by_token(town.played.token()), ended.append)
    sessions.enter(await town.by_token(town.grant().access), ended.append)
    for _ in range(3):
        town.clock.advance(LOOK_AT_ALL_S)
        await sessions.look()
    assert ended == []
    town.clock.advance(LIFETIME_S - 3 * LOOK_AT_ALL_S)
    await sessions.look()
    assert ended == ([Reason.TOKEN] if ends else [])
    town.clock.advance(3_600)
    await sessions.look()
    assert ended == ([Reason.TOKEN] * 2 if ends else [])


async def test_without_providers(town: TokenTown) -> None:
    """Once no provider is trusted any more, its tokens are refused at once."""
    token = town.played.token()
    await town.by_token(token)
    announced = [town.login.tokens_acceptable]
    town.house.renew(replace(town.home.settings, listen=Listen(https=None)))
    town.login.renew()
    announced.append(town.login.tokens_acceptable)
    assert announced == [True, False]
    assert await refused(town, token) is Reason.TOKEN
