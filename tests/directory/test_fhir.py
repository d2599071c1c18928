"""The API's pages: followed, paced, tried again, and never trusted."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from urllib.parse import parse_qs, urlsplit

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.directory import fhir
from mssmail.directory.fhir import Api, read_key
from mssmail.fetch import Caller
from tests.support.annuaire import KEY, Annuaire, bundle, practitioner
from tests.support.origin import Answer


class Waits(Event):
    """A stop that is never given, whose waits pass at once and are noted."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        self.clock.advance(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def annuaire(tmp_path: Path) -> Iterator[Annuaire]:
    built = Annuaire(tmp_path / "annuaire")
    yield built
    built.close()


@pytest.fixture
def waits(clock: FakeClock) -> Waits:
    return Waits(clock)


@pytest.fixture
def api(annuaire: Annuaire, clock: FakeClock, waits: Waits) -> Iterator[Api]:
    with Caller(clock, waits, 100_000.0, annuaire.origin.authority) as caller:
        yield Api(caller, annuaire.base, Secret(KEY), clock, waits)


def ids(api: Api, since: float | None = None) -> list[str]:
    return [key for page in api.pages("Practitioner", since) for key in page.resources]


def people(count: int) -> list[dict[str, object]]:
    return [practitioner(f"p{n}", f"8{n:011d}") for n in range(count)]


@pytest.mark.parametrize(("count", "calls"), [(0, 1), (1, 1), (50, 1), (51, 2), (175, 4)])
def test_all_pages(annuaire: Annuaire, api: Api, count: int, calls: int) -> None:
    """Every resource comes once, fifty a page."""
    annuaire.resources = people(count)
    assert ids(api) == [f"Practitioner/p{n}" for n in range(count)]
    assert len(annuaire.origin.asked) == calls


def test_changed_since(annuaire: Annuaire, api: Api) -> None:
    """A date asks for what changed since an hour before it, and the key goes with each call."""
    annuaire.changed = people(2)
    assert len(ids(api, since=1_790_000_000.0)) == 2
    asked = annuaire.origin.asked[0]
    query = parse_qs(urlsplit(asked.path).query)
    assert query == {"_count": ["50"], "_lastUpdated": ["ge2026-09-21T13:13:20Z"]}
    assert (asked.headers["ESANTE-API-KEY"], asked.headers["Accept"]) == (KEY, "application/fhir+json")


def test_pace(annuaire: Annuaire, api: Api, waits: Waits) -> None:
    """However fast the server is, no more than 17 calls a second are made."""
    annuaire.resources = people(50 * 40)
    ids(api)
    calls = len(annuaire.origin.asked)
    assert calls == 40
    assert (calls - 1) / sum(waits.waited) <= 17


@pytest.mark.parametrize(
    ("trouble", "least"),
    [
        ([Answer(429, headers={"Retry-After": "7"})], 7.0),
        ([Answer(429, headers={"Retry-After": "999999"})], 120.0),
        ([Answer(429, headers={"Retry-After": "Mon, 21 Sep 2026 10:00:00 GMT"})], 120.0),
        ([Answer(429), Answer(503), Answer(500)], 1.0 + 2.0 + 4.0),
        ([Answer(200, b"cut", octets=100)], 1.0),
    ],
)
def test_tried_again(annuaire: Annuaire, api: Api, waits: Waits, trouble: list[Answer], least: float) -> None:
    """Overload and failures are waited out, as long as the server asks for within bounds; nothing is doubled."""
    annuaire.resources = people(60)
    annuaire.trouble = list(trouble)
    assert len(ids(api)) == 60
    assert least <= sum(waits.waited) <= least + 1.0


