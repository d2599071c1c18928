"""Telling those who wrote during an absence, once each: mail from the box itself, with a null sender (RFC 3834 §3.3).

A standing task of whichever worker holds the lease, soon after the message was accepted. Only who may be written to by
the gate's rules is told. That somebody was told is written with the answer itself: it comes once, killed or not.
"""

from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind
from mssmail.base.address import Address
from mssmail.base.clock import utc
from mssmail.base.principal import LetIn, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import Wishes
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.flow.absence import AbsenceSeals
from mssmail.flow.deliver import deliver
from mssmail.flow.gate import Gate
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper
from mssmail.flow.queue import Queue
from mssmail.flow.schedule import Alone
from mssmail.identity.credentials import Credentials
from mssmail.metrics.registry import counter
from mssmail.mime.absence import AbsenceNotice, render
from mssmail.mime.trace import return_path, written_by
from mssmail.store import absences, accounts
from mssmail.store.absences import AnswerRow
from mssmail.store.accounts import State
from mssmail.store.interface import Transaction

LOOK_S: Final = 5.0
LEASE: Final = "absence-answers"
_BATCH: Final = 200
_TRIED_S: Final = 86_400
"""How long it is tried where the gate can't decide or a box is full: a later answer tells nobody anything."""
_RETURN_PATH: Final = return_path(None)

_told = counter("mssmail_absence_answers_total", "Answers that somebody is away, by outcome.", labels=("outcome",))


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whom to tell, and what."""

    box: Address
    to: Address
    reference: str
    from_at: int
    until_at: int
    texts: tuple[str, str]


class AbsenceAnswers:
    """The standing task of one worker. Call `look` every `LOOK_S`."""

    def __init__(self, house: House, credentials: Credentials, gate: Gate) -> None:
        self._house = house
        self._credentials = credentials
        self._gate = gate
        self._seals = AbsenceSeals(house.keys)
        self._alone = Alone(house, LEASE)

    async def look(self) -> None:
        """Write the answers that are due. Raises Refusal."""
        await self._alone.each(absences.due, _BATCH, self._tell)

    async def _tell(self, row: AnswerRow) -> None:
        try:
            answer = await self._house.read.run(lambda tx: self._open(tx, row))
        except (Unsealable, KeyDestroyed):
            answer = None  # a row was altered, or the account is gone
        outcome = "over"
        if answer is not None:
            try:
                (decided,) = await self._gate.foresee((answer.to,))
                if isinstance(decided, Refusal):
                    raise decided
                await self._send(row, answer, decided)
                _told.labels(outcome="ok").inc()
                return
            except Refusal as refusal:
                if refusal.reason.temporary and self._house.clock.now() - row.noted_at < _TRIED_S:
                    return
                outcome = refusal.reason.value
        _told.labels(outcome=outcome).inc()
        await self._house.write.run(lambda tx: absences.told(tx, row.account_id, row.digest))

    def _open(self, tx: Transaction, row: AnswerRow) -> _Answer | None:
        """None where nobody is to be told any more: the holder is back, or the box is closed."""
        found, account = absences.find(tx, row.account_id), accounts.by_id(tx, row.account_id)
        if found is None or account.state is not State.OPEN or not found.from_at <= tx.now < found.until_at:
            return None
        to, reference = self._seals.answer(row.account_id, row.digest, row.sealed)
        box = self._credentials.dossier(row.account_id, account.sealed).address
        return _Answer(
            box, to, reference, found.from_at, found.until_at, self._seals.texts(row.account_id, found.sealed)
        )

    async def _send(self, row: AnswerRow, answer: _Answer, to: LetIn) -> None:
        """Raises Refusal."""
        house = self._house
        keeper = Keeper(house)
        ident = f"{keeper.body:x}"

        def told(tx: Transaction) -> None:
            if not absences.told(tx, row.account_id, row.digest):
                raise Refusal(Reason.UNAVAILABLE, "told meanwhile")

        try:
            keeper.write(self._spelt(answer, ident))
            kept = await keeper.finish()
            event = Event(Kind.ABSENCE_TOLD, row.account_id, str(answer.to), details={"id": ident})
            if isinstance(to, Recipient):
                await deliver(house, kept, (to,), event, None, also=(told,))
                return
            wishes = Wishes(utf8=not (answer.box.is_ascii and answer.to.is_ascii))
            skipped = len(_RETURN_PATH)
            queued = await Queue(house).enqueue_work(kept, None, (to,), wishes, skipped_octets=skipped)
            await deliver(house, kept, (), event, None, also=(told, queued))
        except BaseException:
            await keeper.abort()
            raise
        house.bell.ring()

    def _spelt(self, answer: _Answer, ident: str) -> bytes:
        server = self._house.settings.server
        message = render(
            AbsenceNotice(
                str(answer.box),
                str(answer.to),
                f"{ident}.absence@{server.name}",
                answer.reference,
                utc(answer.from_at),
                utc(answer.until_at),
                *answer.texts,
                utc(int(self._house.clock.now())),
            )
        )
        return _RETURN_PATH + written_by(server.name, ident) + message
