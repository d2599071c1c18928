"""Each edge answers every reason: its table is total, so that no refusal falls through."""

import importlib

import pytest

from mssmail.base.refusal import Reason
from tests.rules.source import PRODUCT

EDGES = [edge for edge in ("smtp", "imap", "web") if (PRODUCT / "servers" / edge / "replies.py").is_file()]
"""Edges that exist by now; an edge is a server with a `replies` module."""


@pytest.mark.parametrize("edge", EDGES)
def test_total(edge: str) -> None:
    """The edge's replies module holds a mapping with a row for each Reason."""
    module = importlib.import_module(f"mssmail.servers.{edge}.replies")
    tables = {
        name: set(table)
        for name, table in vars(module).items()
        if isinstance(table, dict) and table and all(isinstance(key, Reason) for key in table)
    }
    assert tables, f"servers/{edge}/replies.py needs a module-level dict from Reason to its reply"
    gaps = {name: sorted(reason.value for reason in set(Reason) - keys) for name, keys in tables.items()}
    assert [] in gaps.values(), gaps


def test_edges_have_replies() -> None:
    """A server whose session exists has its table of replies."""
    sessions = [file.parent for file in (PRODUCT / "servers").glob("*/session.py")]
    assert [folder.name for folder in sessions if not (folder / "replies.py").is_file()] == []


def test_reasons_told_apart() -> None:
    """Each reason has a word of its own, in the form that reports and `refused` lists use."""
    assert all(reason.value == reason.name.lower().replace("_", "-") for reason in Reason)
