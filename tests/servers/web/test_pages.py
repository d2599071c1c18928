"""Pages: signing in and out, one's own account, languages, and the headers that stand on every answer."""

import httpx
import pytest

from mssmail.base.principal import Principal
from mssmail.base.refusal import Refusal
from mssmail.base.secret import Secret
from mssmail.servers.web.words import WORDS, Language, language_of
from tests.servers.web.portal import Portal, hidden_fields
from tests.support.town import APP, CLAIRE, PASSWORD, PAUL, address

EVERYWHERE = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 303),
        ("GET", "/sign-in", 200),
        ("HEAD", "/sign-in", 200),
        ("GET", "/account", 303),
        ("GET", "/nowhere", 404),
        ("GET", "//evil.example/", 404),
        ("GET", "/sign-in/", 404),
        ("GET", "/oauth/token", 405),
        ("DELETE", "/account", 405),
        ("OPTIONS", "/sign-in", 405),
        ("POST", "/sign-in", 400),
        ("POST", "/oauth/token", 400),
        ("GET", "/oauth/authorize", 400),
        ("GET", "/sign-in?a=%ff", 400),
        ("GET", "/sign-in?" + "&".join(f"n{k}=1" for k in range(100)), 400),
    ],
)
async def test_headers(portal: Portal, browser: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    """Every answer, errors included, is of one origin, in no frame, in no cache, and names no server."""
    sent = await browser.request(method, portal.address + path)
    assert sent.status_code == status, sent.text
    for name, value in EVERYWHERE.items():
        assert sent.headers[name] == value
    policy = sent.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';") and "frame-ancestors 'none'" in policy
    assert "script" not in policy and "unsafe" not in policy and "server" not in sent.headers
    assert "<script" not in sent.text and "style=" not in sent.text
    assert 'href="//' not in sent.text and "://" not in sent.text.replace("https://localhost", "")
    if method == "HEAD":
        assert sent.text == "" and int(sent.headers["content-length"]) > 1000


@pytest.mark.parametrize(
    "host", ["evil.example", "", "localhost.evil.example", "localhost@evil.example", "[::1", "a b", "127.0.0.2"]
)
async def test_host(portal: Portal, browser: httpx.AsyncClient, host: str) -> None:
    """A request for another host is misdirected, and its host stands in no answer."""
    sent = await browser.get("/sign-in", headers={"host": host})
    assert sent.status_code in (400, 421) and sent.text == "" and "set-cookie" not in sent.headers
    assert (await browser.get("/sign-in", headers={"host": f"LOCALHOST:{portal.port}"})).status_code == 200


async def test_cookie(browser: httpx.AsyncClient) -> None:
    """The cookie goes to this host alone, over TLS alone, to no script and with no form of another site."""
    sent = await browser.get("/sign-in")
    name, _, rest = sent.headers["set-cookie"].partition("=")
    assert name == "__Host-mssmail"
    value, *attributes = [part.strip().lower() for part in rest.split(";")]
    assert len(value) == 43 and {"secure", "httponly", "samesite=lax", "path=/"} == set(attributes)


async def test_password_sign_in(portal: Portal, browser: httpx.AsyncClient) -> None:
    """Address, password and code open the account page, under a cookie that nobody knew before."""
    before = (await browser.get("/sign-in")).cookies.get("__Host-mssmail")
    entered = await portal.sign_in(browser)
    assert entered.status_code == 303 and entered.headers["location"] == "/account"
    assert entered.cookies["__Host-mssmail"] != before
    page = await browser.get("/account")
    assert page.status_code == 200 and str(address(CLAIRE)) in page.text and "ce navigateur" in page.text
    assert (await browser.get("/sign-in")).headers["location"] == "/account"
    kind, _, outcome, event = portal.town.events()[-1]
    assert (kind, outcome) == ("signed-in", "ok") and "https" in str(event)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"password": "faux-Tulipe7-Quai3-ocre"}, 403),
        ({"code": "000000"}, 403),
        ({"code": ""}, 403),
        ({"password": ""}, 403),
        ({"address": "nobody@demo.mssante.fr"}, 403),
        ({"address": "\0"}, 403),
        ({"address": "a" * 10_000}, 403),
        ({"password": "p" * 50_000}, 403),
    ],
)
async def test_password_refused(
    portal: Portal, browser: httpx.AsyncClient, fields: dict[str, str], status: int
) -> None:
    """Whatever is wrong is told in the same words; the page shows what was typed of the address, and no password."""
    plain = {"address": str(address(CLAIRE)), "password": PASSWORD, "code": portal.town.code()}
    sent = await portal.post(browser, "/sign-in", {**plain, **fields}, page="/sign-in")
    assert sent.status_code == status and "Adresse, mot de passe ou code incorrect" in sent.text
    assert PASSWORD not in sent.text and "Tulipe7" not in sent.text
    assert (await browser.get("/account")).status_code == 303


