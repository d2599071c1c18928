"""Which hosts take a domain's mail, best first: a fixed route of the settings, or what the DNS says (RFC 5321 §5.1).

Told apart: no such name, a name without hosts, a domain that takes no mail (RFC 7505), a DNS that fails, one that is
silent. Only names are looked up: an address literal is no domain here, and an MX that is one has no address.
"""

import asyncio
import contextlib
import ipaddress
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.resolver

from mssmail.base.relay import Cause, Outcome
from mssmail.settings.check import name_server
from mssmail.settings.trust_space import Relay, Route

MAX_MX: Final = 20
"""MX hosts of one domain that are looked at, the best ones."""
MAX_HOSTS: Final = 10
"""Addresses that one attempt tries (RFC 5321 §5.1: at least two)."""
_CACHED: Final = 2_000
_HOST: Final = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})*", re.IGNORECASE)


class Unroutable(Exception):
    """A domain's mail can't be sent anywhere; `outcome` says why."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(cause.value)
        self.outcome = Outcome(cause, detail=detail)


@dataclass(frozen=True, slots=True)
class Host:
    """One address to try."""

    name: str
    address: str
    """IP address."""
    port: int

    @property
    def server_name(self) -> str | None:
        """What TLS may be told that is looked for: never an address, and nothing that is no host's name."""
        return self.name if self.name != self.address and _HOST.fullmatch(self.name) else None

    def __str__(self) -> str:
        return f"{'' if self.name == self.address else self.name}[{self.address}]:{self.port}"


