"""The directory is renewed on schedule, by one process at a time, and grown old it lets nobody new in."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from mssmail.base.principal import Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.demo import people as demo
from mssmail.demo.extract import write_extracts
from mssmail.flow import consult
from mssmail.flow.renewal import LEASE, RETRY_S, Renewal
from mssmail.metrics.registry import REGISTRY
from mssmail.servers.smtp.replies import REASONS
from mssmail.settings.model import Directory
from mssmail.store import leases
from tests.support.annuaire import KEY, Annuaire, box, practitioner
from tests.support.origin import Answer, Asked, Origin
from tests.support.town import CLAIRE, PAUL, Town, address

DAY = 86_400.0


def renewal(town: Town, **settings: object) -> Renewal:
    """Of a process whose settings name these sources."""
    whole = town.house.settings
    directory = replace(whole.directory, **settings)  # type: ignore[arg-type]
    house = replace(town.house, settings=replace(whole, directory=directory))
    return Renewal(house, town.standing)


def publish(town: Town, folder: Path, population: demo.Population) -> None:
    """Lay extracts of now into a folder; they lie there for a while."""
    files = write_extracts(folder, population, town.clock.now())
    for file in (files.activity, files.boxes):
        os.utime(file, (town.clock.now(), town.clock.now()))


def kinds(town: Town) -> list[str]:
    return [kind for kind, *_ in town.events()]


def details(said: dict[str, object]) -> dict[str, object]:
    found = said["d"]
    assert isinstance(found, dict)
    return found


async def test_folder(town: Town, tmp_path: Path) -> None:
    """New extracts in the folder are loaded once each, in the schedule's name; who is gone from them is struck off."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    care = renewal(town, source=(folder.as_uri(),))
    await care.look()
    loaded = kinds(town).count("directory-loaded")
    town.clock.advance(DAY)
    publish(town, folder, town.population.without(demo.PAUL.national_id))
    await care.look()
    assert kinds(town).count("directory-loaded") == loaded, "still being written"
    town.clock.advance(DAY)
    await care.look()
    await care.look()
    assert kinds(town).count("directory-loaded") == loaded + 1
    kind, _, _, said = town.events()[-2]
    assert (kind, details(said)["administrator"]) == ("directory-loaded", "schedule")
    assert kinds(town)[-1] == "struck-off"
    town.clock.advance(DAY)
    await care.look()
    assert kinds(town).count("directory-loaded") == loaded + 1, "nothing new"
    assert town.house.directory.age_s() == pytest.approx(2 * DAY, abs=60), (
        "as old as its extracts, not as their loading"
    )
    care.close()


async def test_older_extract_is_not_taken(town: Town, tmp_path: Path) -> None:
    """What was made before the extract in service is refused, and the refusal is traced."""
    folder = tmp_path / "incoming"
    town.clock.advance(-2 * DAY)
    publish(town, folder, town.population)
    town.clock.advance(3 * DAY)
    care = renewal(town, source=(folder.as_uri(),))
    before = town.house.directory.info()
    with pytest.raises(Refusal, match="older than"):
        await care.look()
    assert (town.house.directory.info(), kinds(town)[-1]) == (before, "directory-refused")
    care.close()


async def test_download(town: Town, tmp_path: Path) -> None:
    """Addresses are fetched when it is time and only where something changed; nothing is left of a download."""
    origin = Origin(tmp_path / "origin", lambda asked: Answer(404))
    files = write_extracts(tmp_path / "published", town.population, town.clock.now())

    def answer(asked: Asked) -> Answer:
        file = files.activity if "activity" in asked.path else files.boxes
        mark = f'"{file.name}"'
        if asked.headers.get("If-None-Match") == mark:
            return Answer(304)
        name = {"ETag": mark, "Content-Disposition": f"attachment; filename={file.name}"}
        return Answer(200, file.read_bytes(), name)

    origin.answer = answer
    where = (f"{origin.base}/activity?token=hush", f"{origin.base}/boxes")
    care = renewal(town, source=where, source_ca=origin.authority)
    before = town.house.directory.info().built_at
    town.clock.advance(10.0)
    await care.look()
    info = town.house.directory.info()
    assert info.built_at > before
    assert [Path(s.name).parent.name for s in info.sources] == [files.activity.name, files.boxes.name]
    await care.look()
    assert len(origin.asked) == 2, "it isn't time"
    town.clock.advance(7 * 3600.0)
    await care.look()
    assert len(origin.asked) == 4
    assert town.house.directory.info() == info
    folder = town.house.settings.directory.folder
    assert not (folder / "download").exists()
    assert "hush" not in (folder / "source.json").read_text()
    assert "hush" not in json.dumps([said for *_, said in town.events()])
    care.close()
    origin.close()