async def test_code_with_spaces(portal: Portal, browser: httpx.AsyncClient) -> None:
    """A code may be typed as people see it, in two groups."""
    code = portal.town.code()
    fields = {"address": f" {address(CLAIRE)} ", "password": PASSWORD, "code": f" {code[:3]} {code[3:]} "}
    assert (await portal.post(browser, "/sign-in", fields, page="/sign-in")).status_code == 303


async def test_locked(portal: Portal, browser: httpx.AsyncClient) -> None:
    """Too many failures lock the address, and the page tells of the certificate as the way in that is left."""
    fields = {"address": str(address(CLAIRE)), "password": "wrong", "code": "000000"}
    told = [(await portal.post(browser, "/sign-in", fields, page="/sign-in")).status_code for _ in range(11)]
    assert told == [403] * 10 + [429]
    async with portal.browser(CLAIRE) as card:
        assert (await portal.sign_in_by_certificate(card)).status_code == 303


async def test_certificate_sign_in(portal: Portal) -> None:
    """A certificate opens its holder's account; a revoked one, and none at all, are told what is the matter."""
    async with portal.browser(PAUL) as paul, portal.browser() as nobody, portal.browser(APP) as application:
        assert (await portal.sign_in_by_certificate(paul)).status_code == 303
        assert str(address(PAUL)) in (await paul.get("/account")).text
        assert (await portal.sign_in_by_certificate(application)).status_code == 303
        sent = await portal.sign_in_by_certificate(nobody)
        assert sent.status_code == 403 and "n&#39;a pas présenté de certificat" in sent.text
    revoked = portal.town.pki.revoked_person("810000000001", "MARTIN", "Claire", "Médecin")
    portal.town.standing.reload_if_changed()
    context = portal.tls(revoked)
    async with httpx.AsyncClient(base_url=portal.address, verify=context) as thief:
        sent = await portal.sign_in_by_certificate(thief)
        assert sent.status_code == 403 and "Certificat refusé" in sent.text


@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/accountx",
        "/oauth/token",
        "javascript:1",
        "/device\r\nX: y",
    ],
)
async def test_goes_on_to_our_pages_alone(portal: Portal, browser: httpx.AsyncClient, after: str) -> None:
    """After a sign-in a browser is sent to a page of ours, wherever the link wanted it to go."""
    page = str(httpx.URL("/sign-in", params={"next": after}))
    portal.town.clock.advance(30)
    fields = {"address": str(address(CLAIRE)), "password": PASSWORD, "code": portal.town.code(), "next": after}
    entered = await portal.post(browser, "/sign-in", fields, page=page)
    assert entered.headers["location"] == "/account"
    again = await browser.get(page)
    assert again.headers["location"] == "/account"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/certificate", "/sign-out", "/account", "/device"])
async def test_forms_need_their_token(portal: Portal, claire: httpx.AsyncClient, path: str) -> None:
    """No form does anything without this browser's token."""
    for data in ({"x": "y"}, {"form_token": "0" * 32}, {"form_token": "é"}):
        sent = await claire.post(path, data={**data, "what": "everything"})
        assert sent.status_code == 403
    assert (await claire.get("/account")).status_code == 200


async def test_sign_out(portal: Portal, claire: httpx.AsyncClient) -> None:
    """Signing out ends the visit on the server too: its cookie is worth nothing afterwards."""
    cookie = claire.cookies["__Host-mssmail"]
    page = await claire.get("/account")
    sent = await claire.post("/sign-out", data=hidden_fields(page.text, "/sign-out"))
    assert sent.status_code == 303 and "Max-Age=0" in sent.headers["set-cookie"]
    async with portal.browser() as thief:
        thief.cookies.set("__Host-mssmail", cookie)
        assert (await thief.get("/account")).status_code == 303


