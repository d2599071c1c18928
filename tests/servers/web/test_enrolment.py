"""Enrolment by a one-time link: password, QR code, first code, recovery codes; and what a recovery code is good for."""

import re

import httpx
import pytest

from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.activation import Opened
from mssmail.identity import otp
from tests.servers.web.portal import Portal, hidden_fields
from tests.support.town import APP, CLAIRE, ORG, PASSWORD, address

NEW = "nouvelle-Loutre9-Vitrail2"


async def link(portal: Portal) -> Opened:
    return await portal.web.site.activations.open(address(CLAIRE), "root")


async def secret_of(portal: Portal, opened: Opened) -> str:
    return (await portal.web.site.activations.find(opened.code)).totp_secret.reveal()


async def activate(portal: Portal, browser: httpx.AsyncClient, opened: Opened, **changed: str) -> httpx.Response:
    code = otp.code_at(await secret_of(portal, opened), portal.town.clock.now())
    fields = {"password": NEW, "repeated": NEW, "first_code": code, **changed}
    return await portal.post(browser, "/enrolment", fields, page=f"/enrolment?code={opened.code.reveal()}")


async def enter(portal: Portal, browser: httpx.AsyncClient, password: str, code: str) -> int:
    fields = {"address": str(address(CLAIRE)), "password": password, "code": code}
    page = await browser.get("/sign-in")
    if page.status_code == 303:
        await browser.post("/sign-out", data=hidden_fields((await browser.get("/account")).text, "/sign-out"))
    return (await portal.post(browser, "/sign-in", fields, page="/sign-in")).status_code


def recovery_codes(page: str) -> list[str]:
    return re.findall(r"<li>([A-Z-]+)</li>", page)


async def test_enrolled(portal: Portal, browser: httpx.AsyncClient) -> None:
    """The link's page shows address, rule and QR code; with a first code it sets both, once, and the old ones end."""
    opened = await link(portal)
    assert await enter(portal, browser, PASSWORD, portal.town.code()) == 303  # until then the old ones serve
    shown = await browser.get("/enrolment", params={"code": opened.code.reveal()})
    secret = await secret_of(portal, opened)
    assert shown.status_code == 200 and str(address(CLAIRE)) in shown.text and "50 bits" in shown.text
    assert '<svg viewBox="0 0' in shown.text and secret in shown.text.replace(" ", "") and "style=" not in shown.text
    done = await activate(portal, browser, opened)
    assert done.status_code == 200 and len(set(recovery_codes(done.text))) == 10
    assert portal.town.events()[-1][0] == "enrolment-done"
    assert (await browser.get("/account")).status_code == 303  # sessions ended
    portal.town.clock.advance(30)
    assert await enter(portal, browser, PASSWORD, portal.town.code()) == 403
    assert await enter(portal, browser, NEW, otp.code_at(secret, portal.town.clock.now())) == 303
    again = await browser.get("/enrolment", params={"code": opened.code.reveal()})
    assert again.status_code == 400 and secret not in again.text.replace(" ", "")


async def test_first_code_is_used(portal: Portal, browser: httpx.AsyncClient) -> None:
    """The code that confirmed the authenticator is used up like any other."""
    opened = await link(portal)
    code = otp.code_at(await secret_of(portal, opened), portal.town.clock.now())
    assert (await activate(portal, browser, opened)).status_code == 200
    assert await enter(portal, browser, NEW, code) == 403


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"repeated": "other"}, "Les deux mots de passe"),
        ({"password": "azerty", "repeated": "azerty"}, "trop facile"),
        ({"password": "", "repeated": ""}, "trop facile"),
        ({"password": "claire.martin2026", "repeated": "claire.martin2026"}, "trop facile"),
        ({"first_code": "000000"}, "ne correspond pas"),
        ({"first_code": ""}, "ne correspond pas"),
    ],
)
async def test_faults(portal: Portal, browser: httpx.AsyncClient, changed: dict[str, str], said: str) -> None:
    """What is wrong is said, with the same QR code shown again, and nothing is used up."""
    opened = await link(portal)
    sent = await activate(portal, browser, opened, **changed)
    assert sent.status_code == 400 and said in sent.text
    assert await secret_of(portal, opened) in sent.text.replace(" ", "")
    assert NEW not in sent.text
    assert (await activate(portal, browser, opened)).status_code == 200


@pytest.mark.parametrize("code", ["", "x", "mssen_" + "A" * 43, "é" * 50, "x" * 5000])
async def test_unknown_link(portal: Portal, browser: httpx.AsyncClient, code: str) -> None:
    """What is no link shows nobody's secret."""
    await link(portal)
    shown = await browser.get("/enrolment", params={"code": code})
    assert shown.status_code == 400 and "<svg" not in shown.text


@pytest.mark.parametrize("end", ["time", "another", "password", "suspension", "strike-off"])
async def test_link_ends(portal: Portal, browser: httpx.AsyncClient, end: str) -> None:
    """A link ends with its time, with a newer one, and with any change of the account."""
    opened, people, box = await link(portal), portal.town.people, address(CLAIRE)
    match end:
        case "time":
            portal.town.clock.advance(3 * 86_400)
        case "another":
            await link(portal)
        case "password":
            await people.set_password(box, Secret("autre-Tulipe8-Quai4-mauve"))
        case "suspension":
            await people.suspend(box)
        case "strike-off":
            await portal.town.load(portal.town.population.without((await people.show(box)).holder))
    shown = await browser.get("/enrolment", params={"code": opened.code.reveal()})
    assert shown.status_code in (400, 403) and "<svg" not in shown.text
    page = await browser.get("/sign-in")
    fields = {**hidden_fields(page.text, "/sign-in"), "code": opened.code.reveal(), "password": NEW, "repeated": NEW}
    assert (await browser.post("/enrolment", data={**fields, "first_code": "123456"})).status_code in (400, 403)


@pytest.mark.parametrize(("local", "reason"), [(ORG, Reason.MECHANISM), (APP, Reason.MECHANISM)])
async def test_whose(portal: Portal, local: str, reason: Reason) -> None:
    """Only a professional's own box has a password to set."""
    with pytest.raises(Refusal) as caught:
        await portal.web.site.activations.open(address(local), "root")
    assert caught.value.reason is reason


async def test_recovery(portal: Portal, browser: httpx.AsyncClient) -> None:
    """A recovery code stands once for a code, however it is typed, with the right password, over HTTPS alone."""
    codes = recovery_codes((await activate(portal, browser, await link(portal))).text)
    assert await enter(portal, browser, "wrong-password", codes[0]) == 403
    assert await enter(portal, browser, NEW, "BBBB-BBBBB-BBBBB") == 403
    assert await enter(portal, browser, NEW, codes[0].lower().replace("-", " ")) == 303
    assert await enter(portal, browser, NEW, codes[0]) == 403
    assert await enter(portal, browser, NEW, codes[1]) == 303
    for typed in (codes[2], "\x1f" + codes[2], codes[2].replace("-", "")):
        with pytest.raises(Refusal):
            await portal.town.enter(password=NEW, code=typed)
    assert await enter(portal, browser, NEW, codes[2]) == 303


async def test_recovery_at_once(portal: Portal, browser: httpx.AsyncClient) -> None:
    """A new link makes new recovery codes, and the old ones are worth nothing."""
    old = recovery_codes((await activate(portal, browser, await link(portal))).text)
    portal.town.clock.advance(60)
    new = recovery_codes((await activate(portal, browser, await link(portal))).text)
    assert await enter(portal, browser, NEW, old[0]) == 403
    assert await enter(portal, browser, NEW, new[0]) == 303
