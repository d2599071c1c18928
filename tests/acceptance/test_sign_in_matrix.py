"""Every way to sign in, at every door, with every outcome: the exact answer, who is in then, and what the trail says.

What each refusal is made of is gone into elsewhere, room by room; here nothing may be missing, and all doors must
agree. One house serves all rows. A row leaves nothing behind that another meets: it comes from an address of its own,
its code is new, and failures count for a second.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields, replace
from typing import Final

import pytest
import pytest_asyncio

from mssmail.audit.events import Kind
from mssmail.base.refusal import Reason
from mssmail.demo import people as demo
from mssmail.demo.pki import Leaf
from mssmail.identity import otp
from mssmail.servers.imap import replies as imap_replies
from mssmail.servers.smtp import replies as smtp_replies
from mssmail.servers.web import replies as web_replies
from mssmail.settings.model import Listen, Tls
from mssmail.settings.units import Seconds
from mssmail.store import accounts, trail
from mssmail.wire.imap.encode import encode
from tests.acceptance.five_doors import (
    CARD_PAGE,
    DOORS,
    EXTERNAL,
    IMAP_LOGIN,
    LOGIN,
    MAIL,
    OAUTHBEARER_OWN,
    OAUTHBEARER_PROVIDED,
    PAGE,
    PAIRS,
    PLAIN,
    WAYS,
    XOAUTH2_OWN,
    XOAUTH2_PROVIDED,
    Doors,
    Family,
    Shown,
    Slip,
    Way,
)
from tests.support.bearer import TokenTown
from tests.support.issuance import Wish, authority, issue, save
from tests.support.provider import forged, rsa_key
from tests.support.town import CLAIRE, FAST, ORG, PASSWORD, PAUL, WRONG, address

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUSPENDED, STRUCK_OFF, CLOSED, ELSEWHERE = "nadia.lefevre", "hugo.moreau", "sophie.bernard", "box0001"
"""Whose boxes are so; the last one's holder may sign in from other addresses alone."""
PEOPLE: Final = {a.address: a for a in (*demo.ACCOUNTS, *demo.bulk_accounts(1))}


class Town(TokenTown):
    """A house where everything that a row needs has happened."""

    read_to = 0
    """The last event of the trail that `news` told."""

    async def prepare(self) -> None:
        await self.settle_in((CLAIRE, PAUL, ORG, SUSPENDED, STRUCK_OFF, CLOSED))
        (made,) = await self.people.create_many([self.new(PEOPLE[str(address(ELSEWHERE))])])
        assert made.totp_secret is not None
        self.codes[ELSEWHERE] = made.totp_secret.reveal()
        await self.delegate(ORG, CLAIRE)
        self.old_token = self.grant(CLOSED).access.reveal()
        await self.people.suspend(address(SUSPENDED))
        await self.people.close(address(CLOSED))
        await self.people.set_limits(address(ELSEWHERE), lambda limits: replace(limits, networks=("192.0.2.0/24",)))
        await self.load(self.population.without(demo.HUGO.national_id))
        self._certify()
        self.trust()
        self.login.close()
        self.login = self.worker()

    def _certify(self) -> None:
        operators = authority(self.pki.root, self.clock, "OPERATORS")
        chain = self.folder / "operators-anchors.pem"
        chain.write_bytes(operators.pem + self.pki.root.pem)
        self.revoked = self.pki.revoked_person(demo.CLAIRE.national_id, "MARTIN", "CLAIRE", "Médecin")
        self.expired = save(self.folder, "expired", *issue(self.pki.persons, self.clock, Wish(begins=-9.0, ends=-1.0)))
        self.operator = save(self.folder, "operator", *issue(operators, self.clock))
        own, settings = self.pki.server(), self.house.settings
        trust = replace(settings.trust, operators_ca=chain)
        self.home.settings = replace(settings, tls=Tls(own.cert, own.key), trust=trust)
        self.house.renew(self.home.settings)

    def card(self, local: str) -> Leaf:
        """The good certificate of an account's holder."""
        holder = PEOPLE[str(address(local))].holder
        assert holder is not None
        return self.pki.person(holder.national_id, holder.surname, holder.given_name, holder.title)

    def vouch(self, local: str) -> str:
        """A good token of the provider's for an account's holder."""
        holder = PEOPLE[str(address(local))].holder
        assert holder is not None
        return self.played.token(holder.national_id)

    def number(self, local: str) -> int:
        digest = self.standing.credentials.address_digest(address(local))
        found = accounts.by_address(self.home.tx(), digest)
        assert found is not None
        return found.account_id

    def news(self) -> list[tuple[Kind, int, str, str, str]]:
        """Sign-ins and refusals in the trail since the last time: kind, account, outcome, protocol, mechanism."""
        rows = trail.events_of(self.home.tx(), self.home.chain, self.read_to, 10_000)
        self.read_to += len(rows)
        found = []
        for row in rows:
            if Kind(row.kind) in (Kind.SIGNED_IN, Kind.SIGN_IN_REFUSED):
                said = self.house.trail.open(row)
                details = said["d"]
                assert isinstance(details, dict)
                about = str(said["o"]), str(details["protocol"]), str(details["mechanism"])
                found.append((Kind(row.kind), row.account_id, *about))
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    town = Town(tmp_path_factory.mktemp("matrix"), replace(FAST, failure_window=Seconds(1), notices=False))
    await town.prepare()
    opened = Doors(town)
    await opened.open()
    yield opened
    await opened.close()
    town.close()