async def test_idle(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A visit ends after a quarter of an hour without a request, and after a working day with many."""
    for _ in range(4):
        portal.town.clock.advance(14 * 60)
        assert (await claire.get("/account")).status_code == 200
    portal.town.clock.advance(15 * 60 + 61)
    assert (await claire.get("/account")).status_code == 303
    await portal.sign_in_by_certificate(claire)
    for _ in range(8 * 6):
        portal.town.clock.advance(10 * 60 - 1)
        assert (await claire.get("/account")).status_code == 200
    portal.town.clock.advance(10 * 60)
    assert (await claire.get("/account")).status_code == 303


@pytest.mark.parametrize("end", ["password", "suspension", "strike-off"])
async def test_visit_ends_with_account(portal: Portal, claire: httpx.AsyncClient, end: str) -> None:
    """A new password, a suspension and a strike-off end a visit with the next request."""
    people, box = portal.town.people, address(CLAIRE)
    match end:
        case "password":
            await people.set_password(box, Secret("autre-Tulipe8-Quai4-mauve"))
        case "suspension":
            await people.suspend(box)
        case "strike-off":
            holder = (await people.show(box)).holder
            await portal.town.load(portal.town.population.without(holder))
    assert (await claire.get("/account")).status_code == 303


async def test_withdraw_program(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A user sees what they let in, and takes back one thing; another user's number does nothing."""
    first = (await portal.token(claire, code=await portal.code(claire))).json()
    second = (await portal.token(claire, code=await portal.code(claire, scope="smtp"))).json()
    page = await claire.get("/account")
    assert page.text.count("Courrier &amp; Cie</th>") == 2
    hidden = hidden_fields(page.text, "/account")
    async with portal.browser(PAUL) as paul:
        await portal.sign_in_by_certificate(paul)
        own = hidden_fields((await paul.get("/account")).text, "/account")
        await paul.post("/account", data={**own, "what": "program", "number": hidden["number"]})
    assert (await portal.introspect(claire, first["access_token"]))["active"]
    assert (await claire.post("/account", data={**hidden, "what": "program"})).status_code == 303
    assert await portal.introspect(claire, first["access_token"]) == {"active": False}
    assert (await portal.introspect(claire, second["access_token"]))["active"]
    for number in ("", "x", "9" * 1000, "-1"):
        sent = await claire.post("/account", data={**hidden, "what": "program", "number": number})
        assert sent.status_code in (303, 400)


async def test_end_other_browser(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A user ends another browser of theirs, and nobody else's."""
    async with portal.browser(CLAIRE) as other, portal.browser(PAUL) as paul:
        await portal.sign_in_by_certificate(other)
        await portal.sign_in_by_certificate(paul)
        site, cookie = portal.web.site, claire.cookies["__Host-mssmail"]
        visits = await site.visits.list(await principal(portal, claire))
        (theirs,) = [visit.name for visit in visits if not site.visits.is_of(visit, cookie)]
        own = hidden_fields((await paul.get("/account")).text, "/account")
        await paul.post("/account", data={**own, "what": "browser", "name": theirs})
        assert (await other.get("/account")).status_code == 200
        hidden = hidden_fields((await claire.get("/account")).text, "/account")
        await claire.post("/account", data={**hidden, "what": "browser", "name": theirs})
        assert (await other.get("/account")).status_code == 303
        assert (await claire.get("/account")).status_code == 200
        for name in ("", "zz", "00" * 16):
            sent = await claire.post("/account", data={**hidden, "what": "browser", "name": name})
            assert sent.status_code == 303


async def test_end_grant(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A user sees from where mail programs sign in without a new code, and ends that; nobody else can."""
    code = portal.town.code()
    await portal.town.enter(code=code, client="192.0.2.7")
    page = (await claire.get("/account")).text
    assert "192.0.2.7</th>" in page
    form = next(f for f in page.split("<form") if 'value="grant"' in f)
    name = form.partition('name="name" value="')[2].partition('"')[0]
    async with portal.browser(PAUL) as paul:
        await portal.sign_in_by_certificate(paul)
        own = hidden_fields((await paul.get("/account")).text, "/account")
        await paul.post("/account", data={**own, "what": "grant", "name": name})
    await portal.town.enter(code=code, client="192.0.2.7")
    hidden = hidden_fields(page, "/account")
    for each in ("zz", "", "00" * 16, name):
        assert (await claire.post("/account", data={**hidden, "what": "grant", "name": each})).status_code == 303
    with pytest.raises(Refusal):
        await portal.town.enter(code=code, client="192.0.2.7")
    assert "192.0.2.7</th>" not in (await claire.get("/account")).text


async def test_everything(portal: Portal, claire: httpx.AsyncClient) -> None:
    """Signing out everywhere ends browsers, programs and grants, and raises the epoch that mail sessions end by."""
    issued = (await portal.token(claire, code=await portal.code(claire))).json()
    inside = await portal.town.enter()
    async with portal.browser(CLAIRE) as other:
        await portal.sign_in_by_certificate(other)
        hidden = hidden_fields((await claire.get("/account")).text, "/account")
        await claire.post("/account", data={**hidden, "what": "everything"})
        for one in (claire, other):
            assert (await one.get("/account")).status_code == 303
    assert await portal.introspect(claire, issued["access_token"]) == {"active": False}
    tx = portal.town.home.tx()
    live = "SELECT count(*) FROM grants WHERE ends_at > ?"
    assert tx.driver.execute(live, [int(portal.town.clock.now())]).fetchone()[0] == 0
    assert tx.driver.execute("SELECT epoch FROM accounts WHERE account_id = ?", [inside.person]).fetchone()[0] == 1


async def principal(portal: Portal, browser: httpx.AsyncClient) -> Principal:
    found = await portal.web.site.visits.find(browser.cookies["__Host-mssmail"], "127.0.0.1")
    assert found is not None
    return found


# --- languages ---


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", Language.FRENCH),
        ("en", Language.ENGLISH),
        ("en-GB,en;q=0.9,fr;q=0.8", Language.ENGLISH),
        ("fr-FR,fr;q=0.9,en;q=0.8", Language.FRENCH),
        ("de, en;q=0.5", Language.ENGLISH),
        ("de", Language.FRENCH),
        ("en;q=0", Language.FRENCH),
        ("en;q=nonsense,;;;,=", Language.FRENCH),
        ("x," * 10_000 + "en", Language.FRENCH),
    ],
)
def test_language_accepted(accepted: str, language: Language) -> None:
    """A browser's preference is followed, French where it has none of ours."""
    assert language_of(accepted) is language


async def test_language_chosen(portal: Portal, browser: httpx.AsyncClient) -> None:
    """The switch holds from then on, whatever the browser prefers, and leads back to the same page."""
    shown = await browser.get("/sign-in?next=%2Fdevice", headers={"accept-language": "fr"})
    assert '<html lang="fr">' in shown.text and 'href="/sign-in?next=%2Fdevice&amp;lang=en"' in shown.text
    shown = await browser.get("/sign-in?next=%2Fdevice&lang=en", headers={"accept-language": "fr"})
    assert '<html lang="en">' in shown.text and "Six-digit code" in shown.text
    assert '<html lang="en">' in (await browser.get("/sign-in", headers={"accept-language": "fr"})).text
    assert '<html lang="en">' in (await browser.get("/sign-in?lang=xx")).text


async def test_language_kept(browser: httpx.AsyncClient) -> None:
    """A language that is chosen on a page that only sends on to the sign-in page is that page's too."""
    french = {"accept-language": "fr"}
    for page in ("/account", "/device", "/"):
        browser.cookies.clear()
        sent = await browser.get(f"{page}?lang=en", headers=french)
        assert sent.status_code == 303, page
        assert '<html lang="en">' in (await browser.get(sent.headers["location"], headers=french)).text, page


def test_words_in_both() -> None:
    """Each text is there in both languages, with the same places for values."""
    for key, (french, english) in WORDS.items():
        assert french and english, key
        assert sorted(part.split("}")[0] for part in french.split("{")[1:]) == sorted(
            part.split("}")[0] for part in english.split("{")[1:]
        ), key
