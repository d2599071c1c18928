"""`mssmail trust`, on a house without servers."""

import json
from pathlib import Path

from mssmail.base.clock import SystemClock
from tests.cli.conftest import House
from tests.support.whitelist import OPERATOR, domains

DAY = 86_400.0


def test_the_life_of_a_list(house: House, tmp_path: Path) -> None:
    """Import, status, show, diff, refusal, roll-back and refresh say what they did; each status tells a program."""
    now, file = SystemClock().now(), tmp_path / "list.xml"
    said = house("trust", "status", "--json")
    assert (said.status, json.loads(said.out)["state"]) == (1, "missing")
    assert house("trust", "show", "a.fr").status == 1
    assert house("trust", "diff").status == 1
    assert (said := house("trust", "refresh")).status == 2
    assert "trust_list.source is empty" in said.err

    file.write_bytes(domains(now - DAY, *(f"d{n}.fr" for n in range(40))))
    said = house("trust", "import", str(file), "--json")
    assert (said.status, json.loads(said.out)["domains"]) == (0, 40)
    file.write_bytes(domains(now, *(f"d{n}.fr" for n in range(1, 41))))
    said = house("trust", "import", str(file))
    assert said.status == 0
    assert "1 added, 1 removed, 0 moved" in said.out
    assert json.loads(house("trust", "diff", "--json").out) == {"added": ["d40.fr"], "removed": ["d0.fr"], "moved": []}
    assert "removed  d0.fr" in house("trust", "diff").out
    assert house("trust", "show", "d40.fr").out == OPERATOR + "\n"
    assert house("trust", "show", "d0.fr").err == "mssmail: d0.fr: not in the white list\n"

    bad = tmp_path / "bad.xml"
    bad.write_bytes(domains(now, "d1.fr")[:-3])
    said = house("trust", "import", str(bad))
    assert (said.status, "not well-formed" in said.err) == (1, True)
    assert house("trust", "import", str(tmp_path / "absent.xml")).status == 1
    found = json.loads(house("trust", "status", "--json").out)
    assert (found["domains"], found["certificates"], found["refused"]["cause"]) == (40, 1, "malformed")
    assert "malformed" in house("trust", "status").out

    with house.config.open("a") as config:
        config.write(f'[trust_list]\nsource = "{file.as_uri()}"\n')
    assert house("trust", "rollback").status == 0
    assert house("trust", "show", "d0.fr").status == 0
    assert house("trust", "refresh").out == "nothing new\n"
    assert "trust-list-loaded" in house("audit", "search", "--kind", "trust-list-loaded").out


def test_a_source_that_cannot_be_asked(house: House) -> None:
    """Addresses in clear, and with a name in them, aren't taken."""
    for source in ("http://plain.example/list.xml", "https://user:word@host.example/x", "list.xml"):
        before = house.config.read_text()
        with house.config.open("a") as config:
            config.write(f'[trust_list]\nsource = "{source}"\n')
        said = house("trust", "status")
        assert (said.status, "trust_list.source" in said.err) == (2, True)
        house.config.write_text(before)
