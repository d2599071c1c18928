"""Administration: accounts made, shown, suspended, closed; the directory's refresh; what ends a session."""

from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.clock import utc
from mssmail.base.principal import BoxKind, Door
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.crypto.keystore import KeyKind
from mssmail.demo import people as demo
from mssmail.flow.boxes import Boxes
from mssmail.flow.people import NewAccount, generate_password
from mssmail.flow.refresh import Refresh
from mssmail.flow.sessions import Sessions
from mssmail.identity import otp
from mssmail.store import accounts, replays
from tests.support.town import APP, CLAIRE, ORG, PASSWORD, PAUL, Town, address, der

OTHER_PASSWORD = Secret("tout-Autre9-Chose4-verte")


async def reason_of(attempt: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        await attempt  # type: ignore[misc]
    return caught.value.reason


# --- making ---


async def test_new_box(town: Town) -> None:
    """A new box has its folders with their roles, all subscribed, UIDVALIDITY by folder, and a key in the key store."""
    principal = await town.enter()
    folders = await Boxes(town.house).all(principal)
    assert {folder.name: folder.role for folder in folders} == {
        "INBOX": None,
        "Drafts": "drafts",
        "Sent": "sent",
        "Junk": "junk",
        "Trash": "trash",
        "Archive": "archive",
    }
    assert all(folder.subscribed for folder in folders)
    assert all(f.row is not None and f.row.uid_validity == f.row.folder_id for f in folders)
    assert town.home.key_store.state(KeyKind.ACCOUNT, principal.account) is not None
    row = accounts.by_id(town.home.tx(), principal.account)
    assert row.inbox_id == next(f.row.folder_id for f in folders if f.name == "INBOX" and f.row is not None)


async def test_numbers_differ(town: Town) -> None:
    """No folder number is given twice, over accounts made at once and one after the other."""
    numbers = [row[0] for row in town.home.tx().driver.execute("SELECT folder_id FROM folders").fetchall()]
    await town.people.create(replace(town.new(demo.ACCOUNTS[0]), address=address("claire.bis")))
    later = [row[0] for row in town.home.tx().driver.execute("SELECT folder_id FROM folders").fetchall()]
    assert len(numbers) == len(set(numbers)) == 24
    assert set(numbers) < set(later)
    assert len(later) == 30


def person(local: str, national_id: str, **more: object) -> NewAccount:
    return replace(NewAccount(address(local), BoxKind.PER, national_id), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (person("jean", demo.rpps(77)), Reason.NOT_ELIGIBLE),
        (person(CLAIRE, demo.CLAIRE.national_id), Reason.ACCOUNT_EXISTS),
        (person("CLAIRE.Martin", demo.CLAIRE.national_id), Reason.ACCOUNT_EXISTS),
        (replace(person("x", demo.CLAIRE.national_id), kind=BoxKind.CAB), Reason.NOT_ELIGIBLE),
        (NewAccount(address("o"), BoxKind.ORG, "1999999999", common_name="x"), Reason.NOT_ELIGIBLE),
        (NewAccount(address("o"), BoxKind.ORG, demo.CENTRE.structure_id), Reason.NOT_ELIGIBLE),
        (
            NewAccount(address("o"), BoxKind.ORG, demo.CENTRE.structure_id, common_name="x", password=Secret(PASSWORD)),
            Reason.MECHANISM,
        ),
        (person("c", demo.CLAIRE.national_id, password=Secret("soleil75")), Reason.WEAK_PASSWORD),
        (person("c", demo.CLAIRE.national_id, password=Secret("\x07" * 60)), Reason.WEAK_PASSWORD),
    ],
)
async def test_not_made(town: Town, new: NewAccount, reason: Reason) -> None:
    """An account that may not be isn't made, and no other of the same bulk."""
    before = town.home.tx().driver.execute("SELECT count(*) FROM accounts").fetchone()
    good = person("hugo.bis", demo.HUGO.national_id)
    assert await reason_of(town.people.create_many([good, new])) is reason
    assert town.home.tx().driver.execute("SELECT count(*) FROM accounts").fetchone() == before


async def test_not_made_elsewhere(town: Town) -> None:
    """Only in a domain of this server, and not twice in one bulk."""
    elsewhere = replace(address("x"), domain="ailleurs.fr")
    new = NewAccount(elsewhere, BoxKind.PER, demo.CLAIRE.national_id)
    assert await reason_of(town.people.create(new)) is Reason.NOT_ELIGIBLE
    twice = [person("deux", demo.HUGO.national_id), person("DEUX", demo.HUGO.national_id)]
    assert await reason_of(town.people.create_many(twice)) is Reason.ACCOUNT_EXISTS


