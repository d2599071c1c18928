"""Signing in: a certificate, or a password with its code, becomes a Principal, or a refusal; either is in the trail.

What a refused peer hears: CREDENTIALS for an unknown login, a wrong password, a wrong or used code, all in the same
time; LOCKED while failures keep it from being judged. Who has proved who they are hears SUSPENDED, STRUCK_OFF,
NOT_DELEGATED as they are. A certificate that isn't taken is CERTIFICATE, whatever was wrong with it.

The trail never holds a login that was typed unless it is a known account's address: people type passwords there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Door, Mechanism, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import FULL, NONE, Delegation, Right
from mssmail.base.saslprep import saslprep
from mssmail.base.secret import Secret
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.flow.turns import Turns
from mssmail.identity import authenticate
from mssmail.identity.authenticate import Attempt, Proof, Proved, Seen, Settled
from mssmail.identity.certificates import Holder
from mssmail.identity.credentials import Dossier
from mssmail.identity.lockout import Subject, delay_s
from mssmail.metrics.registry import counter
from mssmail.policy.access import access
from mssmail.policy.facts import AccessFacts
from mssmail.policy.facts import Standing as AccountStanding
from mssmail.policy.verdict import Deny
from mssmail.store import accounts, delegations
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

SIGNED_IN_EVERY_S: Final = 60
"""`signed_in_at` is for the rule on boxes unused for a year; a minute more or less says nothing."""
LOCKED_DELAY_S: Final = 1.0
LOCKED_TRACED_EVERY_S: Final = 60.0
GRANTED: Final = frozenset({"smtp", "imap"})
"""Protocols on which a grant spares new codes. HTTPS has sessions of its own, and takes each code once."""
DAY_S: Final = 86_400
EXPIRE_EVERY_S: Final = 600.0
"""How often failures that count no more are swept out, by the sign-in that comes next."""
_MAX_TRACED: Final = 10_000
_MAX_NOTED: Final = 20_000
_KNOWN: Final = 5_000
"""Sign-ins of each kind that are known again, some 1 KB each; past that the memory starts anew."""
NEEDED: Final = {"imap": Right.READ, "smtp": Right.SEND}
"""What a delegate must be allowed in the box that they sign in to, by protocol."""

_sign_ins = counter("mssmail_sign_ins_total", "Sign-ins by outcome.", labels=("protocol", "mechanism", "outcome"))
_counted = cache(_sign_ins.labels)
_hashes = counter("mssmail_password_checks_total", "Sign-ins for which Argon2 had to run.")


@dataclass(frozen=True, slots=True)
class Asked:
    """The box that somebody asks to open."""

    person: AccountRow
    box: AccountRow | None
    """None where no such box is known to them."""
    same_box: bool
    delegation: Delegation | None = None
    """Of a box that isn't theirs, in force or not."""


