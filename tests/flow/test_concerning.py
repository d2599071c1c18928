"""Whom messages are about: read from their archives before they are accepted, and shown to who may refuse them."""

import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mssmail.base.ins import PatientId, Scheme
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.archives import MAX_ARCHIVES
from mssmail.flow.concerning import Exchange, concerned_digest
from mssmail.store.interface import Transaction
from tests.support.archives import METADATA, archive, cx, mail, matricule, metadata, zipped
from tests.support.mailing import DOCTOR, Mailing, letter
from tests.support.town import CLAIRE, PAUL, Town, address

HER = PatientId(Scheme.INS, matricule())


class Objections:
    """A register that knows who objected, and remembers what it was shown."""

    def __init__(self, *opposed: bytes) -> None:
        self.opposed = set(opposed)
        self.seen: list[Exchange] = []

    def take(self, tx: Transaction, exchange: Exchange) -> None:
        self.seen.append(exchange)
        if not self.opposed.isdisjoint(exchange.concern.patients):
            raise Refusal(Reason.NO_RIGHT, "the patient objected")


@pytest.fixture
def register() -> Objections:
    return Objections()


@pytest.fixture
def mailing(town: Town, register: Objections) -> Iterator[Mailing]:
    yield Mailing(town, replace(town.house, register=register))


def details(mailing: Mailing, kind: str) -> dict[str, object]:
    (said,) = mailing.events(kind)
    wanted = ("xdm", "concerned", "unread")
    return {name: said[name] for name in wanted if name in said}


@pytest.mark.parametrize("large", [False, True])
async def test_both_ways_in(mailing: Mailing, register: Objections, large: bool) -> None:
    """A message's patients are in the trail as digests, and shown to the register, whoever sends it; at any size."""
    more = [("IHE_XDM/SUBSET01/SCAN.PDF", bytes(range(256)) * 8_000)] if large else []
    octets = archive(more, method=zipfile.ZIP_STORED)
    digest = concerned_digest(mailing.house.keys, HER)
    await mailing.submit(mail(octets))
    assert details(mailing, "submitted") == {"xdm": 1, "concerned": [digest.hex()]}
    inbound = mail(octets).replace(b"claire.martin@demo", b"dr.house@hopital", 1)
    await mailing.receive(inbound)
    assert details(mailing, "received") == {"xdm": 1, "concerned": [digest.hex()]}
    assert [each.concern.patients for each in register.seen] == [(digest,), (digest,)]
    assert [each.sender for each in register.seen] == [str(address(CLAIRE)), str(DOCTOR)]
    assert [list(each.recipients) for each in register.seen] == [[address(PAUL)]] * 2
    assert len(await mailing.inbox(PAUL)) == 2


async def test_refused(mailing: Mailing, register: Objections) -> None:
    """What the register refuses nobody gets, and its refusal is the message's."""
    register.opposed.add(concerned_digest(mailing.house.keys, HER))
    with pytest.raises(Refusal) as caught:
        await mailing.submit(mail(archive()))
    assert caught.value.reason is Reason.NO_RIGHT
    assert await mailing.inbox(PAUL) == []
    assert [said["o"] for said in mailing.events("submission-refused")] == ["no-right"]


async def test_ordinary_mail(mailing: Mailing, register: Objections) -> None:
    """A message without an archive isn't shown to anybody, and leaves nothing of the kind in the trail."""
    await mailing.submit(letter(str(address(CLAIRE)), str(address(PAUL))))
    assert register.seen == []
    assert details(mailing, "submitted") == {}


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (zipped((METADATA, b" " * 50_000_000)), {"unread": ["bomb"]}),
        (archive([("../x", b"")]), {"unread": ["traversal"]}),
        (archive()[:-4], {"unread": ["damaged"]}),
        (archive(said=metadata(source=cx("77", "1.2.3"))), {"xdm": 1}),
        (zipped(("photo.jpg", b"x")), {}),
    ],
)
async def test_what_cannot_be_read(mailing: Mailing, octets: bytes, expected: dict[str, object]) -> None:
    """An archive that can't be read is delivered as it is; the trail says why it wasn't read."""
    await mailing.submit(mail(octets, name="envoi.zip"))
    assert details(mailing, "submitted") == expected
    assert len(await mailing.inbox(PAUL)) == 1


async def test_many_archives(mailing: Mailing) -> None:
    """Of very many archives some are read, and the others told of."""
    part = b"--b\r\nContent-Type: application/zip\r\n\r\nPK\r\n"
    head = b"From: claire.martin@demo.mssante.fr\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    await mailing.submit(head + part * (MAX_ARCHIVES + 1) + b"--b--\r\n")
    assert details(mailing, "submitted") == {"unread": ["damaged", "too-many"]}


async def test_no_number_anywhere(mailing: Mailing, register: Objections) -> None:
    """The patient's number stands in no event, and in nothing that the register is shown."""
    await mailing.submit(mail(archive()))
    assert matricule() not in repr(mailing.town.events())
    assert matricule() not in repr(register.seen)
