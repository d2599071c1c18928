"""The true sign-in and the true gate behind the ports: who gets in, who is heard, and when a session ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssmail.base.ids import AccountId
from mssmail.demo.pki import Leaf
from mssmail.flow.sessions import Sessions
from mssmail.servers.smtp.roles import SUBMITTING, Role
from tests.servers.smtp.harbour import Client, Ports, b64, plain
from tests.support.houses import DOMAIN
from tests.support.town import CLAIRE, PASSWORD, PAUL, Town, address

ME = str(address(CLAIRE))


class TownPorts(Ports):
    """Ports of a town."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.sessions = Sessions(town.house, town.standing)
        super().__init__(town.home, town.pki, town.home.settings, town.login, town.gate, self.sessions)

    def leaf(self) -> Leaf:
        """Claire's certificate."""
        return self.pki.person("810000000001", "MARTIN", "CLAIRE", "Médecin")

    async def read(self, local: str) -> list[bytes]:
        """What lies in a box."""
        return await self.messages_of(await self.town.enter(local))


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[TownPorts]:
    town = Town(tmp_path)
    await town.settle_in()
    built = TownPorts(town)
    await built.sessions.start()
    await built.open(*SUBMITTING)
    yield built
    await built.close()
    town.close()


def secret(port: TownPorts) -> str:
    return PASSWORD + port.town.code()


async def write(client: Client, *to: str) -> None:
    await client.begin_mail(ME, *to, sender=ME)
    assert (await client.ask(f"From: Claire <{ME}>", "Subject: x", "", "y", ".")).startswith("250 2.6.0")


@pytest.mark.parametrize("role", SUBMITTING)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_password_and_code(port: TownPorts, role: Role, mechanism: str) -> None:
    """The password with the code behind it lets in, and what is sent arrives."""
    client = await port.enter(role)
    await client.ask("EHLO me")
    if mechanism == "PLAIN":
        answer = await client.ask("AUTH PLAIN " + plain(ME, secret(port)))
    else:
        await client.ask("AUTH LOGIN")
        await client.ask(b64(ME))
        answer = await client.ask(b64(secret(port)))
    assert answer.startswith("235 2.7.0")
    await write(client, f"paul.durand@{DOMAIN}")
    (kept,) = await port.read(PAUL)
    assert kept.endswith(b"\r\n\r\ny\r\n")


async def test_wrong(port: TownPorts) -> None:
    """A wrong password and an unknown login are answered alike, and nothing is taken."""
    client = await port.enter()
    await client.ask("EHLO me")
    wrong = await client.ask("AUTH PLAIN " + plain(ME, PASSWORD + "000000"))
    assert wrong.startswith("535 5.7.8")
    assert await client.ask("AUTH PLAIN " + plain("nobody@x.fr", secret(port))) == wrong
    assert (await client.ask(f"MAIL FROM:<{ME}>")).startswith("530 5.7.0")


@pytest.mark.parametrize("role", SUBMITTING)
async def test_certificate_without_auth(port: TownPorts, role: Role) -> None:
    """A client that shows an acceptable certificate and says MAIL is in."""
    client = await port.enter(role, port.leaf())
    await client.ask("EHLO me")
    await write(client)
    assert len(await port.read(CLAIRE)) == 1


async def test_revoked_certificate(port: TownPorts) -> None:
    """A revoked certificate is told so at MAIL, and at EXTERNAL."""
    client = await port.enter(leaf=port.pki.revoked_person("810000000001", "MARTIN", "CLAIRE", "Médecin"))
    port.town.standing.reload_if_changed()
    await client.ask("EHLO me")
    assert (await client.ask(f"MAIL FROM:<{ME}>")).startswith("535 5.7.8 Certificat refuse")
    assert (await client.ask("AUTH EXTERNAL =")).startswith("535 5.7.8 Certificat refuse")


async def test_gate(port: TownPorts) -> None:
    """Each refused recipient hears its reason, in one message with a good one."""
    client = await port.enter(leaf=port.leaf())
    await client.ask("EHLO me")
    await port.town.people.suspend(address(PAUL))
    await client.ask(f"MAIL FROM:<{ME}>")
    for recipient, code in (
        (f"paul.durand@{DOMAIN}", "550 5.2.1"),
        (f"nobody.at.all@{DOMAIN}", "550 5.1.1"),
        ("somebody@gmail.com", "550 5.7.1"),
        (ME, "250 2.1.5"),
    ):
        assert (await client.ask(f"RCPT TO:<{recipient}>")).startswith(code)
    assert (await client.ask("DATA")).startswith("354")
    assert (await client.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    refused = [said for kind, _, _, said in port.town.events() if kind == "recipient-refused"]
    assert len(refused) == 3


async def test_suspended_while_in(port: TownPorts) -> None:
    """A suspension ends the open session at the next look."""
    client = await port.enter(leaf=port.leaf())
    await client.ask("EHLO me")
    await write(client)
    await port.town.people.suspend(address(CLAIRE))
    await port.sessions.look()
    assert (await client.reply()).startswith("421 4.7.0")
    assert await client.end()
    assert port.sessions.count_of(AccountId(1)) == 0