async def test_not_allowed_profession(town: Town) -> None:
    """A registered professional of a profession that isn't allowed has no box."""
    settings = town.home.settings
    narrowed = replace(settings, directory=replace(settings.directory, allowed_professions=("21",)))
    town.home.house = town.home.with_settings(narrowed)
    town.login = town.worker()
    people = type(town.people)(town.house, town.standing, "root")
    assert await reason_of(people.create(person("hugo", demo.HUGO.national_id))) is Reason.NOT_ELIGIBLE
    assert await reason_of(town.enter()) is Reason.STRUCK_OFF


async def test_names_from_directory(town: Town) -> None:
    """Where no name is given, the directory's stands."""
    await town.people.create(person("hugo.moreau", demo.HUGO.national_id))
    view = await town.people.show(address("hugo.moreau"))
    assert (view.name, view.profession, view.has_password) == ("HUGO MOREAU", "70", False)


# --- looking ---


async def test_show(town: Town) -> None:
    """An administrator sees state, holder and delegations, and no secret."""
    await town.delegate(ORG, CLAIRE)
    view = await town.people.show(address(ORG))
    assert (view.kind, view.state, view.struck_off, view.holder) == (
        BoxKind.ORG,
        "open",
        False,
        demo.CENTRE.structure_id,
    )
    assert view.delegates == (address(CLAIRE),)
    assert (await town.people.show(address(CLAIRE))).delegated == (address(ORG),)
    assert [each.address.local async for each in town.people.all()] == [CLAIRE, PAUL, ORG, APP]
    assert await reason_of(town.people.show(address("nobody"))) is Reason.ACCOUNT_MISSING


# --- changing ---


async def test_acts_in_trail(town: Town) -> None:
    """Each act is in the trail with who did it, and tells the workers."""
    people, claire = town.people, address(CLAIRE)
    last = replays.last_notice(town.home.tx())
    await people.suspend(claire)
    await people.resume(claire)
    await people.set_password(claire, OTHER_PASSWORD)
    await people.new_code(claire)
    await people.end_grants(claire)
    await town.delegate(ORG, CLAIRE)
    await town.undelegate(ORG, CLAIRE)
    await people.set_quota(claire, 5)
    await people.close(claire)
    told = [(kind, said["d"]) for kind, _, _, said in town.events()][-9:]
    assert [kind for kind, _ in told] == [
        "account-suspended",
        "account-resumed",
        "password-set",
        "code-set",
        "grants-ended",
        "delegated",
        "undelegated",
        "quota-set",
        "account-closed",
    ]
    assert all(isinstance(details, dict) and details["administrator"] == "root" for _, details in told)
    assert [kind for _, _, kind in replays.notices_after(town.home.tx(), last)] == ["session"] * 9


async def test_weak_password(town: Town) -> None:
    """A password that is easily guessed isn't set, and no event or refusal quotes it."""
    with pytest.raises(Refusal) as caught:
        await town.people.set_password(address(CLAIRE), Secret("claire.martin75"))
    assert caught.value.reason is Reason.WEAK_PASSWORD
    assert "75" not in caught.value.detail
    await town.enter()


async def test_new_code(town: Town) -> None:
    """After a new code secret only its codes serve, and the address for the app holds it."""
    await town.enter()
    new = await town.people.new_code(address(CLAIRE))
    uri = new.provisioning_uri.reveal()
    assert uri.startswith("otpauth://totp/mssmail:claire.martin%40demo.mssante.fr?secret=")
    assert new.totp_secret.reveal() in uri
    town.clock.advance(60)
    assert await reason_of(town.enter()) is Reason.CREDENTIALS
    town.codes[CLAIRE] = new.totp_secret.reveal()
    await town.enter()


async def test_certificates_only_then_password(town: Town) -> None:
    """A box made for certificates alone takes a password once it has both, password and code."""
    await town.people.create(person("hugo.moreau", demo.HUGO.national_id))
    town.codes["hugo.moreau"] = otp.new_secret()
    assert await reason_of(town.enter("hugo.moreau")) is Reason.CREDENTIALS
    await town.people.set_password(address("hugo.moreau"), Secret(PASSWORD))
    assert await reason_of(town.enter("hugo.moreau")) is Reason.CREDENTIALS
    town.codes["hugo.moreau"] = (await town.people.new_code(address("hugo.moreau"))).totp_secret.reveal()
    await town.enter("hugo.moreau")


async def test_only_people_have_secrets(town: Town) -> None:
    """A structure's or application's box has no password and no code, and an application's isn't delegated."""
    assert await reason_of(town.people.set_password(address(ORG), OTHER_PASSWORD)) is Reason.MECHANISM
    assert await reason_of(town.people.new_code(address(APP))) is Reason.MECHANISM
    assert await reason_of(town.delegate(APP, CLAIRE)) is Reason.DELEGATION
    assert await reason_of(town.delegate(CLAIRE, ORG)) is Reason.DELEGATION
    assert await reason_of(town.delegate(CLAIRE, CLAIRE)) is Reason.DELEGATION
    assert await reason_of(town.undelegate(ORG, CLAIRE)) is Reason.NOT_DELEGATED


