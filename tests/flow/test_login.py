"""Signing in: by certificate, by password and code, within a grant, and what failures lead to."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mssmail.base.principal import Door, Mechanism
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.demo import people as demo
from mssmail.demo.pki import Leaf
from mssmail.settings.units import Seconds
from tests.support.town import APP, CLAIRE, FAST, ORG, PASSWORD, PAUL, WRONG, Town, address, der

HERE, THERE = "192.0.2.1", "192.0.2.2"


async def refused(town: Town, *given: str, **more: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        await town.enter(*given, **more)  # type: ignore[arg-type]
    return caught.value.reason


# --- password and code ---


async def test_password_and_code(town: Town) -> None:
    """The password with the current code opens one's own box, and the trail says so."""
    principal = await town.enter()
    assert (principal.address, principal.mechanism) == (address(CLAIRE), Mechanism.PASSWORD)
    assert principal.person == principal.account
    assert [(kind, outcome) for kind, _, outcome, _ in town.events()][-1] == ("signed-in", "ok")


@pytest.mark.parametrize(
    ("login", "secret"),
    [
        ("personne@demo.mssante.fr", PASSWORD + "123456"),
        ("not an address", PASSWORD + "123456"),
        ("", ""),
        ("claire.martin@demo.mssante.fr", WRONG + "CODE"),
        ("claire.martin@demo.mssante.fr", PASSWORD + "000000"),
        ("claire.martin@demo.mssante.fr", PASSWORD),
        ("claire.martin@demo.mssante.fr", "CODE"),
        ("claire.martin@demo.mssante.fr", PASSWORD + " CODE"),
        ("logiciel@demo.mssante.fr", PASSWORD + "123456"),
        ("x" * 5000, "y" * 5000),
        ("\x00", "\x00123456"),
        ("\ud800@x", "\ud800123456"),
    ],
)
async def test_refused_alike(town: Town, hashes: list[str], login: str, secret: str) -> None:
    """Whatever is wrong is refused in one way, after exactly one Argon2 hash."""
    with pytest.raises(Refusal) as caught:
        given = Secret(secret.replace("CODE", town.code()))
        await town.login.by_password(Door("imap", HERE), "", login, given)
    assert (caught.value.reason, caught.value.detail) == (Reason.CREDENTIALS, "")
    assert hashes == ["nothing"]


async def test_unknown_login_not_kept(town: Town) -> None:
    """What was typed as login isn't in the trail or the list of failures unless it is an account's address."""
    with pytest.raises(Refusal):
        await town.login.by_password(Door("imap", HERE), "", "Secret-Typed-Here@demo.mssante.fr", Secret("x"))
    told = repr(town.events()) + repr(await town.bans.list())
    assert "secret-typed" not in told.lower()


async def test_login_compares_without_case(town: Town) -> None:
    """The login is an address, and those compare without case."""
    secret = Secret(PASSWORD + town.code())
    principal = await town.login.by_password(Door("smtp", HERE), "", "Claire.MARTIN@Demo.mssante.fr", secret)
    assert principal.address == address(CLAIRE)


# --- single use, grants ---


async def test_five_at_once(town: Town) -> None:
    """Five connections with the same code at once all get in, by one grant."""
    entered = await asyncio.gather(*(town.enter(protocol=p) for p in ("imap", "imap", "imap", "imap", "smtp")))
    assert {principal.address for principal in entered} == {address(CLAIRE)}
    rows = town.home.tx().driver.execute("SELECT count(*), count(DISTINCT step) FROM grants").fetchone()
    assert rows == (1, 1)


async def test_code_used_elsewhere(town: Town) -> None:
    """A code that one address used lets no other in, on any protocol; only the trail knows that it was used."""
    await town.enter()
    assert await refused(town, client=THERE, protocol="smtp") is Reason.CREDENTIALS
    assert town.events()[-1][2] == "code-used"


async def test_earlier_code_after_a_later_one(town: Town) -> None:
    """A code older than one already used is used too."""
    earlier = town.code()
    town.clock.advance(30)
    await town.enter()
    assert await refused(town, CLAIRE, PASSWORD, earlier, client=THERE) is Reason.CREDENTIALS


