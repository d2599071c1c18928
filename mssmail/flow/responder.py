"""Asking OCSP responders at sign-in: over HTTP, in threads of its own, within `trust.ocsp_timeout`.

Knows when to ask, and what was answered lately; what an answer is worth, `identity.ocsp` tells. Several sign-ins with
one certificate ask once. A responder that didn't answer is left alone for a moment, so that it holds nobody up; what
follows from no answer is `standing`'s.
"""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

import structlog

from mssmail.base.refusal import Refusal
from mssmail.fetch import Caller
from mssmail.flow.house import House
from mssmail.identity.certificates import Certificates, Judged, Link
from mssmail.identity.leaf import responder_addresses
from mssmail.identity.ocsp import CONTENT_TYPE, MAX_ANSWER_OCTETS, Answer, Question, Status, Unbelievable, ask, believe
from mssmail.metrics.registry import counter

THREADS: Final = 4
MAX_WAITING: Final = 200
"""Questions under way in a worker; beyond, there is no answer."""
REST_S: Final = 10.0
"""How long a responder that didn't answer isn't asked."""
REMEMBERED: Final = 10_000
_RESTING: Final = 32

_asked = counter("mssmail_ocsp_total", "OCSP at sign-in, by outcome.", labels=("outcome",))
_log = structlog.get_logger("mssmail.ocsp")


class Responder:
    """OCSP as one process asks it. `close` it."""

    def __init__(self, house: House, certificates: Certificates) -> None:
        self._house = house
        self._certificates = certificates
        self._executor: ThreadPoolExecutor | None = None
        self._stop = Event()
        self._answers: OrderedDict[Link, tuple[Answer, float]] = OrderedDict()
        """What was answered, and when that stops serving again."""
        self._asking: dict[Link, asyncio.Task[Answer | None]] = {}
        self._resting: dict[str, float] = {}

    def close(self) -> None:
        """End what is under way."""
        self._stop.set()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def status(self, judged: Judged) -> Status | None:
        """Whether a certificate is good or revoked; None where nobody says so."""
        key = judged.links[0]
        known = self._answers.get(key)
        now = self._house.clock.now()
        if known is not None and now <= known[1]:
            _asked.labels(outcome="remembered").inc()
            return known[0].status
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= MAX_WAITING:
                _asked.labels(outcome="unreachable").inc()
                return None
            task = self._asking[key] = asyncio.create_task(self._ask(key, judged), name="mssmail ocsp")
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # shielded: who leaves must not take the answer from others who wait for it
        answer = await asyncio.shield(task)
        return None if answer is None else answer.status

    async def _ask(self, key: Link, judged: Judged) -> Answer | None:
        address = self._address(judged)
        clock, trust = self._house.clock, self._house.settings.trust
        if address is None or clock.monotonic() < self._resting.get(address, 0.0):
            _asked.labels(outcome="unreachable").inc()
            return None
        outcome = "unreachable"
        try:
            question = ask(judged.path[0], judged.path[1])
            body = await asyncio.wait_for(
                asyncio.get_running_loop().run_in_executor(self._threads(), self._call, address, question),
                trust.ocsp_timeout,
            )
            outcome = "unbelievable"
            answer = believe(body, question, clock.now(), lambda serial: self._certificates.lists(key[0], serial))
        except (Refusal, Unbelievable, TimeoutError, RuntimeError) as error:
            self._rest(address)
            _asked.labels(outcome=outcome).inc()
            _log.warning("no answer from OCSP", outcome=outcome, cause=_words(error))
            return None
        _asked.labels(outcome=answer.status.value).inc()
        if answer.status is Status.UNKNOWN:
            return None
        self._remember(key, answer)
        return answer

    def _address(self, judged: Judged) -> str | None:
        given = self._house.settings.trust.ocsp_responder
        if given:
            return given
        return next(iter(responder_addresses(judged.path[0])), None)

    def _threads(self) -> ThreadPoolExecutor:
        """Made when first needed. Raises RuntimeError after `close`."""
        if self._executor is None and not self._stop.is_set():
            self._executor = ThreadPoolExecutor(THREADS, "mssmail-ocsp")
        if self._executor is None:
            raise RuntimeError("stopped")
        return self._executor

    def _call(self, address: str, question: Question) -> bytes:
        """Blocks; raises Refusal(UNAVAILABLE)."""
        limit = float(self._house.settings.trust.ocsp_timeout)
        with Caller(self._house.clock, self._stop, limit, allow_clear=True) as caller:
            response = caller.post(address, question.octets, {"Content-Type": CONTENT_TYPE})
            body = b"".join(caller.read(response, MAX_ANSWER_OCTETS))
            if response.status != 200:
                raise Unbelievable(f"the responder answers {response.status}")
            return body

    def _rest(self, address: str) -> None:
        if len(self._resting) >= _RESTING:
            self._resting.clear()
        self._resting[address] = self._house.clock.monotonic() + REST_S

    def _remember(self, key: Link, answer: Answer) -> None:
        serves = min(answer.until, self._house.clock.now() + self._house.settings.trust.ocsp_max_age)
        self._answers[key] = answer, serves
        self._answers.move_to_end(key)
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)


def _words(error: Exception) -> str:
    match error:
        case Refusal():
            return error.detail
        case TimeoutError():
            return "no answer in time"
    return str(error)
