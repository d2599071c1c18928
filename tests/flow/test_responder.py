"""OCSP at sign-in: asked where settings say so, remembered for a while, and never the reason that all stands still."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from mssmail.base.principal import Door
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.responder import REST_S
from mssmail.flow.sessions import Sessions
from mssmail.settings.model import Trust
from tests.support.issuance import Manner, Statuses, Wish, asks_at, points_to
from tests.support.origin import Answer
from tests.support.town import CLAIRE, Town

REVOKED = Manner(ocsp.OCSPCertStatus.REVOKED)


class Asked(Town):
    """A town beside a responder; lists lie in files, as ever."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.statuses = Statuses(folder, self.pki, self.clock)
        self.trust(ocsp="prefer", crl_distribution_points=False)
        certificate, _ = self.statuses.issue()
        self.serial, self.card = certificate.serial_number, certificate.public_bytes(Encoding.DER)

    def trust(self, **changes: object) -> None:
        """Put other settings of `trust` in force."""
        changed: Trust = replace(self.house.settings.trust, **changes)  # type: ignore[arg-type]
        self.house.renew(replace(self.house.settings, trust=changed))
        self.home.settings = self.house.settings
        self.login = self.worker()

    async def by(self, der: bytes | None = None) -> str:
        """What a sign-in by certificate comes to: `in`, or the detail of the refusal."""
        try:
            await self.login.by_certificate(Door("imap", "192.0.2.1", der or self.card), "")
        except Refusal as refusal:
            assert refusal.reason is Reason.CERTIFICATE
            return refusal.detail
        return "in"

    def questions(self) -> int:
        return self.statuses.asked.count("/ocsp")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Asked]:
    built = Asked(tmp_path)
    await built.settle_in((CLAIRE,))
    yield built
    built.standing.close()
    built.statuses.close()
    built.close()


BROKEN = Answer(503)
GOOD, UNKNOWN = Manner(), Manner(ocsp.OCSPCertStatus.UNKNOWN)
STALE = Manner(begins=-900.0, ends=-1.0)


@pytest.mark.parametrize(
    ("mode", "manner", "expected"),
    [
        ("off", REVOKED, "in"),
        ("prefer", GOOD, "in"),
        ("prefer", REVOKED, "revoked, as OCSP says"),
        ("prefer", UNKNOWN, "in"),
        ("prefer", STALE, "in"),
        ("prefer", BROKEN, "in"),
        ("require", GOOD, "in"),
        ("require", REVOKED, "revoked, as OCSP says"),
        ("require", UNKNOWN, "no OCSP responder vouches for it"),
        ("require", STALE, "no OCSP responder vouches for it"),
        ("require", BROKEN, "no OCSP responder vouches for it"),
    ],
)
async def test_modes(town: Asked, mode: str, manner: Manner | Answer, expected: str) -> None:
    """An answer decides; without one the lists do, unless one is required."""
    town.trust(ocsp=mode)
    if isinstance(manner, Answer):
        town.statuses.instead = manner
    else:
        town.statuses.manner = manner
    assert await town.by() == expected
    assert town.questions() == (0 if mode == "off" else 1)


async def test_refusal_is_in_the_trail(town: Asked) -> None:
    """The trail says why a certificate was refused, and the password still lets in."""
    town.statuses.manner = REVOKED
    await town.by()
    kind, _, outcome, said = town.events()[-1]
    assert (kind, outcome) == ("sign-in-refused", "certificate")
    assert isinstance(said["d"], dict)
    assert said["d"]["detail"] == "revoked, as OCSP says"
    await town.enter()


async def test_lists_beside_it(town: Asked) -> None:
    """A list that revokes counts beside a good answer; a list that is missing matters only without one."""
    town.pki.revoke(town.pki.persons, town.serial)
    town.standing.reload_if_changed()
    assert await town.by() == "revoked"
    town.trust(crls=tuple(file for file in town.pki.crls if "persons" not in file.name))
    assert await town.by() == "in"
    town.clock.advance(REST_S + 3601)
    town.statuses.instead = BROKEN
    assert "list is missing" in await town.by()


async def test_remembered(town: Asked) -> None:
    """An answer serves again for `ocsp_max_age`, within its own time; then it is asked for anew."""
    town.statuses.manner = Manner(ends=10_000.0)
    for _ in range(3):
        assert await town.by() == "in"
    assert town.questions() == 1
    town.clock.advance(3601.0)
    town.statuses.manner = Manner(ends=60.0)
    await town.by()
    await town.by()
    assert town.questions() == 2
    town.clock.advance(61.0)
    await town.by()
    assert town.questions() == 3


