"""Tokens: known by their digest alone, single use where they are, dead with their family and their account."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.principal import Principal
from mssmail.base.secret import Secret
from mssmail.identity.tokens import CODE_S, PREFIXES, Failed, Issued, Refused, Token, Tokens
from mssmail.settings.model import OAuth
from mssmail.settings.units import Seconds
from mssmail.store import accounts, tokens
from mssmail.store.accounts import State
from mssmail.store.interface import Transaction
from mssmail.store.tokens import TokenKind
from tests.support.houses import Home

T = TypeVar("T")
RULES = OAuth()
REDIRECT = "http://127.0.0.1:4711/"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Bench:
    """A house, an account and the rules over its tokens."""

    def __init__(self, home: Home, clock: FakeClock) -> None:
        self.home = home
        self.clock = clock
        self.rules = Tokens(home.house.keys)
        self.person: Principal = home.add_account("claire")

    def do(self, work: Callable[[Transaction], T]) -> T:
        return self.home.write.run_blocking(work)

    def code(self, scope: str = "imap smtp", client: str = "thunderbird") -> Secret:
        binding = self.rules.binding(REDIRECT, CHALLENGE)
        return self.do(
            lambda tx: self.rules.give_code(tx, self.person.account, client, scope, epoch=0, binding=binding)
        )

    def redeem(self, code: Secret, client: str = "thunderbird", redirect: str = REDIRECT) -> Issued | Refused:
        binding = self.rules.binding(redirect, CHALLENGE)
        return self.do(lambda tx: self.rules.redeem(tx, code, client, binding, RULES))

    def issued(self) -> Issued:
        found = self.redeem(self.code())
        assert isinstance(found, Issued)
        return found

    def refresh(self, presented: Secret, client: str = "thunderbird", rules: OAuth = RULES) -> Issued | Refused:
        return self.do(lambda tx: self.rules.refresh(tx, presented, client, rules))

    def judge(self, presented: Secret) -> Token | None:
        return self.rules.judge(self.home.tx(), presented)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    clock = FakeClock()
    home = Home(tmp_path, clock)
    yield Bench(home, clock)
    home.close()


def why(outcome: Issued | Refused) -> Failed | None:
    return outcome.why if isinstance(outcome, Refused) else None


def test_judged(bench: Bench) -> None:
    """An access token tells who granted it, to whom, for what and until when; its text is 256 bits behind a prefix."""
    issued = bench.issued()
    token = bench.judge(issued.access)
    assert token is not None
    assert (token.account, token.client, token.scopes) == (
        bench.person.account,
        "thunderbird",
        frozenset(("imap", "smtp")),
    )
    assert token.expires_at == int(bench.clock.now()) + RULES.access_lifetime == issued.lifetime_s + bench.clock.now()
    assert issued.access.reveal().startswith("mssat_") and len(issued.access) == len("mssat_") + 43
    assert issued.access != bench.issued().access


def test_nothing_in_clear(bench: Bench) -> None:
    """The database holds no token: neither its text nor its random octets."""
    issued, code = bench.issued(), bench.code()
    stored = b"".join(file.read_bytes() for file in bench.home.folder.glob("mail.db*"))
    for secret in (issued.access, issued.refresh, code):
        assert secret.reveal().partition("_")[2].encode() not in stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mssat_",
        "mssat_" + "A" * 43,
        "mssat_" + "é" * 43,
        "mssat_" + "A" * 1_000_000,
        "\0" * 49,
        "mssrt_" + "A" * 43,
        "eyJhbGciOiJub25lIn0.e30.",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_anything_presented(bench: Bench, text: str) -> None:
    """What was never issued is no token, whatever it is."""
    bench.issued()
    assert bench.judge(Secret(text)) is None
    assert why(bench.refresh(Secret(text))) is Failed.UNKNOWN


def test_kinds_apart(bench: Bench) -> None:
    """A refresh token or a code gives no access, and neither stands for the other."""
    issued, code = bench.issued(), bench.code()
    assert bench.judge(issued.refresh) is None and bench.judge(code) is None
    assert why(bench.refresh(issued.access)) is why(bench.refresh(code)) is Failed.UNKNOWN
    assert why(bench.redeem(issued.refresh)) is Failed.UNKNOWN
    swapped = Secret(PREFIXES[TokenKind.ACCESS] + issued.refresh.reveal().partition("_")[2])
    assert bench.judge(swapped) is None


def test_expires(bench: Bench) -> None:
    """An access token serves until its end, and not at it."""
    issued = bench.issued()
    bench.clock.advance(RULES.access_lifetime - 1)
    assert bench.judge(issued.access) is not None
    bench.clock.advance(1)
    assert bench.judge(issued.access) is None


def end_epoch(tx: Transaction, bench: Bench) -> None:
    accounts.set_secrets(tx, bench.person.account, None, end_sessions=True)


def suspend(tx: Transaction, bench: Bench) -> None:
    accounts.set_state(tx, bench.person.account, State.SUSPENDED)


def suspend_and_resume(tx: Transaction, bench: Bench) -> None:
    accounts.set_state(tx, bench.person.account, State.SUSPENDED)
    accounts.set_state(tx, bench.person.account, State.OPEN)


def close(tx: Transaction, bench: Bench) -> None:
    accounts.set_state(tx, bench.person.account, State.CLOSED)


@pytest.mark.parametrize("end", [end_epoch, suspend, suspend_and_resume, close])
def test_dies_with_account(bench: Bench, end: Callable[[Transaction, Bench], None]) -> None:
    """A new password, a suspension (even once lifted) and closing end codes and tokens at once."""
    issued, code = bench.issued(), bench.code()
    bench.do(lambda tx: end(tx, bench))
    assert bench.judge(issued.access) is None
    assert why(bench.refresh(issued.refresh)) is why(bench.redeem(code)) is Failed.DEAD
    assert not tokens.alive(bench.home.tx(), issued.of.authorization_id)


def test_refresh_rotates(bench: Bench) -> None:
    """A refresh gives a new pair; the access token before it serves on until its end."""
    first = bench.issued()
    second = bench.refresh(first.refresh)
    assert isinstance(second, Issued)
    assert bench.judge(first.access) and bench.judge(second.access)
    assert first.refresh != second.refresh


def test_refresh_reuse(bench: Bench) -> None:
    """A refresh token used twice revokes its whole family, the newest tokens included, and no other."""
    first, other = bench.issued(), bench.issued()
    second = bench.refresh(first.refresh)
    assert isinstance(second, Issued)
    assert why(bench.refresh(first.refresh)) is Failed.REPLAYED
    assert bench.judge(first.access) is bench.judge(second.access) is None
    assert why(bench.refresh(second.refresh)) is Failed.UNKNOWN
    assert bench.judge(other.access) is not None


def test_refresh_of_another(bench: Bench) -> None:
    """Another client gets nothing by a refresh token, and doesn't use it up."""
    first = bench.issued()
    assert why(bench.refresh(first.refresh, client="other")) is Failed.MISMATCH
    assert isinstance(bench.refresh(first.refresh), Issued)


