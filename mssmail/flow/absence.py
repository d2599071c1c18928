"""Absences: a box's holder, or an administrator for them, says from when to when they are away, and what to answer.

Each change is in the trail, without its words. Whoever writes meanwhile is noted in the transaction that accepts their
message, once for an absence; `absence_answers` tells them soon after.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Principal, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rules import Rule
from mssmail.crypto.format import name_aad
from mssmail.crypto.keys import KeyRing
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.crypto.kms.interface import KeyProviderError
from mssmail.flow.acts import account_of
from mssmail.flow.delegations import Administrator, Giver
from mssmail.flow.house import House
from mssmail.flow.keep import off_loop
from mssmail.flow.queue import Work
from mssmail.identity.credentials import Credentials
from mssmail.mime import automatic
from mssmail.mime.absence import reference_of
from mssmail.mime.headers import HeaderBlock
from mssmail.policy.absence import AnswerFacts, absence, answers
from mssmail.policy.verdict import Deny
from mssmail.store import absences, accounts
from mssmail.store.accounts import AccountRow
from mssmail.store.interface import Transaction


@dataclass(frozen=True, slots=True)
class Absence:
    """From when to when somebody is away, in whole seconds of the epoch, and what they want said, lines ending in LF.

    An empty text: a sentence of ours stands there.
    """

    from_at: int
    until_at: int
    french: str = ""
    english: str = ""

    def state(self, now: float) -> str:
        """`to come`, `in force` or `over`."""
        return "over" if now >= self.until_at else "in force" if now >= self.from_at else "to come"


class AbsenceSeals:
    """Seals and opens what is kept of absences, under their accounts' keys. Safe for threads."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def seal(self, account: AccountId, texts: tuple[str, str]) -> bytes:
        return self._keys.seal_name(account, json.dumps(texts), name_aad(b"absence", account, 0))

    def texts(self, account: AccountId, sealed: bytes) -> tuple[str, str]:
        """French and English. Raises Unsealable, KeyDestroyed."""
        french, english = json.loads(self._keys.open_name(account, sealed, name_aad(b"absence", account, 0)))
        return french, english

    def digest(self, account: AccountId, sender: Address) -> bytes:
        return self._keys.digest("absence", f"{account}:{sender.key}".encode())

    def seal_answer(self, account: AccountId, digest: bytes, sender: Address, reference: str) -> bytes:
        said = json.dumps((str(sender), reference))
        return self._keys.seal_name(account, said, _answer_aad(account, digest))

    def answer(self, account: AccountId, digest: bytes, sealed: bytes) -> tuple[Address, str]:
        """Whom to answer, and which Message-ID. Raises Unsealable, KeyDestroyed."""
        text, reference = json.loads(self._keys.open_name(account, sealed, _answer_aad(account, digest)))
        address = Address.parse(text)
        assert address is not None
        return address, reference


def _answer_aad(account: AccountId, digest: bytes) -> bytes:
    return name_aad(b"answer", account, int.from_bytes(digest[:8], "big"))


class Absences:
    """The use-cases. Each raises Refusal(ACCOUNT_MISSING) for an address without an account."""

    def __init__(self, house: House, credentials: Credentials) -> None:
        self._house = house
        self._credentials = credentials
        self._seals = AbsenceSeals(house.keys)

    async def set(self, by: Giver, box: Address, wanted: Absence) -> None:
        """Set an absence, in place of any there was: everybody may be told anew.

        Raises Refusal(RULE, MECHANISM, NO_RIGHT).
        """

        def write(tx: Transaction) -> None:
            row = changeable(tx, self._credentials, by, box)
            texts = (wanted.french, wanted.english)
            verdict = absence(wanted.from_at, wanted.until_at, tx.now, texts)
            if isinstance(verdict, Deny):
                raise verdict.refusal()
            sealed = self._seals.seal(row.account_id, texts)
            absences.put_in(tx, row.account_id, wanted.from_at, wanted.until_at, sealed)
            accounts.set_rules(tx, row.account_id, row.rules | Rule.ABSENCE)
            said: dict[str, Value] = {"from_at": wanted.from_at, "until_at": wanted.until_at}
            tx.trail(Event(Kind.ABSENCE_SET, row.account_id, str(box), details={**whose(by), **said}))

        await self._house.write.run(write)

    async def clear(self, by: Giver, box: Address) -> bool:
        """Take an absence back; whether there was one. Raises Refusal(NO_RIGHT)."""

        def write(tx: Transaction) -> bool:
            row = changeable(tx, self._credentials, by, box)
            if not absences.drop(tx, row.account_id):
                return False
            accounts.set_rules(tx, row.account_id, row.rules & ~Rule.ABSENCE)
            tx.trail(Event(Kind.ABSENCE_CLEARED, row.account_id, str(box), details=whose(by)))
            return True

        return await self._house.write.run(write)

    async def show(self, box: Address) -> tuple[Absence, int] | None:
        """The absence that was set, over ones too, and how many people were told of it."""

        def read(tx: Transaction) -> tuple[Absence, int] | None:
            account = account_of(tx, self._credentials, box).account_id
            found = absences.find(tx, account)
            if found is None:
                return None
            texts = self._seals.texts(account, found.sealed)
            return Absence(found.from_at, found.until_at, *texts), absences.answered(tx, account)

        return await self._house.read.run(read)


def changeable(tx: Transaction, credentials: Credentials, by: Giver, box: Address) -> AccountRow:
    """A box's row, for whoever may say what becomes of its mail: who owns it, and administrators.

    Raises Refusal(ACCOUNT_MISSING, MECHANISM, NO_RIGHT).
    """
    row = account_of(tx, credentials, box)
    if row.kind == BoxKind.EMP.value:
        raise Refusal(Reason.MECHANISM, "an employee has no box")
    if isinstance(by, Principal) and not (by.account == by.person == row.account_id):
        raise Refusal(Reason.NO_RIGHT, "it is for the box's owner")
    return row


def whose(by: Giver) -> dict[str, Value]:
    """For the trail: who did it."""
    return {"administrator": by.name} if isinstance(by, Administrator) else {"person": int(by.person)}


async def noted(
    house: House, recipients: Sequence[Recipient], sender: Address | None, header: HeaderBlock
) -> list[Work]:
    """What notes, in the transaction that accepts a message, who is to be told of absences. Raises Refusal."""
    automatic_ = automatic.is_automatic(header)
    due = []
    for each in recipients:
        facts = AnswerFacts(
            null_sender=sender is None,
            automatic=automatic_,
            nobodys=sender is not None and automatic.is_nobodys(sender.local),
            own=sender is not None and sender.key == each.address.key,
            named=automatic.names(header, each.address.key),
        )
        if answers(facts):
            due.append(each.account)
    if not due or sender is None:
        return []
    seals, reference = AbsenceSeals(house.keys), reference_of(header.first(b"message-id"))

    def work() -> list[Work]:
        try:
            return [_note(seals, account, sender, reference) for account in due]
        except (KeyDestroyed, KeyProviderError) as error:
            raise Refusal(Reason.UNAVAILABLE, f"absence: {type(error).__name__}") from error

    return await off_loop(house, work)


def _note(seals: AbsenceSeals, account: AccountId, sender: Address, reference: str) -> Work:
    digest = seals.digest(account, sender)
    sealed = seals.seal_answer(account, digest, sender, reference)

    def note(tx: Transaction) -> None:
        found = absences.find(tx, account)
        if found is not None and found.from_at <= tx.now < found.until_at:
            absences.note(tx, account, digest, sealed)

    return note
