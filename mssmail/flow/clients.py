"""Programs that may ask users for access to their boxes (RFC 6749 §2): who they are, and who says so.

A public one (a mail program) has no secret: its redirects are what keeps codes from others. A confidential one has a
secret of 256 bits, kept as a keyed digest; it may also ask what a token is good for (RFC 7662).
"""

import json
import re
import secrets
from dataclasses import dataclass, replace
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.ids import AccountId
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.crypto.format import name_aad
from mssmail.flow.house import House
from mssmail.identity import redirect
from mssmail.store import clients, devices, replays, tokens
from mssmail.store.clients import ClientRow
from mssmail.store.interface import Transaction

MAX_REDIRECTS: Final = 10
MAX_NAME_CHARACTERS: Final = 80
SECRET_PREFIX: Final = "msscs_"  # noqa: S105 - how one begins
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")


@dataclass(frozen=True, slots=True)
class Client:
    """A registered program."""

    client_id: str
    name: str
    """As the consent page shows it; of a self-registered one it is no more than its own claim."""
    redirects: tuple[str, ...]
    confidential: bool = False
    self_registered: bool = False
    """By RFC 7591: nobody here vouches for its name."""
    created_at: int = 0

    def returns_to(self, presented: str) -> bool:
        """Whether a presented redirect is one of its own."""
        return any(redirect.matches(mine, presented) for mine in self.redirects)


PRESETS: Final = (
    Client(
        "thunderbird",
        "Thunderbird",
        ("http://127.0.0.1/", "http://localhost", "https://localhost", "net.thunderbird.android://oauth2redirect"),
    ),
    Client("k9mail", "K-9 Mail", ("com.fsck.k9://oauth2redirect",)),
    Client("outlook", "Outlook", ("http://127.0.0.1/", "http://[::1]/", "http://localhost")),
    Client("mail-client", "Logiciel de messagerie", ("http://127.0.0.1/", "http://[::1]/")),
)
"""Mail programs by the redirects that they use; `mail-client` is any other native one, and devices without a browser.

Thunderbird catches a redirect to localhost within; on Android it and K-9 are called back by their own schemes.
"""


class Clients:
    """The use-cases of registration."""

    def __init__(self, house: House, administrator: str) -> None:
        """`administrator`: who does it, for the trail; empty for a program that registers itself."""
        self._house = house
        self._administrator = administrator

    async def find(self, client_id: str) -> Client:
        """Raises Refusal(CLIENT)."""
        return self._open(await self._row(client_id))

    async def _row(self, client_id: str) -> ClientRow:
        row = None
        if _ID.fullmatch(client_id):
            row = await self._house.read.run(lambda tx: clients.get(tx, client_id))
        if row is None:
            raise Refusal(Reason.CLIENT, "no such program")
        return row

    async def authenticate(self, client_id: str, secret: Secret | None) -> Client:
        """Who asks at the token endpoint: a confidential program shows its secret, a public one has none.

        Raises Refusal(CLIENT).
        """
        row = await self._row(client_id)
        if row.secret is not None and (secret is None or not self._fits(row.secret, secret)):
            raise Refusal(Reason.CLIENT, "wrong secret")
        if row.secret is None and secret is not None and len(secret):
            raise Refusal(Reason.CLIENT, "a public program has no secret")
        return self._open(row)

    def _fits(self, digest: bytes, secret: Secret) -> bool:
        return secrets.compare_digest(digest, self._digest(secret))

    def _digest(self, secret: Secret) -> bytes:
        return self._house.keys.digest("client", secret.reveal().encode("utf-8", "surrogatepass"))

    async def list(self) -> list[Client]:
        """Oldest first."""
        return [self._open(row) for row in await self._house.read.run(clients.every)]

    async def add(self, client: Client) -> Secret | None:
        """Register a program; a confidential one's secret, shown once. Raises Refusal(CLIENT) with what is wrong."""
        _check(client)
        secret = Secret(SECRET_PREFIX + secrets.token_urlsafe(32)) if client.confidential else None
        digest = None if secret is None else self._digest(secret)
        sealed = self._seal(client)

        def write(tx: Transaction) -> None:
            if not clients.add(tx, ClientRow(client.client_id, digest, sealed, int(tx.now))):
                raise Refusal(Reason.CLIENT, f"{client.client_id} is registered already")
            details: dict[str, Value] = {
                "administrator": self._administrator,
                "client": client.client_id,
                "confidential": client.confidential,
                "self_registered": client.self_registered,
            }
            tx.trail(Event(Kind.CLIENT_ADDED, details=details))

        await self._house.write.run(write)
        return secret

    async def register(self, name: str, redirects: tuple[str, ...]) -> Client:
        """Let a public program register itself (RFC 7591). Raises Refusal(CLIENT) with what is wrong."""
        client = Client(f"dyn-{secrets.token_hex(16)}", name, redirects, self_registered=True)
        await self.add(client)
        return replace(client, created_at=int(self._house.clock.now()))

    async def remove(self, client_id: str) -> int:
        """Remove a program, with all that was granted to it; how many authorizations that were.

        Raises Refusal(CLIENT) where there is none.
        """

        def write(tx: Transaction) -> int:
            if not clients.drop(tx, client_id):
                raise Refusal(Reason.CLIENT, client_id)
            devices.drop_client(tx, client_id)
            granted = tokens.of_client(tx, client_id)
            for each in granted:
                tokens.revoke(tx, each.authorization_id)
            for account in {each.account_id for each in granted}:
                replays.notify(tx, account, "session")
            details: dict[str, Value] = {
                "administrator": self._administrator,
                "client": client_id,
                "authorizations": len(granted),
            }
            tx.trail(Event(Kind.CLIENT_REMOVED, details=details))
            return len(granted)

        return await self._house.write.run(write)

    def _seal(self, client: Client) -> bytes:
        content = {"n": client.name, "r": list(client.redirects), "s": client.self_registered}
        plain = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        return self._house.keys.seal_system(plain, self._aad(client.client_id))

    def _open(self, row: ClientRow) -> Client:
        content = json.loads(self._house.keys.open_system(row.sealed, self._aad(row.client_id)))
        return Client(
            row.client_id, content["n"], tuple(content["r"]), row.secret is not None, content["s"], row.created_at
        )

    def _aad(self, client_id: str) -> bytes:
        """Bound to the row: one program's redirects can't stand in another's."""
        digest = self._house.keys.digest("client id", client_id.encode())
        return name_aad(b"client", AccountId(int.from_bytes(digest[:8], "big")), int.from_bytes(digest[8:], "big"))


def _check(client: Client) -> None:
    """Raises Refusal(CLIENT)."""
    if _ID.fullmatch(client.client_id) is None:
        raise Refusal(Reason.CLIENT, "an id has 1 to 64 letters, digits, dots, dashes and underscores")
    if not client.name or len(client.name) > MAX_NAME_CHARACTERS or not client.name.isprintable():
        raise Refusal(Reason.CLIENT, f"a name has 1 to {MAX_NAME_CHARACTERS} printable characters")
    if len(client.redirects) > MAX_REDIRECTS:
        raise Refusal(Reason.CLIENT, f"at most {MAX_REDIRECTS} redirects")
    for each in client.redirects:
        if not redirect.may_register(each):
            raise Refusal(
                Reason.CLIENT,
                "a redirect is https://…, http:// to 127.0.0.1, [::1] or localhost, or a scheme of its own with a dot; "
                "without a fragment",
            )