def test_refresh_ends(bench: Bench) -> None:
    """A refresh token ends when it lies unused, and a family at its longest time however often it is used."""
    rules = replace(RULES, refresh_lifetime=Seconds(7200), authorization_lifetime=Seconds(10_000))
    idle, busy = bench.issued(), bench.issued()
    found = bench.refresh(busy.refresh, rules=rules)
    assert isinstance(found, Issued)
    bench.clock.advance(7_000)
    found = bench.refresh(found.refresh, rules=rules)
    assert isinstance(found, Issued)
    assert found.lifetime_s == 3000  # not beyond the family's longest time
    bench.clock.advance(3_000)
    assert why(bench.refresh(found.refresh, rules=rules)) is Failed.EXPIRED
    assert bench.judge(found.access) is None
    bench.clock.advance(RULES.refresh_lifetime)
    assert why(bench.refresh(idle.refresh)) is Failed.EXPIRED


def test_code_once(bench: Bench) -> None:
    """A code serves once; used again it revokes what it gave (RFC 6749 §4.1.2)."""
    code = bench.code()
    issued = bench.redeem(code)
    assert isinstance(issued, Issued)
    assert why(bench.redeem(code)) is Failed.REPLAYED
    assert bench.judge(issued.access) is None
    assert why(bench.refresh(issued.refresh)) is Failed.UNKNOWN


def test_code_replayed_late(bench: Bench) -> None:
    """A used code is known for one long after its minute."""
    code = bench.code()
    issued = bench.redeem(code)
    assert isinstance(issued, Issued)
    bench.clock.advance(3 * 24 * 3600)
    bench.do(tokens.expire)
    assert why(bench.redeem(code)) is Failed.REPLAYED
    assert why(bench.refresh(issued.refresh)) is Failed.UNKNOWN


def test_code_bound(bench: Bench) -> None:
    """A code serves its own client and redirect alone; a wrong redirect or verifier uses it up."""
    code = bench.code()
    assert why(bench.redeem(code, client="other")) is Failed.MISMATCH
    assert why(bench.redeem(code, redirect=REDIRECT + "x")) is Failed.MISMATCH
    assert why(bench.redeem(code)) is Failed.UNKNOWN


def test_code_expires(bench: Bench) -> None:
    """A code serves for a minute."""
    code, other = bench.code(), bench.code()
    bench.clock.advance(CODE_S - 1)
    assert isinstance(bench.redeem(code), Issued)
    bench.clock.advance(1)
    assert why(bench.redeem(other)) is Failed.EXPIRED


def test_revoked(bench: Bench) -> None:
    """A family that is revoked is gone with all its tokens."""
    issued = bench.issued()
    number = issued.of.authorization_id
    assert tokens.alive(bench.home.tx(), number)
    assert bench.do(lambda tx: tokens.revoke(tx, number))
    assert not bench.do(lambda tx: tokens.revoke(tx, number))
    assert bench.judge(issued.access) is None
    assert not tokens.alive(bench.home.tx(), number)
    assert bench.home.tx().driver.execute("SELECT count(*) FROM tokens").fetchone()[0] == 0


def test_swept(bench: Bench) -> None:
    """Sweeping takes what can serve no more, and nothing that can."""
    bench.code()
    issued = bench.issued()
    bench.clock.advance(RULES.access_lifetime)
    bench.do(tokens.expire)
    left = bench.home.tx().driver.execute("SELECT kind, used FROM tokens ORDER BY kind").fetchall()
    assert left == [(TokenKind.REFRESH, 0), (TokenKind.CODE, 1)]
    assert isinstance(bench.refresh(issued.refresh), Issued)
    bench.clock.advance(RULES.refresh_lifetime)
    bench.do(tokens.expire)
    assert bench.home.tx().driver.execute("SELECT count(*) FROM authorizations").fetchone()[0] == 0
