"""Forwarding: mail goes on to where the gate allows, stays where it can't, and never goes round."""

import email
import email.policy
from collections.abc import Iterator

import pytest

from mssmail.base.address import Address
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.delegations import Administrator
from mssmail.flow.forwarding import Forwardings, ForwardNotices
from mssmail.store.interface import Transaction
from tests.support.archives import archive, mail
from tests.support.mailing import DOCTOR, Mailing, letter
from tests.support.town import CLAIRE, HOSPITAL, ORG, PATIENTS, PAUL, Town, address

ROOT = Administrator("root")
CLAIRE_HERE, PAUL_HERE, ORG_HERE = str(address(CLAIRE)), str(address(PAUL)), str(address(ORG))
ELSEWHERE = Address("garde", HOSPITAL)


class Post(Mailing):
    """A town whose boxes forward."""

    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.forwardings = Forwardings(self.house, town.standing.credentials, town.gate)

    async def forward(self, box: str, to: Address, *, keep: bool = True) -> None:
        await self.forwardings.set(ROOT, address(box), to, keep=keep)

    def stayed(self) -> list[object]:
        return [outcome for kind, _, outcome, _ in self.town.events() if kind == "forward-refused"]

    def gone(self) -> int:
        return len(self.events("forwarded"))


@pytest.fixture
def post(town: Town) -> Iterator[Post]:
    yield Post(town)


def to_paul(sender: str = CLAIRE_HERE, head: str = "") -> bytes:
    return letter(sender, PAUL_HERE, head=head)


@pytest.mark.parametrize("keep", [True, False])
async def test_within(post: Post, keep: bool) -> None:
    """Another box of this server gets the very same message, and the first one where it keeps a copy."""
    await post.forward(PAUL, address(CLAIRE), keep=keep)
    await post.receive(to_paul(str(DOCTOR)))
    (got,) = await post.inbox(CLAIRE)
    assert await post.inbox(PAUL) == ([got] if keep else [])
    assert got.endswith(b"Bonjour.\r\n")
    assert post.gone() == 1


async def test_twice_the_same(post: Post) -> None:
    """Who is a recipient anyway gets a message once."""
    await post.forward(PAUL, address(CLAIRE))
    await post.receive(to_paul(str(DOCTOR)), address(PAUL), address(CLAIRE))
    assert len(await post.inbox(CLAIRE)) == len(await post.inbox(PAUL)) == 1


async def test_no_ring(post: Post) -> None:
    """Boxes that forward to each other get each message once, with nothing lost."""
    await post.forward(PAUL, address(CLAIRE), keep=False)
    await post.forward(CLAIRE, address(PAUL), keep=False)
    await post.receive(to_paul(str(DOCTOR)))
    assert (len(await post.inbox(CLAIRE)), len(await post.inbox(PAUL))) == (1, 0)
    await post.receive(to_paul(str(DOCTOR)), address(PAUL), address(CLAIRE))
    assert (len(await post.inbox(CLAIRE)), len(await post.inbox(PAUL))) == (2, 1)


async def test_ours_to_another_operator(post: Post) -> None:
    """A colleague's message goes as it is, in the name of the forwarding box, whose holder hears of failures alone."""
    await post.forward(PAUL, ELSEWHERE)
    await post.submit(to_paul())
    (queued,) = post.queued()
    (kept,) = await post.inbox(PAUL)
    assert (queued.sender, queued.to) == (PAUL_HERE, (str(ELSEWHERE),))
    assert kept == f"Return-Path: <{CLAIRE_HERE}>\r\n".encode() + queued.octets
    assert queued.account == (await post.town.enter(PAUL)).account


