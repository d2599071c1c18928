"""Signed-in browsers: a visit begins with a sign-in over HTTPS and is known by a random cookie, kept as a digest.

Every request reads the database: a visit ends after `web.session_idle` without a request, `LONGEST_S` after its
beginning, when its user ends it, with the account's epoch (a new password, a suspension, closing), with the holder's
strike-off, and with the certificate it began by.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind
from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Mechanism, Principal
from mssmail.base.secret import Secret
from mssmail.crypto.format import name_aad
from mssmail.flow.acts import end_all
from mssmail.flow.house import House
from mssmail.flow.standing import Found, Standing
from mssmail.store import accounts, replays, visits
from mssmail.store.accounts import State
from mssmail.store.interface import Transaction
from mssmail.store.visits import VisitRow

COOKIE_OCTETS: Final = 32
LONGEST_S: Final = 8 * 3600
"""A working day: then somebody has to show again who they are."""
SEEN_EVERY_S: Final = 60
"""How often a visit's last request is written down."""
_MAX_COOKIE: Final = 100


@dataclass(frozen=True, slots=True)
class Visit:
    """One of a user's signed-in browsers, as they are shown it."""

    name: str
    """By which it can be ended; worthless as a cookie."""
    client: str
    """IP address that it began from."""
    mechanism: Mechanism
    created_at: int
    seen_at: int


class Visits:
    """The use-cases of signed-in browsers."""

    def __init__(self, house: House, standing: Standing) -> None:
        self._house = house
        self._standing = standing

    def _digest(self, cookie: str) -> bytes:
        return self._house.keys.digest("visit", cookie.encode("utf-8", "surrogatepass"))

    async def begin(self, principal: Principal) -> Secret:
        """The cookie of a visit that a sign-in has just opened."""
        cookie = Secret(secrets.token_urlsafe(COOKIE_OCTETS))
        digest, sealed = self._digest(cookie.reveal()), self._seal(principal)

        def write(tx: Transaction) -> None:
            now = int(tx.now)
            visits.add(tx, VisitRow(digest, principal.person, principal.epoch // 2, sealed, now, now))

        await self._house.write.run(write)
        return cookie

    async def find(self, cookie: str, client: str) -> Principal | None:
        """Who a cookie belongs to, if they may still be here. `client`: where the request comes from."""
        if not cookie or len(cookie) > _MAX_COOKIE:
            return None
        digest = self._digest(cookie)

        def read(tx: Transaction) -> tuple[VisitRow, Found] | None:
            row = visits.get(tx, digest)
            if row is None or not self._lasts(row, tx.now):
                return None
            return row, {row.account_id: accounts.standing(tx, row.account_id)}

        found = await self._house.read.run(read)
        if found is None:
            return None
        row, standings = found
        principal = self._principal(row, standings, client)
        if principal is None or self._standing.reason_to_end(principal, standings, frozenset()) is not None:
            return None
        if self._house.clock.now() - row.seen_at >= SEEN_EVERY_S:
            await self._house.write.run(lambda tx: visits.seen(tx, digest))
        return principal

    def _lasts(self, row: VisitRow, now: float) -> bool:
        return now < row.seen_at + self._house.settings.web.session_idle and now < row.created_at + LONGEST_S

    def _principal(self, row: VisitRow, found: Found, client: str) -> Principal | None:
        standing = found.get(row.account_id)
        if standing is None:
            return None
        _, _, sealed, kind = standing
        said = self._open(row)
        return Principal(
            row.account_id,
            row.account_id,
            self._standing.credentials.dossier(row.account_id, sealed).address,
            BoxKind(kind),
            Mechanism(said["m"]),
            2 * row.epoch,
            client,
            "https",
            int(said["s"], 16) if said["s"] else None,
            bytes.fromhex(said["i"]) if said["i"] else None,
        )

    async def end(self, cookie: str) -> None:
        """Sign a browser out."""
        digest = self._digest(cookie[:_MAX_COOKIE])

        def write(tx: Transaction) -> None:
            row = visits.get(tx, digest)
            if row is not None and visits.drop(tx, digest):
                tx.trail(Event(Kind.SIGNED_OUT, row.account_id))

        await self._house.write.run(write)

    async def list(self, principal: Principal) -> list[Visit]:
        """A user's signed-in browsers, oldest first."""
        idle = self._house.settings.web.session_idle

        def read(tx: Transaction) -> list[VisitRow]:
            rows = visits.of_account(tx, principal.person, int(tx.now) - idle)
            return [row for row in rows if row.epoch * 2 == principal.epoch and self._lasts(row, tx.now)]

        rows = await self._house.read.run(read)
        shown = [(row, self._open(row)) for row in rows]
        return [
            Visit(row.digest.hex(), said["c"], Mechanism(said["m"]), row.created_at, row.seen_at) for row, said in shown
        ]

    def is_of(self, visit: Visit, cookie: str) -> bool:
        """Whether a visit is the one that a cookie belongs to."""
        return visit.name == self._digest(cookie[:_MAX_COOKIE]).hex()

    async def end_one(self, principal: Principal, name: str) -> bool:
        """End one of a user's own browsers by the name that `list` gave; False where there is none."""
        try:
            digest = bytes.fromhex(name[:_MAX_COOKIE])
        except ValueError:
            return False

        def write(tx: Transaction) -> bool:
            row = visits.get(tx, digest)
            if row is None or row.account_id != principal.person:
                return False
            tx.trail(Event(Kind.SIGNED_OUT, row.account_id, details={"from": principal.client}))
            return visits.drop(tx, digest)

        return await self._house.write.run(write)

    async def end_everything(self, principal: Principal) -> None:
        """End all that a user has open: browsers, mail sessions, grants, and what they let programs do."""

        def write(tx: Transaction) -> None:
            found = accounts.epoch(tx, principal.person)
            if found is None or found[1] is not State.OPEN:
                return
            details = {**end_all(tx, principal.person, State.OPEN), "from": principal.client}
            replays.notify(tx, principal.person, "session")
            tx.trail(Event(Kind.SIGNED_OUT_EVERYWHERE, principal.person, str(principal.address), details=details))

        await self._house.write.run(write)

    def form_token(self, seed: str) -> str:
        """What a form carries to show that this server made it for this browser, whose cookie `seed` is."""
        return self._house.keys.digest("form", seed.encode("utf-8", "surrogatepass")).hex()

    def _seal(self, principal: Principal) -> bytes:
        content = {
            "m": principal.mechanism.value,
            "c": principal.client,
            "s": "" if principal.serial is None else f"{principal.serial:x}",
            "i": "" if principal.issuer is None else principal.issuer.hex(),
        }
        return self._house.keys.seal_system(json.dumps(content).encode(), _aad(principal.person))

    def _open(self, row: VisitRow) -> dict[str, str]:
        said: dict[str, str] = json.loads(self._house.keys.open_system(row.sealed, _aad(row.account_id)))
        return said


def _aad(account: AccountId) -> bytes:
    return name_aad(b"visit", account, 0)
