"""How TLS to other operators' hosts went, as RFC 8460 §4.4 lays a report out. Kept here; nothing is sent to anybody.

Counted are attempts to give a message, of which several may share a session; the names are the RFC's. The policy is our
own (`no-policy-found`): TLS always, and a certificate that the white list gives the domain.
"""

from typing import Final

from mssmail.base.clock import utc
from mssmail.base.relay import Attempt, Cause
from mssmail.flow.house import House
from mssmail.flow.queue import Seals
from mssmail.store import queue_tls
from mssmail.store.queue_tls import DAY_S

SUCCESSFUL: Final = "successful"
FAILURES: Final = {
    Cause.NO_STARTTLS: "starttls-not-supported",
    Cause.CERTIFICATE: "certificate-not-trusted",
    Cause.EXPIRED: "certificate-expired",
    Cause.REVOKED: "certificate-not-trusted",
    Cause.NOT_LISTED: "certificate-not-trusted",
    Cause.TLS_FAILED: "validation-failure",
}
"""Result types of RFC 8460 §4.3. What is missing on our side is nobody's failure of TLS."""


def result_of(attempt: Attempt) -> str:
    """How TLS went in an attempt; empty where it wasn't come to."""
    for outcome in attempt.outcomes:
        if outcome.cause in FAILURES:
            return FAILURES[outcome.cause]
    return SUCCESSFUL if attempt.hop is not None and attempt.hop.tls else ""


async def report(house: House, at: float | None = None) -> dict[str, object]:
    """The report on the day (UTC) that a moment lies in, or on yesterday. Raises Refusal(UNAVAILABLE)."""
    day = int(house.clock.now()) // DAY_S - 1 if at is None else int(at) // DAY_S
    rows = await house.read.run(lambda tx: queue_tls.of_day(tx, day))
    seals, by_domain = Seals(house.keys), dict[str, dict[str, int]]()
    for digest, sealed, result, count in rows:
        by_domain.setdefault(seals.open_domain(digest, sealed), {})[result] = count
    server, date = house.settings.server, f"{utc(day * DAY_S):%Y-%m-%d}"
    return {
        "organization-name": server.name,
        "date-range": {"start-datetime": f"{date}T00:00:00Z", "end-datetime": f"{date}T23:59:59Z"},
        "contact-info": f"postmaster@{server.domains[0]}",
        "report-id": f"{date}.{server.name}",
        "policies": [_policy(domain, by_domain[domain]) for domain in sorted(by_domain)],
    }


def _policy(domain: str, counts: dict[str, int]) -> dict[str, object]:
    failures = {result: count for result, count in sorted(counts.items()) if result != SUCCESSFUL}
    return {
        "policy": {"policy-type": "no-policy-found", "policy-domain": domain},
        "summary": {
            "total-successful-session-count": counts.get(SUCCESSFUL, 0),
            "total-failure-session-count": sum(failures.values()),
        },
        "failure-details": [
            {"result-type": result, "failed-session-count": count} for result, count in failures.items()
        ],
    }
