"""Employees of a structure, on this server's own list: they act in boxes delegated to them, and have none."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.principal import BoxKind, Door, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Right
from mssmail.base.secret import Secret
from mssmail.demo import people as demo
from mssmail.flow.append import Append, Targets
from mssmail.flow.boxes import Boxes
from mssmail.flow.people import NewAccount
from mssmail.flow.shared import Shared
from mssmail.settings.model import Delegation
from tests.support.town import APP, CLAIRE, ORG, PASSWORD, PAUL, Town, address, der

CARD = "3760021832/000000018"
JEANNE = "jeanne.petit"
NEW = NewAccount(address(JEANNE), BoxKind.EMP, demo.CENTRE.structure_id, "Jeanne Petit", CARD)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    built = Town(tmp_path)
    keep_list(built, kept=True)
    await built.settle_in((CLAIRE, PAUL, ORG, APP))
    yield built
    built.close()


def keep_list(town: Town, *, kept: bool) -> None:
    town.house.renew(replace(town.house.settings, delegation=Delegation(local_list=kept)))


async def reason_of(attempt: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        await attempt  # type: ignore[misc]
    return caught.value.reason


async def by_card(town: Town, authzid: str = "", protocol: str = "imap") -> Principal:
    leaf = town.pki.person(CARD, "PETIT", "Jeanne", "Secrétaire")
    return await town.login.by_certificate(Door(protocol, "192.0.2.7", der(leaf.cert)), authzid)


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        (NEW, False),
        (replace(NEW, holder="1999999999"), True),
        (replace(NEW, name=""), True),
        (replace(NEW, address=replace(address(JEANNE), domain="ailleurs.fr")), True),
    ],
)
async def test_not_entered(town: Town, new: NewAccount, kept: bool) -> None:
    """An employee is entered by name, under a structure of the directory, where such a list is kept at all."""
    keep_list(town, kept=kept)
    assert await reason_of(town.people.create(new)) is Reason.NOT_ELIGIBLE


async def test_entered(town: Town) -> None:
    """The list's entries are accounts of a kind of their own; the trail has who entered them, under which structure."""
    await town.people.create(NEW)
    kind, _, _, said = town.events()[-1]
    assert (kind, said["s"]) == ("account-created", str(address(JEANNE)))
    assert said["d"] == {"administrator": "root", "kind": "EMP", "structure": demo.CENTRE.structure_id}
    view = await town.people.show(address(JEANNE))
    assert (view.kind, view.name, view.quota_octets, view.struck_off) == (BoxKind.EMP, "Jeanne Petit", 0, False)


async def test_no_box(town: Town) -> None:
    """Nobody writes to an employee, they write in no name of their own, and keep nothing in their account."""
    await town.people.create(NEW)
    claire = await town.enter()
    assert await reason_of(town.gate.recipient(claire, address(JEANNE))) is Reason.NOT_REGISTERED
    jeanne = await by_card(town, protocol="smtp")
    assert await reason_of(town.gate.sender(jeanne, address(JEANNE))) is Reason.NOT_YOUR_ADDRESS
    assert [folder.name for folder in await Boxes(town.house).all(jeanne)] == ["INBOX"]
    spool = Append(Targets(town.house, jeanne), "INBOX")
    await spool.look()
    spool.begin()
    await spool.write(b"Subject: x\r\n\r\ny\r\n")
    await spool.end(0, frozenset(), None)
    assert await reason_of(spool.finish()) is Reason.OVER_QUOTA
    assert await reason_of(town.people.set_quota(address(JEANNE), 1 << 30)) is Reason.MECHANISM
    assert await reason_of(town.delegate(JEANNE, CLAIRE)) is Reason.DELEGATION


async def test_acts_for_others(town: Town) -> None:
    """By card or by password and code, an employee opens and writes for a box that is delegated to them."""
    await town.people.create(replace(NEW, password=Secret(PASSWORD)))
    town.codes[JEANNE] = (await town.people.new_code(address(JEANNE))).totp_secret.reveal()
    rights = Right.READ | Right.WRITE | Right.SEND
    await town.delegate(ORG, JEANNE, rights)
    box = str(address(ORG))
    for acting in (await by_card(town, box), await town.enter(JEANNE, authzid=box)):
        assert (acting.address, acting.rights) == (address(ORG), rights)
    jeanne = await by_card(town)
    shared, name = await Shared(town.house, town.standing).find(jeanne, f"Other Users/{box}/INBOX")
    assert (shared.account, shared.person, name) == (acting.account, jeanne.person, "INBOX")
    assert await town.gate.sender(await by_card(town, protocol="smtp"), address(ORG)) == acting.account
    assert await reason_of(town.delegate(ORG, JEANNE, Right.READ | Right.MANAGE)) is Reason.DELEGATION


async def test_no_card_opens_for_no_card(town: Town) -> None:
    """Two employees without cards are two: neither is the other's, nor a certificate's that names nobody."""
    await town.people.create(replace(NEW, common_name=""))
    await town.people.create(replace(NEW, address=address("luc.petit"), common_name="", password=Secret(PASSWORD)))
    town.codes["luc.petit"] = (await town.people.new_code(address("luc.petit"))).totp_secret.reveal()
    await town.enter("luc.petit")
    assert await reason_of(town.enter("luc.petit", authzid=str(address(JEANNE)))) is Reason.NOT_DELEGATED
    assert await reason_of(by_card(town)) is Reason.CERTIFICATE


async def test_out_with_their_structure(town: Town) -> None:
    """An employee is out once their structure leaves the directory, or the list is given up."""
    await town.people.create(NEW)
    jeanne = await by_card(town)
    row = (
        town.home.tx()
        .driver.execute("SELECT epoch, state, sealed, kind FROM accounts WHERE account_id = ?", [jeanne.account])
        .fetchone()
    )
    dossier = town.standing.credentials.dossier(jeanne.account, row[2])
    assert not town.standing.struck_off(dossier)
    assert town.standing.struck_off(replace(dossier, holder="1999999999"))
    keep_list(town, kept=False)
    assert await reason_of(by_card(town)) is Reason.STRUCK_OFF