# --- the table ---

CERTIFICATE: Final = (EXTERNAL, MAIL, CARD_PAGE)
BY_PASSWORD: Final = (PLAIN, LOGIN, IMAP_LOGIN, PAGE)
OURS: Final = (OAUTHBEARER_OWN, XOAUTH2_OWN)
PROVIDED: Final = (OAUTHBEARER_PROVIDED, XOAUTH2_PROVIDED)
TOKENS: Final = OURS + PROVIDED
NAMES_A_BOX: Final = (EXTERNAL, PLAIN, *TOKENS)
PAGES: Final = (CARD_PAGE, PAGE)

OUTCOMES: Final[dict[str, tuple[Way, ...]]] = {
    "accepted": WAYS,
    "accepted in a delegated box": WAYS,
    "another's box": WAYS,
    "suspended": WAYS,
    "struck off": WAYS,
    "closed": WAYS,
    "from a network that isn't the account's": WAYS,
    "from a locked address": WAYS,
    "revoked certificate": CERTIFICATE,
    "expired certificate": CERTIFICATE,
    "certificate for another purpose": CERTIFICATE,
    "no certificate": CERTIFICATE,
    "the same code again, from the same address": BY_PASSWORD,
    "the same code once its grant has ended": BY_PASSWORD,
    "a used code from another address": BY_PASSWORD,
    "wrong password": BY_PASSWORD,
    "wrong code": BY_PASSWORD,
    "code of five digits": BY_PASSWORD,
    "no code": BY_PASSWORD,
    "unknown login": BY_PASSWORD,
    "no token": TOKENS,
    "made-up token": TOKENS,
    "expired token": TOKENS,
    "revoked token": TOKENS,
    "token for something else": TOKENS,
    "alg none": TOKENS,
    "not to be read": WAYS,
    "empty": WAYS,
    "cancelled": WAYS,
    "NUL inside": WAYS,
    "before TLS": WAYS,
    "form of another page": WAYS,
}
"""Each outcome, and the ways that it is to be tried by."""

ABSENT: Final[dict[tuple[str, tuple[Way, ...]], str]] = {
    ("accepted in a delegated box", (MAIL, CARD_PAGE, LOGIN, IMAP_LOGIN, PAGE)): "names no box but one's own",
    ("another's box", (MAIL, CARD_PAGE, LOGIN, IMAP_LOGIN, PAGE)): "names no box but one's own",
    ("revoked token", PROVIDED): "a signed token is good until it expires, which is why it does within minutes",
    ("alg none", OURS): "says nothing of its own: it is a number that the database knows",
    ("not to be read", (MAIL, CARD_PAGE)): "says nothing: TLS has shown the certificate",
    ("empty", (EXTERNAL,)): "asks for one's own box",
    ("empty", (MAIL, CARD_PAGE)): "says nothing: TLS has shown the certificate",
    ("cancelled", (MAIL, CARD_PAGE, IMAP_LOGIN, PAGE)): "is one command, or one form",
    ("NUL inside", (MAIL, CARD_PAGE)): "says nothing: TLS has shown the certificate",
    ("form of another page", tuple(way for way in WAYS if way not in PAGES)): "is no form",
}
"""What can't be tried, and why."""

