"""The white list: taken, refused whole with the last good one serving, rolled back, followed on schedule."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import CapturingLogger

from mssmail.audit.events import Kind
from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow import doctor, trust
from mssmail.flow.standing import Standing
from mssmail.flow.trust import TrustLists
from mssmail.flow.trust_schedule import LEASE, RETRY_S, TrustSchedule
from mssmail.identity.certificates import Certificates
from mssmail.metrics.registry import REGISTRY
from mssmail.settings.model import Settings
from mssmail.store import leases, trail
from tests.support.houses import Home, settings_for
from tests.support.origin import Answer, Asked, Origin
from tests.support.signer import Signer
from tests.support.whitelist import OPERATOR, domains

DAY = 86_400.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    built = Home(tmp_path)
    yield built
    built.close()


def events(home: Home) -> list[tuple[str, str, dict[str, object]]]:
    """What the trail says of white lists."""
    found = []
    for row in trail.events_of(home.tx(), home.chain, 0, 10_000):
        said = home.house.trail.open(row)
        details = said.get("d", {})
        assert isinstance(details, dict)
        found.append((Kind(row.kind).label, str(said["o"]), details))
    return found


def advance(home: Home, seconds: float) -> None:
    assert isinstance(home.clock, FakeClock)
    home.clock.advance(seconds)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("mssmail_trust_list_loads_total", {"outcome": outcome}) or 0.0


def schedule(home: Home, **settings: object) -> TrustSchedule:
    """Of a process whose settings name this source."""
    given: Settings = replace(
        home.settings,
        trust_list=replace(home.settings.trust_list, **settings),  # type: ignore[arg-type]
    )
    return TrustSchedule(home.with_settings(given))


def listed(home: Home) -> set[str]:
    current = home.house.white_list.current()
    return set() if current is None else set(current.operators)


async def test_taken_and_traced(home: Home) -> None:
    """A list in service is told with what it holds and how it differs; the difference is there to be asked for."""
    lists, now = TrustLists(home.house, "root"), home.clock.now()
    assert trust.status(home.house).state == "missing"
    with pytest.raises(Refusal, match="no white list"):
        trust.shown(home.house, "a.fr")
    await lists.load(domains(now - DAY, "a.fr", "b.fr"), name="one.xml")
    await lists.load(domains(now, "a.fr", "b.fr", "c.fr"), name="two.xml")
    kind, outcome, said = events(home)[-1]
    assert (kind, outcome, said["file"], said["administrator"]) == ("trust-list-loaded", "ok", "two.xml", "root")
    assert (said["domains"], said["added"], said["added_domains"], said["removed"]) == (3, 1, ["c.fr"], 0)
    assert trust.shown(home.house, "C.fr") == [OPERATOR]
    assert trust.shown(home.house, "d.fr") == trust.shown(home.house, "no domain") == []
    assert trust.difference(home.house) == trust.Difference(("c.fr",), (), ())
    assert trust.status(home.house).state == "ok"


@pytest.mark.parametrize(
    ("age_s", "names", "cut", "cause"),
    [
        (0.0, ("a.fr", "b.fr"), 4, "malformed"),
        (0.0, (), 0, "empty"),
        (2 * DAY, ("a.fr", "b.fr"), 0, "older"),
        (0.0, ("a.fr",), 0, "shrunk"),
        (-2 * DAY, ("a.fr", "b.fr"), 0, "future"),
    ],
)
async def test_refused_whole(
    home: Home, monkeypatch: pytest.MonkeyPatch, age_s: float, names: tuple[str, ...], cut: int, cause: str
) -> None:
    """The last good list serves on; trail, counter, log, status and doctor tell, until another is taken."""
    lists, now = TrustLists(home.house, "root"), home.clock.now()
    await lists.load(domains(now - DAY, "a.fr", "b.fr"), name="good.xml")
    before, counter = home.house.white_list.current(), counted(cause)
    octets = domains(now - age_s, *names)
    log = CapturingLogger()
    monkeypatch.setattr("mssmail.flow.trust._log", log)
    with pytest.raises(Refusal):
        await lists.load(octets[: len(octets) - cut], name="bad.xml")
    assert home.house.white_list.current() is before
    kind, outcome, said = events(home)[-1]
    assert (kind, outcome, said["cause"], said["file"]) == ("trust-list-refused", "import", cause, "bad.xml")
    assert counted(cause) == counter + 1
    assert [(call.method_name, call.kwargs["cause"]) for call in log.calls] == [("error", cause)]
    refused = trust.status(home.house).refused
    assert refused is not None
    assert (refused.cause, refused.at) == (cause, now)
    assert [f.severity.value for f in doctor.examine_trust(home.house)] == ["ok", "error"]
    await lists.load(domains(now, "a.fr", "b.fr"), name="next.xml")
    assert trust.status(home.house).refused is None


async def test_another_worker_takes_it_up(home: Home) -> None:
    """A list that one process took is in force in another at its next look, without a restart, read once."""
    other = Home(home.folder, home.clock, settings=home.settings, slot=1)
    try:
        standing = Standing(other.house, Certificates(home.settings.trust, home.clock))
        assert other.house.white_list.current() is None
        await TrustLists(home.house, "root").load(domains(home.clock.now(), "a.fr"), name="x")
        await standing.renew_if_changed()
        assert listed(other) == {"a.fr"}
        assert not other.house.white_list.changed()
    finally:
        other.close()


async def test_followed(home: Home, tmp_path: Path) -> None:
    """The source is asked when it is time, by validators; each list is taken once, in the schedule's name."""
    now = home.clock.now()
    answers = {"/list.xml": domains(now, "a.fr", "b.fr")}

    def answer(asked: Asked) -> Answer:
        mark = f'"{len(answers["/list.xml"])}"'
        if asked.headers.get("If-None-Match") == mark:
            return Answer(304)
        return Answer(200, answers["/list.xml"], {"ETag": mark})

    origin = Origin(tmp_path / "origin", answer)
    care = schedule(home, source=f"{origin.base}/list.xml", source_ca=origin.authority)
    await care.look()
    await care.look()
    assert (listed(home), len(origin.asked)) == ({"a.fr", "b.fr"}, 1)
    assert events(home)[-1][2]["administrator"] == "schedule"
    advance(home, DAY)
    await care.look()
    assert (len(origin.asked), len(events(home))) == (2, 1), "not modified"
    answers["/list.xml"] = domains(now + DAY, "a.fr", "b.fr", "c.fr")
    advance(home, DAY)
    await care.look()
    assert listed(home) == {"a.fr", "b.fr", "c.fr"}
    care.close()
    origin.close()


