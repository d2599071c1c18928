"""Accounts that sign in from named networks alone, and limits of their own."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.limits import NO_LIMITS, Limits
from mssmail.base.principal import Door
from mssmail.base.refusal import Reason, Refusal
from mssmail.demo import people as demo
from mssmail.store import accounts
from tests.support.town import APP, CLAIRE, WRONG, Town, address, der

HOME, ELSEWHERE = "192.0.2.9", "198.51.100.1"
NARROW = Limits(messages_per_hour=5, recipients_per_message=2, networks=("192.0.2.0/24",))


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    built = Town(tmp_path)
    await built.settle_in((CLAIRE, APP))
    for local in (CLAIRE, APP):
        await built.people.set_limits(address(local), lambda _: NARROW)
    yield built
    built.close()


def door(town: Town, client: str, protocol: str = "smtp") -> Door:
    (account,) = [a for a in demo.ACCOUNTS if a.address == str(address(APP))]
    assert account.structure is not None
    leaf = town.pki.organisation(account.common_name, account.structure.structure_id, "DEMO", "Paris (75)")
    return Door(protocol, client, der(leaf.cert))


async def reason_of(attempt: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        await attempt  # type: ignore[misc]
    return caught.value.reason


@pytest.mark.parametrize("protocol", ["smtp", "imap", "https"])
async def test_application(town: Town, protocol: str) -> None:
    """An application's certificate opens its box from its networks alone; elsewhere the refusal says why, traced."""
    for _ in range(2):  # known again the second time
        principal = await town.login.by_certificate(door(town, HOME, protocol), "")
        assert principal.limits == NARROW
        assert await reason_of(town.login.by_certificate(door(town, ELSEWHERE, protocol), "")) is Reason.SOURCE
    kind, _, outcome, said = town.events()[-1]
    assert (kind, outcome) == ("sign-in-refused", "source")
    assert isinstance(said["d"], dict)
    assert said["d"]["client"] == ELSEWHERE


async def test_password(town: Town) -> None:
    """With a password the place is told to whom knows it, and to nobody else; the code stays good."""
    assert await reason_of(town.enter(client=ELSEWHERE)) is Reason.SOURCE
    assert await reason_of(town.enter(password=WRONG, client=ELSEWHERE)) is Reason.CREDENTIALS
    await town.enter(client=HOME)


async def test_a_grant_doesnt_reach_elsewhere(town: Town) -> None:
    """Networks that are narrowed shut out who was in, and end the sessions that stand."""
    code = town.code()
    principal = await town.enter(client=HOME, code=code)
    await town.people.set_limits(address(CLAIRE), lambda old: replace(old, networks=("203.0.113.0/24",)))
    assert accounts.by_id(town.home.tx(), principal.person).epoch * 2 != principal.epoch
    assert await reason_of(town.enter(client=HOME, code=code)) is Reason.SOURCE
    await town.people.set_limits(address(CLAIRE), lambda _: NO_LIMITS)
    assert (await town.enter(client=HOME, code=code)).limits == NO_LIMITS


async def test_shown_and_traced(town: Town) -> None:
    """Limits are shown with the account, and who set them is in the trail."""
    assert (await town.people.show(address(APP))).limits == NARROW
    _, _, _, said = [e for e in town.events() if e[0] == "limits-set"][-1]
    assert isinstance(said["d"], dict)
    assert said["d"]["administrator"] == "root"
    assert "networks=['192.0.2.0/24']" in str(said["d"]["limits"])