End = Reason | Slip | None
Show = Callable[[Town, Way, str], Awaitable[Shown]]


@dataclass(frozen=True, slots=True)
class Case:
    outcome: str
    ways: tuple[Way, ...]
    show: Show
    """What the client has, of a way and from an address."""
    end: End = None
    """Why it is refused; None where one is in."""
    account: str = ""
    """Whose account the trail names; empty for nobody's."""
    traced: Reason | None = None
    """What the trail says where the client hears no more than CREDENTIALS."""
    on_pages: Reason | None = None
    """The end on pages, where it is another."""

    def end_at(self, door: str) -> End:
        return self.on_pages if door == "https" and self.on_pages is not None else self.end


async def _show(town: Town, way: Way, local: str) -> Shown:
    """All that this account's holder has, at its best."""
    match way.family:
        case Family.CERTIFICATE:
            return Shown(local, leaf=town.card(local))
        case Family.PASSWORD:
            return Shown(local, password=PASSWORD, code=town.code(local))
        case Family.OWN_TOKEN:
            token = town.old_token if local == CLOSED else town.grant(local).access.reveal()
            return Shown(local, token=token)
    return Shown(local, token=town.vouch(local))


def good(local: str, *, box: str = "", slip: Slip | None = None) -> Show:
    """All of an account's holder; `box`: whose they ask for."""

    async def show(town: Town, way: Way, client: str) -> Shown:
        shown = await _show(town, way, local)
        return replace(shown, authzid=str(address(box)) if box else "", slip=slip)

    return show


def but(change: Callable[[Town, Shown], Shown]) -> Show:
    """All that Claire has, but for that."""

    async def show(town: Town, way: Way, client: str) -> Shown:
        return change(town, await _show(town, way, CLAIRE))

    return show


def used_code(*, here: bool, ended: bool = False) -> Show:
    """Claire's password with a code that served before; `here`: from the same address; `ended`: its grant has."""

    async def show(town: Town, way: Way, client: str) -> Shown:
        shown = await _show(town, way, CLAIRE)
        await town.enter(CLAIRE, code=shown.code, client=client if here else "192.0.2.77")
        if ended:
            await town.people.end_grants(address(CLAIRE))
        return shown

    return show


async def from_locked(town: Town, way: Way, client: str) -> Shown:
    await town.bans.add(client, 60)
    return await _show(town, way, CLAIRE)


def wrong_code(town: Town, shown: Shown) -> Shown:
    near = {otp.code_at(town.codes[CLAIRE], town.clock.now() + seconds) for seconds in range(-120, 121, 30)}
    return replace(shown, code=next(code for code in map("{:06}".format, range(20)) if code not in near))


def revoked(town: Town, shown: Shown) -> Shown:
    issued = town.grant()
    town.revoke(issued)
    return replace(shown, token=issued.access.reveal())


def expired(town: Town, shown: Shown) -> Shown:
    town.clock.advance(3_600)
    return shown


