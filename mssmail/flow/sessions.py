"""Open sessions: who is in, and whose right to be in has ended.

A suspension, a closed account, a new password (the account's epoch rises), a strike-off (a new directory), a revoked
certificate, a revoked authorization, and a delegation's end or its loss of a right end a session. Notices in the
database tell which accounts to look at, within a second; everything is looked at when the directory or a revocation
list changed, and once in a while in case a notice was lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from mssmail.audit.events import Event, Kind
from mssmail.base.ids import AccountId
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason
from mssmail.base.rights import NONE, Delegation
from mssmail.flow.house import House
from mssmail.flow.standing import Found, Standing
from mssmail.metrics.registry import counter
from mssmail.policy.access import keeps
from mssmail.store import accounts, delegations, replays, tokens
from mssmail.store.interface import Transaction

End = Callable[[Reason], None]

LOOK_AT_ALL_S = 30.0
POLL_S = 0.5

_ended = counter("mssmail_sessions_ended_total", "Sessions ended because the right to them had.", labels=("reason",))
_log = structlog.get_logger("mssmail.sessions")


@dataclass(slots=True, eq=False)
class Session:
    """One signed-in connection. `leave` when it closes."""

    principal: Principal
    end: End
    _sessions: "Sessions" = field(repr=False)
    until_at: int | None = None
    """When the delegation ends that it stands on, as far as is known; None where it has no end."""
    counts: bool = True
    """Whether it is a connection of its own, and not another's box opened beside one's own."""

    def leave(self) -> None:
        self._sessions.forget(self)


class Sessions:
    """The signed-in connections of this worker. All methods on the loop."""

    def __init__(self, house: House, standing: Standing) -> None:
        self._house = house
        self._standing = standing
        self._by_account: dict[int, set[Session]] = {}
        self._delegated: set[Session] = set()
        self._notice = 0
        self._all_at = 0.0

    def enter(self, principal: Principal, end: End, *, counts: bool = True) -> Session:
        """Register a connection; `end` is called, once, when its right to be open has ended.

        `counts=False`: for another's box that a connection has opened beside its own.
        """
        session = Session(principal, end, self, principal.delegated_until, counts)
        if principal.person != principal.account:
            self._delegated.add(session)
        for account in {principal.account, principal.person}:
            self._by_account.setdefault(account, set()).add(session)
        return session

    def count_of(self, account: AccountId) -> int:
        return sum(session.counts for session in self._by_account.get(account, ()))

    def certificates(self) -> set[tuple[bytes, int]]:
        """Issuer's name and serial of the certificates that sessions were opened with."""
        every = {session.principal for sessions in self._by_account.values() for session in sessions}
        return {(p.issuer, p.serial) for p in every if p.issuer is not None and p.serial is not None}

    def forget(self, session: Session) -> None:
        self._delegated.discard(session)
        for account in {session.principal.account, session.principal.person}:
            sessions = self._by_account.get(account)
            if sessions is not None:
                sessions.discard(session)
                if not sessions:
                    del self._by_account[account]

    async def start(self) -> None:
        """Begin with the notices that come from now on."""
        self._notice = await self._house.read.run(replays.last_notice)
        self._all_at = self._house.clock.monotonic()

    def look_again(self) -> None:
        """Have the next `look` look at everything."""
        self._all_at = float("-inf")

    async def look(self) -> None:
        """Look at what notices, a new directory or new revocation lists call for. Call it every `POLL_S`."""
        after = self._notice
        notices = await self._house.read.run(lambda tx: replays.notices_after(tx, after))
        whole = await self._standing.renew_if_changed()
        now = self._house.clock.monotonic()
        if now - self._all_at >= LOOK_AT_ALL_S:
            whole = True
        touched: set[int] = set()
        for number, account, kind in notices:
            self._notice = number
            if kind == "mail":
                self._house.changes.tell({account: 0})
            else:
                touched.add(account)
                self._house.keys.forget_account(AccountId(account))
                self._house.shelf.forget_account(AccountId(account))
                self._house.fresh.forget_account(AccountId(account))
        wall = self._house.clock.now()
        self._house.shelf.drop_ended(wall)
        self._house.fresh.drop_ended(wall)
        if whole or 0 in touched:
            self._all_at = now
            await self._judge(set(self._by_account))
            return
        touched |= {s.principal.account for s in self._delegated if s.until_at is not None and s.until_at <= wall}
        if touched:
            await self._judge(touched & set(self._by_account))

    async def _judge(self, touched: set[int]) -> None:
        """End the sessions of those accounts whose right has ended."""
        sessions = {session for account in touched for session in self._by_account.get(account, ())}
        if not sessions:
            return
        numbers = {n for s in sessions for n in (s.principal.account, s.principal.person)}
        granted = {s.principal.authorization for s in sessions}
        delegated = sessions & self._delegated

        def read(tx: Transaction) -> tuple[Found, frozenset[int], dict[Session, Delegation | None]]:
            found: Found = {n: accounts.standing(tx, AccountId(n)) for n in numbers}
            alive = frozenset(n for n in granted if n is not None and tokens.alive(tx, n))
            given = {s: delegations.find(tx, s.principal.account, s.principal.person) for s in delegated}
            return found, alive, given

        found, alive, given = await self._house.read.run(read)
        lost = self._lost(given)
        for session in sessions:
            reason = self._standing.reason_to_end(session.principal, found, alive)
            if reason is None and session in lost:
                reason = Reason.NOT_DELEGATED
            if reason is not None:
                await self._end(session, reason)

    def _lost(self, given: Mapping[Session, Delegation | None]) -> set[Session]:
        """Those whose delegation has ended, or has lost a right that they opened with."""
        now = self._house.clock.now()
        for session, delegation in given.items():
            session.until_at = None if delegation is None else delegation.until_at
        return {s for s, d in given.items() if not keeps(s.principal.rights, NONE if d is None else d.at(now))}

    async def _end(self, session: Session, reason: Reason) -> None:
        self.forget(session)
        _ended.labels(reason=reason.value).inc()
        principal = session.principal
        session.end(reason)
        event = Event(
            Kind.SESSION_ENDED,
            principal.account,
            str(principal.address),
            reason.value,
            {"protocol": principal.protocol, "person": principal.person},
        )
        await self._house.write.run(lambda tx: tx.trail(event))
        _log.info("session ended", account=principal.account, reason=reason.value)
