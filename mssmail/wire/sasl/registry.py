"""The mechanisms this server speaks: one row each. Both protocols announce and look up mechanisms here."""

from collections.abc import Callable
from dataclasses import dataclass

from mssmail.wire.sasl.exchange import Exchange, Mechanism
from mssmail.wire.sasl.external import External
from mssmail.wire.sasl.login import Login
from mssmail.wire.sasl.plain import Plain


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    """Upper case, as registered with IANA."""
    make: Callable[[], Mechanism]
    certificate: bool
    """Offered only to a client that showed a certificate."""


ROWS: tuple[Row, ...] = (
    Row("PLAIN", Plain, certificate=False),
    Row("LOGIN", Login, certificate=False),
    Row("EXTERNAL", External, certificate=True),
)

_BY_NAME = {row.name: row for row in ROWS}


def offered(*, certificate: bool) -> tuple[str, ...]:
    """Return the names to announce over TLS, in order of the rows; `certificate`: the client showed one."""
    return tuple(row.name for row in ROWS if certificate or not row.certificate)


def begin(name: str, *, certificate: bool) -> Exchange | None:
    """Open an exchange of the mechanism named (without regard to case), or None where it isn't on offer.

    The caller has made sure of TLS: every mechanism here needs it.
    """
    row = _BY_NAME.get(name.upper())
    if row is None or (row.certificate and not certificate):
        return None
    return Exchange(row.make())
