"""The demo's people and their extracts."""

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from mssmail.base.address import Address
from mssmail.base.clock import FakeClock
from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason
from mssmail.demo import people
from mssmail.demo.extract import ACTIVITY_COLUMNS, BOX_COLUMNS, activity_lines, box_lines, write_extracts
from mssmail.demo.people import ACCOUNTS, REFUSED, STRUCK_OFF, Population, bulk_accounts, populate
from mssmail.directory.compare import Difference
from mssmail.directory.extract import luhn_holds
from mssmail.directory.lookup import Directory
from mssmail.directory.model import Fault
from mssmail.directory.snapshot import import_extracts, previous_path


@pytest.fixture(scope="module")
def population() -> Population:
    return populate(accounts=50)


def test_accounts_are_those_of_the_contract() -> None:
    """Two physicians, a pharmacist, a nurse, a physiotherapist, an organisation two of them share, an application."""
    personal = [a for a in ACCOUNTS if a.kind is BoxKind.PER]
    professions = Counter(a.holder.profession for a in personal if a.holder)
    assert professions == {"10": 2, "21": 1, "60": 1, "70": 1}
    (shared,) = (a for a in ACCOUNTS if a.kind is BoxKind.ORG)
    assert len(set(shared.delegates) & {a.address for a in personal}) == 2
    assert sum(a.kind is BoxKind.APP for a in ACCOUNTS) == 1
    claire = ACCOUNTS[0]
    assert (claire.address, claire.name) == ("claire.martin@demo.mssante.fr", "Claire MARTIN")
    assert claire.holder is not None
    assert (claire.holder.national_id, claire.holder.profession) == ("810000000001", "10")


def test_there_is_an_address_for_each_refusal() -> None:
    """Every reason the gate can give for an address is shown once, on the demo's own domain but for the outside one."""
    assert Counter(r.reason for r in REFUSED) == dict.fromkeys(
        (Reason.NOT_REGISTERED, Reason.STRUCK_OFF, Reason.OUTSIDE_TRUST, Reason.NO_MAILBOX, Reason.SUSPENDED), 1
    )
    outside = {r.reason for r in REFUSED if not r.address.endswith("@demo.mssante.fr")}
    assert outside == {Reason.OUTSIDE_TRUST}


def test_population_is_complete_and_distinct(population: Population) -> None:
    """20,000 people with distinct ids, 5,000 boxes with valid addresses, all accounts among them."""
    ids = Counter(p.national_id for p in population.professionals)
    assert (len(ids), max(ids.values())) == (20_000, 1)
    assert [i for i in ids if not luhn_holds(i[1:])] == ["810000000001"]
    assert len(population.boxes) == 5_000
    assert all(Address.parse(b.address) for b in population.boxes)
    listed = {b.address for b in population.boxes}
    assert {a.address for a in (*ACCOUNTS, *bulk_accounts(50))} < listed
    known = {p.national_id for p in population.professionals}
    assert all(b.holder.national_id in known for b in population.boxes if b.holder)
    assert len(listed) < len(population.boxes)
    domains = {b.address.partition("@")[2] for b in population.boxes}
    assert domains == {people.DOMAIN, *people.OTHER_DOMAINS, people.LABORATORY_DOMAIN}


def test_bulk_accounts_have_people_of_their_own() -> None:
    """Each box of `--accounts` is personal, with a holder nobody else has."""
    accounts = list(bulk_accounts(1000))
    assert [a.address for a in accounts[::999]] == ["box0001@demo.mssante.fr", "box1000@demo.mssante.fr"]
    ids = {a.holder.national_id for a in accounts if a.holder}
    assert len(ids) == 1000
    assert {a.kind for a in accounts} == {BoxKind.PER}
    population = populate(1000)
    assert (len(population.professionals), len(population.boxes)) == (20_000, 5_000)
    assert ids < {p.national_id for p in population.professionals}


def test_more_accounts_than_population() -> None:
    """Accounts are all there, even where they are more than the crowd was to be."""
    population = populate(accounts=30, people=10, boxes=10)
    addresses = {b.address for b in population.boxes}
    assert {a.address for a in bulk_accounts(30)} < addresses


def test_same_seed_same_files(tmp_path: Path) -> None:
    """The demo's directory is the same octets on every machine and day."""
    both = [write_extracts(tmp_path / name, populate(people=100, boxes=50), 1_790_000_000.0) for name in ("a", "b")]
    assert both[0].activity.read_bytes() == both[1].activity.read_bytes()
    assert both[0].boxes.read_bytes() == both[1].boxes.read_bytes()


def test_true_formats(population: Population, tmp_path: Path) -> None:
    """56 and 31 columns in every line, names and archives as they are published, small on disk."""
    assert (len(ACTIVITY_COLUMNS), len(BOX_COLUMNS)) == (56, 31)
    assert {line.count("|") for line in activity_lines(population.professionals)} == {56}
    assert {line.count("|") for line in box_lines(population.boxes)} == {30}
    extracts = write_extracts(tmp_path, population, 1_790_000_000.0)
    assert extracts.activity.name == "PS_LibreAcces_202609211413.zip"
    with zipfile.ZipFile(extracts.boxes) as archive:
        assert archive.namelist() == ["Extraction_Correspondance_MSSante_202609211413.txt"]
    assert extracts.activity.stat().st_size + extracts.boxes.stat().st_size < 1_500_000


def test_the_product_reads_them(population: Population, tmp_path: Path) -> None:
    """The operator's own import reads both without a skipped line; a day later one professional is gone."""
    clock = FakeClock()
    target = tmp_path / "directory.sqlite"
    today = write_extracts(tmp_path / "today", population, clock.now())
    info = import_extracts(target, [today.activity, today.boxes], clock=clock)
    assert (info.people, info.boxes) == (20_000, 5_000)
    assert {f.fault for s in info.sources for f in s.faults} == {Fault.LUHN}
    directory = Directory(target, clock)
    for account in (*ACCOUNTS, *bulk_accounts(50)):
        (box,) = directory.box(account.address)
        assert box.kind is account.kind
        if account.holder:
            person = directory.person(account.holder.national_id)
            assert person is not None
            assert person.practises({account.holder.profession})
        else:
            assert account.structure is not None
            assert box.structure_id == account.structure.structure_id
    clock.advance(86_400)
    tomorrow = write_extracts(tmp_path / "tomorrow", population.without(STRUCK_OFF.national_id), clock.now())
    import_extracts(target, [tomorrow.activity, tomorrow.boxes], clock=clock)
    with Difference(previous_path(target), target) as difference:
        assert list(difference.struck_off()) == [STRUCK_OFF.national_id]
        assert list(difference.boxes_gone()) == ["victor.radie@demo.mssante.fr"]
        assert list(difference.registered()) == list(difference.boxes_moved()) == []
    sizes = sum(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file())
    assert sizes < 10_000_000