@pytest.mark.parametrize(("status", "again_s"), [(503, RETRY_S), (200, 6 * 3600.0)])
async def test_failure(town: Town, tmp_path: Path, status: int, again_s: float) -> None:
    """A failure leaves the directory in service; one that may pass is tried again soon, a bad file at its time."""
    origin = Origin(tmp_path / "origin", lambda asked: Answer(status, b"not an extract"))
    care = renewal(town, source=(f"{origin.base}/x",), source_ca=origin.authority)
    before = town.house.directory.info()
    for turn in (1, 2):
        with pytest.raises(Refusal):
            await care.look()
        town.clock.advance(again_s - 1.0)
        await care.look()
        assert len(origin.asked) == turn
        town.clock.advance(2.0)
    assert town.house.directory.info() == before
    care.close()
    origin.close()


async def test_lease(town: Town, tmp_path: Path) -> None:
    """While another process is at it nobody else is; a command is told so."""
    folder = tmp_path / "incoming"
    publish(town, folder, town.population)
    town.clock.advance(DAY)
    care = renewal(town, source=(folder.as_uri(),))
    lease = await town.house.write.run(lambda tx: leases.take(tx, LEASE, "other", 600))
    assert lease is not None
    before = town.house.directory.info()
    await care.look()
    with pytest.raises(Refusal, match="a running server"):
        await care.now()
    assert town.house.directory.info() == before
    await town.house.write.run(lambda tx: leases.drop(tx, lease))
    assert len(await care.now()) == 1
    care.close()


@pytest.mark.parametrize("cancelled", [True, False])
async def test_closing_ends_a_download(town: Town, tmp_path: Path, cancelled: bool) -> None:
    """While a server keeps a download waiting the loop runs on; closing ends it, and a cancellation is never lost."""
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer(asked: Asked) -> Answer:
        loop.call_soon_threadsafe(started.set)
        care._errands.stop.wait(20.0)
        return Answer(200, b"late")

    origin = Origin(tmp_path / "origin", answer)
    care = renewal(town, source=(f"{origin.base}/x",), source_ca=origin.authority)
    task = asyncio.create_task(care.look())
    await asyncio.wait_for(started.wait(), 10.0)
    assert not task.done()
    care.close()
    if cancelled:
        task.cancel()
    with pytest.raises(asyncio.CancelledError if cancelled else Refusal):
        await asyncio.wait_for(task, 10.0)
    with pytest.raises(Refusal, match="stopped"):
        await care.now()
    origin.close()


async def test_api(town: Town, tmp_path: Path) -> None:
    """The API's changes are laid over the extracts, its key read from its file and told to nobody."""
    annuaire = Annuaire(tmp_path / "annuaire")
    key = tmp_path / "key"
    key.write_text(KEY)
    annuaire.resources = [
        practitioner("p1", demo.CLAIRE.national_id, telecom=[box(str(address(CLAIRE)), red=True)]),
        practitioner("p2", "810000999998", family="NOUVELLE", telecom=[box("nouvelle@h.fr")]),
    ]
    care = renewal(town, fhir=annuaire.base, fhir_key=key, source_ca=annuaire.origin.authority)
    await care.look()
    (entry,) = consult.entries(town.house, "810000999998")
    assert (entry.name, entry.boxes, entry.allowed) == ("Claire Anne NOUVELLE", ("nouvelle@h.fr",), True)
    assert town.house.directory.box(address(CLAIRE).key)[0].red_listed is True
    kind, _, outcome, said = town.events()[-1]
    assert (kind, outcome, details(said)["fhir"]) == ("directory-loaded", "ok", True)
    assert KEY not in json.dumps([each for *_, each in town.events()])
    key.unlink()
    town.clock.advance(DAY)
    with pytest.raises(Refusal, match="can't be read"):
        await care.look()
    care.close()
    annuaire.close()


