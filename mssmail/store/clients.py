"""Rows of programs that may ask users for access. Names and redirects are sealed; a secret is a digest."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import oauth_clients


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A program as stored."""

    client_id: str
    secret: bytes | None
    sealed: bytes
    created_at: int


_COLUMNS = (
    oauth_clients.c.client_id,
    oauth_clients.c.secret,
    oauth_clients.c.sealed,
    oauth_clients.c.created_at,
)
_PUT = put(oauth_clients, ignore_existing=True)
_GET = Statement(select(*_COLUMNS).where(oauth_clients.c.client_id == bindparam("client")))
_ALL = Statement(select(*_COLUMNS).order_by(oauth_clients.c.created_at, oauth_clients.c.client_id))
_DROP = Statement(delete(oauth_clients).where(oauth_clients.c.client_id == bindparam("client")))


def add(tx: Transaction, row: ClientRow) -> bool:
    """False where there is one of that id."""
    values = {"client_id": row.client_id, "secret": row.secret, "sealed": row.sealed, "created_at": row.created_at}
    return tx.run(_PUT, **values).rowcount == 1


def get(tx: Transaction, client: str) -> ClientRow | None:
    row = tx.run(_GET, client=client).fetchone()
    return None if row is None else ClientRow(*row)


def every(tx: Transaction) -> list[ClientRow]:
    """Oldest first."""
    return [ClientRow(*row) for row in tx.run(_ALL).fetchall()]


def drop(tx: Transaction, client: str) -> bool:
    return tx.run(_DROP, client=client).rowcount == 1
