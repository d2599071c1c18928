"""The white list: what is read, what is refused whole, and that the last good one serves on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.clock import FakeClock
from mssmail.base.dn import DistinguishedName
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.trustlist import NAMESPACE, Trust, compare, read

SHARED = Path(os.environ.get("MSSMAIL_SHARED", Path(__file__).parents[3] / "shared"))
SAMPLE = SHARED / "data/liste-blanche/listeblanchemssante.xml"
NOW = 1_795_000_000.0
GENERATED = "2026-11-18T10:00:00Z"
A, B, ELSEWHERE = "CN=a,OU=1,O=A,ST=Paris (75),C=FR", "CN=b,OU=2,O=B,C=FR", "CN=c,OU=3,O=C,C=FR"


def entry(domain: str, name: str = A) -> str:
    """One Domaine element."""
    return (
        f"<Domaine><Nom>{domain}</Nom><Description>x &amp; y</Description>"
        f"<DNCertificatOperateur>{name}</DNCertificatOperateur><DateMAJ>2030-01-01T00:00:00Z</DateMAJ></Domaine>"
    )


def document(*entries: str, generated: str = GENERATED, namespace: str = NAMESPACE, head: str = "") -> bytes:
    """A whole list."""
    date = f"<DateDeGeneration>{generated}</DateDeGeneration>" if generated else ""
    listed = f"<ListeDomaines>{''.join(entries)}</ListeDomaines>"
    root = f'<ListeBlancheMSSante xmlns="{namespace}">{date}{listed}</ListeBlancheMSSante>'
    return f'<?xml version="1.0"?>{head}{root}'.encode()


def name(text: str) -> DistinguishedName:
    """A name that is one."""
    parsed = DistinguishedName.parse(text)
    assert parsed is not None
    return parsed


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """A place without a list."""
    return Trust(tmp_path / "trust" / "list.xml", FakeClock(NOW))


def test_a_domain_has_a_set_of_names() -> None:
    """Several entries of a domain add up; case of domains and the date of an entry play no part."""
    found = read(document(entry("Hopital.mssante.fr", A), entry("hopital.mssante.fr", B), entry("labo.mssante.fr", B)))
    assert found.operators == {
        "hopital.mssante.fr": frozenset({name(A), name(B)}),
        "labo.mssante.fr": frozenset({name(B)}),
    }
    assert (found.entries, found.unread) == (3, 0)
    assert found.speaks_for(name("C=FR, O=B, OU=2, CN=B"), "labo.mssante.fr")
    assert not found.speaks_for(name(A), "labo.mssante.fr")
    assert not found.speaks_for(name(A), "unlisted.example")


def test_entries_that_cannot_be_read_are_left_out_and_counted() -> None:
    """One bad entry costs itself, not the list."""
    found = read(document(entry("a.fr"), entry("b.fr", "garbage"), entry("", A), entry("-.fr"), "<Domaine/>"))
    assert set(found.operators) == {"a.fr"}
    assert (found.entries, found.unread) == (5, 4)


_BOMB = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (document(entry("a.fr"))[:-10], "not well-formed"),
        (b"", "not well-formed"),
        (b"\x00\xff garbage", "not well-formed"),
        (document(), "names no domain"),
        (document(entry("a.fr", "garbage")), "names no domain"),
        (document(entry("a.fr"), generated=""), "no DateDeGeneration"),
        (document(entry("a.fr"), generated="yesterday"), "is no date"),
        (document(entry("a.fr"), namespace="https://elsewhere.example"), "not a white list"),
        (b"<html/>", "not a white list"),
        (document(entry("a.fr"), head=_BOMB), "document type"),
        (document(entry("a.fr"), head='<!DOCTYPE l SYSTEM "file:///etc/passwd">'), "document type"),
        (document("<a>" * 30 + "</a>" * 30), "too deep"),
    ],
)
def test_what_is_no_list_is_refused_whole(octets: bytes, why: str) -> None:
    """Each kind of unusable file says what is wrong with it."""
    with pytest.raises(Refusal, match=why) as refused:
        read(octets)
    assert refused.value.reason is Reason.IMPORT


@given(st.binary(max_size=200))
def test_anything_may_be_presented(octets: bytes) -> None:
    """No octets raise anything but the refusal."""
    for text in (octets, document(entry("a.fr")).replace(b"Paris", octets)):
        try:
            read(text)
        except Refusal as refusal:
            assert refusal.reason is Reason.IMPORT


@pytest.mark.skipif(not SAMPLE.exists(), reason="the published sample isn't beside the checkout")
def test_the_published_sample_is_refused_and_serves_once_closed(trust: Trust) -> None:
    """The list as published lacks its last tag and is refused with that line; closed, all of it is read."""
    octets = SAMPLE.read_bytes()
    with pytest.raises(Refusal, match="not well-formed"):
        trust.take(octets, shrink_limit=0.1)
    assert trust.current() is None
    found, _ = trust.take(octets + b"</ListeBlancheMSSante>", shrink_limit=0.1)
    assert (found.entries, found.unread) == (619, 0)
    assert found.speaks_for(
        name("C=FR,ST=Puy-de-Dôme (63),O=GCS SARA,OU=1630013605,CN=smtpmss.sante-ra.fr"),
        next(d for d, names in found.operators.items() if any("smtpmss.sante-ra.fr" in str(n) for n in names)),
    )


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (document(entry("a.fr"), generated="2026-11-18T09:59:59Z"), "older"),
        (document(*(entry(f"d{n}.fr") for n in range(8)), generated="2026-11-19T10:00:00Z"), "2 of 10 domains"),
        (document(*(entry(f"e{n}.fr") for n in range(10)), generated="2026-11-19T10:00:00Z"), "10 of 10 domains"),
        (document(entry("a.fr"), generated="2027-11-19T10:00:00Z"), "in the future"),
        (document(*(entry(f"d{n}.fr") for n in range(10)), generated="2026-11-19T10:00:00Z")[:-4], "well-formed"),
    ],
)
def test_a_list_that_may_not_serve_leaves_the_last_good_one(trust: Trust, new: bytes, why: str) -> None:
    """Older, sharply shrunk, swapped, future and malformed lists change nothing, on disk neither."""
    good = document(*(entry(f"d{n}.fr") for n in range(10)))
    trust.take(good, shrink_limit=0.1)
    before = trust.current()
    with pytest.raises(Refusal, match=why):
        trust.take(new, shrink_limit=0.1)
    assert trust.current() is before
    assert not trust.reload_if_changed()


def test_an_administrator_may_take_a_shrunk_list(trust: Trust) -> None:
    """`allow_shrink` takes what the guard refuses, and the difference says what went."""
    trust.take(document(entry("a.fr"), entry("b.fr")), shrink_limit=0.1)
    _, difference = trust.take(document(entry("a.fr", B)), allow_shrink=True, shrink_limit=0.1)
    assert (difference.added, difference.removed, difference.moved) == ((), ("b.fr",), ("a.fr",))


def test_other_processes_see_a_swap_and_a_roll_back(trust: Trust, tmp_path: Path) -> None:
    """Whoever looks at the same file takes the new list, and the old one after a roll-back."""
    trust.take(document(entry("a.fr")), shrink_limit=1)
    other = Trust(tmp_path / "trust" / "list.xml", FakeClock(NOW))
    trust.take(document(entry("a.fr"), entry("b.fr")), shrink_limit=1)
    assert other.reload_if_changed()
    current = other.current()
    assert current is not None
    assert current.lists("b.fr")
    back, difference = trust.roll_back()
    assert not back.lists("b.fr")
    assert difference.removed == ("b.fr",)
    assert other.reload_if_changed()
    current = other.current()
    assert current is not None
    assert not current.lists("b.fr")


def test_nothing_to_roll_back_to_is_said(trust: Trust) -> None:
    """Without a list before, a roll-back is refused."""
    with pytest.raises(Refusal, match="no list before"):
        trust.roll_back()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"garbage")])
def test_a_lost_or_damaged_file_leaves_the_list_in_memory(
    trust: Trust, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    """A process that has a good list goes on with it, whatever becomes of the file."""
    trust.take(document(entry("a.fr")), shrink_limit=1)
    damage(tmp_path / "trust" / "list.xml")
    trust.reload_if_changed()
    current = trust.current()
    assert current is not None
    assert current.lists("a.fr")


def test_a_difference_names_domains_once() -> None:
    """Added, removed and moved domains are told apart; one whose set is the same isn't named."""
    old = read(document(entry("same.fr"), entry("same.fr", B), entry("moved.fr"), entry("gone.fr")))
    new = read(document(entry("same.fr", B), entry("same.fr"), entry("moved.fr", ELSEWHERE), entry("new.fr")))
    difference = compare(old, new)
    assert (difference.added, difference.removed, difference.moved) == (("new.fr",), ("gone.fr",), ("moved.fr",))