@pytest.mark.parametrize("octets", [100, 700_000])
async def test_theirs_to_another_operator(post: Post, octets: int) -> None:
    """What came from elsewhere goes as an attachment of the box's own mail, whole and unchanged, at any size."""
    original = letter(str(DOCTOR), PAUL_HERE, subject="DUPONT Marie", text="abcdefgh\r\n" * (octets // 10))
    await post.forward(PAUL, ELSEWHERE)
    await post.receive(original)
    (queued,) = post.queued()
    assert queued.sender == PAUL_HERE
    parsed = email.message_from_bytes(queued.octets, policy=email.policy.default)
    assert (parsed["From"], parsed["To"]) == (PAUL_HERE, str(ELSEWHERE))
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert "DUPONT" not in parsed["Subject"]
    assert original in queued.octets
    text, attached = parsed.iter_parts()
    assert PAUL_HERE in text.get_content()
    assert attached.get_content_type() == "message/rfc822"
    assert attached.get_content()["Subject"] == "DUPONT Marie"
    (kept,) = await post.inbox(PAUL)
    assert kept.endswith(original)


async def test_what_is_sent_on_cannot_step_out_of_it(post: Post) -> None:
    """However a sender foresees the server's numbers, nothing of theirs stands beside what the box says."""
    await post.forward(PAUL, ELSEWHERE)
    begun = int(await post.receive(to_paul(str(DOCTOR))), 16)
    guessed = (f"\r\n--=_{begun + k:x}.forward\r\n\r\nFrom the box itself.\r\n" for k in range(12))
    await post.receive(to_paul(str(DOCTOR)) + "".join(guessed).encode())
    assert len(post.queued()) == 2
    for queued in post.queued():
        message = email.message_from_bytes(queued.octets, policy=email.policy.default)
        assert len(list(message.iter_parts())) == 2


async def test_archives_go_too(post: Post) -> None:
    """An XDM archive that is sent on is the same archive."""
    octets = archive()
    await post.forward(PAUL, ELSEWHERE)
    await post.receive(mail(octets).replace(CLAIRE_HERE.encode(), str(DOCTOR).encode()))
    (queued,) = post.queued()
    parsed = email.message_from_bytes(queued.octets, policy=email.policy.default)
    (found,) = [part for part in parsed.walk() if part.get_content_type() == "application/zip"]
    assert found.get_payload(decode=True) == octets


async def test_letters_beyond_ascii(post: Post) -> None:
    """A header with letters that nobody announced goes on within; the one around it is plain."""
    await post.forward(PAUL, ELSEWHERE)
    original = letter(str(DOCTOR), PAUL_HERE, subject="Dupont né", head="Received: by hôpital\r\n")
    await post.receive(original)
    (queued,) = post.queued()
    around, _, _ = queued.octets.partition(b"\r\n\r\n")
    assert around.isascii()
    assert original in queued.octets
    assert b"message/rfc822\r\nContent-Transfer-Encoding: 8bit" in queued.octets


async def test_altered(post: Post) -> None:
    """A row that somebody changed in the database sends nothing anywhere."""
    await post.forward(PAUL, address(CLAIRE), keep=False)
    await post.forward(CLAIRE, address(PAUL), keep=False)

    def swap(tx: Transaction) -> None:
        rows = tx.driver.execute("SELECT account_id, sealed FROM forwards").fetchall()
        for (account, _), (_, other) in zip(rows, reversed(rows), strict=True):
            tx.driver.execute("UPDATE forwards SET sealed = ? WHERE account_id = ?", [other, account])

    await post.house.write.run(swap)
    await post.receive(to_paul(str(DOCTOR)))
    assert len(await post.inbox(PAUL)) == 1


async def test_back_again(post: Post) -> None:
    """What was sent on and comes back stays, as it is or wrapped once more."""
    await post.forward(PAUL, ELSEWHERE)
    await post.receive(to_paul(str(DOCTOR)))
    (queued,) = post.queued()
    trace = b"".join(line + b"\r\n" for line in queued.octets.split(b"\r\nFrom:")[0].split(b"\r\n"))
    await post.receive(trace + to_paul(str(DOCTOR)))
    assert len(post.queued()) == 1
    assert post.stayed() == ["loop"]
    assert len(await post.inbox(PAUL)) == 2


@pytest.mark.parametrize(
    ("sender", "head"), [(None, ""), (DOCTOR, "Auto-Submitted: auto-replied\r\n"), (DOCTOR, "List-Id: <l>\r\n")]
)
async def test_programs_mail_stays(post: Post, sender: Address | None, head: str) -> None:
    """Reports and programs' mail aren't sent to another operator; within this server they are."""
    await post.forward(PAUL, ELSEWHERE)
    await post.forward(ORG, address(CLAIRE))
    message = letter(str(DOCTOR), PAUL_HERE, ORG_HERE, head=head)
    await post.receive(message, address(PAUL), address(ORG), sender=sender)
    assert post.queued() == []
    assert post.stayed() == ["loop"]
    assert len(await post.inbox(PAUL)) == len(await post.inbox(CLAIRE)) == 1


async def test_asked_each_time(post: Post) -> None:
    """A target that the gate refuses by now gets nothing: the mail stays, copy or not, until it is let in again."""
    await post.forward(PAUL, address(CLAIRE), keep=False)
    await post.town.people.suspend(address(CLAIRE))
    await post.receive(to_paul(str(DOCTOR)))
    assert len(await post.inbox(PAUL)) == 1
    assert post.stayed() == ["suspended"]
    shown = await post.forwardings.show(address(PAUL))
    assert shown is not None
    assert (shown.to, shown.keep, shown.refused) == (address(CLAIRE), False, "suspended")
    await post.town.people.resume(address(CLAIRE))
    await post.receive(letter(str(DOCTOR), PAUL_HERE, text="Encore."))
    assert len(await post.inbox(PAUL)) == 1
    assert len(await post.inbox(CLAIRE)) == 1


async def test_absent_too(post: Post) -> None:
    """Who gets another box's mail doesn't answer for their own absence to who never wrote to them."""
    await post.forward(PAUL, address(CLAIRE))
    decided = await post.town.gate.recipients(await _claire(post), [address(PAUL)])
    (recipient,) = post.let_in(decided)
    assert not getattr(recipient, "absent", True)


async def _claire(post: Post):  # type: ignore[no-untyped-def]
    post.town.clock.advance(30)
    return await post.town.enter(CLAIRE)


@pytest.mark.parametrize(
    ("to", "keep", "reason"),
    [
        (address(PAUL), True, Reason.RULE),
        (Address("185057800608491", PATIENTS), True, Reason.RULE),
        (ELSEWHERE, False, Reason.RULE),
        (Address("x", "gmail.example"), True, Reason.OUTSIDE_TRUST),
        (address("personne"), True, Reason.NOT_REGISTERED),
    ],
)
async def test_what_cannot_be_set(post: Post, to: Address, keep: bool, reason: Reason) -> None:
    """Mail goes to nobody outside, to no patient, not round, and not elsewhere without a copy here."""
    with pytest.raises(Refusal) as caught:
        await post.forward(PAUL, to, keep=keep)
    assert caught.value.reason is reason
    assert post.events("forward-set") == []


async def test_told(post: Post) -> None:
    """A box is told by mail where its mail goes, once; and again when that changes."""

    async def look() -> int:
        for _ in range(2):
            await ForwardNotices(post.house, post.town.standing.credentials).look()
        return len(await post.inbox(PAUL))

    assert await look() == 0
    await post.forward(PAUL, ELSEWHERE)
    assert await look() == 1
    await post.forward(PAUL, address(CLAIRE), keep=False)
    assert await look() == 2
    (first, second) = await post.inbox(PAUL)
    assert str(ELSEWHERE).encode() in first
    assert CLAIRE_HERE.encode() in second
    assert len(post.events("forward-told")) == 2


async def test_cleared(post: Post) -> None:
    """Once it is taken back, mail stays."""
    await post.forward(PAUL, address(CLAIRE), keep=False)
    assert await post.forwardings.clear(ROOT, address(PAUL))
    assert not await post.forwardings.clear(ROOT, address(PAUL))
    await post.receive(to_paul(str(DOCTOR)))
    assert (len(await post.inbox(PAUL)), len(await post.inbox(CLAIRE))) == (1, 0)
    assert await post.forwardings.show(address(PAUL)) is None


async def test_sealed(post: Post) -> None:
    """Where mail goes doesn't lie in the database in clear."""
    await post.forward(PAUL, ELSEWHERE)
    for file in post.town.folder.glob("mail.db*"):
        assert str(ELSEWHERE).encode() not in file.read_bytes()
