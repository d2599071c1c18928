"""What is open to an account: its grants, ending all of it at once, recovery codes."""

import pytest

from mssmail.base.principal import Door
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.access import Access
from mssmail.flow.activation import RECOVERY_MARK
from tests.support.town import APP, CLAIRE, PASSWORD, Town, address

HERE, THERE = "192.0.2.1", "2001:db8:1:2::7"


@pytest.fixture
def access(town: Town) -> Access:
    return Access(town.house, town.standing, "root")


async def refused(town: Town, code: str, client: str = HERE) -> Reason:
    with pytest.raises(Refusal) as caught:
        await town.enter(code=code, client=client)
    return caught.value.reason


async def test_grants(town: Town, access: Access) -> None:
    """Each grant is listed with the address that it serves, and ended by itself."""
    first = town.code()
    await town.enter(code=first)
    town.clock.advance(60)
    second = town.code()
    await town.enter(code=second, client=THERE)
    town.clock.advance(60)
    await town.enter()  # a second code joins the first grant
    one, other = await access.grants(address(CLAIRE))
    assert [(g.client, g.codes) for g in (one, other)] == [(HERE, 2), ("2001:db8:1:2::/64", 1)]
    assert one.ends_at - one.opened_at == 8 * 3600
    assert await access.revoke_grant(address(CLAIRE), one.number)
    assert not await access.revoke_grant(address(CLAIRE), one.number)
    assert await refused(town, first) is Reason.GRANT_ENDED
    await town.enter(code=second, client=THERE)
    assert [g.number for g in await access.grants(address(CLAIRE))] == [other.number]


async def test_revoke_all(town: Town, access: Access) -> None:
    """Everything that is open ends; the session's epoch is past, and a new code lets its holder in again."""
    code = town.code()
    before = await town.enter(code=code)
    await access.revoke_all(address(CLAIRE))
    assert await refused(town, code) is Reason.GRANT_ENDED
    town.clock.advance(30)
    after = await town.enter()
    assert after.epoch > before.epoch
    assert [kind for kind, *_ in town.events()].count("signed-out-everywhere") == 1


async def test_recovery_codes(town: Town, access: Access) -> None:
    """Ten codes, each good once over HTTPS, none over mail; new ones void the old."""
    old = await access.new_recovery_codes(address(CLAIRE))
    new = await access.new_recovery_codes(address(CLAIRE))
    assert len({code.reveal() for code in old + new}) == 20

    async def knock(code: Secret, protocol: str = "https") -> None:
        secret = Secret(PASSWORD + RECOVERY_MARK + code.reveal())
        await town.login.by_password(Door(protocol, HERE), "", str(address(CLAIRE)), secret)

    await knock(new[0])
    for code, protocol in ((new[0], "https"), (old[0], "https"), (new[1], "imap")):
        with pytest.raises(Refusal) as caught:
            await knock(code, protocol)
        assert caught.value.reason is Reason.CREDENTIALS
    assert (await town.people.show(address(CLAIRE))).recovery_codes == 9
    with pytest.raises(Refusal) as caught:
        await access.new_recovery_codes(address(APP))
    assert caught.value.reason is Reason.MECHANISM
