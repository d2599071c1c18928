"""The gate over a real store and directory: who may be written to, and in whose name."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssmail.base.address import Address
from mssmail.base.principal import Beyond, Principal, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.demo import people as demo
from mssmail.flow.people import NewAccount
from mssmail.flow.trust import white_list_path
from tests.support.town import APP, CLAIRE, ORG, PAUL, Town, address


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """With the demo's refused people: one suspended, one struck off since."""
    built = Town(tmp_path)
    await built.settle_in()
    await built.people.create_many([built.new(each.account) for each in demo.REFUSED if each.account is not None])
    await built.people.suspend(address("irene.suspendue"))
    built.population = built.population.without(demo.STRUCK_OFF.national_id)
    await built.load()
    yield built
    built.close()


@pytest.fixture
async def claire(town: Town) -> Principal:
    return await town.enter()


def parsed(text: str) -> Address:
    found = Address.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize("box", demo.REFUSED, ids=lambda box: box.reason.value)
async def test_refused(town: Town, claire: Principal, box: demo.RefusedBox) -> None:
    """Each of the demo's refused addresses is refused for its reason, and the trail holds it."""
    with pytest.raises(Refusal) as caught:
        await town.gate.recipient(claire, parsed(box.address))
    assert caught.value.reason is box.reason
    kind, account, outcome, said = town.events()[-1]
    assert (kind, account, outcome, said["s"]) == ("recipient-refused", claire.account, box.reason.value, box.address)


@pytest.mark.parametrize("text", ["claire.martin@demo.mssante.fr", "PAUL.Durand@demo.mssante.fr", str(address(ORG))])
async def test_accepted(town: Town, claire: Principal, text: str) -> None:
    """An open box is let in, however its address is written, and leaves nothing in the trail."""
    before = len(town.events())
    assert (await town.gate.recipient(claire, parsed(text))).address == parsed(text)
    assert len(town.events()) == before


async def test_together(town: Town, claire: Principal) -> None:
    """Recipients that come together are decided each on its own, in their order, refusals in one transaction."""
    texts = [box.address for box in demo.REFUSED] + [str(address(PAUL))]
    before = len(town.events())
    decided = await town.gate.recipients(claire, [parsed(text) for text in texts])
    reasons = [each.reason if isinstance(each, Refusal) else None for each in decided]
    assert reasons == [*(box.reason for box in demo.REFUSED), None]
    assert isinstance(decided[-1], Recipient)
    assert len(town.events()) == before + len(demo.REFUSED)


async def test_struck_off_before_no_mailbox(town: Town, claire: Principal) -> None:
    """The reason follows the order: suspended, struck off, no mailbox, not registered."""
    # suspended and struck off: suspended comes first
    await town.load(town.population.without(demo.STRUCK_OFF.national_id, demo.SUSPENDED.national_id))
    with pytest.raises(Refusal) as caught:
        await town.gate.recipient(claire, address("irene.suspendue"))
    assert caught.value.reason is Reason.SUSPENDED
    # closed and struck off: struck off comes before no mailbox
    await town.people.close(address("victor.radie"))
    with pytest.raises(Refusal) as caught:
        await town.gate.recipient(claire, address("victor.radie"))
    assert caught.value.reason is Reason.STRUCK_OFF
    # closed, the holder still registered
    await town.people.close(address(PAUL))
    with pytest.raises(Refusal) as caught:
        await town.gate.recipient(claire, address(PAUL))
    assert caught.value.reason is Reason.NO_MAILBOX


async def test_known_by_national_id(town: Town, claire: Principal) -> None:
    """Somebody written to by their national id, who has no box of that name, is known and has no mailbox."""
    with pytest.raises(Refusal) as caught:
        await town.gate.recipient(claire, address(demo.WITHOUT_BOX.national_id))
    assert caught.value.reason is Reason.NO_MAILBOX


