"""Whatever a delegate says, in whatever order, however their rights change meanwhile: they never reach beyond them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from mssmail.base.principal import Principal
from mssmail.base.rights import FULL, NONE, Right
from mssmail.store import delegations
from tests.servers.imap.harness import Client, Site, run

SECRET = b"Hypokaliemie"
MESSAGE = b"From: a@demo.mssante.fr\r\nSubject: " + SECRET + b"\r\n\r\nBilan: " + SECRET + b".\r\n"
OWNED = b"Dossier-patient"
"""A folder's name in the box: seen by who may read alone."""
SHARED = "Other Users/alice@demo.mssante.fr/"

COMMANDS: tuple[str, ...] = (
    'SELECT "{box}INBOX"',
    'SELECT "{box}INBOX"',
    'EXAMINE "{box}INBOX"',
    "SELECT INBOX",
    'STATUS "{box}INBOX" (MESSAGES UNSEEN)',
    'LIST "" *',
    'LIST (SUBSCRIBED) "" "*" RETURN (STATUS (MESSAGES))',
    'LSUB "" *',
    "FETCH 1:* (FLAGS UID)",
    "FETCH 1 BODY[]",
    "FETCH 1 (ENVELOPE RFC822.SIZE)",
    "UID FETCH 1:* (BODY.PEEK[HEADER])",
    "SEARCH TEXT hypokaliemie",
    "STORE 1 +FLAGS (\\Seen)",
    "STORE 1:* +FLAGS (\\Deleted)",
    "STORE 1 +FLAGS (suivi)",
    "EXPUNGE",
    "UID EXPUNGE 1:*",
    "CLOSE",
    "COPY 1 INBOX",
    'COPY 1 "{box}Trash"',
    "MOVE 1 INBOX",
    'MOVE 1 "{box}Trash"',
    'CREATE "{box}Nouveau"',
    'DELETE "{box}Trash"',
    'RENAME "{box}Trash" "{box}Poubelle"',
    'RENAME "{box}INBOX" "{box}Ancien"',
    'SUBSCRIBE "{box}Trash"',
    'UNSUBSCRIBE "{box}Trash"',
    'GETQUOTAROOT "{box}INBOX"',
    'GETACL "{box}INBOX"',
    'MYRIGHTS "{box}INBOX"',
    'SETACL "{box}INBOX" bob@demo.mssante.fr +lrswitekxa0',
    'SETACL "{box}INBOX" carol@demo.mssante.fr lrswitekx',
    'SETACL "{box}INBOX" carol@demo.mssante.fr lr',
    'DELETEACL "{box}INBOX" carol@demo.mssante.fr',
    'DELETEACL "{box}INBOX" bob@demo.mssante.fr',
    "APPEND",
    "NOOP",
)
Step = str | Right
"""A command, or the rights that the delegate has from here on."""
RIGHTS = st.sampled_from(
    [Right(n) for n in range(FULL.value + 1) if not Right(n) & Right.WRITE or Right(n) & Right.READ]
)
STEPS = st.lists(st.one_of(st.sampled_from(COMMANDS), st.sampled_from(COMMANDS), RIGHTS), min_size=4, max_size=24)

_KEPT = (
    "SELECT folder_id, uid, flags, keywords, body_id FROM messages WHERE account_id = ? ORDER BY 1, 2",
    "SELECT folder_id, name_digest FROM folders WHERE account_id = ? ORDER BY 1",
    "SELECT name_digest FROM subscriptions WHERE account_id = ? ORDER BY 1",
    "SELECT number FROM keywords WHERE account_id = ? ORDER BY 1",
)


@dataclass
class Trial:
    """A delegate at work; each command is held against the rights that the store had just before it."""

    site: Site
    client: Client
    alice: Principal
    bob: Principal
    acting: bool
    """Signed in to the other's box, and not to their own."""

    def rights(self) -> Right:
        return delegations.rights(self.site.home.tx(), self.alice.account, self.bob.account)

    def box(self) -> list[object]:
        driver = self.site.home.tx().driver
        return [driver.execute(sql, [self.alice.account]).fetchall() for sql in _KEPT]

    def given(self) -> list[object]:
        sql = "SELECT delegate_id, rights FROM delegations WHERE account_id = ? ORDER BY 1"
        return [tuple(row) for row in self.site.home.tx().driver.execute(sql, [self.alice.account]).fetchall()]

    async def take(self, step: Step) -> None:
        if isinstance(step, Right):
            await self._grant(step)
            return
        rights, box, given = self.rights(), self.box(), self.given()
        command = step.format(box="" if self.acting else SHARED)
        said = b"\r\n".join(await (self._append() if command == "APPEND" else self.client.ask(command)))
        if self.box() != box:
            assert Right.WRITE in rights, f"{command} changed the box with {rights}"
        if self.given() != given:
            assert Right.MANAGE in rights, f"{command} changed delegations with {rights}"
            after = self.rights()
            assert after in rights, f"{command} made {after} of {rights}"
        own = b"INBOX" in step.encode() and "{box}" not in step
        if not own and (SECRET in said or OWNED in said):
            assert Right.READ in rights, f"{command} told of the box with {rights}"

    async def _grant(self, rights: Right) -> None:
        if rights:
            await self.site.grant("alice", "bob", rights)
        elif self.rights():
            await self.site.withdraw("alice", "bob")
            # the right to be there has ended, and with it the connection that had a folder of the box open
            if not self.client.reader.at_eof():
                await self._again()

    async def _again(self) -> None:
        self.client.close()
        self.client = await Client.signed_in(self.site, "acting" if self.acting else "bob")

    async def _append(self) -> list[bytes]:
        name = "INBOX" if self.acting else f"{SHARED}INBOX"
        return await self.client.ask(b'APPEND "%b" {%d+}\r\n%b' % (name.encode(), len(MESSAGE), MESSAGE))


async def trial(folder: Path, steps: Sequence[Step], *, acting: bool) -> None:
    site = Site(folder)
    alice, bob, _ = (site.add(name) for name in ("alice", "bob", "carol"))
    site.login.known["acting"] = replace(bob, account=alice.account, address=alice.address)
    await site.open()
    try:
        await site.send(alice, MESSAGE)
        await site.send(alice, MESSAGE)
        owner = await Client.signed_in(site, "alice")
        await owner.ok(b"CREATE " + OWNED)
        client = await Client.signed_in(site, "acting" if acting else "bob")
        tried = Trial(site, client, alice, bob, acting)
        for step in (NONE, *steps):
            await tried.take(step)
        owner.close()
        tried.client.close()
    finally:
        await site.close()


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, acting=st.booleans())
def test_never_beyond_their_rights(steps: list[Step], acting: bool) -> None:
    """A command changes the box only with the right to write, its delegations with that to manage and never upwards,
    and shows what is in it with that to read: as the store has them then, whatever the session began with.
    """
    with TemporaryDirectory() as folder:
        run(trial(Path(folder), steps, acting=acting))


def test_each_command_alone(tmp_path: Path) -> None:
    """Some sets of rights against every command, the folder having been selected with the right to write in it."""
    for rights in (NONE, Right.READ, Right.SEND, Right.READ | Right.MANAGE):
        folder = tmp_path / str(rights.value)
        folder.mkdir()
        steps: list[Step] = []
        for command in COMMANDS:
            steps += [Right.READ | Right.WRITE, 'SELECT "{box}INBOX"', rights, command]
        run(trial(folder, steps, acting=False))
