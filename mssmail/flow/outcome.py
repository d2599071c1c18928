"""What follows from how an attempt ended: for each recipient its state, the trail, the sender's report; for the domain
a pause.

All of it is written in one transaction (`Ended.write`). The trail has codes and hosts, never what a peer said in words:
that is in the trace, sealed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.refusal import Reason
from mssmail.base.relay import Answer, Attempt, Cause, Hop, Outcome
from mssmail.crypto.keys import KeyRing
from mssmail.flow.bounce import Bounces, Fate, Notices, Sent
from mssmail.flow.house import House
from mssmail.flow.letter import Addressee, Letter
from mssmail.flow.queue import seal_row, unseal_row
from mssmail.flow.throttle import Throttle
from mssmail.flow.tls_report import result_of
from mssmail.metrics.registry import counter
from mssmail.mime.report import Action
from mssmail.policy.retry import pause_s
from mssmail.store import queue_domains, queue_lease, queue_tls
from mssmail.store.interface import Transaction
from mssmail.store.queue_lease import Leased, Result
from mssmail.store.queue_state import State

INTERRUPTED: Final = "interrupted"
"""The worker that had it in hand ended."""
ERASED: Final = "erased"
"""The message's term ended before it could be sent."""
UNREADABLE: Final = "unreadable"
"""Its row was altered or moved."""
LONGEST_PROBE_S: Final = 600
"""Longest pause between two probes of a domain that fails: a server that is back isn't left waiting for hours."""

DOWN: Final = frozenset(
    {
        Cause.DNS_FAILED,
        Cause.DNS_TIMED_OUT,
        Cause.UNREACHABLE,
        Cause.NO_STARTTLS,
        Cause.TLS_FAILED,
        Cause.CERTIFICATE,
        Cause.EXPIRED,
        Cause.REVOKED,
        Cause.NOT_LISTED,
        Cause.UNJUDGED,
        Cause.LOST,
        Cause.TIMED_OUT,
        Cause.GARBAGE,
    }
)
"""What speaks of a domain's server rather than of a message."""
_CLOSING: Final = 421
"""RFC 5321 §3.8: the server isn't available, and closes the connection."""

_outcomes = counter("mssmail_relay_outcomes_total", "Attempts by what came of them, for each recipient.", ("outcome",))


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt as the trace keeps it."""

    hop: Hop | None
    answer: Answer | None
    detail: str
    in_doubt: bool


NOT_TRIED: Final = Tried(None, None, "", False)


def seal_tried(keys: KeyRing, queue_id: int, number: int, hop: Hop | None, outcome: Outcome) -> bytes:
    """For `queue_attempts.sealed`."""
    content: dict[str, object] = {}
    if hop is not None:
        content["h"] = [hop.host, hop.client, hop.tls, hop.cipher, hop.operator, hop.dsn]
    if outcome.answer is not None:
        content["a"] = [outcome.answer.code, outcome.answer.status, outcome.answer.text]
    if outcome.detail:
        content["f"] = outcome.detail
    if outcome.in_doubt:
        content["x"] = True
    return seal_row(keys, b"qtried", queue_id, number, content)


def open_tried(keys: KeyRing, queue_id: int, number: int, sealed: bytes | None) -> Tried:
    """Raises Unsealable where the row was altered or moved."""
    said = unseal_row(keys, b"qtried", queue_id, number, sealed) if sealed else {}
    hop, answer = said.get("h"), said.get("a")
    return Tried(
        None if hop is None else Hop(*hop),
        None if answer is None else Answer(*answer),
        said.get("f", ""),
        said.get("x", False),
    )


@dataclass(slots=True)
class Ended:
    """What is to be written of an errand. `write` it in a transaction, then `done`."""

    leased: Leased
    results: list[Result] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    notices: Notices = field(default_factory=Notices)
    down: Cause | None = None
    """What was wrong with the domain's server, where that is news to this worker."""
    retry_at: int = 0
    tls: str = ""
    """How TLS went, for the report; empty where it wasn't come to."""
    well: bool = False
    """Whether the domain's server took it, or said no in good order."""

    def write(self, tx: Transaction) -> bool:
        """False where the lease was lost meanwhile. Raises Refusal(UNAVAILABLE)."""
        digest = self.leased.domain_digest
        mine = queue_lease.settle(tx, self.leased, self.results)
        if self.down is not None:
            queue_domains.failed(tx, digest, self.down.value, self.retry_at)
        elif self.well:
            queue_domains.well(tx, digest)
        elif not self.retry_at:
            queue_domains.end_probe(tx, digest)  # the message couldn't be opened: the domain was never asked
            queue_domains.refresh(tx, digest)
        if mine:
            self.notices.put(tx)
        if self.tls:
            queue_tls.count(tx, digest, self.tls)
        for event in self.events:
            if mine or event.kind is Kind.RELAYED:
                tx.trail(event)  # else another worker has it in hand, and says how it ends
        return mine

    def done(self) -> None:
        self.notices.done()
        for each in self.results:
            _outcomes.labels(outcome=each.cause).inc()


