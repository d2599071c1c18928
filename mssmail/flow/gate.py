"""The gate: who may be written to, and in whose name, decided before any octet of the message is read.

Knows how the facts are looked up; what follows from them is in `policy`. Each refused recipient is in the trail.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import Beyond, BoxKind, Forward, LetIn, Peer, Principal, Recipient
from mssmail.base.refusal import Refusal
from mssmail.base.rights import NONE
from mssmail.base.rules import Rule
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.directory.model import Box, SnapshotInfo
from mssmail.flow.house import House
from mssmail.flow.lookups import Lookups
from mssmail.flow.onward import open_target
from mssmail.flow.patients import Patients
from mssmail.flow.standing import Standing
from mssmail.identity.credentials import Dossier
from mssmail.metrics.registry import counter
from mssmail.policy.facts import RecipientFacts, SenderFacts
from mssmail.policy.facts import Standing as AccountStanding
from mssmail.policy.receive import receive
from mssmail.policy.send import send
from mssmail.policy.verdict import Deny
from mssmail.store import accounts, delegations, forwards
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

_decided = counter("mssmail_recipients_total", "Recipients by the gate's decision.", labels=("outcome",))
_let_in = _decided.labels(outcome="ok")

REMEMBERED: Final = 20_000
"""Holders whose registration is remembered, some 200 octets each; past that the memory starts anew."""


class Gate:
    """The use-cases before DATA. One read for each call, and one write where something is refused."""

    def __init__(self, house: House, standing: Standing, patients: Patients | None = None) -> None:
        self._house = house
        self._patients = patients or Patients(house)
        self._standing = standing
        self._domains = frozenset(house.settings.server.domains)
        self._lookups = Lookups(house)
        self._struck: dict[tuple[BoxKind, str], bool] = {}
        self._struck_in: SnapshotInfo | None = None

    async def recipient(self, principal: Principal, address: Address, size_octets: int | None = None) -> LetIn:
        """Let a recipient in. `size_octets`: announced by SIZE.

        Raises Refusal(OUTSIDE_TRUST, SUSPENDED, DIRECTORY_STALE, STRUCK_OFF, NO_MAILBOX, NOT_REGISTERED, OVER_QUOTA,
        UNAVAILABLE), traced.
        """
        (decided,) = await self.recipients(principal, (address,), size_octets)
        if isinstance(decided, Refusal):
            raise decided
        return decided

    async def recipients(
        self, principal: Principal, addresses: Sequence[Address], size_octets: int | None = None
    ) -> list[LetIn | Refusal]:
        """The same for recipients that came in one go: each let in, or refused on its own, in their order."""
        rows = await self._rows(addresses)
        decided = [self._decide(a, row, size_octets or 0) for a, row in zip(addresses, rows, strict=True)]
        decided = await self._onward(rows, decided, size_octets)
        await self._trace(principal, addresses, decided)
        return decided

    async def recipients_from(
        self, peer: Peer, sender: Address | None, addresses: Sequence[Address], size_octets: int | None = None
    ) -> list[LetIn | Refusal]:
        """The same where another operator writes, in a sender's name: never beyond our own domains (RELAY, PATIENT)."""
        rows = await self._rows(addresses)
        patient = sender if sender is not None and self._patients.includes(sender) else None
        answered: frozenset[AccountId] = frozenset()
        if patient is not None:
            answered = await self._patients.answered(patient, [row.account_id for row in rows if row is not None])
        decided: list[LetIn | Refusal] = []
        for address, row in zip(addresses, rows, strict=True):
            unanswered = patient is not None and (row is None or row.account_id not in answered)
            outside = Outside(patient_unanswered=unanswered)
            decided.append(self._decide(address, row, size_octets or 0, outside))
        decided = await self._onward(rows, decided, size_octets)
        await self._trace(peer, addresses, decided)
        return decided

    async def foresee(self, addresses: Sequence[Address], size_octets: int | None = None) -> list[LetIn | Refusal]:
        """What `recipients` decides, for an administrator who asks: nobody writes, so nothing is traced."""
        rows = await self._rows(addresses)
        return [self._decide(a, row, size_octets or 0) for a, row in zip(addresses, rows, strict=True)]

    async def _onward(
        self, rows: Sequence[AccountRow | None], decided: list[LetIn | Refusal], size_octets: int | None
    ) -> list[LetIn | Refusal]:
        """The same, each recipient whose mail is forwarded with where to, as that is decided now."""
        boxes = [row.account_id for row in rows if row is not None and Rule.FORWARD in row.rules]
        if not boxes:
            return decided
        targets = await self._house.read.run(lambda tx: self._targets(tx, boxes))
        answers = await self.foresee([target for target, _ in targets.values()], size_octets)
        forward: dict[AccountId, Forward] = {}
        for (box, (target, keep)), to in zip(targets.items(), answers, strict=True):
            forward[box] = Forward(target, replace(to, absent=False) if isinstance(to, Recipient) else to, keep)
        return [
            replace(each, forward=forward.get(each.account)) if isinstance(each, Recipient) else each
            for each in decided
        ]

    def _targets(self, tx: Transaction, boxes: Sequence[AccountId]) -> dict[AccountId, tuple[Address, bool]]:
        """Where boxes' mail goes, and whether they keep it. A row that was altered is nobody's word."""
        targets: dict[AccountId, tuple[Address, bool]] = {}
        for box in dict.fromkeys(boxes):
            row = forwards.find(tx, box)
            if row is not None:
                with suppress(Unsealable, KeyDestroyed):
                    targets[box] = open_target(self._house.keys, box, row.sealed), row.keep
        return targets

    async def _rows(self, addresses: Sequence[Address]) -> list[AccountRow | None]:
        digest = self._standing.credentials.address_digest
        return await self._lookups.rows([digest(a) if self._is_own(a) else None for a in addresses])

    def _is_own(self, address: Address) -> bool:
        return address.domain in self._domains

    def _decide(
        self, address: Address, row: AccountRow | None, size_octets: int, outside: "Outside | None" = None
    ) -> LetIn | Refusal:
        try:
            if outside is not None and (not self._is_own(address) or outside.patient_unanswered):
                # what else is known of the address plays no part
                facts = RecipientFacts(self._is_own(address), from_outside=True, patient_unanswered=True)
            else:
                facts = self._facts(address, row, size_octets)
            verdict = receive(facts)
        except Refusal as refusal:
            return refusal
        if isinstance(verdict, Deny):
            return verdict.refusal()
        if not self._is_own(address):
            return Beyond(address)
        assert row is not None
        return Recipient(address, row.account_id, row.term_s, absent=Rule.ABSENCE in row.rules)

    def _facts(self, address: Address, row: AccountRow | None, size_octets: int) -> RecipientFacts:
        """Raises Refusal(UNAVAILABLE) where the directory is needed and there is none."""
        if not self._is_own(address):
            return self._facts_beyond(address)
        if row is None or row.kind == BoxKind.EMP.value:  # an employee has no box
            stale = self._standing.directory_stale()
            listed, holder_listed = self._listed(address)
            return RecipientFacts(
                own_domain=True, directory_stale=stale, box_listed=listed, box_holder_listed=holder_listed
            )
        suspended = row.state is State.SUSPENDED
        dossier = self._standing.credentials.dossier(row.account_id, row.sealed)
        return RecipientFacts(
            own_domain=True,
            standing=AccountStanding(row.state.value),
            directory_stale=not suspended and self._standing.directory_stale(),
            holder_listed=not suspended and not self._struck_off(dossier),
            octets_left=row.quota_octets - row.used_octets,
            octets_announced=size_octets,
        )

    def _facts_beyond(self, address: Address) -> RecipientFacts:
        """Of another operator's box. Raises Refusal(UNAVAILABLE) where the directory is needed and there is none."""
        white_list = self._house.white_list.current()
        if white_list is None or not white_list.lists(address.domain):
            missing = white_list is None and (
                self._house.white_list.was_given or self._house.settings.trust_list.source
            )
            return RecipientFacts(own_domain=False, list_in_service=not missing)
        if self._patients.includes(address):
            sound = self._patients.is_sound(address)
            return RecipientFacts(own_domain=False, list_in_service=True, domain_listed=True, patient_sound=sound)
        boxes = self._house.directory.box(address.key)
        return RecipientFacts(
            own_domain=False,
            list_in_service=True,
            domain_listed=True,
            directory_stale=self._standing.directory_stale(),
            box_listed=bool(boxes),
            box_holder_listed=self._any_holder_listed(boxes),
            unlisted_boxes=self._house.settings.trust_list.unlisted_boxes,
        )

    def has_left(self, address: Address) -> bool:
        """Whether the directory knows a box beyond our domains and none of its holders any more: what waits for it is
        given up. Nobody has while there is no directory.
        """
        try:
            boxes = self._house.directory.box(address.key)
            return bool(boxes) and not self._any_holder_listed(boxes)
        except Refusal:
            return False

    def _struck_off(self, dossier: Dossier) -> bool:
        """As Standing says, remembered for as long as a snapshot is in service. Raises Refusal(UNAVAILABLE)."""
        snapshot = self._house.directory.info()
        if snapshot is not self._struck_in or len(self._struck) >= REMEMBERED:
            self._struck, self._struck_in = {}, snapshot
        holder = dossier.kind, dossier.holder
        struck = self._struck.get(holder)
        if struck is None:
            struck = self._struck[holder] = self._standing.struck_off(dossier)
        return struck

    def _listed(self, address: Address) -> tuple[bool, bool]:
        """Whether the directory has a box of that address or a professional whose national id it begins with; and
        whether one of its holders is in the newest extract.
        """
        directory = self._house.directory
        boxes = directory.box(address.key)
        if not boxes:
            known = directory.person(address.local.upper()) is not None
            return known, known
        return True, self._any_holder_listed(boxes)

    def _any_holder_listed(self, boxes: Sequence[Box]) -> bool:
        """Whether one of these rows' holders is in the newest extract."""
        directory = self._house.directory
        return any(
            directory.person(box.national_id) is not None
            if box.national_id is not None
            else box.structure_id is None or directory.structure(box.structure_id) is not None
            for box in boxes
        )

    async def _trace(
        self, principal: Principal | Peer, addresses: Sequence[Address], decided: Sequence[LetIn | Refusal]
    ) -> None:
        """Count all, and write the refused ones to the trail in one transaction."""
        events = []
        for address, decision in zip(addresses, decided, strict=True):
            if isinstance(decision, Refusal):
                _decided.labels(outcome=decision.reason.value).inc()
                events.append(_event(Kind.RECIPIENT_REFUSED, principal, address, decision))
            else:
                _let_in.inc()
        if events:

            def write(tx: Transaction) -> None:
                for event in events:
                    tx.trail(event)

            await self._house.write.run(write)

    async def sender(self, principal: Principal, address: Address) -> AccountId:
        """Let somebody write in the name of an address (header From); the box that it is.

        Raises Refusal(NOT_YOUR_ADDRESS, NO_RIGHT, UNAVAILABLE), which the caller traces with its message.
        """
        (box,) = await self.may_write_from(principal, (address,))
        return box

    async def envelope_sender(self, principal: Principal, address: Address) -> None:
        """The same for MAIL FROM, where there is no message yet: traced here."""
        try:
            await self.sender(principal, address)
        except Refusal as refusal:
            event = _event(Kind.SUBMISSION_REFUSED, principal, address, refusal)
            await self._house.write.run(lambda tx: tx.trail(event))
            raise

    async def may_write_from(self, principal: Principal, addresses: Sequence[Address]) -> list[AccountId]:
        """Let somebody write in the name of all these addresses: one's own boxes, and those delegated for that.

        Their boxes, in their order. Raises Refusal(NOT_YOUR_ADDRESS, NO_RIGHT, UNAVAILABLE) for the first that isn't.
        """
        # in one's own box its address needs no look; a delegation may have ended meanwhile, and an employee has no box
        at_home = principal.account == principal.person and principal.kind is not BoxKind.EMP
        own = principal.address.key if at_home else None
        others = {a.key: self._standing.credentials.address_digest(a) for a in addresses if a.key != own}
        boxes: dict[str, AccountId] = {} if own is None else {own: principal.account}
        if others:
            found = await self._house.read.run(lambda tx: self._senders(tx, principal, others))
            for key, (box, facts) in found.items():
                verdict = send(facts)
                if isinstance(verdict, Deny):
                    raise verdict.refusal()
                boxes[key] = box
        return [boxes[address.key] for address in addresses]

    def _senders(
        self, tx: Transaction, principal: Principal, digests: dict[str, bytes]
    ) -> dict[str, tuple[AccountId, SenderFacts]]:
        """By address, the box, and what the person that signed in is to it. Raises Refusal(UNAVAILABLE)."""
        credentials = self._standing.credentials
        person = accounts.by_id(tx, principal.person)
        subject = credentials.dossier(person.account_id, person.sealed).subject
        found: dict[str, tuple[AccountId, SenderFacts]] = {}
        for key, digest in digests.items():
            row = accounts.by_address(tx, digest)
            if row is None or row.state is not State.OPEN:
                found[key] = AccountId(0), SenderFacts(own=False)
                continue
            dossier = credentials.dossier(row.account_id, row.sealed)
            own = dossier.subject == subject and dossier.kind is not BoxKind.EMP
            delegated = NONE if own else delegations.rights(tx, row.account_id, principal.person)
            listed = not delegated or not self._standing.struck_off(dossier)
            found[key] = row.account_id, SenderFacts(own, delegated, listed)
        return found


@dataclass(frozen=True, slots=True)
class Outside:
    """What is known of a recipient that another operator writes to."""

    patient_unanswered: bool
    """Whether it is a patient that writes, and may not to this one."""


def _event(kind: Kind, principal: Principal | Peer, address: Address, refusal: Refusal) -> Event:
    if isinstance(principal, Peer):
        details: dict[str, Value] = {
            "detail": refusal.detail,
            "operator": str(principal.name),
            "client": principal.client,
            "protocol": principal.protocol,
        }
        return Event(kind, 0, str(address), refusal.reason.value, details)
    details = {
        "detail": refusal.detail,
        "person": principal.person,
        "client": principal.client,
        "protocol": principal.protocol,
    }
    return Event(kind, principal.account, str(address), refusal.reason.value, details)