@pytest.mark.parametrize(
    ("used", "announced", "refused"),
    [(0, None, False), (0, 1000, False), (0, 1001, True), (999, None, False), (1000, None, True), (1500, 1, True)],
)
async def test_quota(town: Town, claire: Principal, used: int, announced: int | None, refused: bool) -> None:
    """A message that is announced too large, and any to a full box, is refused for now; an unannounced one may fit."""
    await town.people.set_quota(address(PAUL), 1000)
    town.home.write.run_blocking(
        lambda tx: tx.driver.execute("UPDATE accounts SET used_octets = ? WHERE account_id = 2", [used])
    )
    try:
        await town.gate.recipient(claire, address(PAUL), announced)
        assert not refused
    except Refusal as refusal:
        assert (refused, refusal.reason, refusal.reason.temporary) == (True, Reason.OVER_QUOTA, True)


async def test_no_directory(town: Town, claire: Principal) -> None:
    """Without a directory nobody is let in and nobody is turned away for good."""
    town.house.directory.close()
    for local in (PAUL, "jean.inconnu"):
        with pytest.raises(Refusal) as caught:
            await town.gate.recipient(claire, address(local))
        assert caught.value.reason is Reason.UNAVAILABLE


async def test_sender(town: Town, claire: Principal) -> None:
    """One writes in the name of one's own boxes and of those delegated to one, suspended ones excepted."""
    new = NewAccount(address("claire.bis"), claire.kind, demo.CLAIRE.national_id)
    await town.people.create(new)
    await town.delegate(ORG, CLAIRE)
    for local in (CLAIRE, "Claire.Martin", "claire.bis", ORG):
        await town.gate.sender(claire, address(local))
    await town.people.suspend(address("claire.bis"))
    for text in (str(address(PAUL)), str(address(APP)), "claire.bis@demo.mssante.fr", "claire.martin@ailleurs.fr"):
        with pytest.raises(Refusal) as caught:
            await town.gate.sender(claire, parsed(text))
        assert caught.value.reason is Reason.NOT_YOUR_ADDRESS
    with pytest.raises(Refusal):
        await town.gate.may_write_from(claire, (address(CLAIRE), address(PAUL)))


async def test_delegate_writes_as_either(town: Town, claire: Principal) -> None:
    """Who acts for a structure's box writes in its name and in their own."""
    await town.delegate(ORG, CLAIRE)
    acting = await town.enter(authzid=str(address(ORG)))
    await town.gate.may_write_from(acting, (address(ORG), address(CLAIRE)))


async def test_envelope_sender_traced(town: Town, claire: Principal) -> None:
    """A refused MAIL FROM is in the trail."""
    with pytest.raises(Refusal):
        await town.gate.envelope_sender(claire, address(PAUL))
    kind, account, outcome, said = town.events()[-1]
    assert (kind, account, outcome) == ("submission-refused", claire.account, "not-your-address")
    assert said["s"] == str(address(PAUL))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dr.house@hopital.mssante.fr", None),
        ("185057800608491@patient.mssante.fr", None),
        ("185057800608492@patient.mssante.fr", Reason.NOT_REGISTERED),
        ("paul@patient.mssante.fr", Reason.NOT_REGISTERED),
        ("dr.house@sub.hopital.mssante.fr", Reason.OUTSIDE_TRUST),
    ],
)
async def test_beyond(town: Town, claire: Principal, text: str, reason: Reason | None) -> None:
    """At a domain of the white list a box is let in, red-listed or not; a patient's, where it can be one."""
    (decided,) = await town.gate.recipients(claire, [parsed(text)])
    assert decided == Beyond(parsed(text)) if reason is None else isinstance(decided, Refusal)
    if isinstance(decided, Refusal):
        assert decided.reason is reason
        kind, account, outcome, said = town.events()[-1]
        assert (kind, account, outcome, said["s"]) == ("recipient-refused", claire.account, decided.reason.value, text)


@pytest.mark.parametrize(("list_there", "reason"), [(False, Reason.OUTSIDE_TRUST), (True, Reason.UNAVAILABLE)])
async def test_without_a_list(town: Town, claire: Principal, *, list_there: bool, reason: Reason) -> None:
    """Who never was given a white list writes to nobody beyond; where one can't be read, mail may go later."""
    path = white_list_path(town.house.settings)
    path.unlink()
    if list_there:
        path.write_bytes(b"<ListeBlancheMSSante")
    town.house.white_list.__init__(path, town.clock)  # type: ignore[misc]  # as after a restart
    (decided,) = await town.gate.recipients(claire, [parsed("dr.house@hopital.mssante.fr")])
    assert isinstance(decided, Refusal)
    assert decided.reason is reason
