"""Metrics hold no personal data: label names come from a closed list, label values from closed sets."""

import ast
from collections.abc import Iterator

from mssmail.metrics.registry import LABELS
from tests.rules.source import modules, parsed, place

ALLOWED = {
    "command", "direction", "engine", "event", "kind", "lane", "listener", "mechanism", "outcome", "protocol",
    "reason", "stage",
}  # fmt: skip
PERSONAL = {
    "address", "account", "client", "detail", "domain", "email", "folder", "host", "identity", "ip", "key", "local",
    "login", "name", "national_id", "owner", "patient", "peer", "person", "recipient", "sender", "subject", "user",
}  # fmt: skip
"""Names that a label's value must not be taken from, as `.labels(principal.address)`."""


def calls(of: set[str]) -> Iterator[tuple[str, ast.Call]]:
    for file in modules():
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in of:
                    yield place(file, node.lineno), node


def test_label_names() -> None:
    """The list of label names is the one agreed on here."""
    assert LABELS == ALLOWED
    assert not ALLOWED & PERSONAL


def test_label_values() -> None:
    """No label takes its value from something that names a person or that a peer chose."""
    bad = [
        (where, word)
        for where, call in calls({"labels"})
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
        for node in ast.walk(argument)
        if (word := getattr(node, "attr", getattr(node, "id", ""))) in PERSONAL
        # `reason.name` and the like: an enumeration's own word
        and not (word == "name" and isinstance(node, ast.Attribute))
    ]
    assert bad == []