async def test_rolled_back_from(home: Home, tmp_path: Path) -> None:
    """The list that was rolled back from isn't taken from its source again, by schedule or hand; a newer one is."""
    now, file = home.clock.now(), tmp_path / "published.xml"
    care, lists = schedule(home, source=file.as_uri()), TrustLists(home.house, "root")
    for age, names in ((2 * DAY, ("a.fr",)), (DAY, ("a.fr", "wrong.fr"))):
        file.write_bytes(domains(now - age, *names))
        await care.now()
    await lists.roll_back()
    assert listed(home) == {"a.fr"}
    advance(home, DAY)
    await care.look()
    assert await care.now() is None
    assert listed(home) == {"a.fr"}
    file.write_bytes(domains(now, "a.fr", "right.fr"))
    loaded = await care.now()
    assert loaded is not None
    assert listed(home) == {"a.fr", "right.fr"}
    care.close()


@pytest.mark.parametrize(("status", "again_s"), [(503, RETRY_S), (200, 3 * 3600.0)])
async def test_failure(home: Home, tmp_path: Path, status: int, again_s: float) -> None:
    """What may pass is tried again soon, a bad list at its time; the list in service serves on."""
    await TrustLists(home.house, "root").load(domains(home.clock.now(), "a.fr"), name="x")
    origin = Origin(tmp_path / "origin", lambda asked: Answer(status, b"<no list/>"))
    care = schedule(home, source=f"{origin.base}/x", source_ca=origin.authority)
    for turn in (1, 2):
        with pytest.raises(Refusal):
            await care.look()
        advance(home, again_s - 1.0)
        await care.look()
        assert len(origin.asked) == turn
        advance(home, 1.0)
    assert listed(home) == {"a.fr"}
    care.close()
    origin.close()


