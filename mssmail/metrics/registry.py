"""The registry of counters, gauges and histograms. Each is declared atop the file that counts.

Knows no room. A label's name must stand in `LABELS`, and its values must come from a closed set (a reason, a command,
a mechanism): never an address, a name, an id or anything a peer chose, which would be personal data and would grow
without bound. Several workers are gathered in `metrics/gather`.
"""

import re
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

LABELS: Final = frozenset(
    {
        "command",
        "direction",
        "engine",
        "event",
        "kind",
        "lane",
        "listener",
        "mechanism",
        "outcome",
        "protocol",
        "reason",
        "stage",
    }
)
"""All label names there are; `tests/rules` holds the same list, so that a new one is a decision seen twice."""

SECONDS_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From a look-up in memory to a purge's batch."""

_NAME: Final = re.compile(r"mssmail_[a-z][a-z0-9_]*")

# A `_created` series beside each counter doubles the page and tells nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()


def _checked(name: str, labels: Sequence[str]) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"a metric's name starts with mssmail_, unlike {name}")
    if unknown := set(labels) - LABELS:
        raise ValueError(f"{name}: labels outside the closed list: {sorted(unknown)}")


def counter(name: str, sentence: str, labels: Sequence[str] = ()) -> Counter:
    """Declare a counter; it shows as `<name>_total`. With labels, count by `.labels(...).inc()`."""
    _checked(name, labels)
    return Counter(name, sentence, labels, registry=REGISTRY)


def gauge(name: str, sentence: str, labels: Sequence[str] = ()) -> Gauge:
    """Declare a gauge. Over several workers its values are added up."""
    _checked(name, labels)
    return Gauge(name, sentence, labels, registry=REGISTRY)


def histogram(
    name: str, sentence: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS_BUCKETS
) -> Histogram:
    """Declare a histogram; the unit stands in the name, as `…_seconds`, `…_octets`."""
    _checked(name, labels)
    return Histogram(name, sentence, labels, registry=REGISTRY, buckets=buckets)


def render() -> bytes:
    """This process's metrics in the Prometheus text format."""
    return generate_latest(REGISTRY)