class Login:
    """The one way to a Principal."""

    def __init__(
        self,
        house: House,
        standing: Standing,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`pause` holds back the answers to failures."""
        self._house = house
        self._standing = standing
        self._pause = pause
        self._door = authenticate.Door(house.keys, standing.credentials, house.settings.auth, house.clock)
        self._turns = Turns(house.clock, house.password_slots)
        self._noted: dict[tuple[int, str], int] = {}
        """The day on which a sign-in of an account from a client's address was last noted among its places."""
        self._swept_at = house.clock.monotonic()
        self._traced: dict[bytes, tuple[float, int]] = {}
        self._by_subject: dict[tuple[str, str], Asked] = {}
        self._by_login: dict[tuple[bytes, bytes, str], tuple[Seen, Asked]] = {}
        """What a good sign-in to one's own box found, for the next one like it. Nothing is believed of it: its epochs,
        its grant and the locks are asked for in the transaction that lets somebody in; where they differ, all is
        read again."""

    def renew(self) -> None:
        """Take up the house's present settings. Takes the time of one Argon2id hash where `auth` changed."""
        self._door.renew(self._house.settings.auth)

    def certificate_acceptable(self, door: Door) -> bool:
        """Whether EXTERNAL is offered: to anybody who showed a certificate that TLS verified.

        Whether it is good for anything is said when it is used: a client with a revoked one hears so.
        """
        return door.certificate is not None

    # --- certificates ---

    async def by_certificate(self, door: Door, authzid: str) -> Principal:
        """SASL EXTERNAL (RFC 4422 appendix A). Empty authzid: one's own box, the oldest of several.

        Raises Refusal(CERTIFICATE, NOT_DELEGATED, SUSPENDED, STRUCK_OFF, UNAVAILABLE), traced. Failure counters have no
        say here: a certificate can't be guessed.
        """
        try:
            holder = await self._standing.judge(door.certificate)
        except Refusal as refusal:
            raise await self._refuse(door, Mechanism.EXTERNAL, None, refusal) from None
        key = (holder.subject, authzid)
        known = self._by_subject.get(key)
        if known is not None and self._access(door, known) is None:
            principal = await self._enter_by(door, holder, known, authzid)
            if principal is not None:
                return principal
            self._by_subject.pop(key, None)
        digest, wanted = self._standing.credentials.subject_digest(holder.subject), address_of(authzid)
        asked = await self._house.read.run(lambda tx: self._ask_by_subject(tx, digest, authzid, wanted))
        if asked is None:
            nobody = Refusal(Reason.CERTIFICATE, "names nobody here")
            raise await self._refuse(door, Mechanism.EXTERNAL, None, nobody)
        refused = self._access(door, asked)
        if refused is not None:
            raise await self._refuse(door, Mechanism.EXTERNAL, asked.person, refused)
        principal = await self._enter_by(door, holder, asked, authzid)
        if principal is None:
            raise Refusal(Reason.UNAVAILABLE, "the account changed meanwhile")
        return principal

    async def _enter_by(self, door: Door, holder: Holder, asked: Asked, authzid: str) -> Principal | None:
        """Let a certificate's holder in; None where the account isn't any more what was found."""
        principal = replace(
            self._principal(door, Mechanism.EXTERNAL, asked), serial=holder.serial, issuer=holder.issuer
        )
        details: dict[str, Value] = {"serial": f"{holder.serial:x}"}
        login = self._door.lockout.login(self._dossier(asked.person).address.key, known=True)

        def write(tx: Transaction) -> bool:
            if not self._entered(tx, principal, details):
                return False
            if self._door.lockout.lift(tx, login):
                tx.trail(Event(Kind.BAN_CLEARED, principal.person, login.shown, details={"by": "certificate"}))
            return True

        if not await self._house.write.run(write):
            return None
        if asked.same_box:
            if len(self._by_subject) >= _KNOWN:
                self._by_subject.clear()
            self._by_subject[holder.subject, authzid] = asked
        self._welcome(door, principal)
        return principal

    def _ask_by_subject(self, tx: Transaction, digest: bytes, authzid: str, wanted: Address | None) -> Asked | None:
        """The boxes that a certificate opens, oldest first; None where it opens none."""
        own = [row for row in accounts.by_subject(tx, digest) if row.state is not State.CLOSED]
        if not own:
            return None
        if not authzid:
            return Asked(own[0], own[0], same_box=True)
        box = None if wanted is None else accounts.by_address(tx, self._standing.credentials.address_digest(wanted))
        if box is None:
            return Asked(own[0], None, same_box=False)
        for row in own:
            if row.account_id == box.account_id:
                return Asked(row, row, same_box=True)
        for row in own:
            given = delegations.find(tx, box.account_id, row.account_id)
            if row.state is State.OPEN and given is not None and given.at(tx.now):
                return Asked(row, box, same_box=False, delegation=given)
        return Asked(own[0], box, same_box=False)

    # --- passwords ---

    async def by_password(self, door: Door, authzid: str, login: str, secret: Secret) -> Principal:
        """SASL PLAIN and LOGIN, IMAP's LOGIN: the password with the six digits of the code straight after it.

        Empty authzid: the login's own box; else an address that is the login's own or delegated to it.
        Raises Refusal(CREDENTIALS, LOCKED, NOT_DELEGATED, SUSPENDED, STRUCK_OFF, UNAVAILABLE), traced.
        """
        attempt = self._door.attempt(door.client, login, secret, grants=door.protocol in GRANTED)
        known = await self._by_known(door, attempt, authzid)
        if known is not None:
            return known
        seen, asked = await self._house.read.run(lambda tx: self._look(tx, attempt, authzid))
        if seen.locked is not None:
            raise await self._keep_out(door, Mechanism.PASSWORD, seen.row, seen.locked)
        refused = None if asked is None else self._access(door, asked)
        proved = self._door.recall(attempt, seen) or await self._prove(attempt, seen)
        sweep = self._sweep_due()

        def write(tx: Transaction) -> Settled:
            settled = self._door.settle(tx, attempt, seen, proved, None if refused is None else refused.reason)
            if sweep:
                self._door.lockout.expire(tx)
            if settled.reason is None:
                assert asked is not None
                principal = self._principal(door, Mechanism.PASSWORD, asked)
                self._signed_in(tx, principal, {"proof": settled.proof.value})
            else:
                self._trace_refused(tx, door, attempt, seen, refused, settled)
            return settled

        settled = await self._house.write.run(write)
        if settled.reason is not None:
            raise await self._told(door, settled)
        assert asked is not None
        self._door.remember(asked.person.account_id, attempt, settled)
        if settled.grant is not None and seen.row is not None and asked.same_box:
            if len(self._by_login) >= _KNOWN:
                self._by_login.clear()
            found = Seen(replace(seen.row, secrets=settled.secrets), settled.grant, None)
            self._by_login[attempt.digest, attempt.grant_client, authzid] = found, asked
        principal = self._principal(door, Mechanism.PASSWORD, asked)
        self._welcome(door, principal)
        return principal

    async def _by_known(self, door: Door, attempt: Attempt, authzid: str) -> Principal | None:
        """What was accepted before in the same grant, in one transaction and no other; None: look at it anew."""
        key = (attempt.digest, attempt.grant_client, authzid)
        seen, asked = self._by_login.get(key, (None, None))
        if seen is None or asked is None:
            return None
        proved = self._door.recall(attempt, seen)
        if proved is None or proved.proof is not Proof.REMEMBERED or self._access(door, asked) is not None:
            return None
        principal = self._principal(door, Mechanism.PASSWORD, asked)
        details: dict[str, Value] = {"proof": Proof.REMEMBERED.value}

        def write(tx: Transaction) -> bool:
            return self._door.still_holds(tx, attempt, seen) and self._entered(tx, principal, details)

        if not await self._house.write.run(write):
            self._by_login.pop(key, None)
            return None
        self._welcome(door, principal)
        return principal

    def _look(self, tx: Transaction, attempt: Attempt, authzid: str) -> tuple[Seen, Asked | None]:
        seen = self._door.look(tx, attempt)
        if seen.row is None or seen.locked is not None:
            return seen, None
        return seen, self._ask(tx, seen.row, authzid)

    def _ask(self, tx: Transaction, row: AccountRow, authzid: str) -> Asked:
        """The box that an account's holder asks for: their own where they name none."""
        wanted = address_of(authzid)
        if not authzid or (wanted is not None and wanted.key == self._dossier(row).address.key):
            return Asked(row, row, same_box=True)
        box = None if wanted is None else accounts.by_address(tx, self._standing.credentials.address_digest(wanted))
        given = None if box is None else delegations.find(tx, box.account_id, row.account_id)
        return Asked(row, box, same_box=False, delegation=given)

    def _sweep_due(self) -> bool:
        now = self._house.clock.monotonic()
        if now - self._swept_at < EXPIRE_EVERY_S:
            return False
        self._swept_at = now
        return True

    async def _prove(self, attempt: Attempt, seen: Seen) -> Proved:
        """Verify off the loop, in turn. Raises Refusal(UNAVAILABLE) where too many wait already."""

        async def work() -> Proved:
            _hashes.inc()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._house.password_work, self._door.prove, attempt, seen)

        return await self._turns.take(attempt.client.shown or "", work, known=seen.known_place)

    async def _told(self, door: Door, settled: Settled) -> Refusal:
        """Count a refusal, hold it back where it was a failure, and reduce it to what the peer may hear."""
        assert settled.reason is not None
        self._count(door, Mechanism.PASSWORD, settled.reason)
        if settled.failed is not None:
            await self._pause(delay_s(settled.failed.before))
        elif settled.reason in (Reason.LOCKED, Reason.GRANT_ENDED):
            await self._pause(LOCKED_DELAY_S)
        return Refusal(Reason.CREDENTIALS if settled.reason is Reason.CODE_USED else settled.reason)

    async def _keep_out(self, door: Door, mechanism: Mechanism, row: AccountRow | None, locked: Subject) -> Refusal:
        """Turn away who is locked: all are counted, and one a minute is traced with how many it stands for."""
        self._count(door, mechanism, Reason.LOCKED)
        now = self._house.clock.monotonic()
        traced_at, unwritten = self._traced.get(locked.digest, (now - LOCKED_TRACED_EVERY_S, 0))
        if now - traced_at < LOCKED_TRACED_EVERY_S:
            self._traced[locked.digest] = traced_at, unwritten + 1
        else:
            if len(self._traced) >= _MAX_TRACED:
                self._traced.clear()
            self._traced[locked.digest] = now, 0
            event = self._refused_event(door, mechanism, row, Reason.LOCKED, {"attempts": unwritten + 1})
            await self._house.write.run(lambda tx: tx.trail(event))
        await self._pause(LOCKED_DELAY_S)
        return Refusal(Reason.LOCKED)

    # --- what both share ---

    def _access(self, door: Door, asked: Asked) -> Refusal | None:
        """Raises Refusal(UNAVAILABLE) where the directory can't be asked."""
        box, listed = asked.box, self._standing.listed(asked.person)
        facts = AccessFacts(
            AccountStanding(asked.person.state.value),
            holder_listed=listed,
            same_box=asked.same_box,
            delegated=NONE if asked.delegation is None else asked.delegation.at(self._house.clock.now()),
            box_standing=None if box is None else AccountStanding(box.state.value),
            box_holder_listed=listed if box is asked.person else box is not None and self._standing.listed(box),
            needed=NEEDED.get(door.protocol, FULL),
            source_allowed=self._dossier(asked.person).limits.lets_in(door.client),
        )
        verdict = access(facts)
        return verdict.refusal() if isinstance(verdict, Deny) else None

    def _dossier(self, row: AccountRow) -> Dossier:
        return self._standing.credentials.dossier(row.account_id, row.sealed)

    def _principal(self, door: Door, mechanism: Mechanism, asked: Asked) -> Principal:
        assert asked.box is not None
        return Principal(
            person=asked.person.account_id,
            account=asked.box.account_id,
            address=self._dossier(asked.box).address,
            kind=BoxKind(asked.box.kind),
            mechanism=mechanism,
            epoch=asked.person.epoch + asked.box.epoch,
            client=door.client,
            protocol=door.protocol,
            rights=FULL if asked.delegation is None else asked.delegation.rights,
            delegated_until=None if asked.delegation is None else asked.delegation.until_at,
            limits=self._dossier(asked.person).limits,
        )

    def _signed_in(self, tx: Transaction, principal: Principal, more: dict[str, Value]) -> None:
        """Note it and trace it. Raises Refusal(UNAVAILABLE) where an account changed between the look and now."""
        if not self._entered(tx, principal, more):
            raise Refusal(Reason.UNAVAILABLE, "the account changed meanwhile")

    def _entered(self, tx: Transaction, principal: Principal, more: dict[str, Value]) -> bool:
        """Note it and trace it; False, and nothing written, where an account changed between the look and now."""
        now, same = int(tx.now), principal.person == principal.account
        numbers = (principal.person,) if same else (principal.person, principal.account)
        found = [accounts.presence(tx, number) for number in numbers]
        if sum(epoch for epoch, _ in found) * (2 if same else 1) != principal.epoch:
            return False
        if not same and not _still_delegated(tx, principal):
            return False
        for number, (_, signed_in_at) in zip(numbers, found, strict=True):
            if now - signed_in_at >= SIGNED_IN_EVERY_S:
                accounts.signed_in(tx, number, now)
        if self._noted.get((principal.person, principal.client)) != now // DAY_S:
            self._note_place(tx, principal)
        details: dict[str, Value] = {
            "protocol": principal.protocol,
            "mechanism": principal.mechanism.value,
            "client": principal.client,
            "person": principal.person,
            **more,
        }
        tx.trail(Event(Kind.SIGNED_IN, principal.account, str(principal.address), details=details))
        return True

    def _note_place(self, tx: Transaction, principal: Principal) -> None:
        row = accounts.by_id(tx, principal.person)
        told = row.kind == BoxKind.PER.value and tx.now - row.created_at > DAY_S
        self._door.places.note(tx, principal.person, principal.client, tell=told and self._house.settings.auth.notices)

    def _trace_refused(
        self, tx: Transaction, door: Door, attempt: Attempt, seen: Seen, refused: Refusal | None, settled: Settled
    ) -> None:
        assert settled.reason is not None
        more: dict[str, Value] = {}
        if refused is not None and settled.reason is refused.reason:
            more["detail"] = refused.detail
        tx.trail(self._refused_event(door, Mechanism.PASSWORD, seen.row, settled.reason, more))
        for subject in settled.failed.newly_locked if settled.failed is not None else ():
            until = int(tx.now) + self._house.settings.auth.lock_time
            account = 0 if seen.row is None or subject is attempt.client else seen.row.account_id
            tx.trail(Event(Kind.BANNED, account, subject.shown, Reason.LOCKED.value, {"until": until}))

    def _refused_event(
        self, door: Door, mechanism: Mechanism, row: AccountRow | None, reason: Reason, more: dict[str, Value]
    ) -> Event:
        details: dict[str, Value] = {
            "protocol": door.protocol,
            "mechanism": mechanism.value,
            "client": door.client,
            **more,
        }
        account = AccountId(0) if row is None else row.account_id
        subject = None if row is None else str(self._dossier(row).address)
        return Event(Kind.SIGN_IN_REFUSED, account, subject, reason.value, details)

    async def _refuse(self, door: Door, mechanism: Mechanism, row: AccountRow | None, refusal: Refusal) -> Refusal:
        """Count and trace a refusal; one that the trail can't take is a refusal all the same."""
        self._count(door, mechanism, refusal.reason)
        event = self._refused_event(door, mechanism, row, refusal.reason, {"detail": refusal.detail})
        try:
            await self._house.write.run(lambda tx: tx.trail(event))
        except Refusal:
            pass
        return refusal

    def _welcome(self, door: Door, principal: Principal) -> None:
        """After the commit: count a good sign-in, and know its place as noted."""
        self._count(door, principal.mechanism, None)
        if len(self._noted) >= _MAX_NOTED:
            self._noted.clear()
        self._noted[principal.person, principal.client] = int(self._house.clock.now()) // DAY_S

    def _count(self, door: Door, mechanism: Mechanism, reason: Reason | None) -> None:
        outcome = "ok" if reason is None else reason.value
        _counted(protocol=door.protocol, mechanism=mechanism.value, outcome=outcome).inc()


def _still_delegated(tx: Transaction, principal: Principal) -> bool:
    """Whether the delegation is what the sign-in found."""
    given = delegations.find(tx, principal.account, principal.person)
    return given is not None and (given.at(tx.now), given.until_at) == (principal.rights, principal.delegated_until)


def address_of(authzid: str) -> Address | None:
    """The box that an authzid names; None where it is empty or no address."""
    prepared = saslprep(authzid) if authzid else None
    return None if prepared is None else Address.parse(prepared)