class Destinations:
    """Looks up hosts; remembers what the DNS said for as long as it says."""

    def __init__(self, settings: Relay, own_name: str) -> None:
        """`own_name`: this server's, which is never sent to."""
        self._own = own_name.lower().rstrip(".")
        self._port = settings.port
        self._timeout_s = float(settings.dns_timeout)
        self._routes: Mapping[str, Route] = {route.domain.lower(): route for route in settings.routes}
        self._nameservers = tuple(filter(None, map(name_server, settings.nameservers)))
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def hosts(self, domain: str) -> list[Host]:
        """At least one, best first. Raises Unroutable."""
        route = self._routes.get(domain)
        if route is not None:
            return await self._routed(route)
        try:
            name = dns.name.from_text(domain + ".")
        except (dns.exception.DNSException, UnicodeError):
            raise Unroutable(Cause.NO_DOMAIN, "no name that the DNS could hold") from None
        return await self._found(name)

    def forget(self, domain: str, hosts: Iterable[Host]) -> None:
        """Ask the DNS anew next time, since what it said led nowhere: it may have lied, and for weeks."""
        cache = None if self._resolver is None else self._resolver.cache
        if cache is None or domain in self._routes:
            return
        kinds = (dns.rdatatype.MX, dns.rdatatype.A, dns.rdatatype.AAAA)
        for name in {domain, *(host.name for host in hosts)}:
            with contextlib.suppress(dns.exception.DNSException, UnicodeError):
                asked = dns.name.from_text(name + ".")
                for kind in kinds:
                    cache.flush((asked, kind, dns.rdataclass.IN))

    async def _routed(self, route: Route) -> list[Host]:
        """A fixed route's host, by this machine's own means (its hosts file too)."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await loop.getaddrinfo(route.host, route.port or self._port, type=1)
        except TimeoutError:
            raise Unroutable(Cause.DNS_TIMED_OUT, f"route {route.host}: no answer") from None
        except OSError as error:
            raise Unroutable(Cause.DNS_FAILED, f"route {route.host}: {error.strerror or 'unknown'}") from None
        hosts = [Host(route.host, str(place[0]), int(place[1])) for *_, place in found]
        return list(dict.fromkeys(hosts))[:MAX_HOSTS]

    async def _found(self, name: dns.name.Name) -> list[Host]:
        exchanges = await self._exchanges(name)
        implicit = not exchanges
        hosts: list[Host] = []
        trouble: Unroutable | None = None
        for exchange in exchanges or [name]:
            try:
                hosts += await self._addresses(exchange)
            except Unroutable as unroutable:
                trouble = unroutable
            if len(hosts) >= MAX_HOSTS:
                break
        if hosts:
            return hosts[:MAX_HOSTS]
        if trouble is not None:
            raise trouble
        raise Unroutable(Cause.NO_HOST, "neither MX nor address" if implicit else "no MX host has an address")

    async def _exchanges(self, name: dns.name.Name) -> list[dns.name.Name]:
        """The MX hosts in the order in which to try them; none where the name itself is the host."""
        answer = await self._ask(name, dns.rdatatype.MX, is_domain=True)
        records = [record for record in answer if isinstance(record, dns.rdtypes.ANY.MX.MX)]
        if not records:
            return []
        if all(record.exchange == dns.name.root for record in records):
            raise Unroutable(Cause.NULL_MX, "null MX")
        # those of one preference in any order, to spread the load
        random.shuffle(records)
        records = sorted((r for r in records if r.exchange != dns.name.root), key=lambda r: r.preference)
        own = [r.preference for r in records if _text(r.exchange) == self._own]
        if own:
            # we are one of them: only those that are better than us may be sent to, or mail would go round
            records = [record for record in records if record.preference < min(own)]
            if not records:
                raise Unroutable(Cause.LOOP, "this server is the domain's best MX host")
        return [record.exchange for record in records[:MAX_MX]]

    async def _addresses(self, name: dns.name.Name) -> list[Host]:
        """IPv6 and IPv4 by turns, so that a machine without the one soon tries the other. Raises Unroutable."""
        sixes, fours = await asyncio.gather(
            self._ask(name, dns.rdatatype.AAAA), self._ask(name, dns.rdatatype.A), return_exceptions=True
        )
        found: list[list[str]] = []
        for each in (sixes, fours):
            if isinstance(each, BaseException):
                if not isinstance(each, Unroutable):
                    raise each
                found.append([])
            else:
                found.append([address for record in each if _is_host(address := str(record))])
        host, hosts = _text(name), list[Host]()
        for at in range(max(map(len, found))):
            hosts += [Host(host, addresses[at], self._port) for addresses in found if at < len(addresses)]
        if not hosts:
            for each in (sixes, fours):
                if isinstance(each, Unroutable):
                    raise each
        return hosts

    async def _ask(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, *, is_domain: bool = False
    ) -> Sequence[object]:
        """The records; none where there are none. Raises Unroutable."""
        word = f"{dns.rdatatype.to_text(kind)} of {_text(name)}"
        try:
            answer = await self._service().resolve(
                name, kind, raise_on_no_answer=False, lifetime=self._timeout_s, search=False
            )
        except dns.resolver.NXDOMAIN:
            if is_domain:
                raise Unroutable(Cause.NO_DOMAIN, f"{_text(name)}: no such name") from None
            return ()
        except dns.resolver.LifetimeTimeout as error:
            raise Unroutable(_cause_of(error), f"{word}: no answer") from None
        except dns.exception.DNSException as error:
            raise Unroutable(Cause.DNS_FAILED, f"{word}: {type(error).__name__}") from None
        except (OSError, ValueError) as error:
            raise Unroutable(Cause.DNS_FAILED, f"{word}: {type(error).__name__}") from None
        return () if answer.rrset is None else list(answer.rrset)

    def _service(self) -> dns.asyncresolver.Resolver:
        """Made at first use: a machine that only has fixed routes may have no DNS at all."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
            if self._nameservers:
                resolver.nameservers = [address for address, _ in self._nameservers]
                resolver.nameserver_ports = dict(self._nameservers)
            resolver.cache = dns.resolver.LRUCache(_CACHED)
            resolver.timeout = max(self._timeout_s / 4, 0.05)
            self._resolver = resolver
        return self._resolver


def _cause_of(error: dns.resolver.LifetimeTimeout) -> Cause:
    """Whether the time went by in silence, or in answers that were none."""
    tried: Iterable[tuple[object, ...]] = error.kwargs.get("errors") or ()
    faults = [each[3] for each in tried if len(each) > 3]
    silent = all(isinstance(fault, dns.exception.Timeout) for fault in faults)
    return Cause.DNS_TIMED_OUT if silent else Cause.DNS_FAILED


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _is_host(address: str) -> bool:
    """Not one that means no host, or many: a connection to 0.0.0.0 reaches this machine."""
    read = ipaddress.ip_address(address)
    return not (read.is_unspecified or read.is_multicast)
