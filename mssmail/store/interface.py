"""What the lanes promise: a transaction as work sees it, and the chain step that app injects."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import Table, bindparam, insert
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ClauseElement

from mssmail.base.ids import ChainId

Row = tuple[Any, ...]
Ranges = Sequence[tuple[int, int]]
"""UIDs, as inclusive (low, high) pairs, ascending."""
Values = Mapping[str, int | bytes | str | None]


class Cursor(Protocol):
    """The part of a DB-API cursor that work uses."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...
    def fetchmany(self, size: int = ...) -> list[Row]: ...


class Driver(Protocol):
    """The part of a DB-API connection that a lane uses."""

    def execute(self, sql: str, parameters: Sequence[object] = ...) -> Any: ...
    def executemany(self, sql: str, parameters: Sequence[Sequence[object]]) -> Any: ...
    def close(self) -> None: ...


Compiled = tuple[str, Callable[[Mapping[str, object]], Sequence[object]], Mapping[str, object]]
"""SQL text, what picks its parameters out of named values in order, and the values that the statement itself fixes."""


class Statement:
    """A SQLAlchemy Core statement, compiled once for each dialect and given to the driver directly.

    SQLAlchemy's own execution costs 60 to 90 µs a statement; a compiled one given to the driver costs 3 to 5.
    Values are plain ints, octets and texts, so no type needs converting. Where dialects spell a clause otherwise,
    `clause` is a function of the dialect's name.
    """

    __slots__ = ("_clause", "_compiled")

    def __init__(self, clause: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._clause = clause
        self._compiled: dict[str, Compiled] = {}

    def for_dialect(self, dialect: Dialect) -> Compiled:
        """Compile on first use."""
        found = self._compiled.get(dialect.name)
        if found is None:
            clause = self._clause if isinstance(self._clause, ClauseElement) else self._clause(dialect.name)
            compiled: Any = clause.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            names = tuple(compiled.positiontup or ())
            fixed = {name: value for name, value in compiled.params.items() if value is not None}
            found = self._compiled[dialect.name] = (str(compiled), _picker(names), fixed)
        return found


def _picker(names: tuple[str, ...]) -> Callable[[Mapping[str, object]], Sequence[object]]:
    """Values in the order of `names`; itemgetter does it in C, but for none and for one alone."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: [values[name] for name in names]


def put(table: Table, *, ignore_existing: bool = False, omit: tuple[str, ...] = ()) -> Statement:
    """An INSERT of every column but `omit`; with `ignore_existing`, a row whose key is there already is left alone."""
    values: dict[str, Any] = {c.name: bindparam(c.name) for c in table.columns if c.name not in omit}
    if not ignore_existing:
        return Statement(insert(table).values(values))

    def clause(dialect: str) -> ClauseElement:
        make = sqlite_insert if dialect == "sqlite" else pg_insert
        return make(table).values(values).on_conflict_do_nothing()

    return Statement(clause)


class Chain(Protocol):
    """Appends events to the trail within the transaction of the acts themselves."""

    @property
    def chain_id(self) -> ChainId | None:
        """The chain of this lane's life; None until its first event where it is registered late."""

    def append(self, tx: "Transaction", events: Sequence[object], batch: int) -> None:
        """Chain `events` and write the chain's new head and `batch`; raises nothing of its own."""


class Transaction:
    """A transaction as a unit of work sees it. Work may be run again from its start: it must change nothing outside."""

    __slots__ = ("dialect", "driver", "events", "now", "open_periods", "wakes")

    def __init__(self, driver: Driver, dialect: Dialect, now: float) -> None:
        self.driver = driver
        self.dialect = dialect
        self.now = now
        """The time that rows of this transaction carry, seconds of the epoch."""
        self.events: list[object] = []
        self.open_periods: set[int] = set()
        """Periods that this transaction found open; none can be closed before it ends."""
        self.wakes: dict[int, int] = {}

    def run(self, statement: Statement, /, **values: int | bytes | str | None) -> Cursor:
        """Execute with named values."""
        sql, pick, fixed = statement.for_dialect(self.dialect)
        cursor: Cursor = self.driver.execute(sql, pick({**fixed, **values} if fixed else values))
        return cursor

    def run_many(self, statement: Statement, rows: Sequence[Values]) -> Cursor:
        """Execute once for each row of values."""
        sql, pick, fixed = statement.for_dialect(self.dialect)
        cursor: Cursor = self.driver.executemany(sql, [pick({**fixed, **row}) for row in rows])
        return cursor

    def trail(self, event: object) -> None:
        """Let `event` be chained in this transaction, once this unit has succeeded."""
        self.events.append(event)

    def wake(self, account: int, modseq: int) -> None:
        """After the commit, tell sessions of `account` that something up to `modseq` changed."""
        self.wakes[account] = max(modseq, self.wakes.get(account, 0))
