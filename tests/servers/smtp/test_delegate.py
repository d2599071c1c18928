"""Writing for another's box over real submission, gate and store: which right lets what through, and what is traced."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import Principal
from mssmail.base.rights import FULL, NONE, Right
from mssmail.flow.sessions import Sessions
from mssmail.servers.smtp.roles import Role
from tests.servers.smtp.harbour import PATIENCE_S, Client, Ports, b64
from tests.support.town import APP, CLAIRE, ORG, PASSWORD, PAUL, Town, address

ME, BOX, TO = str(address(CLAIRE)), str(address(ORG)), str(address(PAUL))


class Quay(Ports):
    """A town's submission port."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder)
        self.sessions = Sessions(self.town.house, self.town.standing)
        super().__init__(
            self.town.home, self.town.pki, self.town.house.settings, self.town.login, self.town.gate, self.sessions
        )

    async def begin(self) -> None:
        await self.town.settle_in((CLAIRE, PAUL, ORG, APP))
        await self.open(Role.SUBMISSIONS)
        await self.sessions.start()

    async def finish(self) -> None:
        await self.close()
        self.town.close()

    async def signed_in_as(self, authzid: str = "") -> tuple[Client, str]:
        """Claire, in her own box or another's, and the reply to her sign-in."""
        client = await self.enter()
        await client.ask("EHLO me")
        self.town.clock.advance(60)
        secret = PASSWORD + self.town.code()
        return client, await client.ask("AUTH PLAIN " + b64(f"{authzid}\0{ME}\0{secret}"))

    async def number(self, local: str) -> int:
        return (await self.town.people.show(address(local))).account

    def last(self, kind: str) -> tuple[int, dict[str, object]]:
        """The last event of a kind: its account and what it says."""
        return [(account, said) for each, account, _, said in self.town.events() if each == kind][-1]


@pytest.fixture
async def quay(tmp_path: Path) -> AsyncIterator[Quay]:
    built = Quay(tmp_path)
    await built.begin()
    yield built
    await built.finish()


def mail(author: str) -> list[str]:
    return [f"From: {author}", f"To: {TO}", "Subject: x", "", "y", "."]


async def sent(client: Client, sender: str, author: str) -> str:
    """Send a mail; the first reply that isn't a yes, else the last."""
    for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{TO}>", "DATA"):
        reply = await client.ask(line)
        if reply[0] not in "23":
            return reply
    return await client.ask(*mail(author))


@pytest.mark.parametrize(
    ("rights", "sender", "author", "reply"),
    [
        (FULL, BOX, BOX, "250"),
        (Right.SEND, BOX, BOX, "250"),
        (Right.SEND, ME, BOX, "250"),
        (Right.SEND, BOX, ME, "250"),
        (FULL & ~Right.SEND, BOX, BOX, "553 5.7.1"),
        (FULL & ~Right.SEND, ME, BOX, "553 5.7.1"),
        (Right.READ, ME, ME, "250"),
        (NONE, BOX, BOX, "553 5.7.1"),
        (NONE, ME, BOX, "553 5.7.1"),
        (NONE, ME, ME, "250"),
    ],
)
async def test_in_whose_name(quay: Quay, rights: Right, sender: str, author: str, reply: str) -> None:
    """MAIL FROM and header From each need the right to send, and the trail names the person and the box."""
    if rights:
        await quay.town.delegate(ORG, CLAIRE, rights)
    client, said = await quay.signed_in_as()
    assert said.startswith("235")
    assert (await sent(client, sender, author)).startswith(reply)
    claire = await quay.number(CLAIRE)
    account, event = quay.last("submitted" if reply == "250" else "submission-refused")
    details = event["d"]
    assert isinstance(details, dict)
    assert (account, details["person"]) == (claire, claire)
    if reply == "250":
        assert event["s"] == sender
        assert details.get("from") == ([await quay.number(ORG)] if author == BOX else None)


@pytest.mark.parametrize(("rights", "opens"), [(Right.SEND, True), (FULL, True), (FULL & ~Right.SEND, False)])
async def test_in_the_others_box(quay: Quay, rights: Right, opens: bool) -> None:
    """Signed in to the box itself, one needs the right to send; the box's trail then names the person."""
    await quay.town.delegate(ORG, CLAIRE, rights)
    client, said = await quay.signed_in_as(BOX)
    assert said.startswith("235" if opens else "535 5.7.8")
    if opens:
        assert (await sent(client, BOX, BOX)).startswith("250")
        account, event = quay.last("submitted")
        details = event["d"]
        assert isinstance(details, dict)
        assert (account, details["person"]) == (await quay.number(ORG), await quay.number(CLAIRE))


async def test_withdrawn_before_the_end(quay: Quay) -> None:
    """A right that ends while the message comes lets it through no longer, though its header was let in."""
    await quay.town.delegate(ORG, CLAIRE, Right.SEND)
    client, _ = await quay.signed_in_as()
    for line in (f"MAIL FROM:<{ME}>", f"RCPT TO:<{TO}>", "DATA"):
        await client.ask(line)
    judged, gate = asyncio.Event(), quay.town.gate
    ask = gate.sender

    async def sender(principal: Principal, named: Address) -> AccountId:
        box = await ask(principal, named)
        judged.set()
        return box

    gate.sender = sender  # type: ignore[method-assign,assignment]
    header, rest = mail(BOX)[:4], mail(BOX)[4:]
    client.send(*header, *["x" * 70] * 4_000)  # more than the server reads before it judges what came
    await asyncio.wait_for(judged.wait(), PATIENCE_S)
    await quay.town.undelegate(ORG, CLAIRE)
    assert (await client.ask(*rest)).startswith("553 5.7.1")
    assert quay.last("submission-refused")[1]["o"] == "not-your-address"


async def test_term_ends_the_session(quay: Quay) -> None:
    """At the end of the term a session in the other's box is told so and closed."""
    until = int(quay.town.clock.now()) + 300
    await quay.town.delegate(ORG, CLAIRE, Right.SEND, until_at=until)
    client, said = await quay.signed_in_as(BOX)
    assert said.startswith("235")
    quay.town.clock.advance(300)
    await quay.sessions.look()
    assert (await client.rest()).startswith(b"421")