async def test_one_asks(home: Home, tmp_path: Path) -> None:
    """While one process asks, another's schedule lets it, and a command says so."""
    file = tmp_path / "published.xml"
    file.write_bytes(domains(home.clock.now(), "a.fr"))
    care = schedule(home, source=file.as_uri())
    lease = await home.house.write.run(lambda tx: leases.take(tx, LEASE, "somebody", 60))
    assert lease is not None
    await care.look()
    with pytest.raises(Refusal) as refused:
        await care.now()
    assert (refused.value.reason, listed(home)) == (Reason.UNAVAILABLE, set())
    await home.house.write.run(lambda tx: leases.drop(tx, lease))
    await care.look()
    assert listed(home) == {"a.fr"}
    care.close()


async def test_age(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that grows old is alarmed once a day, and serves on; none at all likewise where a source is named."""
    care, log = schedule(home), CapturingLogger()
    monkeypatch.setattr("mssmail.flow.trust_schedule._log", log)
    await care.look()
    assert not log.calls, "no list is wanted here"
    await TrustLists(home.house, "root").load(domains(home.clock.now(), "a.fr"), name="x")
    advance(home, 4 * DAY)
    await care.look()
    await care.look()
    assert [call.args[0] for call in log.calls] == ["the white list is growing old"]
    assert REGISTRY.get_sample_value("mssmail_trust_list_age_seconds") == pytest.approx(4 * DAY, abs=1)
    assert REGISTRY.get_sample_value("mssmail_trust_list_domains") == 1
    assert [f.severity.value for f in doctor.examine_trust(home.house)] == ["warning"]
    care.close()


def test_doctor_misses_a_list(tmp_path: Path) -> None:
    """Where other operators are spoken with and there is no list, that is an error; where they aren't, nothing."""
    plain = settings_for(tmp_path)
    home = Home(tmp_path)
    assert list(doctor.examine_trust(home.house)) == []
    house = home.with_settings(replace(plain, trust=replace(plain.trust, operators_ca=tmp_path / "ca.pem")))
    assert [f.severity.value for f in doctor.examine_trust(house)] == ["error"]
    home.close()


async def test_signed(home: Home, tmp_path: Path) -> None:
    """With signers configured only what they signed is taken, and nothing while they can't be read."""
    signer, file = Signer(), tmp_path / "signers.pem"
    settings = replace(home.settings, trust_list=replace(home.settings.trust_list, signers=file))
    lists, octets = TrustLists(home.with_settings(settings), "root"), domains(home.clock.now(), "a.fr")
    with pytest.raises(Refusal) as lost:
        await lists.load(signer.sign(octets), name="list.xml")
    assert lost.value.reason is Reason.UNAVAILABLE
    file.write_bytes(signer.certificate.public_bytes(Encoding.PEM))
    with pytest.raises(Refusal, match="not signed"):
        await lists.load(octets, name="list.xml")
    kind, outcome, said = events(home)[-1]
    assert (kind, outcome, said["cause"]) == ("trust-list-refused", "import", "signature")
    assert listed(home) == set()
    await lists.load(signer.sign(octets), name="list.xml")
    assert listed(home) == {"a.fr"}