CREDENTIALS, TOKEN, REFUSED = Reason.CREDENTIALS, Reason.TOKEN, Reason.CERTIFICATE
CASES: Final = (
    Case("accepted", WAYS, good(CLAIRE), None, CLAIRE),
    Case("accepted in a delegated box", NAMES_A_BOX, good(CLAIRE, box=ORG), None, ORG),
    Case("another's box", NAMES_A_BOX, good(CLAIRE, box=PAUL), Reason.NOT_DELEGATED, CLAIRE),
    Case("suspended", (*CERTIFICATE, *BY_PASSWORD, *PROVIDED), good(SUSPENDED), Reason.SUSPENDED, SUSPENDED),
    # a suspension ends what was granted here; who asks for a new consent hears of the suspension then
    Case("suspended", OURS, good(SUSPENDED), TOKEN, SUSPENDED),
    Case("struck off", WAYS, good(STRUCK_OFF), Reason.STRUCK_OFF, STRUCK_OFF),
    Case("closed", CERTIFICATE, good(CLOSED), REFUSED),
    Case("closed", BY_PASSWORD, good(CLOSED), CREDENTIALS),
    Case("closed", OURS, good(CLOSED), TOKEN, CLOSED),
    Case("closed", PROVIDED, good(CLOSED), TOKEN),
    Case("from a network that isn't the account's", WAYS, good(ELSEWHERE), Reason.SOURCE, ELSEWHERE),
    # a certificate can't be guessed: failures have no say
    Case("from a locked address", CERTIFICATE, from_locked, None, CLAIRE),
    Case("from a locked address", BY_PASSWORD, from_locked, Reason.LOCKED, CLAIRE),
    Case("from a locked address", TOKENS, from_locked, Reason.LOCKED),
    Case("revoked certificate", CERTIFICATE, but(lambda t, s: replace(s, leaf=t.revoked)), REFUSED),
    Case("expired certificate", CERTIFICATE, but(lambda t, s: replace(s, leaf=t.expired)), REFUSED),
    Case("certificate for another purpose", CERTIFICATE, but(lambda t, s: replace(s, leaf=t.operator)), REFUSED),
    Case("no certificate", CERTIFICATE, but(lambda t, s: replace(s, leaf=None)), Slip.NO_CERTIFICATE),
    Case(
        "the same code again, from the same address",
        BY_PASSWORD,
        used_code(here=True),
        None,
        CLAIRE,
        traced=Reason.CODE_USED,
        on_pages=CREDENTIALS,
    ),
    Case(
        "the same code once its grant has ended",
        BY_PASSWORD,
        used_code(here=True, ended=True),
        Reason.GRANT_ENDED,
        CLAIRE,
        traced=Reason.CODE_USED,
        on_pages=CREDENTIALS,
    ),
    Case(
        "a used code from another address",
        BY_PASSWORD,
        used_code(here=False),
        CREDENTIALS,
        CLAIRE,
        traced=Reason.CODE_USED,
    ),
    Case("wrong password", BY_PASSWORD, but(lambda t, s: replace(s, password=WRONG)), CREDENTIALS, CLAIRE),
    Case("wrong code", BY_PASSWORD, but(wrong_code), CREDENTIALS, CLAIRE),
    Case("code of five digits", BY_PASSWORD, but(lambda t, s: replace(s, code=s.code[:5])), CREDENTIALS, CLAIRE),
    Case("no code", BY_PASSWORD, but(lambda t, s: replace(s, code="")), CREDENTIALS, CLAIRE),
    Case("unknown login", BY_PASSWORD, but(lambda t, s: replace(s, local="nobody")), CREDENTIALS),
    Case("no token", TOKENS, but(lambda t, s: replace(s, token="")), TOKEN),
    Case("made-up token", OURS, but(lambda t, s: replace(s, token="mssat_" + "A" * 43)), TOKEN),
    Case(
        "made-up token",
        PROVIDED,
        but(lambda t, s: replace(s, token=t.played.token(key=rsa_key("k2"), header={"kid": "k1"}))),
        TOKEN,
    ),
    Case("expired token", OURS, but(expired), TOKEN, CLAIRE),
    Case("expired token", PROVIDED, but(lambda t, s: replace(s, token=t.played.token(exp=t.played.now - 60))), TOKEN),
    Case("revoked token", OURS, but(revoked), TOKEN),
    Case(
        "token for something else",
        OURS,
        but(lambda t, s: replace(s, token=t.grant(scope="").access.reveal())),
        Reason.SCOPE,
        CLAIRE,
    ),
    Case("token for something else", PROVIDED, but(lambda t, s: replace(s, token=t.played.token(aud="other"))), TOKEN),
    Case(
        "alg none",
        PROVIDED,
        but(lambda t, s: replace(s, token=forged({"alg": "none", "kid": "k1"}, t.played.claims()))),
        TOKEN,
    ),
    Case(
        "not to be read",
        (EXTERNAL, *BY_PASSWORD, *TOKENS),
        good(CLAIRE, slip=Slip.UNREADABLE),
        Slip.UNREADABLE,
    ),
    Case("empty", (PLAIN, LOGIN, *TOKENS), good(CLAIRE, slip=Slip.EMPTY), Slip.EMPTY),
    Case("empty", (IMAP_LOGIN, PAGE), good(CLAIRE, slip=Slip.EMPTY), CREDENTIALS),
    Case("cancelled", (EXTERNAL, PLAIN, LOGIN, *TOKENS), good(CLAIRE, slip=Slip.CANCELLED), Slip.CANCELLED),
    Case("NUL inside", (EXTERNAL, PLAIN, LOGIN, IMAP_LOGIN, *TOKENS), good(CLAIRE, slip=Slip.NUL), Slip.NUL),
    Case("NUL inside", (PAGE,), good(CLAIRE, slip=Slip.NUL), CREDENTIALS, CLAIRE),
    Case("before TLS", WAYS, good(CLAIRE, slip=Slip.IN_CLEAR), Slip.IN_CLEAR),
    Case("form of another page", PAGES, good(CLAIRE, slip=Slip.FORGED), Slip.FORGED),
)

