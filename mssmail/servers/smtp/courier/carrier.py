"""`SmtpCourier`: an errand carried, from a domain to each recipient's outcome.

A kept connection first, else the domain's hosts in their order. Another host is tried while none had the message and
trying may help: where one can't be reached or isn't vouched for, lacks what the message needs, or puts recipients off
at MAIL or RCPT. What one recipient is told for good, or after the message, stands.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

from mssmail.base.relay import Attempt, Cause, Errand, Hop, Outcome
from mssmail.flow.courier import Body, Vouch
from mssmail.flow.throttle import share
from mssmail.metrics.registry import counter
from mssmail.servers.net.tls import client_context
from mssmail.servers.smtp.courier.command import obstacle
from mssmail.servers.smtp.courier.destination import Destinations
from mssmail.servers.smtp.courier.host import Host, Unroutable
from mssmail.servers.smtp.courier.pool import Pool
from mssmail.servers.smtp.courier.reply import NotSmtp
from mssmail.servers.smtp.courier.session import Failed, Patience, Session, open_session
from mssmail.servers.smtp.courier.transaction import Transaction
from mssmail.servers.smtp.courier.wire import Lost, TimedOut
from mssmail.settings.model import Settings

MAX_RECIPIENTS: Final = 100
"""Of one transaction: what every server takes (RFC 5321 §4.5.3.1.8)."""
PROBE_AFTER_S: Final = 1.0
"""A connection that was idle so long is asked for a sign of life before it is given a message in one piece: a host that
closes it at that moment would leave it in doubt."""
PROBE_S: Final = 30.0
MAX_OPENING_WAITS: Final = 3
"""How many times the longest wait for a reply the search for a host may take; then no further one is tried."""

_attempts = counter(
    "mssmail_relay_recipients_total", "Recipients at other operators that were tried, by outcome.", labels=("outcome",)
)
_opened = counter("mssmail_relay_sessions_total", "Connections to other operators that got as far as mail.")


def _share(settings: Settings) -> int:
    return share(settings.relay.max_connections_per_domain, settings.server.workers)


class SmtpCourier:
    """flow's Courier over SMTP. `close` it."""

    def __init__(self, settings: Settings, vouch: Vouch) -> None:
        """Raises OSError, ssl.SSLError where the certificate can't be read."""
        self._vouch = vouch
        self._take(settings, client_context(settings))
        self._pool = Pool(_share(settings), float(settings.relay.idle_timeout))

    def _take(self, settings: Settings, context: ssl.SSLContext) -> None:
        relay = settings.relay
        self._name = settings.server.name
        self._context = context
        self._destinations = Destinations(relay, settings.server.name)
        self._patience = Patience(
            float(relay.connect_timeout),
            float(relay.reply_timeout),
            float(relay.block_timeout),
            float(relay.end_timeout),
        )

    def renew(self, settings: Settings, context: ssl.SSLContext) -> None:
        """Open connections by other settings and another `client_context` from now on."""
        self._take(settings, context)
        self._pool.renew(_share(settings), float(settings.relay.idle_timeout))

    async def close(self) -> None:
        self._pool.close()

    async def carry(self, errand: Errand, body: Body) -> Attempt:
        work = _Work(errand, body)
        async with self._pool.place(errand.domain):
            await self._carry(work)
        outcomes = work.outcomes()
        for outcome in outcomes:
            _attempts.labels(outcome=outcome.cause.value).inc()
        return Attempt(work.hop, outcomes)

    async def _carry(self, work: "_Work") -> None:
        domain = work.errand.domain
        kept = self._pool.take(domain)
        if kept is not None:
            if await self._again(kept, work):
                return
            if work.tried is None:
                work.forget()
        try:
            hosts = await self._destinations.hosts(domain)
        except Unroutable as unroutable:
            work.note(unroutable.outcome, None)
            return
        if not await self._at_one_of(hosts, work):
            self._destinations.forget(domain, hosts)

    async def _at_one_of(self, hosts: Sequence[Host], work: "_Work") -> bool:
        """Give hosts, in their order, all that is left; whether one of them was spoken with."""
        domain, spoken = work.errand.domain, False
        now = asyncio.get_running_loop().time
        until = now() + MAX_OPENING_WAITS * self._patience.reply_s
        for host in hosts:
            if host == work.tried:
                spoken = True
                continue
            try:
                session = await open_session(host, domain, self._name, self._context, self._vouch, self._patience)
            except Failed as failed:
                work.note(failed.outcome, failed.hop)
            else:
                _opened.inc()
                spoken = True
                if await self._use(session, work):
                    break
            if now() >= until:
                break
        return spoken

    async def _again(self, session: Session, work: "_Work") -> bool:
        """Use a kept session, once it is seen to be good still; whether all is done."""
        try:
            await session.check(self._vouch)
            if asyncio.get_running_loop().time() - session.used_at >= PROBE_AFTER_S:
                session.wire.write(b"RSET\r\n")
                reply = await session.wire.reply(min(PROBE_S, self._patience.reply_s))
                if not reply.positive:
                    session.quit()  # 421, as it should say before it closes
                    return False
                session.unclean = False
        except Failed:
            # the host may have a new certificate by now, which a new connection shows
            session.quit()
            return False
        except (Lost, TimedOut, NotSmtp):
            session.wire.abort()
            return False
        except BaseException:
            session.wire.abort()
            raise
        return await self._use(session, work)

    async def _use(self, session: Session, work: "_Work") -> bool:
        """Give a session all that is left; whether nothing is left for another host."""
        found = obstacle(work.errand, session.offer)
        if found is not None:
            work.tried = session.host
            work.note(Outcome(found[0], detail=found[1]), session.hop)
            self._pool.keep(session)
            return False
        work.hop = session.hop
        work.tried = session.host
        waiting = work.left()
        try:
            while waiting and session.usable:
                most = min(MAX_RECIPIENTS, session.offer.most_recipients or MAX_RECIPIENTS)
                batch, waiting = waiting[:most], waiting[most:]
                recipients = [work.errand.recipients[number] for number in batch]
                transaction = Transaction(session, work.errand, recipients, work.body)
                await transaction.run()
                waiting += work.take(batch, transaction)
        finally:
            self._pool.keep(session)
        if not session.usable:
            work.tried = None
        return not work.left()


