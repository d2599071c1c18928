"""How SQLite goes about the statements of messages: by the key of what they name, never through a whole table."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mssmail.store import messages, queue, queue_domains, queue_lease, queue_term, vanished
from mssmail.store.interface import Statement
from tests.support.houses import Home

STATEMENTS = {
    f"{module.__name__.rpartition('.')[2]}.{name.lstrip('_').lower()}": value
    for module in (messages, queue, queue_domains, queue_lease, queue_term, vanished)
    for name, value in vars(module).items()
    if isinstance(value, Statement)
}
_WIDE = re.compile(
    r"SCAN (messages|wraps|records|bodies|body_outbox|vanished|periods|queue_(messages|recipients|attempts))\b"
    r"|INDEX (messages|wraps)_period \(period=\?\)$"
)
"""A whole table, or all that shares a period: a day's mail of the whole store."""
_FOLDER = re.compile(r"SEARCH messages USING PRIMARY KEY \(folder_id=\?\)$")
_DOMAIN = re.compile(r"INDEX queue_recipients_due \(domain_digest=\?( AND state=\?)?\)$")
_OF_A_DOMAIN = {"queue_domains.first_due", "queue_lease.back"}
"""Those that seem to go through all that waits for a domain: one takes the index's first entry, one those in hand."""
_OF_A_FOLDER = {"messages.view", "messages.octets_with_flag"}
"""The statements that are about all of a folder."""
_OF_THE_STORE = {"vanished.long"}
"""Those of a purge that look at all of the store."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement_goes_by_its_key(name: str, home: Home) -> None:
    """What one folder's command costs doesn't depend on what else is in the store."""
    tx = home.tx()
    sql = STATEMENTS[name].for_dialect(tx.dialect)[0]
    plan = [str(row[3]) for row in tx.driver.execute(f"EXPLAIN QUERY PLAN {sql}", [1] * sql.count("?")).fetchall()]
    assert bool([step for step in plan if _WIDE.search(step)]) is (name in _OF_THE_STORE)
    assert bool([step for step in plan if _FOLDER.search(step)]) is (name in _OF_A_FOLDER)
    assert bool([step for step in plan if _DOMAIN.search(step)]) is (name in _OF_A_DOMAIN)
