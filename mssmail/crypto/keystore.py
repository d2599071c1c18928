"""The key store: account, period and trail keys, each wrapped by the root, in a small database of their own.

A backup of the mail never contains it, and it keeps no history: what is destroyed here is gone. Its engine is set so
that a commit is on disk before it returns and deleted octets are overwritten. Callers may block.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, unique

from sqlalchemy import Column, Engine, Integer, LargeBinary, MetaData, String, Table, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.crypto.format import KEY_OCTETS, VERSION, key_context
from mssmail.crypto.kms.interface import KeyProvider, KeyProviderError

_metadata = MetaData()

_keys = Table(
    "keys",
    _metadata,
    Column("kind", String(16), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, comment="NULL once destroyed"),
    Column("created_at", Integer, nullable=False),
    Column("destroyed_at", Integer),
)
_notes = Table(
    "notes",
    _metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)


@unique
class KeyKind(Enum):
    """What a key is for."""

    SYSTEM = "system"
    """One: seals what belongs to no account, and makes keyed digests."""
    ACCOUNT = "account"
    PERIOD = "period"
    """Numbered by the period's end, in seconds."""
    TRAIL = "trail"
    """Numbered by the day since the epoch whose events it seals."""
    SIGNING = "signing"
    """One: the Ed25519 private key that signs the trail's checkpoints."""


class KeyDestroyed(Exception):
    """The key was destroyed for good."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key's dates, without the key."""

    created_at: int
    destroyed_at: int | None


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Turn a database that can't answer into a Refusal: full, or away."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorname", type(error.orig).__name__)
        reason = Reason.STORAGE_FULL if code == "SQLITE_FULL" else Reason.UNAVAILABLE
        raise Refusal(reason, f"key store: {code}") from error


class KeyStore:
    """Keys at rest. Nothing is cached here: `KeyRing` does that, and knows what must not be.

    Every method raises Refusal(STORAGE_FULL, UNAVAILABLE) where the database can't answer.
    """

    def __init__(self, engine: Engine, provider: KeyProvider, clock: Clock) -> None:
        self._engine = engine
        self._provider = provider
        self._clock = clock

    def open(self) -> None:
        """Make the tables where missing, and check that this is the root key they were made with.

        Raises KeyProviderError where it isn't.
        """
        _metadata.create_all(self._engine)
        mine = bytes([VERSION]) + self._provider.fingerprint()
        with _answering(), self._engine.begin() as connection:
            self._insert(connection, _notes, {"name": "root", "value": mine})
            stored = connection.execute(select(_notes.c.value).where(_notes.c.name == "root")).scalar_one()
        if stored != mine:
            raise KeyProviderError(
                f"the key store wasn't made with the root key in {self._provider.place}: "
                "give the right root key; no mail can be opened with this one"
            )

    def _insert(self, connection: Connection, table: Table, *rows: dict[str, object]) -> int:
        """Insert what isn't there yet; how many were new."""
        make = sqlite_insert if connection.dialect.name == "sqlite" else pg_insert
        return connection.execute(make(table).on_conflict_do_nothing(), list(rows)).rowcount

    def find(self, kind: KeyKind, number: int) -> bytes | None:
        """The key, or None where there never was one. Raises KeyDestroyed, KeyProviderError."""
        with _answering(), self._engine.connect() as connection:
            row = connection.execute(
                select(_keys.c.wrapped).where(_keys.c.kind == kind.value, _keys.c.number == number)
            ).one_or_none()
        if row is None:
            return None
        if row.wrapped is None:
            raise KeyDestroyed(kind.value, number)
        return self._provider.unwrap(row.wrapped, key_context(kind.value, number))

    def obtain(self, kind: KeyKind, number: int) -> bytes:
        """The key, made and on disk before return where there was none. Raises KeyDestroyed, KeyProviderError."""
        key = self.find(kind, number)
        if key is None:
            self.create(kind, (number,))
            key = self.find(kind, number)
            assert key is not None
        return key

    def create(self, kind: KeyKind, numbers: tuple[int, ...]) -> None:
        """Make those keys that don't exist yet, in one transaction."""
        now = int(self._clock.now())
        rows: list[dict[str, object]] = [
            {
                "kind": kind.value,
                "number": number,
                "wrapped": self._provider.wrap(os.urandom(KEY_OCTETS), key_context(kind.value, number)),
                "created_at": now,
            }
            for number in numbers
        ]
        if rows:
            with _answering(), self._engine.begin() as connection:
                self._insert(connection, _keys, *rows)

    def destroy(self, kind: KeyKind, number: int) -> None:
        """Overwrite the key. A number that never had a key is marked too, so that none is made later."""
        now = int(self._clock.now())
        with _answering(), self._engine.begin() as connection:
            gone: dict[str, object] = {"kind": kind.value, "number": number, "created_at": now, "destroyed_at": now}
            if not self._insert(connection, _keys, gone):
                connection.execute(
                    update(_keys)
                    .where(_keys.c.kind == kind.value, _keys.c.number == number, _keys.c.destroyed_at.is_(None))
                    .values(wrapped=None, destroyed_at=now)
                )

    def live(self, kind: KeyKind, *, before: int) -> list[int]:
        """Numbers below `before` whose key still exists, ascending."""
        with _answering(), self._engine.connect() as connection:
            rows = connection.execute(
                select(_keys.c.number)
                .where(_keys.c.kind == kind.value, _keys.c.number < before, _keys.c.destroyed_at.is_(None))
                .order_by(_keys.c.number)
            )
            return [row.number for row in rows]

    def state(self, kind: KeyKind, number: int) -> KeyState | None:
        with _answering(), self._engine.connect() as connection:
            row = connection.execute(
                select(_keys.c.created_at, _keys.c.destroyed_at).where(
                    _keys.c.kind == kind.value, _keys.c.number == number
                )
            ).one_or_none()
        return None if row is None else KeyState(row.created_at, row.destroyed_at)

    def note(self, name: str) -> bytes | None:
        """A small value kept apart from the mail's database, such as the trail's last checkpoint."""
        with _answering(), self._engine.connect() as connection:
            return connection.execute(select(_notes.c.value).where(_notes.c.name == name)).scalar_one_or_none()

    def put_note(self, name: str, value: bytes) -> None:
        with _answering(), self._engine.begin() as connection:
            if not self._insert(connection, _notes, {"name": name, "value": value}):
                connection.execute(update(_notes).where(_notes.c.name == name).values(value=value))

    def close(self) -> None:
        self._engine.dispose()