async def test_what_was_revoked_stays_so(town: Asked) -> None:
    """A certificate that was said to be revoked isn't let in while the responder is silent; only a good answer does."""
    town.statuses.manner = Manner(ocsp.OCSPCertStatus.REVOKED, ends=10.0)
    await town.by()
    town.statuses.instead = BROKEN
    town.clock.advance(60.0)
    assert await town.by() == "revoked, as OCSP said before"
    town.statuses.instead, town.statuses.manner = None, GOOD
    town.clock.advance(REST_S + 1)
    assert await town.by() == "in"


async def test_at_once(town: Asked) -> None:
    """Many sign-ins with one certificate at the same moment ask once."""
    assert await asyncio.gather(*(town.by() for _ in range(20))) == ["in"] * 20
    assert town.questions() == 1


async def test_silent_responder(town: Asked) -> None:
    """A silent responder costs the first sign-in its timeout, and for a moment isn't asked again."""
    town.trust(ocsp_timeout=1)
    release = Event()
    town.statuses.before = lambda: release.wait(20.0)
    for _ in range(20):
        assert await town.by() == "in"
    assert town.questions() == 1
    release.set()
    town.statuses.before = lambda: None
    town.clock.advance(REST_S + 1)
    await town.by()
    assert town.questions() == 2


async def test_who_leaves(town: Asked) -> None:
    """Who hangs up while OCSP is asked takes the answer from nobody."""
    asked, release = Event(), Event()

    def hold() -> None:
        asked.set()
        release.wait(20.0)

    town.statuses.before = hold
    first = asyncio.create_task(town.by())
    await asyncio.to_thread(asked.wait, 20.0)
    second = asyncio.create_task(town.by())
    await asyncio.sleep(0)
    first.cancel()
    release.set()
    assert await second == "in"
    assert town.questions() == 1


async def test_configured_responder(town: Asked) -> None:
    """`trust.ocsp_responder` is asked in the place of what the certificate names, and where it names none."""
    certificate, _ = town.statuses.issue(Wish(), points_to("http://127.0.0.1:1/x.crl"))
    der = certificate.public_bytes(Encoding.DER)
    town.trust(ocsp="require")
    assert "vouches" in await town.by(der)
    town.trust(ocsp_responder=f"{town.statuses.base}/ocsp")
    assert await town.by(der) == "in"
    elsewhere, _ = town.statuses.issue(Wish(), asks_at("http://127.0.0.1:1/"))
    assert await town.by(elsewhere.public_bytes(Encoding.DER)) == "in"


async def test_only_http(town: Asked) -> None:
    """No address of another scheme is called."""
    certificate, _ = town.statuses.issue(Wish(), asks_at("file:///etc/passwd"))
    town.trust(ocsp="require")
    assert "vouches" in await town.by(certificate.public_bytes(Encoding.DER))


async def test_large_answer(town: Asked) -> None:
    """An answer without end is cut off, and is none."""
    town.statuses.instead = Answer(200, bytes(1 << 20))
    town.trust(ocsp="require")
    assert "vouches" in await town.by()


async def test_open_session(town: Asked) -> None:
    """A session ends when OCSP says that its certificate was revoked meanwhile."""
    town.statuses.manner = Manner(ends=10_000.0)
    sessions, ended = Sessions(town.house, town.standing), list[Reason]()
    await sessions.start()
    principal = await town.login.by_certificate(Door("imap", "192.0.2.1", town.card), "")
    sessions.enter(principal, ended.append)
    for _ in range(3):
        await town.standing.ask_again(sessions.certificates())
    assert town.questions() == 1
    town.statuses.manner = REVOKED
    town.clock.advance(3601.0)
    await town.standing.ask_again(sessions.certificates())
    await sessions.look()
    assert ended == [Reason.CERTIFICATE]
    town.clock.advance(3601.0)
    await town.standing.ask_again(sessions.certificates())
    assert town.questions() == 2, "nobody is in any more"


async def test_closed(town: Asked) -> None:
    """Once closed nobody is asked."""
    town.standing.close()
    assert await town.by() == "in"
    assert town.questions() == 0
