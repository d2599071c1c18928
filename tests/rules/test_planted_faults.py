"""Planted faults have their places: `make faults` takes minutes, and a place that moved would be found out late."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_places() -> None:
    """What each fault replaces stands once in its file."""
    loader = importlib.machinery.SourceFileLoader("planted_faults", str(ROOT / "scripts" / "planted-faults"))
    spec = importlib.util.spec_from_loader("planted_faults", loader)
    assert spec is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules["planted_faults"] = script  # dataclasses look their module up
    try:
        loader.exec_module(script)
    finally:
        del sys.modules["planted_faults"]
    faults = script.FAULTS
    assert len(faults) > 40
    lost = [
        fault.what
        for fault in faults
        if (ROOT / "mssmail" / fault.file).read_text(encoding="utf-8").count(fault.right) != 1
    ]
    assert lost == []