async def test_alarm(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """From three days on a warning is logged once a day; the gauge tells the age, and +Inf without a directory."""
    care = renewal(town)
    log = CapturingLogger()
    monkeypatch.setattr("mssmail.flow.renewal._log", log)
    for _ in range(16):
        await care.look()
        await care.look()
        town.clock.advance(DAY)
    assert [call.method_name for call in log.calls] == ["warning"] * 12 + ["error"]
    assert REGISTRY.get_sample_value("mssmail_directory_age_seconds") == pytest.approx(15 * DAY, abs=60)
    town.house.directory.close()
    await care.look()
    assert REGISTRY.get_sample_value("mssmail_directory_age_seconds") == float("inf")
    care.close()


async def test_too_old(town: Town) -> None:
    """Past its greatest age the directory vouches for nobody: recipients and new boxes are refused for now.

    What it isn't needed for stays as it was: sign-in, and refusals for another cause.
    """
    await town.people.suspend(address(PAUL))
    town.clock.advance(14 * DAY - 120)
    claire = await town.enter()
    assert isinstance(await town.gate.recipient(claire, address(CLAIRE)), Recipient)
    town.clock.advance(240)
    claire = await town.enter(client="192.0.2.9")
    asked = [address(CLAIRE), address("jean.inconnu"), address(PAUL), replace(address(CLAIRE), domain="ailleurs.fr")]
    decided = await town.gate.recipients(claire, asked)
    reasons = [each.reason if isinstance(each, Refusal) else None for each in decided]
    assert reasons == [Reason.DIRECTORY_STALE, Reason.DIRECTORY_STALE, Reason.SUSPENDED, Reason.OUTSIDE_TRUST]
    assert Reason.DIRECTORY_STALE.temporary
    assert REASONS[Reason.DIRECTORY_STALE].startswith(b"451 4.7.1 ")
    with pytest.raises(Refusal) as refused:
        await town.people.create(town.new(demo.REFUSED[-1].account or demo.ACCOUNTS[0]))
    assert refused.value.reason is Reason.DIRECTORY_STALE
    await town.load()
    assert isinstance(await town.gate.recipient(claire, address(CLAIRE)), Recipient)


async def test_diff(town: Town) -> None:
    """What the newest load changed is counted whole and listed up to a limit; without one before it there is none."""
    with pytest.raises(Refusal, match="no directory before"):
        consult.changes(town.house, 5)
    town.clock.advance(DAY)
    gone = [p.national_id for p in town.population.professionals[:30]]
    await town.load(town.population.without(*gone))
    found = consult.changes(town.house, 5)
    by_kind = {change.kind: change for change in found.changes}
    assert list(by_kind) == ["struck-off", "registered", "profession-changed", "box-gone", "box-new", "box-moved"]
    assert (by_kind["struck-off"].count, by_kind["struck-off"].first) == (30, tuple(sorted(gone)[:5]))
    assert found.now - found.before == DAY
    await town.refresh.roll_back()
    back = {change.kind: change.count for change in consult.changes(town.house, 0).changes}
    assert (back["registered"], back["struck-off"]) == (30, 0)


def test_defaults() -> None:
    """The alarm comes at three days, the refusal not before the publisher's longest gap of ten."""
    assert (Directory().stale_after, Directory().max_age > 10 * DAY) == (3 * DAY, True)
