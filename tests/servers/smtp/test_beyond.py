"""Recipients at other operators': let in at RCPT, queued with the boxes' copies, and answered by patients after."""

from mssmail.base.address import Address
from mssmail.flow.patients import Noted
from mssmail.flow.queue_desk import QueueDesk
from mssmail.store import replays
from tests.servers.smtp.test_sign_in import ME, TownPorts, port
from tests.support.houses import DOMAIN
from tests.support.town import PAUL

__all__ = ["port"]

DR, PATIENT = "dr.house@hopital.mssante.fr", "185057800608491@patient.mssante.fr"
HERE = f"paul.durand@{DOMAIN}"
MESSAGE = (f"From: {ME}", "Subject: x", "Message-ID: <1@x>", "Date: Tue, 24 Nov 2026 10:00:00 +0100", "", "y", ".")


async def test_each_recipient_in_its_place(port: TownPorts) -> None:
    """One message goes to a box here and to others beyond; who is outside the trust space hears so at RCPT."""
    client = await port.enter(leaf=port.leaf())
    await client.ask("EHLO me")
    await client.ask(f"MAIL FROM:<{ME}> RET=HDRS ENVID=q7")
    for recipient, reply in (
        (HERE, "250 2.1.5"),
        (f"{DR}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;dr@x", "250 2.1.5"),
        (DR.upper(), "250 2.1.5"),
        (PATIENT, "250 2.1.5"),
        ("185057800608490@patient.mssante.fr", "550 5.1.1"),
        ("dr.house@clinique.mssante.fr", "550 5.7.1"),
    ):
        closing = "" if "> " in recipient else ">"
        assert (await client.ask(f"RCPT TO:<{recipient}{closing}")).startswith(reply)
    await client.ask("DATA")
    reply = await client.ask(*MESSAGE)
    assert reply.startswith("250 2.6.0")
    assert len(await port.read(PAUL)) == 1
    (queued,) = await QueueDesk(port.home.house, "root").waiting()
    assert queued.ident in reply
    assert (queued.sender, [each.address for each in queued.recipients]) == (ME, [DR, PATIENT])
    assert [event[0] for event in port.town.events()].count("queued") == 2


async def test_a_repeat_is_queued_once(port: TownPorts) -> None:
    """A client that lost its connection before it read the 250 sends again: nothing goes out twice."""
    house = port.home.house
    replies = []
    for _ in range(2):
        client = await port.enter(leaf=port.leaf())
        await client.ask("EHLO me")
        await client.ask(f"MAIL FROM:<{ME}>")
        await client.ask(f"RCPT TO:<{DR}>")
        await client.ask("DATA")
        replies.append(await client.ask(*MESSAGE))
        client.writer.transport.abort()
        await house.write.run(lambda tx: replays.arm_slot(tx, house.slot, and_above=True))
    assert replies[0] == replies[1]
    assert len(await QueueDesk(house, "root").waiting()) == 1


async def test_a_patient_who_was_written_to_is_known(port: TownPorts) -> None:
    """Who wrote to a patient stands from the 250 on, for as long as the setting says; nobody else may be answered."""
    house = port.home.house
    patient = Address.parse(PATIENT)
    assert patient is not None
    client = await port.enter(leaf=port.leaf())
    await client.ask("EHLO me")
    await client.begin_mail(PATIENT, sender=ME)
    await client.ask(*MESSAGE)
    claire, paul = [(await port.town.enter(local)).account for local in ("claire.martin", PAUL)]
    known = Noted(house)
    assert await known.wrote_to(patient, [claire, paul]) == {claire}
    port.town.clock.advance(house.settings.patients.answer_term + 1)
    assert await known.wrote_to(patient, [claire, paul]) == frozenset()