async def test_grant_serves_old_code(town: Town, hashes: list[str]) -> None:
    """Within the grant the old code still serves, without another hash; past its end a new one is asked for."""
    code = town.code()
    await town.enter(code=code)
    town.clock.advance(8 * 3600 - 1)
    await town.enter(code=code, protocol="smtp")
    assert hashes == ["valid-code"]
    town.clock.advance(1)
    assert await refused(town, CLAIRE, PASSWORD, code) is Reason.GRANT_ENDED
    assert hashes == ["valid-code"]


async def test_grant_after_restart(town: Town, hashes: list[str]) -> None:
    """Another worker takes the grant's code after one hash of its own, and the same again without."""
    code = town.code()
    await town.enter(code=code)
    town.clock.advance(3600)
    other = town.worker()
    await town.enter(code=code, login=other)
    await town.enter(code=code, login=other)
    assert hashes == ["valid-code", "accepted-code"]


async def test_joining_never_prolongs(town: Town) -> None:
    """A second valid code joins the grant and is taken from then on; the end stays that of the first."""
    first = town.code()
    await town.enter(code=first)
    town.clock.advance(4 * 3600)
    second = town.code()
    await town.enter(code=second)
    town.clock.advance(3600)
    await town.enter(code=first)
    await town.enter(code=second)
    town.clock.advance(3 * 3600)
    assert await refused(town, CLAIRE, PASSWORD, first) is Reason.GRANT_ENDED
    assert await refused(town, CLAIRE, PASSWORD, second) is Reason.GRANT_ENDED
    await town.enter()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.3", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
    ],
)
async def test_grant_belongs_to_address(town: Town, first: str, second: str, same: bool) -> None:
    """A grant serves the address it was opened from; of IPv6, its /64."""
    code = town.code()
    await town.enter(code=code, client=first)
    town.clock.advance(600)
    if same:
        await town.enter(code=code, client=second)
    else:
        assert await refused(town, CLAIRE, PASSWORD, code, client=second) is Reason.CREDENTIALS


async def test_other_digits_within_grant(town: Town) -> None:
    """Within a grant, wrong digits and the bare password are failures."""
    await town.enter()
    code = town.code()
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert await refused(town, CLAIRE, PASSWORD, wrong) is Reason.CREDENTIALS
    assert await refused(town, CLAIRE, PASSWORD, "") is Reason.CREDENTIALS
    assert await refused(town, CLAIRE, WRONG, code) is Reason.CREDENTIALS


async def test_bare_password(tmp_path: Path, hashes: list[str]) -> None:
    """Where the settings take it, the password alone is enough within a grant, and only there."""
    town = Town(tmp_path, replace(FAST, grant_bare_password=True))
    await town.settle_in()
    assert await refused(town, CLAIRE, PASSWORD, "") is Reason.CREDENTIALS
    await town.enter()
    await town.enter(code="")
    await town.enter(code="")
    assert await refused(town, CLAIRE, WRONG, "") is Reason.CREDENTIALS
    assert await refused(town, CLAIRE, PASSWORD, "", client=THERE) is Reason.CREDENTIALS
    assert hashes == ["nothing", "valid-code", "bare", "nothing", "nothing"]
    town.close()


async def test_no_grants(tmp_path: Path) -> None:
    """With a lifetime of nothing, each sign-in takes a new code, from the same address too."""
    town = Town(tmp_path, replace(FAST, grant_lifetime=Seconds(0)))
    await town.settle_in()
    code = town.code()
    await town.enter(code=code)
    assert await refused(town, CLAIRE, PASSWORD, code) is Reason.CREDENTIALS
    town.clock.advance(30)
    await town.enter()
    town.close()


async def test_password_change_ends_grants(town: Town) -> None:
    """After a password change neither is taken with the old code; who still sends the old is told, and counts not."""
    code = town.code()
    await town.enter(code=code)
    await town.people.set_password(address(CLAIRE), Secret("tout-Autre9-Chose4-verte"))
    assert await refused(town, CLAIRE, PASSWORD, code) is Reason.GRANT_ENDED
    assert await town.bans.list() == []
    assert await refused(town, CLAIRE, "tout-Autre9-Chose4-verte", code) is Reason.CREDENTIALS
    town.clock.advance(30)
    await town.enter(password="tout-Autre9-Chose4-verte")


