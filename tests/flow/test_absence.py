"""Absences: who is told, once, of what; and who never is."""

import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mssmail.base.address import Address
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.absence import Absence, Absences
from mssmail.flow.absence_answers import AbsenceAnswers
from mssmail.flow.delegations import Administrator, Giver
from mssmail.policy.absence import MAX_TERM_S
from tests.support.mailing import DOCTOR, Mailing, letter
from tests.support.town import CLAIRE, ORG, PAUL, Town, address

DAY_S = 86_400
ROOT = Administrator("root")
CLAIRE_HERE, PAUL_HERE = str(address(CLAIRE)), str(address(PAUL))
SUBJECT = "XDM/1.0/DDM+CR DUPONT Marie 1985-05-01"


class Away(Mailing):
    """A town in which people go away."""

    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.absences = Absences(self.house, town.standing.credentials)

    async def leave(
        self, local: str = PAUL, *, after_s: int = 0, days: int = 7, french: str = "", by: Giver = ROOT
    ) -> None:
        now = int(self.town.clock.now())
        wanted = Absence(now + after_s, now + after_s + days * DAY_S, french, "")
        await self.absences.set(by, address(local), wanted)

    async def answers(self) -> None:
        """Let what is due be told; looked for twice, as two workers would."""
        for _ in range(2):
            await AbsenceAnswers(self.house, self.town.standing.credentials, self.town.gate).look()

    async def told(self, local: str = CLAIRE) -> list[bytes]:
        await self.answers()
        return await self.inbox(local)


@pytest.fixture
def away(town: Town) -> Iterator[Away]:
    yield Away(town)


def to_paul(subject: str = SUBJECT, head: str = "", sender: str = CLAIRE_HERE) -> bytes:
    return letter(sender, PAUL_HERE, subject=subject, head=head, text="Bonjour, au sujet de Marie DUPONT.")


async def test_told_once(away: Away) -> None:
    """Who writes twice is told once, by the box itself, in both languages, threaded, and marked as an answer."""
    await away.leave(french="Voyez le Dr Petit.\nBien à vous")
    for _ in range(2):
        await away.submit(to_paul())
    (answer,) = await away.told()
    parsed = email.message_from_bytes(answer, policy=email.policy.default)
    assert parsed["Return-Path"] == "<>"
    assert (parsed["From"], parsed["To"]) == (PAUL_HERE, CLAIRE_HERE)
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed["In-Reply-To"] == f"<1@{CLAIRE_HERE}>"
    text = parsed.get_content().replace("\r\n", "\n")
    assert "Voyez le Dr Petit.\nBien à vous" in text
    assert "isn't read from" in text
    assert len(await away.inbox(PAUL)) == 2
    assert [said["o"] for said in away.events("absence-told")] == ["ok"]


async def test_nothing_of_what_it_answers(away: Away) -> None:
    """Neither subject nor text of a message comes back in its answer."""
    await away.leave()
    await away.submit(to_paul())
    (answer,) = await away.told()
    for word in ("DUPONT", "Marie", "XDM", "1985"):
        assert word not in email.message_from_bytes(answer, policy=email.policy.default).as_string()


@pytest.mark.parametrize(
    "head",
    [
        "Auto-Submitted: auto-replied\r\n",
        "Auto-Submitted: auto-generated (absence)\r\n",
        "List-Id: <l.demo>\r\n",
        "List-Unsubscribe: <mailto:x@y>\r\n",
        "Precedence: bulk\r\n",
        "X-Auto-Response-Suppress: DR, OOF\r\n",
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n",
    ],
)
async def test_programs_are_told_nothing(away: Away, head: str) -> None:
    """What a program wrote, or went to many, is answered nothing."""
    await away.leave()
    await away.submit(to_paul(head=head))
    assert await away.told() == []


async def test_a_no_that_is_said(away: Away) -> None:
    """Auto-Submitted: no is a person's (RFC 3834 §5)."""
    await away.leave()
    await away.submit(to_paul(head="Auto-Submitted: no\r\n"))
    assert len(await away.told()) == 1


async def test_blind_copies_and_itself(away: Away) -> None:
    """Who got a blind copy doesn't tell of it by an answer; nobody is told by their own box."""
    await away.leave()
    await away.submit(letter(CLAIRE_HERE, CLAIRE_HERE), address(PAUL))
    await away.submit(letter(PAUL_HERE, PAUL_HERE), address(PAUL), sender=PAUL)
    assert await away.told() == []
    assert len(await away.inbox(PAUL)) == 2


@pytest.mark.parametrize("sender", [None, Address("noreply", DOCTOR.domain), Address("lettre-request", DOCTOR.domain)])
async def test_nobody_there(away: Away, sender: Address | None) -> None:
    """The null sender, and addresses that nobody reads, are answered nothing."""
    await away.leave()
    await away.receive(to_paul(sender=str(sender or DOCTOR)), sender=sender)
    await away.answers()
    assert away.queued() == []


