"""Reminders of header fields that senders' programs leave out: where wanted, of what, once a day."""

from dataclasses import replace

import pytest

from mssmail.flow.reminders import Reminders
from tests.support.archives import archive, mail
from tests.support.mailing import Mailing, letter
from tests.support.town import CLAIRE, PAUL, Town, address

DAY_S = 86_400
PLAIN = letter(str(address(CLAIRE)), str(address(PAUL)))
NIL = "X-MSS-NIL: 1234\r\n"


def mailing_of(town: Town, wanted: str = "warn") -> Mailing:
    settings = town.home.settings
    return Mailing(
        town, town.home.with_settings(replace(settings, sending=replace(settings.sending, mss_headers=wanted)))
    )


async def told(mailing: Mailing) -> list[object]:
    """What senders are told; looked for twice, as two workers would."""
    for _ in range(2):
        await Reminders(mailing.house, mailing.town.standing.credentials).look()
    return [said["missing"] for said in mailing.events("headers-told")]


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (PLAIN, [["X-MSS-NIL"]]),
        (letter(str(address(CLAIRE)), str(address(PAUL)), head=NIL), []),
        (mail(archive(), head=NIL), [["X-MSS-CODECDA", "X-MSS-INS"]]),
        (mail(archive(), head=f"{NIL}X-MSS-INS: O\r\nX-MSS-CODECDA: 34112-3\r\n"), []),
        (mail(b"no archive", head=NIL), []),
    ],
)
async def test_what_is_missing(town: Town, message: bytes, missing: list[list[str]]) -> None:
    """A program's reference is asked for always, a document's fields beside an archive alone."""
    mailing = mailing_of(town)
    await mailing.submit(message)
    assert await told(mailing) == missing
    assert len(await mailing.inbox(CLAIRE)) == len(missing)
    (kept,) = await mailing.inbox(PAUL)
    assert kept.endswith(message[message.index(b"\r\n\r\n") :])


async def test_once_a_day(town: Town) -> None:
    """However much is sent, a box is told once a day."""
    mailing = mailing_of(town)
    for _ in range(3):
        await mailing.submit(PLAIN)
    assert len(await told(mailing)) == 1
    await mailing.submit(PLAIN)
    assert len(await told(mailing)) == 1
    town.clock.advance(DAY_S)
    await mailing.submit(PLAIN)
    assert len(await told(mailing)) == 2


async def test_off(town: Town) -> None:
    """Where the setting is off, nothing is noted."""
    mailing = mailing_of(town, "off")
    await mailing.submit(PLAIN)
    assert await told(mailing) == []
    assert await told(mailing_of(town)) == []