@pytest.mark.parametrize(
    ("answers", "reason", "words"),
    [
        ([Answer(503)] * 6, Reason.UNAVAILABLE, "again and again"),
        ([Answer(401)], Reason.UNAVAILABLE, "the key isn't taken"),
        ([Answer(404)], Reason.UNAVAILABLE, "answers 404"),
        ([Answer(302, headers={"Location": "https://elsewhere/"})], Reason.UNAVAILABLE, "answers 302"),
        ([Answer(200, b"<html>")], Reason.IMPORT, "isn't JSON"),
        ([Answer(200, b'{"resourceType": "Bundle", "entry": [')], Reason.IMPORT, "isn't JSON"),
        ([Answer(200, b"[" * 100_000)], Reason.IMPORT, "isn't JSON"),
        ([Answer(200, b"\xff\xfe\xfd")], Reason.IMPORT, "isn't JSON"),
        ([Answer(200, b"[]")], Reason.IMPORT, "isn't a bundle"),
        ([Answer(200, b'{"resourceType": "OperationOutcome"}')], Reason.IMPORT, "isn't a bundle"),
    ],
)
def test_refused(annuaire: Annuaire, api: Api, answers: list[Answer], reason: Reason, words: str) -> None:
    """What can't be used ends the pass, and no detail holds the key."""
    annuaire.trouble = list(answers)
    with pytest.raises(Refusal) as refused:
        ids(api)
    assert refused.value.reason is reason
    assert words in refused.value.detail
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/fhir/v2/Practitioner",
        "http://{host}/fhir/v2/Practitioner",
        "https://{host}/other",
        "https://{host}/fhir/v2/../other",
        "https://{host}/fhir/v22",
        "https://user@{host}/fhir/v2/x",
        "//evil.example/fhir/v2",
        "https://[broken",
        "/fhir/v2/Practitioner",
    ],
)
def test_next_page_elsewhere(annuaire: Annuaire, api: Api, following: str) -> None:
    """The key is never taken to another place than the one configured."""
    host = urlsplit(annuaire.base).netloc
    annuaire.trouble = [bundle([], [{"relation": "next", "url": following.format(host=host)}])]
    with pytest.raises(Refusal, match="lies elsewhere"):
        ids(api)
    assert len(annuaire.origin.asked) == 1


def test_circle(annuaire: Annuaire, api: Api) -> None:
    """Pages that lead back to one seen before are refused."""
    one, two = (f"{annuaire.base}/Practitioner?page={n}" for n in (1, 2))
    annuaire.trouble = [bundle([], [{"relation": "next", "url": url}]) for url in (one, two, one, two)]
    with pytest.raises(Refusal, match="in circles"):
        ids(api)
    assert len(annuaire.origin.asked) == 3


def test_pages_without_end(annuaire: Annuaire, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new pages are refused at a bound."""
    monkeypatch.setattr(fhir, "MAX_PAGES", 5)
    annuaire.trouble = [bundle([], [{"relation": "next", "url": f"{annuaire.base}/x?n={n}"}]) for n in range(9)]
    with pytest.raises(Refusal, match="more than 5 pages"):
        ids(api)


def test_large_page(annuaire: Annuaire, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page beyond the bound isn't held in memory."""
    monkeypatch.setattr(fhir, "MAX_PAGE_OCTETS", 1000)
    annuaire.trouble = [Answer(200, bytes(2000))] * fhir.MAX_TRIES
    with pytest.raises(Refusal, match="would send more than 1000 octets"):
        ids(api)


@pytest.mark.parametrize("entry", [[None, 3, {"resource": 5}, {"resource": {"id": "x"}}], "text", {"a": 1}])
def test_odd_entries(annuaire: Annuaire, api: Api, entry: object) -> None:
    """Entries that are no resource are counted and left out; remarks on the search aren't counted."""
    body = {"resourceType": "Bundle", "link": 7, "entry": entry}
    if isinstance(entry, list):
        entry.append({"resource": {"resourceType": "OperationOutcome"}})
    annuaire.trouble = [Answer(200, json.dumps(body).encode())]
    (page,) = api.pages("Practitioner", None)
    assert (page.resources, page.unusable) == ({}, 4 if isinstance(entry, list) else 1)


def test_stop(annuaire: Annuaire, api: Api, waits: Waits) -> None:
    """Told to stop, a pass ends at its next wait."""
    annuaire.resources = people(500)
    pages = api.pages("Practitioner", None)
    next(pages)
    waits.set()
    with pytest.raises(Refusal, match="stopped"):
        list(pages)


@pytest.mark.parametrize(
    ("content", "fits"), [(f"{KEY}\n", True), ("", False), ("a b", False), ("é", False), ("x" * 2000, False)]
)
def test_key_file(tmp_path: Path, content: str, fits: bool) -> None:
    """A key is one printable word; what isn't is refused without being shown."""
    file = tmp_path / "key"
    file.write_text(content)
    if fits:
        assert read_key(file).reveal() == KEY
    else:
        with pytest.raises(Refusal) as refused:
            read_key(file)
        assert not content or content not in refused.value.detail
    with pytest.raises(Refusal, match="can't be read"):
        read_key(tmp_path / "none")
