"""`mssmail token` and `mssmail account enrol`: what they do and say, and that each act is in the trail."""

import json

import pytest

from mssmail.flow.clients import PRESETS
from tests.cli.conftest import CLAIRE_ADDRESS as CLAIRE
from tests.cli.conftest import House


def kinds(house: House) -> list[str]:
    return [json.loads(line)["kind"] for line in house("audit", "search", "--json").out.splitlines()]


def clients(house: House) -> dict[str, dict[str, object]]:
    said = house("token", "client", "list", "--json")
    assert said.status == 0, said.err
    return {each["client_id"]: each for each in json.loads(said.out)}


@pytest.mark.parametrize("preset", [preset.client_id for preset in PRESETS])
def test_preset(house: House, preset: str) -> None:
    """A preset is registered by its name alone, once."""
    assert house("token", "client", "add", preset).status == 0
    assert clients(house)[preset]["redirects"] and not clients(house)[preset]["confidential"]
    assert house("token", "client", "add", preset).status == 1
    assert "client-added" in kinds(house)


def test_confidential(house: House) -> None:
    """A confidential program's secret is shown once, and never again."""
    made = house("token", "client", "add", "archive", "--name", "Archive", "--confidential", "--json")
    secret = json.loads(made.out)["client_secret"]
    assert secret.startswith("msscs_") and len(secret) == 49
    assert clients(house)["archive"]["confidential"] is True
    assert secret not in house("token", "client", "list").out + house("token", "client", "list", "--json").out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["token", "client", "add", "mine"], 2, "--name"),
        (["token", "client", "add", "a b", "--name", "x"], 1, "id has"),
        (["token", "client", "add", "x", "--name", "x", "--redirect", "javascript:alert(1)"], 1, "redirect is"),
        (["token", "client", "add", "x", "--name", "x", "--redirect", "http://a.example/"], 1, "redirect is"),
        (["token", "client", "remove", "nobody", "--yes"], 1, "no such program"),
        (["token", "revoke", "nonsense"], 2, "not a mail address"),
        (["token", "revoke", "nobody@demo.mssante.fr"], 1, "no such account"),
        (["token", "list", "nobody@demo.mssante.fr"], 1, "no such account"),
        (["account", "enrol", "nobody@demo.mssante.fr"], 1, "no such account"),
    ],
)
def test_refused(house: House, arguments: list[str], status: int, words: str) -> None:
    """What can't be done is said in one line, by the right status."""
    said = house(*arguments)
    assert (said.status, said.out) == (status, "")
    assert words in said.err and said.err.count("\n") == 1


def test_nothing_yet(house: House) -> None:
    """Without programs and tokens the lists say so."""
    assert "no program is registered" in house("token", "client", "list").out
    assert "no program has access" in house("token", "list").out
    assert json.loads(house("token", "list", CLAIRE, "--json").out) == []
    assert "there was none" in house("token", "revoke", "7").out
    assert "there was none" in house("token", "revoke", CLAIRE).out


def test_removed(house: House) -> None:
    """A program that is removed is gone from the list, and the trail says who did it."""
    house("token", "client", "add", "thunderbird")
    said = house("token", "client", "remove", "thunderbird", "--yes")
    assert said.status == 0 and "0 revoked" in said.out
    assert clients(house) == {} and "client-removed" in kinds(house)


def test_enrol(house: House) -> None:
    """An enrolment's link leads to the HTTPS port; making it is in the trail, without the link."""
    said = house("account", "enrol", CLAIRE, "--json")
    assert said.status == 0, said.err
    made = json.loads(said.out)
    address, _, code = made["link"].partition("/enrolment?code=")
    assert address == "https://localhost" and code.startswith("mssen_") and len(code) == 49
    assert "enrolment-opened" in kinds(house)
    assert code not in house("audit", "search", "--json").out
    assert made["link"] != json.loads(house("account", "enrol", CLAIRE, "--json").out)["link"]
