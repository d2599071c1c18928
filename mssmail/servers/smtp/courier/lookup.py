"""What the DNS says of a domain's mail: its MX hosts and their addresses (RFC 5321 §5.1, RFC 7505).

Told apart: no such name, a name without hosts, a domain that takes no mail, a DNS that fails, one that is silent. Only
names are looked up: an address literal is no domain here, and an MX that is one has no address. Its library takes 4 MB
and some time, so that `destination` takes this module up with the first domain that has no fixed route.
"""

import asyncio
import contextlib
import ipaddress
import random
from collections.abc import Iterable, Sequence
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.resolver

from mssmail.base.relay import Cause
from mssmail.servers.smtp.courier.host import MAX_HOSTS, Host, Unroutable
from mssmail.settings.check import name_server
from mssmail.settings.trust_space import Relay

MAX_MX: Final = 20
"""MX hosts of one domain that are looked at, the best ones."""
_CACHED: Final = 2_000


class Lookup:
    """Remembers what the DNS said for as long as it says."""

    def __init__(self, settings: Relay, own_name: str) -> None:
        """`own_name`: this server's, in lower case without a final dot, which is never sent to."""
        self._own = own_name
        self._port = settings.port
        self._timeout_s = float(settings.dns_timeout)
        self._nameservers = tuple(filter(None, map(name_server, settings.nameservers)))
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def hosts(self, domain: str) -> list[Host]:
        """At least one, best first. Raises Unroutable."""
        try:
            name = dns.name.from_text(domain + ".")
        except (dns.exception.DNSException, UnicodeError):
            raise Unroutable(Cause.NO_DOMAIN, "no name that the DNS could hold") from None
        return await self._found(name)

    def forget(self, names: Iterable[str]) -> None:
        """Ask anew of these next time."""
        cache = None if self._resolver is None else self._resolver.cache
        if cache is None:
            return
        kinds = (dns.rdatatype.MX, dns.rdatatype.A, dns.rdatatype.AAAA)
        for name in names:
            with contextlib.suppress(dns.exception.DNSException, UnicodeError):
                asked = dns.name.from_text(name + ".")
                for kind in kinds:
                    cache.flush((asked, kind, dns.rdataclass.IN))

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
