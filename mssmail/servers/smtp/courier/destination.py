"""Which hosts take a domain's mail, best first: a fixed route of the settings, or what the DNS says (`lookup`)."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mssmail.base.relay import Cause
from mssmail.servers.smtp.courier.host import MAX_HOSTS, Host, Unroutable
from mssmail.settings.trust_space import Relay, Route

if TYPE_CHECKING:
    from mssmail.servers.smtp.courier.lookup import Lookup


class Destinations:
    """Looks up hosts."""

    def __init__(self, settings: Relay, own_name: str) -> None:
        """`own_name`: this server's, which is never sent to."""
        self._settings = settings
        self._own = own_name.lower().rstrip(".")
        self._routes: Mapping[str, Route] = {route.domain.lower(): route for route in settings.routes}
        self._lookup: Lookup | None = None

    async def hosts(self, domain: str) -> list[Host]:
        """At least one, best first. Raises Unroutable."""
        route = self._routes.get(domain)
        if route is not None:
            return await self._routed(route)
        if self._lookup is None:
            # not before it is needed: a machine that only has fixed routes may have no DNS at all
            from mssmail.servers.smtp.courier.lookup import Lookup

            self._lookup = Lookup(self._settings, self._own)
        return await self._lookup.hosts(domain)

    def forget(self, domain: str, hosts: Iterable[Host]) -> None:
        """Ask the DNS anew next time, since what it said led nowhere: it may have lied, and for weeks."""
        if self._lookup is not None and domain not in self._routes:
            self._lookup.forget({domain, *(host.name for host in hosts)})

    async def _routed(self, route: Route) -> list[Host]:
        """A fixed route's host, by this machine's own means (its hosts file too)."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(float(self._settings.dns_timeout)):
                found = await loop.getaddrinfo(route.host, route.port or self._settings.port, type=1)
        except TimeoutError:
            raise Unroutable(Cause.DNS_TIMED_OUT, f"route {route.host}: no answer") from None
        except OSError as error:
            raise Unroutable(Cause.DNS_FAILED, f"route {route.host}: {error.strerror or 'unknown'}") from None
        hosts = [Host(route.host, str(place[0]), int(place[1])) for *_, place in found]
        return list(dict.fromkeys(hosts))[:MAX_HOSTS]