# --- the answers ---

CODES: Final[dict[Reason, tuple[str, str, str]]] = {
    Reason.CREDENTIALS: ("535 5.7.8 ", "NO [AUTHENTICATIONFAILED] ", "403 "),
    Reason.GRANT_ENDED: ("535 5.7.8 ", "NO [EXPIRED] ", "403 "),
    Reason.LOCKED: ("454 4.7.0 ", "NO [UNAVAILABLE] ", "429 "),
    Reason.CERTIFICATE: ("535 5.7.8 ", "NO [AUTHENTICATIONFAILED] ", "403 "),
    Reason.SOURCE: ("535 5.7.1 ", "NO [AUTHORIZATIONFAILED] ", "403 "),
    Reason.NOT_DELEGATED: ("535 5.7.8 ", "NO [AUTHORIZATIONFAILED] ", "403 "),
    Reason.TOKEN: ("535 5.7.8 ", "NO [AUTHENTICATIONFAILED] ", ""),
    Reason.SCOPE: ("535 5.7.8 ", "NO [AUTHORIZATIONFAILED] ", ""),
    Reason.SUSPENDED: ("550 5.2.1 ", "NO [CONTACTADMIN] ", "403 "),
    Reason.STRUCK_OFF: ("550 5.1.6 ", "NO [CONTACTADMIN] ", "403 "),
}
"""What a program reads: SMTP's codes (RFC 4954 §6), IMAP's response code (RFC 5530 §3), HTTP's status."""
MALFORMED: Final = "BAD Reponse de connexion illisible / Malformed sign-in response"
SLIPS: Final[dict[Slip, tuple[str, str, str]]] = {
    Slip.UNREADABLE: ("501 5.5.2 Cannot decode base64", MALFORMED, "400 "),
    Slip.EMPTY: ("501 5.5.2 Not what this mechanism asks for", MALFORMED, ""),
    Slip.CANCELLED: ("501 5.7.0 Authentication cancelled", "BAD Connexion abandonnee / Sign-in cancelled", ""),
    Slip.NUL: ("501 5.5.2 Not what this mechanism asks for", MALFORMED, ""),
    Slip.FORGED: ("", "", "403 "),
}
MUST_BEGIN_TLS: Final = "538 5.7.11 Encryption required for authentication; issue STARTTLS first"
PRIVACY: Final = "NO [PRIVACYREQUIRED] Connexion non chiffree : activez STARTTLS ou SSL/TLS"


def answer(way: Way, door: str, end: End) -> tuple[str, str]:
    """How the answer begins, and words that it has."""
    column = ("smtp", "imap", "https").index(DOORS[door])
    match end:
        case None:
            entered = "250 2.1.0 " if way is MAIL else "235 2.7.0 "
            return (entered, "OK [CAPABILITY IMAP4rev1 ", "303 ")[column], ""
        case Reason():
            return CODES[end][column], _told(DOORS[door], end)
        case Slip.NO_CERTIFICATE:
            not_offered = "530 5.7.0 " if way is MAIL else "504 5.5.4 "
            told = "Votre navigateur n'a pas présenté de certificat." if door == "https" else ""
            return (not_offered, "NO [CANNOT] ", "403 ")[column], told
        case Slip.IN_CLEAR:
            must = "530 5.7.0 Must issue a STARTTLS command first" if way is MAIL else MUST_BEGIN_TLS
            return {"submission": must, "imap": PRIVACY}.get(door, ""), ""
    if way is IMAP_LOGIN:
        return "BAD Syntaxe incorrecte / Syntax error", ""
    return SLIPS[end][column], ""


