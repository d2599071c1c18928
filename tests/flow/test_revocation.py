"""Revocation lists are fetched on schedule, serve until they expire, and end what they revoke."""

import copy
import errno
import fcntl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mssmail.base.principal import Door
from mssmail.base.refusal import Reason, Refusal
from mssmail.demo.pki import Authority, DemoPki
from mssmail.flow.revocation import RETRY_S, Revocation
from mssmail.flow.sessions import Sessions
from mssmail.metrics.registry import REGISTRY
from mssmail.settings.model import Trust
from tests.support.issuance import Statuses, Wish, authority, points_to
from tests.support.origin import Answer
from tests.support.town import CLAIRE, Town

HOUR = 3600.0


class Kept(Town):
    """A town whose certificates' standing comes from a server of lists, and from no file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.statuses = Statuses(folder, self.pki, self.clock)
        self.statuses.publish(self.pki.root, ends_h=24.0 * 90)
        self.statuses.publish(self.pki.persons)
        self.statuses.publish(self.pki.organisations)
        names = ("root", "persons", "organisations")
        sources = tuple(f"{self.statuses.base}/{name}.crl" for name in names)
        self.trust(crls=(), crl_folder=folder / "revocation", crl_sources=sources)

    def trust(self, **changes: object) -> None:
        """Put other settings of `trust` in force."""
        whole = self.house.settings
        changed: Trust = replace(whole.trust, **changes)  # type: ignore[arg-type]
        self.house.renew(replace(whole, trust=changed))
        self.home.settings = self.house.settings
        self.login = self.worker()
        self.care = Revocation(self.house, self.certificates)

    async def by(self, der: bytes) -> str:
        """What a sign-in by certificate comes to: `in`, or the detail of the refusal."""
        await self.standing.renew_if_changed()
        try:
            await self.login.by_certificate(Door("imap", "192.0.2.1", der), "")
        except Refusal as refusal:
            assert refusal.reason is Reason.CERTIFICATE
            return refusal.detail
        return "in"

    def card(self) -> tuple[bytes, int]:
        certificate, _ = self.statuses.issue()
        return certificate.public_bytes(Encoding.DER), certificate.serial_number


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Kept]:
    built = Kept(tmp_path)
    await built.settle_in((CLAIRE,))
    yield built
    built.care.close()
    built.statuses.close()
    built.close()


async def test_fetched(town: Kept) -> None:
    """Without lists nobody is let in; fetched at the first look, they let in, and are asked for when it is time."""
    der, _ = town.card()
    assert "list is missing" in await town.by(der)
    await town.care.look()
    assert await town.by(der) == "in"
    assert sorted(town.statuses.asked) == ["/organisations.crl", "/persons.crl", "/root.crl"]
    await town.care.look()
    assert len(town.statuses.asked) == 3, "it isn't time"
    town.clock.advance(HOUR + 1)
    await town.care.look()
    assert len(town.statuses.asked) == 6


async def test_revoked_ends_sessions(town: Kept) -> None:
    """A serial that a fetched list revokes is refused from then on, and its open session ends at the next look."""
    der, serial = town.card()
    await town.care.look()
    sessions, ended = Sessions(town.house, town.standing), list[Reason]()
    await sessions.start()
    await town.standing.renew_if_changed()
    principal = await town.login.by_certificate(Door("imap", "192.0.2.1", der), "")
    sessions.enter(principal, ended.append)
    await sessions.look()
    assert ended == []
    town.clock.advance(HOUR + 1)
    town.statuses.publish(town.pki.persons, serial)
    await town.care.look()
    await sessions.look()
    assert ended == [Reason.CERTIFICATE]
    assert await town.by(der) == "revoked"


async def test_a_failure_changes_nothing_until_expiry(town: Kept) -> None:
    """While none can be fetched the last list serves; once it has expired its issuer's certificates are refused."""
    der, _ = town.card()
    await town.care.look()
    town.statuses.instead = Answer(503)
    town.clock.advance(23 * HOUR)
    await town.care.look()
    assert await town.by(der) == "in"
    asked = len(town.statuses.asked)
    town.clock.advance(RETRY_S + 1)
    await town.care.look()
    assert len(town.statuses.asked) == asked + 3, "a failure is tried again soon"
    town.clock.advance(HOUR)
    await town.care.look()
    assert "list has expired" in await town.by(der)
    town.statuses.instead = None
    town.statuses.publish(town.pki.persons)
    town.clock.advance(RETRY_S + 1)
    await town.care.look()
    assert await town.by(der) == "in"


