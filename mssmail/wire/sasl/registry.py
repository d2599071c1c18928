"""The mechanisms this server speaks: one row each. Both protocols announce and look up mechanisms here."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique

from mssmail.wire.sasl.bearer import OAuthBearer, XOAuth2
from mssmail.wire.sasl.exchange import Exchange, Mechanism
from mssmail.wire.sasl.external import External
from mssmail.wire.sasl.login import Login
from mssmail.wire.sasl.plain import Plain


@unique
class Need(Enum):
    """What must be there for a mechanism to be of use."""

    CERTIFICATE = "certificate"
    """The client showed one."""
    TOKENS = "tokens"
    """There is somebody to judge tokens."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    """Upper case, as registered with IANA."""
    make: Callable[[], Mechanism]
    needs: Need | None = None


ROWS: tuple[Row, ...] = (
    Row("PLAIN", Plain),
    Row("LOGIN", Login),
    Row("EXTERNAL", External, Need.CERTIFICATE),
    Row("OAUTHBEARER", OAuthBearer, Need.TOKENS),
    Row("XOAUTH2", XOAuth2, Need.TOKENS),
)

_BY_NAME = {row.name: row for row in ROWS}


def met(*, certificate: bool, tokens: bool) -> frozenset[Need]:
    """What is there: the client showed a certificate, somebody judges tokens."""
    return frozenset(need for need, there in ((Need.CERTIFICATE, certificate), (Need.TOKENS, tokens)) if there)


def offered(there: frozenset[Need]) -> tuple[str, ...]:
    """Return the names to announce over TLS, in order of the rows, where so much is there."""
    return tuple(row.name for row in ROWS if row.needs is None or row.needs in there)


def begin(name: str, there: frozenset[Need]) -> Exchange | None:
    """Open an exchange of the mechanism named (without regard to case), or None where it isn't on offer.

    The caller has made sure of TLS: every mechanism here needs it.
    """
    row = _BY_NAME.get(name.upper())
    if row is None or (row.needs is not None and row.needs not in there):
        return None
    return Exchange(row.make())