def _told(protocol: str, reason: Reason) -> str:
    """The sentence of a refusal."""
    match protocol:
        case "smtp":
            return smtp_replies.REASONS[reason].decode().removesuffix("\r\n")
        case "imap":
            return encode(imap_replies.of(reason, b"a")).decode().removeprefix("a ").removesuffix("\r\n")
    return web_replies.REPLIES[reason].french


def complaint(town: Town, way: Way, door: str, end: End) -> dict[str, str] | None:
    """The error in a challenge before the failure (RFC 7628 §3.2.2; for XOAUTH2 as Google tells it)."""
    words = {Reason.TOKEN: ("invalid_token", "401"), Reason.SCOPE: ("insufficient_scope", "403")}
    if way not in TOKENS or not isinstance(end, Reason) or end not in words:
        return None
    status, number = words[end]
    if way.announced == "XOAUTH2":
        return {"status": number, "schemes": "Bearer", "scope": DOORS[door]}
    return {"status": status, "scope": DOORS[door], "openid-configuration": town.login.discovery}


# --- the tests ---


async def test_announced(doors: Doors) -> None:
    """The table has every way that a door announces, and no other."""
    listeners = {one.name for one in fields(Listen)} - {"host", "smtp", "metrics", "metrics_host"}  # where none sign in
    assert set(DOORS) == listeners
    leaf = doors.town.pki.person(demo.CLAIRE.national_id, "MARTIN", "CLAIRE", "Médecin")
    for door in DOORS:
        assert await doors.announced(door, leaf) == {way.announced for way, at in PAIRS if at == door}, door


async def test_complete() -> None:
    """Every outcome is tried by every way that it is of, or said to be impossible, and not both."""
    wanted = Counter((outcome, way) for outcome, ways in OUTCOMES.items() for way in ways)
    there = Counter((case.outcome, way) for case in CASES for way in case.ways)
    absent = Counter((outcome, way) for outcome, ways in ABSENT for way in ways)
    assert there + absent == wanted
    assert {case.end for case in CASES} - {None} == {*CODES, *Slip}


ROWS: Final = [pytest.param(case, way, id=f"{case.outcome}, {way.name}") for case in CASES for way in case.ways]


@pytest.mark.parametrize(("case", "way"), ROWS)
async def test_sign_in(doors: Doors, case: Case, way: Way) -> None:
    """At every door that takes this way: the answer, whether one is in, and what the trail says, if anything."""
    town = doors.town
    assert isinstance(town, Town)
    for door in (door for one, door in PAIRS if one is way):
        town.clock.advance(30)
        client, end = doors.newcomer(), case.end_at(door)
        shown = replace(await case.show(town, way, client), client=client)
        town.news()
        heard = await doors.attempt(way, door, shown)
        begins, has = answer(way, door, end)
        assert heard.answer.startswith(begins), (door, heard)
        assert has in heard.answer, (door, heard)
        assert bool(begins) == bool(heard.answer), (door, heard)
        assert (heard.inside, heard.complaint) == (end is None, complaint(town, way, door, end)), (door, heard)
        assert town.news() == _traced(town, case, way, door, end), door


def _traced(town: Town, case: Case, way: Way, door: str, end: End) -> list[tuple[Kind, int, str, str, str]]:
    if isinstance(end, Slip) and not (end is Slip.NO_CERTIFICATE and door == "https"):
        return []
    kind = Kind.SIGNED_IN if end is None else Kind.SIGN_IN_REFUSED
    reason = Reason.CERTIFICATE if isinstance(end, Slip) else end
    if reason is CREDENTIALS and case.traced is not None:
        reason = case.traced
    outcome = "ok" if reason is None else reason.value
    number = town.number(case.account) if case.account else 0
    return [(kind, number, outcome, DOORS[door], way.family.mechanism.value)]
