"""Several operators of one trust space on this machine, that write to each other: `mssmail demo --federation N`.

The first is the usual demo; the others lie in its folder, under `operators/`, with people, keys and ports of their own.
They share its certificates' hierarchy and one white list, and each knows where the others take mail: nothing here asks
a DNS. All ports are reserved before anything is written, and stay so while an operator is down.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from mssmail.demo.apart import all_apart
from mssmail.demo.casts import cast
from mssmail.demo.furnish import OnProgress
from mssmail.demo.neighbours import Neighbour, TrustSpace, host_of, named, operator, patients, settle
from mssmail.demo.people import CAST, Cast
from mssmail.demo.pki import DemoPki, Leaf, organisation_leaf
from mssmail.demo.report import HOST, SERVER_NAME
from mssmail.demo.run import CONFIG, OFFSETS, OPERATORS, NotADemo, Prepared, Stand, base_settings, hierarchy
from mssmail.servers.net.listener import reserve
from mssmail.settings.model import Settings, Tls
from mssmail.settings.queue import Queue
from mssmail.settings.trust_space import Relay, Route
from mssmail.settings.units import Seconds

STEP: Final = 1_000
"""From one operator's ports to the next one's."""
LAST_PORT: Final = 65_535
_QUICK: Final = Queue(first_retry=Seconds(1), longest_retry=Seconds(4))
"""Nobody waits a quarter of a minute for an operator that was just started again by hand."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One of them, before its folder is taken."""

    cast: Cast
    data: Path
    ports: Mapping[str, int]

    def leaf(self, pki: Path) -> Leaf:
        """The certificate that it shows other operators."""
        return organisation_leaf(pki, host_of(self.cast.domain), self.cast.structure.structure_id)

    def settings(self, pki: Path, others: Sequence["Operator"], workers: int) -> Settings:
        """The demo's own, and where the others take mail."""
        leaf = self.leaf(pki)
        server = Leaf(pki / "leaf" / "server.pem", pki / "leaf" / "server.key") if self.cast is CAST else leaf
        tls = Tls(certificate=server.cert, key=server.key)
        routes = tuple(Route(other.cast.domain, HOST, other.ports["smtp"]) for other in others)
        base = base_settings(self.data, pki, self.cast, self.ports, tls, workers)
        return replace(base, relay=Relay(routes=routes, certificate=leaf.cert, key=leaf.key), queue=_QUICK)

    def neighbour(self, pki: DemoPki) -> Neighbour:
        """As the others' demo.json have it."""
        made = operator(pki, self.cast.domain, self.cast.structure, [a.address for a in self.cast.accounts])
        reach: dict[str, object] = {
            "data": str(self.data),
            "config": str(self.data / CONFIG),
            "ports": dict(self.ports),
        }
        return replace(made, reach=reach)


class Federation:
    """What was asked for. `close` it at the end: then the ports are others' to take."""

    def __init__(self, data: Path, port_base: int, accounts: int, workers: int, count: int) -> None:
        """`count`: operators, 2 to `casts.MOST`. Raises PortTaken, NotADemo where there aren't ports enough."""
        self._data = data
        self._accounts = accounts
        self._workers = workers
        self._casts = tuple(cast(number) for number in range(1, count + 1))
        self._reserved = contextlib.ExitStack()
        last = port_base + STEP * (count - 1) + max(OFFSETS.values())
        if port_base and last > LAST_PORT:
            raise NotADemo(f"--port-base {port_base}: the last of {count} operators would need port {last}")
        try:
            bases = (port_base + STEP * at if port_base else 0 for at in range(count))
            self.ports = [dict(self._reserve(base)) for base in bases]
        except BaseException:
            self.close()
            raise

    def _reserve(self, base: int) -> Iterator[tuple[str, int]]:
        for name, offset in OFFSETS.items():
            place, held = reserve(name, HOST, base + offset if base else 0)
            self._reserved.enter_context(held)
            yield name, place.port

    def close(self) -> None:
        self._reserved.close()

    def prepare(self, config: Path | None, *, fresh: bool, on_progress: OnProgress) -> list[Prepared]:
        """Make all folders, or take up what lies there; the first is the usual demo's.

        Raises NotADemo, AlreadyRunning, ConfigError, Refusal, Unusable, Lost.
        """
        operators = self._operators()
        stands = [self._stand(each, operators) for each in operators]
        taken = [stand.take(config, fresh=fresh) for stand in stands]
        _refuse_shared(taken)
        pki = hierarchy(self._data)
        own = pki.server((SERVER_NAME, HOST, "::1"))
        neighbours = [each.neighbour(pki) for each in operators]
        listed = named(TrustSpace(tuple(neighbours), patients(pki)), own)
        companies = [stand.company(self._seen_from(stand.cast), self._accounts) for stand in stands]
        on_progress(0.05)
        with ThreadPoolExecutor(1) as issuing:
            # beside Argon2, which leaves the interpreter free
            leaves = [
                issuing.submit(stand.leaves, pki, company) for stand, company in zip(stands, companies, strict=True)
            ]
            all_apart(
                [
                    partial(stand.furnish, settings, company, listed)
                    for stand, settings, company in zip(stands, taken, companies, strict=True)
                ],
                on_progress,
            )
        return [
            stand.prepared(settings, pki, each.result(), _space(pki, neighbours, stand.cast))
            for stand, settings, each in zip(stands, taken, leaves, strict=True)
        ]

    def _operators(self) -> list[Operator]:
        folders = [self._data, *(self._data / OPERATORS / each.name for each in self._casts[1:])]
        return [Operator(*each) for each in zip(self._casts, folders, self.ports, strict=True)]

    def _stand(self, one: Operator, operators: Sequence[Operator]) -> Stand:
        others = [each for each in operators if each is not one]
        return Stand(one.data, one.cast, one.settings(self._data / "pki", others, self._workers))

    def _seen_from(self, own: Cast) -> tuple[Cast, ...]:
        return (own, *(each for each in self._casts if each is not own))


def _space(pki: DemoPki, neighbours: Sequence[Neighbour], own: Cast) -> TrustSpace:
    """Everybody else, as demo.json tells: the hospital and the laboratory first, whether they run or not."""
    others = tuple(each for each in neighbours if each.domain != own.domain)
    if own is CAST:
        running = {each.domain for each in others}
        others = (*others, *(each for each in settle(pki).operators if each.domain not in running))
    return TrustSpace(others, patients(pki))


def _refuse_shared(taken: Sequence[Settings]) -> None:
    """Raises NotADemo where settings laid over give all operators one store: each has keys and mail of its own."""
    for name, places in (
        ("store.database", {each.store.database for each in taken}),
        ("store.bodies", {each.store.bodies for each in taken}),
        ("keys.store", {each.keys.store for each in taken}),
        ("server.data", {each.server.data for each in taken}),
    ):
        if len(places) < len(taken):
            raise NotADemo(f"{name}: operators of a federation can't share one; leave it out of the settings laid over")
