"""The FHIR API of the Annuaire Santé as a stream of resources: paged, paced, tried again, bounded.

Knows searches, bundles and the API's limits (17 calls a second, 50 resources a page); what a resource means is in
`resource`. The key goes to the configured host alone: a next page elsewhere is refused, and nothing is redirected.
A page is at most 16 MiB, a stream at most `MAX_PAGES`, and a page seen before ends it: no answer keeps us going.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final
from urllib.parse import urlencode, urlsplit

from mssmail.base.clock import Clock, utc
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.directory.resource import key_of
from mssmail.fetch import Caller, Response

KEY_HEADER: Final = "ESANTE-API-KEY"
PAGE: Final = 50
SPACING_S: Final = 1 / 16
"""A call less a second than is allowed."""
MAX_PAGE_OCTETS: Final = 16 << 20
MAX_PAGES: Final = 200_000
"""Of one type; all 2.2 million situations of practice are 44,000."""
MAX_TRIES: Final = 6
MAX_WAIT_S: Final = 120.0
MAX_PASS_S: Final = 8 * 3600.0
"""A first pass over everything takes about an hour and a half at the pace allowed."""
OVERLAP_S: Final = 3600.0
"""Asked for again each time: clocks differ, and a change may become visible late."""
MAX_KEY_OCTETS: Final = 1024

TYPES: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "Organization": (),
    "Practitioner": (),
    "PractitionerRole": (
        ("_include", "PractitionerRole:practitioner"),
        ("_include", "PractitionerRole:organization"),
    ),
}
"""In this order: a role names the other two, which come along in its page."""

Resource = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Page:
    """Resources that came together, by `Type/id`, those sent along included."""

    resources: Mapping[str, Resource]
    unusable: int
    """Entries that are no resource."""


@contextmanager
def connected(base: str, key: Path, clock: Clock, stop: Event, authorities: Path | None = None) -> Iterator["Api"]:
    """The API, for one pass. Raises Refusal(UNAVAILABLE) where the key or the authorities can't be read."""
    secret = read_key(key)
    with Caller(clock, stop, MAX_PASS_S, authorities) as caller:
        yield Api(caller, base, secret, clock, stop)


def read_key(path: Path) -> Secret:
    """The API key out of its file. Raises Refusal(UNAVAILABLE)."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_KEY_OCTETS + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise Refusal(Reason.UNAVAILABLE, f"directory.fhir_key: {path.name} can't be read") from e
    if not text or len(text) > MAX_KEY_OCTETS or not text.isprintable() or " " in text:
        raise Refusal(Reason.UNAVAILABLE, f"directory.fhir_key: {path.name} holds no key")
    return Secret(text)


class Api:
    """The API at one base address."""

    def __init__(self, caller: Caller, base: str, key: Secret, clock: Clock, stop: Event) -> None:
        self._caller = caller
        self._base = base.rstrip("/")
        self._key = key
        self._clock = clock
        self._stop = stop
        self._next_at = 0.0

    @property
    def host(self) -> str:
        return urlsplit(self._base).hostname or ""

    def pages(self, kind: str, since: float | None) -> Iterator[Page]:
        """All resources of a type, or those changed since an epoch time.

        Raises Refusal(UNAVAILABLE) where the API can't be reached, IMPORT where what it says can't be used.
        """
        query = [("_count", str(PAGE)), *TYPES[kind]]
        if since is not None:
            query.append(("_lastUpdated", f"ge{utc(since - OVERLAP_S):%Y-%m-%dT%H:%M:%SZ}"))
        address = f"{self._base}/{kind}?{urlencode(query)}"
        seen: set[bytes] = set()
        for _ in range(MAX_PAGES):
            mark = hashlib.blake2b(address.encode(), digest_size=16).digest()
            if mark in seen:
                raise Refusal(Reason.IMPORT, f"{self.host}: pages of {kind} go in circles")
            seen.add(mark)
            bundle = self._bundle(address, kind)
            yield _page(bundle)
            following = _next(bundle)
            if following is None:
                return
            address = self._own(following)
        raise Refusal(Reason.IMPORT, f"{self.host}: more than {MAX_PAGES} pages of {kind}")

    def _own(self, address: str) -> str:
        """A next page's address, which must lie under the base: the key goes with it."""
        try:
            base, there = urlsplit(self._base), urlsplit(address)
            same = (there.scheme, there.hostname, there.port, there.username) == (
                base.scheme, base.hostname, base.port, None,
            )  # fmt: skip
        except ValueError:
            same = False
        if not same or not (there.path == base.path or there.path.startswith(f"{base.path}/")) or ".." in there.path:
            raise Refusal(Reason.IMPORT, f"{self.host}: a next page lies elsewhere")
        return address

    def _bundle(self, address: str, kind: str) -> Resource:
        """One page, tried again while the API is overloaded or fails."""
        for turn in range(MAX_TRIES):
            self._pace()
            headers = {KEY_HEADER: self._key.reveal(), "Accept": "application/fhir+json"}
            try:
                response = self._caller.get(address, headers)
                body = b"".join(self._caller.read(response, MAX_PAGE_OCTETS))
            except Refusal:
                if turn == MAX_TRIES - 1 or self._stop.is_set():
                    raise
                self._wait(2.0**turn)
                continue
            if response.status == 200:
                return _parsed(body, self.host, kind)
            if response.status not in (408, 429) and response.status < 500:
                hint = ": the key isn't taken" if response.status in (401, 403) else ""
                raise Refusal(Reason.UNAVAILABLE, f"{self.host}: answers {response.status} for {kind}{hint}")
            self._wait(_retry_after(response, 2.0**turn))
        raise Refusal(Reason.UNAVAILABLE, f"{self.host}: answers {response.status} for {kind}, again and again")

    def _pace(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_at:
            self._wait(self._next_at - now)
        self._next_at = max(now, self._next_at) + SPACING_S

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Refusal(Reason.UNAVAILABLE, f"{self.host}: stopped")


def _retry_after(response: Response, usual: float) -> float:
    """Seconds to wait, as the server asks (RFC 9110 §10.2.3) within bounds; a date is taken for the longest."""
    said = response.headers.get("Retry-After", "").strip()
    if not said:
        return usual
    return min(float(said), MAX_WAIT_S) if said.isascii() and said.isdigit() and len(said) < 9 else MAX_WAIT_S


def _parsed(body: bytes, host: str, kind: str) -> Resource:
    try:
        bundle = json.loads(body)
    except (ValueError, RecursionError) as e:
        raise Refusal(Reason.IMPORT, f"{host}: a page of {kind} isn't JSON") from e
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise Refusal(Reason.IMPORT, f"{host}: a page of {kind} isn't a bundle")
    return bundle


def _page(bundle: Resource) -> Page:
    entries = bundle.get("entry", [])
    resources: dict[str, Resource] = {}
    unusable = 0
    for entry in entries if isinstance(entries, list) else [None]:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == "OperationOutcome":
            continue  # a server's remarks on the search
        key = key_of(resource) if isinstance(resource, dict) else ""
        if key and isinstance(resource, dict):
            resources[key] = resource
        else:
            unusable += 1
    return Page(resources, unusable)


def _next(bundle: Resource) -> str | None:
    links = bundle.get("link", [])
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
            return str(link["url"])
    return None