async def test_another_operators(away: Away) -> None:
    """Somebody elsewhere is told by way of the queue, with a null sender; they aren't noted as written to."""
    await away.leave()
    await away.receive(to_paul(sender=str(DOCTOR)))
    await away.answers()
    (queued,) = away.queued()
    assert (queued.sender, queued.to, queued.account) == ("", (str(DOCTOR),), 0)
    assert b"Return-Path" not in queued.octets
    assert queued.octets.startswith(b"Received: ")


async def test_who_the_gate_refuses(away: Away) -> None:
    """Who isn't in the trust space any more when the answer is due is told nothing, and not tried for ever."""
    await away.leave()
    await away.submit(to_paul())
    await away.town.people.suspend(address(CLAIRE))
    await away.answers()
    assert away.queued() == []
    await away.town.people.resume(address(CLAIRE))
    assert await away.told() == []


@pytest.mark.parametrize(("after_s", "days", "count"), [(DAY_S, 7, 0), (0, 7, 1), (-3 * DAY_S, 2, 0)])
async def test_dates(away: Away, after_s: int, days: int, count: int) -> None:
    """Nobody is told before an absence begins, nor after its end."""
    if after_s < 0:
        await away.leave(days=days)
        away.town.clock.advance(-after_s)
    else:
        await away.leave(after_s=after_s, days=days)
    await away.submit(to_paul())
    assert len(await away.told()) == count


async def test_over_before_it_is_told(away: Away) -> None:
    """What wasn't told in time isn't told when the holder is back."""
    await away.leave(days=1)
    await away.submit(to_paul())
    away.town.clock.advance(2 * DAY_S)
    assert await away.told() == []


async def test_set_anew(away: Away) -> None:
    """Another absence is told of again; one that was taken back isn't."""
    await away.leave()
    await away.submit(to_paul())
    assert len(await away.told()) == 1
    await away.leave()
    await away.submit(to_paul())
    assert len(await away.told()) == 2
    assert await away.absences.clear(ROOT, address(PAUL))
    assert not await away.absences.clear(ROOT, address(PAUL))
    await away.submit(to_paul())
    assert len(await away.told()) == 2
    assert [kind for kind, *_ in away.town.events() if kind.startswith("absence-")] == [
        "absence-set",
        "absence-told",
        "absence-set",
        "absence-told",
        "absence-cleared",
    ]


async def test_show(away: Away) -> None:
    """What was set is shown, with how many were told; none where none was."""
    assert await away.absences.show(address(PAUL)) is None
    await away.leave(french="à bientôt")
    await away.submit(to_paul())
    await away.answers()
    shown = await away.absences.show(address(PAUL))
    assert shown is not None
    absence, told = shown
    assert (absence.french, absence.english, told) == ("à bientôt", "", 1)
    assert absence.state(away.town.clock.now()) == "in force"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Absence(10, 5), Reason.RULE),
        (Absence(10, 20), Reason.RULE),
        (Absence(0, 4_000_000_000), Reason.RULE),
        (Absence(0, MAX_TERM_S * 200, "x" * 5_000), Reason.RULE),
    ],
)
async def test_what_cannot_be_set(away: Away, wanted: Absence, reason: Reason) -> None:
    """An absence that ends before it begins, is over, has no end in sight or says too much is refused."""
    with pytest.raises(Refusal) as caught:
        await away.absences.set(ROOT, address(PAUL), wanted)
    assert caught.value.reason is reason


async def test_owners_alone(away: Away) -> None:
    """Owners say it of their own box; a delegate, or somebody else, doesn't."""
    away.town.clock.advance(30)
    paul = await away.town.enter(PAUL)
    claire = await away.town.enter(CLAIRE)
    await away.leave(by=paul)
    for other in (claire, replace(paul, person=claire.person)):
        with pytest.raises(Refusal) as caught:
            await away.leave(by=other)
        assert caught.value.reason is Reason.NO_RIGHT
    (said,) = away.events("absence-set")
    assert said["person"] == int(paul.person)


async def test_sealed(away: Away) -> None:
    """Neither what is said nor whom it is told to lies in the database in clear."""
    await away.leave(ORG, french="Chez le notaire")
    await away.submit(letter(CLAIRE_HERE, str(address(ORG))), address(ORG))
    await away.house.write.run(lambda tx: tx.driver.execute("PRAGMA user_version").fetchall())
    files = [file.read_bytes() for file in away.town.folder.glob("mail.db*")]
    assert files
    for octets in files:
        assert b"notaire" not in octets
        assert CLAIRE_HERE.encode() not in octets
