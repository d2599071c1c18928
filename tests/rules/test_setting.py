"""Every setting does something."""

import ast

import pytest

from mssmail.settings.model import all_settings
from tests.rules.source import PRODUCT, modules, parsed


@pytest.mark.skipif(not (PRODUCT / "app.py").is_file(), reason="the composition root isn't there yet")
def test_read() -> None:
    """Each setting is read outside the settings room: one that nothing reads only pretends."""
    read = {
        node.attr
        for file in modules()
        if PRODUCT / "settings" not in file.parents
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute)
    }
    assert [setting.name for setting in all_settings() if setting.key not in read] == []