class Outcomes:
    """Judges attempts."""

    def __init__(self, house: House, bounces: Bounces, chance: Callable[[], float]) -> None:
        self._house = house
        self._bounces = bounces
        self._chance = chance

    def judge(self, letter: Letter, attempt: Attempt, throttle: Throttle, failures: int, most: int) -> Ended:
        """What follows. `failures`: the domain's, in a row; `most`: errands to it at once."""
        now = self._house.clock.now()
        ended = Ended(letter.leased, tls=result_of(attempt))
        trouble = _trouble(attempt.outcomes)
        if trouble is None:
            # a fault of ours says nothing of the domain's server
            ended.well = not all(outcome.cause is Cause.FAULT for outcome in attempt.outcomes)
            if ended.well:
                throttle.went_well(most)
        else:
            throttle.failed()
            if throttle.retry_at <= now:
                settings = self._house.settings.queue
                longest = min(settings.longest_retry, LONGEST_PROBE_S)
                throttle.retry_at = now + pause_s(failures + 1, settings.first_retry, longest, self._chance())
                ended.down = trouble
            ended.retry_at = int(throttle.retry_at)
        for addressee, outcome in zip(letter.addressees, attempt.outcomes, strict=True):
            self._add(ended, letter, addressee, outcome, attempt.hop)
        return ended

    def _add(self, ended: Ended, letter: Letter, to: Addressee, outcome: Outcome, hop: Hop | None) -> None:
        now, leased = self._house.clock.now(), letter.leased
        attempt = to.attempts + 1
        over = now >= leased.expires_at
        due_at = 0
        if outcome.cause is Cause.DELIVERED:
            state, kind, action = State.RELAYED, Kind.RELAYED, Action.RELAYED
        elif outcome.permanent or over:
            state, kind, action = State.FAILED, Kind.RELAY_FAILED, Action.FAILED
        else:
            state, kind = State.WAITING, Kind.RELAY_DEFERRED
            settings = self._house.settings.queue
            if ended.retry_at and outcome.cause not in (Cause.LOST, Cause.TIMED_OUT):
                due_at = ended.retry_at
            else:
                due_at = int(now) + pause_s(attempt, settings.first_retry, settings.longest_retry, self._chance())
        code = 0 if outcome.answer is None else outcome.answer.code
        sealed = seal_tried(self._house.keys, leased.queue_id, to.number, hop, outcome)
        ended.results.append(Result(to.number, attempt, state, due_at, outcome.cause.value, code, sealed))
        details = _details(letter.ident, attempt, outcome, hop)
        told = "ok" if state is State.RELAYED else outcome.cause.value
        ended.events.append(Event(kind, int(leased.account_id), str(to.beyond.address), told, details))
        if state is not State.WAITING:
            ended.fates.append(Fate.of_attempt(to.beyond, action, outcome, hop, now))

    def gone(self, letter: Letter, left: Sequence[Addressee] = ()) -> Ended:
        """The body was erased before it could be sent. `left`: recipients that were parted from the letter."""
        ended = Ended(letter.leased)
        for to in (*letter.addressees, *left):
            self._give_up(ended, letter, to, ERASED, "5.4.7")
        return ended

    def struck_off(self, letter: Letter, left: Sequence[Addressee], ended: Ended | None = None) -> Ended:
        """These recipients are in the directory no more; `ended`: what came of the others."""
        ended = ended or Ended(letter.leased)
        for to in left:
            self._give_up(ended, letter, to, Reason.STRUCK_OFF.value, "5.1.6")
        return ended

    def _give_up(self, ended: Ended, letter: Letter, to: Addressee, cause: str, status: str) -> None:
        ended.results.append(Result(to.number, to.attempts + 1, State.FAILED, 0, cause, 0, b""))
        details: dict[str, Value] = {"id": letter.ident}
        ended.events.append(Event(Kind.RELAY_FAILED, int(letter.leased.account_id), str(to.address), cause, details))
        ended.fates.append(Fate(to.address, to.beyond.wishes, Action.FAILED, status))

    def unreadable(self, leased: Leased, rows: Sequence[tuple[int, int]], ended: Ended | None = None) -> Ended:
        """These rows were altered: nobody can be told of whom they were about; `ended`: what came of the others."""
        ended = ended or Ended(leased)
        for number, attempts in rows:
            ended.results.append(Result(number, attempts + 1, State.FAILED, 0, UNREADABLE, 0, b""))
        if rows:
            details: dict[str, Value] = {"id": f"{leased.queue_id:x}", "recipients": len(rows)}
            ended.events.append(Event(Kind.RELAY_FAILED, int(leased.account_id), None, UNREADABLE, details))
        return ended

    async def tell(self, ended: Ended, letter: Letter) -> None:
        """Make ready what the sender is to be told. Raises Refusal where that may pass."""
        sender, wishes = letter.envelope.sender, letter.envelope.wishes
        if sender is None or not any(fate.is_told(wishes) for fate in ended.fates):
            return
        sent = Sent(letter.ident, sender, wishes, letter.leased.created_at, await letter.text.header())
        ended.notices = await self._bounces.notices(sent, ended.fates)


def _trouble(outcomes: Sequence[Outcome]) -> Cause | None:
    """What was wrong with the server, where it was that."""
    for outcome in outcomes:
        if outcome.cause in DOWN:
            return outcome.cause
        if outcome.cause is Cause.DEFERRED and outcome.answer is not None and outcome.answer.code == _CLOSING:
            return outcome.cause
    return None


def _details(ident: str, attempt: int, outcome: Outcome, hop: Hop | None) -> dict[str, Value]:
    details: dict[str, Value] = {"id": ident, "attempt": attempt, "status": outcome.status}
    if outcome.answer is not None:
        details["code"] = outcome.answer.code
    if outcome.in_doubt:
        details["in_doubt"] = True
    if hop is not None:
        for name in ("host", "client", "tls", "cipher", "operator"):
            if value := getattr(hop, name):
                details[name] = value
    return details