async def test_closed_for_good(town: Town) -> None:
    """A closed account can't be changed, and its address isn't given again."""
    await town.people.close(address(CLAIRE))
    assert await reason_of(town.people.resume(address(CLAIRE))) is Reason.ACCOUNT_MISSING
    assert await reason_of(town.people.create(town.new(demo.ACCOUNTS[0]))) is Reason.ACCOUNT_EXISTS
    row = accounts.by_address(town.home.tx(), town.standing.credentials.address_digest(address(CLAIRE)))
    assert row is not None
    assert row.secrets is None


def test_generated_password() -> None:
    """A generated password passes the rule and tells nothing in print."""
    made = generate_password()
    assert len(made) == 16
    assert made.reveal() not in repr(made)


# --- open sessions ---


async def test_what_ends_sessions(town: Town) -> None:
    """Suspension, password change, undelegation, revocation and strike-off end the sessions concerned, no others."""
    sessions = Sessions(town.house, town.standing)
    await sessions.start()
    ended: list[tuple[str, Reason]] = []
    await town.delegate(ORG, CLAIRE)
    leaf = town.pki.person(demo.PAUL.national_id, "DURAND", "Paul", "Médecin")
    acting = await town.enter(authzid=str(address(ORG)))
    principals = {
        "claire": await town.enter(),
        "acting": acting,
        "paul": await town.enter(PAUL),
        "card": await town.login.by_certificate(Door("imap", "192.0.2.9", der(leaf.cert)), ""),
    }
    for name, principal in principals.items():
        sessions.enter(principal, lambda reason, name=name: ended.append((name, reason)))  # type: ignore[misc]

    async def after_look() -> list[tuple[str, Reason]]:
        ended.clear()
        await sessions.look()
        return sorted(ended, key=lambda each: each[0])

    assert await after_look() == []
    serial = principals["card"].serial
    assert serial is not None
    town.pki.revoke(town.pki.persons, serial)
    assert await after_look() == [("card", Reason.CERTIFICATE)]
    await town.undelegate(ORG, CLAIRE)
    assert await after_look() == [("acting", Reason.NOT_DELEGATED)]
    await town.people.suspend(address(CLAIRE))
    assert await after_look() == [("claire", Reason.SUSPENDED)]
    await town.load(town.population.without(demo.PAUL.national_id))
    assert await after_look() == [("paul", Reason.STRUCK_OFF)]


async def test_no_directory_ends_nothing(town: Town) -> None:
    """While no directory can be read, nobody who is in is taken for struck off."""
    principal = await town.enter()
    row = accounts.standing(town.home.tx(), principal.account)
    town.house.directory.close()
    assert town.standing.reason_to_end(principal, {principal.account: row}, frozenset()) is None
    assert town.standing.reason_to_end(principal, {}, frozenset()) is Reason.ACCOUNT_MISSING


# --- the directory's refresh ---


async def test_refresh(town: Town) -> None:
    """A load is in the trail with its counts, and names each account that it strikes off, once."""
    gone = town.population.without(demo.CLAIRE.national_id)
    await town.load(gone)
    kinds = [(kind, account, said.get("s")) for kind, account, _, said in town.events()][-2:]
    assert [kind for kind, _, _ in kinds] == ["directory-loaded", "struck-off"]
    assert kinds[1][1:] == (1, str(address(CLAIRE)))
    await town.load(gone)
    assert [kind for kind, *_ in town.events()].count("struck-off") == 1
    info = await town.refresh.roll_back()
    assert utc(info.built_at) == utc(town.clock.now())


async def test_refresh_refused(town: Town, tmp_path: Path) -> None:
    """A malformed file is refused, the directory in service serves on, and the trail says why."""
    bad = tmp_path / "PS_LibreAcces_Personne_activite_bad.txt"
    bad.write_text("nothing|of|the|kind\n")
    assert await reason_of(town.refresh.load([bad])) is Reason.IMPORT
    assert town.events()[-1][0] == "directory-refused"
    await town.enter()


@pytest.mark.parametrize(("limit", "taken"), [(0.5, True), (0.0, False)])
async def test_shrink_limit(town: Town, limit: float, taken: bool) -> None:
    """How much smaller a new extract may be is a setting."""
    settings = town.home.settings
    town.home.house = town.home.with_settings(
        replace(settings, directory=replace(settings.directory, shrink_limit=limit))
    )
    town.refresh = Refresh(town.house, town.standing, "root")
    smaller = town.population.without(demo.CLAIRE.national_id)
    if taken:
        await town.load(smaller, allow_shrink=False)
    else:
        assert await reason_of(town.load(smaller, allow_shrink=False)) is Reason.IMPORT