async def test_forged_list(town: Kept) -> None:
    """A list that its issuer didn't sign, or an old one sent again, changes nothing."""
    der, serial = town.card()
    old = town.statuses.lists["/persons.crl"]
    town.clock.advance(60.0)
    town.statuses.publish(town.pki.persons, serial)
    await town.care.look()
    assert await town.by(der) == "revoked"
    for content in (old, town.statuses.lists["/root.crl"][:-4] + b"1234", b"<html>"):
        town.statuses.lists["/persons.crl"] = content
        await town.care.now()
        assert await town.by(der) == "revoked"


async def test_where_certificates_say(town: Kept) -> None:
    """Where settings name no address, a certificate of an anchor says where its issuer's list lies, for good."""
    town.trust(crl_sources=(f"{town.statuses.base}/root.crl",))
    await town.care.look()
    der, _ = town.card()
    assert "list is missing" in await town.by(der)
    await town.care.look()
    assert await town.by(der) == "in"
    asked = len(town.statuses.asked)
    town.trust()
    town.clock.advance(HOUR + 1)
    await town.care.look()
    assert town.statuses.asked[asked:] == ["/root.crl", "/persons.crl"], "another process, after a restart"


async def test_where_certificates_say_if_allowed(town: Kept) -> None:
    """With `crl_distribution_points` off nothing is asked but what settings name."""
    town.trust(crl_sources=(), crl_distribution_points=False)
    await town.by(town.card()[0])
    await town.care.look()
    assert town.statuses.asked == []
    assert not town.house.settings.trust.crl_folder.exists()


async def test_strangers_say_nothing(town: Kept) -> None:
    """A certificate that no anchor signed makes nothing be fetched; nor is any but HTTP called."""
    stranger = authority(town.pki.persons, town.clock, "STRANGER")
    town.trust(crl_sources=())
    for by, address in ((stranger, f"{town.statuses.base}/x.crl"), (town.pki.persons, "ldap://127.0.0.1/x")):
        town.statuses.pki = with_persons(town.pki, by)
        certificate, _ = town.statuses.issue(Wish(), points_to(address))
        await town.by(certificate.public_bytes(Encoding.DER))
    await town.care.look()
    assert town.statuses.asked == []


def with_persons(pki: DemoPki, persons: Authority) -> DemoPki:
    """The demo's CAs with another persons' CA."""
    changed = copy.copy(pki)
    changed.persons = persons
    return changed


async def test_one_process_at_a_time(town: Kept) -> None:
    """While another process of the machine fetches, a look does nothing, and an order is told so."""
    folder = town.house.settings.trust.crl_folder
    folder.mkdir()
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        await town.care.look()
        assert town.statuses.asked == []
        with pytest.raises(Refusal, match="another process"):
            await town.care.now()
    assert [one.outcome for one in await town.care.now()] == ["new"] * 3


async def test_of_no_anchor(town: Kept) -> None:
    """A list of a CA that isn't an anchor is told, and its address forgotten where a certificate named it."""
    other = authority(town.pki.root, town.clock, "OTHER")
    address = town.statuses.publish(other)
    town.trust(crl_sources=())
    certificate, _ = town.statuses.issue(Wish(), points_to(address))
    await town.by(certificate.public_bytes(Encoding.DER))
    assert [one.outcome for one in await town.care.now()] == ["foreign"]
    town.trust()
    assert await town.care.now() == []


async def test_full_disk(town: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that can't be kept is a failure like any other, and is logged, not raised."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mssmail.identity.lists.write_whole", full)
    assert {one.outcome for one in await town.care.now()} == {"failed"}


async def test_time_left_is_told(town: Kept) -> None:
    """The metric says how long the first list to expire still holds."""
    await town.care.look()
    await town.standing.renew_if_changed()
    await town.care.look()
    assert REGISTRY.get_sample_value("mssmail_crl_valid_seconds") == pytest.approx(24 * HOUR, abs=1)


async def test_stopped(town: Kept) -> None:
    """Nothing is begun once it was closed."""
    town.care.close()
    with pytest.raises(Refusal, match="stopped"):
        await town.care.look()