class _Work:
    """What is known of an errand so far."""

    def __init__(self, errand: Errand, body: Body) -> None:
        self.errand = errand
        self.body = body
        self.hop: Hop | None = None
        self.tried: Host | None = None
        """The host of the kept connection, where it answered to the end: it needn't be asked again."""
        count = len(errand.recipients)
        self._final: list[Outcome | None] = [None] * count
        self._latest: list[Outcome | None] = [None] * count
        """What the last host said that put them off."""
        self._temporary: Outcome | None = None
        self._permanent: Outcome | None = None

    def left(self) -> list[int]:
        """Recipients whom another host may take, by number."""
        return [number for number, outcome in enumerate(self._final) if outcome is None]

    def note(self, outcome: Outcome, hop: Hop | None) -> None:
        """Remember why a host was of no use. One not reached says less than one that was."""
        self.hop = hop or self.hop
        if outcome.permanent:
            self._permanent = outcome
        elif self._temporary is None or outcome.cause is not Cause.UNREACHABLE:
            self._temporary = outcome

    def forget(self) -> None:
        """Forget what was of no use: all hosts are tried anew."""
        self._temporary = self._permanent = None

    def take(self, batch: Sequence[int], done: Transaction) -> list[int]:
        """Remember what a transaction brought; those that are to be tried again on the same connection."""
        if done.failure is not None:
            self.note(done.failure, None)
        put_off = set(done.put_off)
        for at, number in enumerate(batch):
            outcome = done.outcomes[at]
            if at in put_off:
                self._latest[number] = outcome
            elif outcome is not None:
                self._final[number] = outcome
        return [batch[at] for at in done.crowded]

    def outcomes(self) -> list[Outcome]:
        """All of them. What a host may yet take isn't refused for good because others can't."""
        rest = self._temporary or self._permanent or Outcome(Cause.UNREACHABLE, detail="no host was tried")
        return [final or latest or rest for final, latest in zip(self._final, self._latest, strict=True)]