async def test_rehash(town: Town, hashes: list[str]) -> None:
    """New Argon2 parameters are taken at the next sign-in with the password, ending no session or grant."""
    code = town.code()
    before = await town.enter(code=code)
    settings = replace(town.home.settings, auth=replace(FAST, argon2_time=2))
    town.home.house = town.home.with_settings(settings)
    other = town.worker()
    after = await asyncio.gather(*(town.enter(code=code, login=other) for _ in range(3)))
    await town.enter(code=code, login=other)
    assert {principal.epoch for principal in after} == {before.epoch}
    sealed = town.home.tx().driver.execute("SELECT secrets FROM accounts WHERE account_id = 1").fetchone()[0]
    assert "t=2" in town.standing.credentials.secrets(before.account, sealed).password_hash


# --- a sign-in like one before: known again, and believed in nothing ---


async def test_known_again(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in like one before takes one transaction and no look besides, and the trail has both."""
    code = town.code()
    await town.enter(code=code)
    await town.login.by_certificate(claire(town), "")
    monkeypatch.setattr(town.house.read, "run", None)
    await town.enter(code=code)
    await town.login.by_certificate(claire(town), "")
    assert [(kind, outcome) for kind, _, outcome, _ in town.events()][-4:] == [("signed-in", "ok")] * 4


Happening = Callable[[Town], Coroutine[Any, Any, object]]


async def ban(town: Town) -> None:
    await asyncio.gather(*(refused(town, PAUL, WRONG, "111111") for _ in range(10)))


@pytest.mark.parametrize(
    ("happens", "by_password", "by_certificate"),
    [
        (lambda town: town.people.suspend(address(CLAIRE)), Reason.SUSPENDED, Reason.SUSPENDED),
        (lambda town: town.people.close(address(CLAIRE)), Reason.CREDENTIALS, Reason.CERTIFICATE),
        (lambda town: town.people.end_grants(address(CLAIRE)), Reason.GRANT_ENDED, None),
        (lambda town: town.people.new_code(address(CLAIRE)), Reason.GRANT_ENDED, None),
        (ban, Reason.LOCKED, None),
    ],
)
async def test_known_and_changed(
    town: Town, happens: Happening, by_password: Reason, by_certificate: Reason | None
) -> None:
    """What happens after a sign-in decides on the next one like it."""
    code = town.code()
    await town.enter(code=code)
    await town.login.by_certificate(claire(town), "")
    await happens(town)
    assert await refused(town, CLAIRE, PASSWORD, code) is by_password
    if by_certificate is None:
        await town.login.by_certificate(claire(town), "")
    else:
        with pytest.raises(Refusal) as caught:
            await town.login.by_certificate(claire(town), "")
        assert caught.value.reason is by_certificate


async def test_known_delegate_dismissed(town: Town) -> None:
    """A delegation taken back closes the box to the one who was in it before."""
    code, box = town.code(), str(address(ORG))
    await town.delegate(ORG, CLAIRE)
    for _ in range(2):
        await town.enter(code=code, authzid=box)
        await town.login.by_certificate(claire(town), box)
    await town.undelegate(ORG, CLAIRE)
    assert await refused(town, CLAIRE, PASSWORD, code, authzid=box) is Reason.NOT_DELEGATED
    with pytest.raises(Refusal) as caught:
        await town.login.by_certificate(claire(town), box)
    assert caught.value.reason is Reason.NOT_DELEGATED


# --- certificates ---


def door(leaf: Leaf) -> Door:
    return Door("imap", HERE, der(leaf.cert))


def claire(town: Town) -> Door:
    person = demo.CLAIRE
    return door(town.pki.person(person.national_id, person.surname, person.given_name, person.title))


def organisation(town: Town, local: str) -> Door:
    (account,) = [a for a in demo.ACCOUNTS if a.address == str(address(local))]
    assert account.structure is not None
    return door(town.pki.organisation(account.common_name, account.structure.structure_id, "DEMO", "Paris (75)"))


async def test_certificate(town: Town) -> None:
    """A person's certificate opens their own box, and stays known by serial and issuer."""
    principal = await town.login.by_certificate(claire(town), "")
    assert (principal.address, principal.mechanism) == (address(CLAIRE), Mechanism.EXTERNAL)
    assert principal.serial is not None
    assert principal.issuer is not None


async def test_oldest_box(town: Town) -> None:
    """Of several boxes an empty authzid means the oldest; an address chooses another."""
    new = replace(town.new(demo.ACCOUNTS[0]), address=address("claire.bis"))
    await town.people.create(new)
    assert (await town.login.by_certificate(claire(town), "")).address == address(CLAIRE)
    second = await town.login.by_certificate(claire(town), "Claire.Bis@demo.mssante.fr")
    assert second.address == address("claire.bis")
    assert second.person == second.account


@pytest.mark.parametrize("local", [ORG, APP])
async def test_organisation(town: Town, local: str) -> None:
    """An organisation's certificate opens the box of its (OU, CN)."""
    assert (await town.login.by_certificate(organisation(town, local), "")).address == address(local)


@pytest.mark.parametrize("authzid", [str(address(PAUL)), str(address(ORG)), "nobody@demo.mssante.fr", "not an address"])
async def test_not_delegated(town: Town, authzid: str) -> None:
    """A box that isn't delegated and one that doesn't exist are refused alike, by certificate and by password."""
    for attempt in (town.login.by_certificate(claire(town), authzid), town.enter(authzid=authzid)):
        with pytest.raises(Refusal) as caught:
            await attempt
        assert (caught.value.reason, str(caught.value.detail)) == (Reason.NOT_DELEGATED, "")
    await town.enter()  # the code wasn't used up


async def test_delegated(town: Town) -> None:
    """A delegate opens the box by certificate or password, until the delegation is taken back."""
    await town.delegate(ORG, CLAIRE)
    for attempt in (
        town.login.by_certificate(claire(town), str(address(ORG))),
        town.enter(authzid=str(address(ORG))),
    ):
        principal = await attempt
        assert (principal.address, principal.person != principal.account) == (address(ORG), True)
    await town.undelegate(ORG, CLAIRE)
    assert await refused(town, authzid=str(address(ORG))) is Reason.NOT_DELEGATED


async def test_certificate_refused(town: Town) -> None:
    """No certificate, a revoked one, and one that names nobody here are refused as certificates."""
    person = demo.CLAIRE
    revoked = door(town.pki.revoked_person(person.national_id, person.surname, person.given_name, person.title))
    town.standing.reload_if_changed()
    stranger = door(town.pki.person(demo.rpps(77), "AUTRE", "Jean", "Médecin"))
    for given in (Door("imap", HERE), revoked, stranger):
        with pytest.raises(Refusal) as caught:
            await town.login.by_certificate(given, "")
        assert caught.value.reason is Reason.CERTIFICATE
        assert town.events()[-1][2] == "certificate"
    assert not town.login.certificate_acceptable(Door("imap", HERE))
    assert town.login.certificate_acceptable(revoked)


# --- standing ---


async def test_suspended(town: Town) -> None:
    """A suspension is told to who proved who they are, and to nobody else."""
    await town.enter()
    await town.people.suspend(address(CLAIRE))
    assert await refused(town, CLAIRE, WRONG) is Reason.CREDENTIALS
    town.clock.advance(30)
    assert await refused(town) is Reason.SUSPENDED
    with pytest.raises(Refusal) as caught:
        await town.login.by_certificate(claire(town), "")
    assert caught.value.reason is Reason.SUSPENDED
    await town.people.resume(address(CLAIRE))
    await town.enter()


async def test_struck_off(town: Town) -> None:
    """Who is gone from the newest extract opens nothing, and hears why."""
    await town.load(town.population.without(demo.CLAIRE.national_id))
    assert await refused(town) is Reason.STRUCK_OFF
    with pytest.raises(Refusal) as caught:
        await town.login.by_certificate(claire(town), "")
    assert caught.value.reason is Reason.STRUCK_OFF


async def test_closed(town: Town) -> None:
    """A closed account is an unknown one."""
    await town.people.close(address(CLAIRE))
    assert await refused(town) is Reason.CREDENTIALS
    with pytest.raises(Refusal) as caught:
        await town.login.by_certificate(claire(town), "")
    assert caught.value.reason is Reason.CERTIFICATE


async def test_signed_in_at(town: Town) -> None:
    """The time of the last sign-in is written, once a minute at most."""
    start = int(town.clock.now())
    await town.enter()
    town.clock.advance(59)
    await town.enter()
    assert (await town.people.show(address(CLAIRE))).signed_in_at == start
    town.clock.advance(1)
    await town.enter()
    assert (await town.people.show(address(CLAIRE))).signed_in_at == start + 60
