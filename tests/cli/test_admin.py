"""`mssmail admin` and the admin socket's side of a call: roles judged verb by verb, and nobody's mail shown."""

import asyncio
import json
import os
import pwd
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mssmail.app import Assembly, assembled
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Mechanism, Principal
from mssmail.base.role import Role
from mssmail.cli.main import app
from mssmail.cli.session import INPUTS, Session
from mssmail.demo.people import PAUL
from mssmail.flow.append import Append, Targets
from mssmail.flow.boxes import Boxes
from mssmail.policy.administer import VERBS, Place
from mssmail.settings.load import load
from tests.cli.conftest import CLAIRE_ADDRESS as CLAIRE
from tests.cli.conftest import House, Said

USERS = {
    Role.OPERATOR: "daemon",
    Role.DIRECTORY: "bin",
    Role.AUDITOR: "games",
    Role.SECURITY_OFFICER: "nobody",
}
"""A user of this machine for each role."""


def number(user: str) -> int:
    return pwd.getpwnam(user).pw_uid


@pytest.fixture
def staffed(house: House) -> House:
    """The house with an administrator for each role."""
    for role, user in USERS.items():
        said = house("admin", "add", role.value, "--role", role.value, "--user", user)
        assert said.status == 0, said.err
    return house


@contextmanager
def acting(house: House, user: str, files: Sequence[Path] = ()) -> Iterator[Session]:
    """This process as the one that carries a user's call out at the socket."""
    opened = tuple(os.open(file, os.O_RDONLY) for file in files)
    folder = house.folder / "data" / "run" / "call-1"
    with assembled(load(house.config)) as assembly:
        session = Session(assembly, house.config, number(user), user, opened, folder)
        with session.entered():
            yield session
    shutil.rmtree(folder, ignore_errors=True)


def ask(house: House, user: str, *arguments: str, files: Sequence[Path] = (), stdin: str = "") -> Said:
    """A call by a user at the socket."""
    with acting(house, user, files):
        return house.call(list(arguments), stdin)


def events(house: House, *narrowed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in house("audit", "search", "--json", *narrowed).out.splitlines()]


# --- the nouns ---


def test_listed(staffed: House) -> None:
    """Administrators are listed with their user and roles, and who made them is in the trail."""
    listed = json.loads(staffed("admin", "list", "--json").out)
    assert {each["name"]: (each["user"], each["roles"]) for each in listed} == {
        role.value: (user, [role.value]) for role, user in USERS.items()
    }
    made = events(staffed, "--kind", "administrator-added")
    assert {event["details"]["administrator"] for event in made} == {f"local {pwd.getpwuid(os.getuid()).pw_name}"}


def test_changed(staffed: House) -> None:
    """Roles are replaced, suspension and its end hold at once, and who is removed is nobody."""
    officer = USERS[Role.SECURITY_OFFICER]
    assert ask(staffed, officer, "admin", "roles", "operator", "--role", "auditor").status == 0
    assert ask(staffed, "daemon", "account", "list").status == 1
    assert ask(staffed, "daemon", "audit", "tail").status == 0
    assert ask(staffed, officer, "admin", "suspend", "operator").status == 0
    assert "suspended" in ask(staffed, "daemon", "audit", "tail").err
    assert ask(staffed, officer, "admin", "resume", "operator").status == 0
    assert json.loads(ask(staffed, "daemon", "admin", "whoami", "--json").out)["roles"] == ["auditor"]
    assert ask(staffed, officer, "admin", "remove", "operator").status == 0
    assert "no administrator" in ask(staffed, "daemon", "admin", "whoami").err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["add", "x", "--role", "operator", "--user", "no-such-user-here"], 2, "no user of this machine"),
        (["add", "x", "--role", "king", "--user", "mail"], 2, "king"),
        (["add", "x", "--user", "mail"], 2, "--role"),
        (["add", "Local X", "--role", "operator", "--user", "mail"], 1, "name"),
        (["add", "x", "--role", "operator", "--user", "root"], 1, "data folder"),
        (["add", "operator", "--role", "operator", "--user", "mail"], 1, "already"),
        (["add", "x", "--role", "operator", "--user", "daemon"], 1, "already"),
        (["remove", "nobody-here"], 1, "none of that name"),
        (["approve", "1"], 1, "no order"),
        (["reject", "1"], 1, "no order"),
        (["approve", "0"], 2, "ORDER"),
    ],
)
def test_refused(staffed: House, arguments: list[str], status: int, words: str) -> None:
    """What can't be done with an administrator or an order is refused with one line that says why."""
    said = staffed("admin", *arguments)
    assert (said.status, said.out) == (status, "")
    assert words in said.err
    assert len(said.err.splitlines()) == 1


def test_two_persons(staffed: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a box waits for a second administrator where the setting asks it, whoever orders it."""
    monkeypatch.setenv("MSSMAIL_ADMIN_TWO_PERSONS", "account.close")
    said = ask(staffed, "daemon", "account", "close", CLAIRE, "--yes")
    assert (said.status, "mssmail admin approve 1" in said.out) == (0, True)
    assert json.loads(staffed("account", "show", CLAIRE, "--json").out)["state"] == "open"
    (waiting,) = json.loads(ask(staffed, "nobody", "admin", "pending", "--json").out)
    assert (waiting["order"], waiting["act"], waiting["subject"]) == (1, "account.close", CLAIRE)
    assert waiting["until"] - waiting["given_at"] == 72 * 3600
    assert ask(staffed, "daemon", "admin", "approve", "1").status == 1
    assert "already" in staffed("account", "close", CLAIRE, "--yes").err
    assert ask(staffed, "nobody", "admin", "approve", "1").status == 0
    assert "closed" in staffed("account", "show", CLAIRE).err
    (closed,) = events(staffed, "--kind", "account-closed")
    assert (closed["details"]["administrator"], closed["details"]["ordered_by"]) == ("security-officer", "operator")


# --- each verb and each role ---

EXAMPLES: dict[str, list[str]] = {
    "account close": [CLAIRE, "--yes"],
    "account create": [f"paul.durand@{CLAIRE.split('@')[1]}", "--holder", PAUL.national_id, "--no-password"],
    "account password": [CLAIRE, "--generate"],
    "admin add": ["x", "--role", "operator", "--user", "mail"],
    "admin roles": ["x", "--role", "operator"],
    "directory import": ["extract.txt"],
}
"""What a verb is given where Claire's address, 1 or a file for each argument that it must have is not enough."""


def parameters(verb: str) -> list[Any]:
    command: Any = get_command(app)
    for word in verb.split():
        command = command.commands[word]
    return list(command.params)


def example(verb: str) -> list[str]:
    """Arguments by which a verb is understood, and mostly carried out."""
    if verb in EXAMPLES:
        return EXAMPLES[verb]
    given = []
    for each in parameters(verb):
        if each.required:
            value = "1" if "int" in str(each.type_descriptor.annotation) else CLAIRE
            given += [each.opts[0], value] if each.opts[0].startswith("-") else [value]
    return given


CANARIES = ("Zyzomys", "Quokkacorps", "wombat", "Dossierbilby", "Motdedingo")
"""In a subject, a body, addresses of a header, a folder's name, a keyword."""


async def put_mail(assembly: Assembly) -> None:
    """A message and a folder in Claire's box."""
    address = Address.parse(CLAIRE)
    assert address is not None
    box = AccountId(1)
    claire = Principal(box, box, address, BoxKind.PER, Mechanism.PASSWORD, 0, "127.0.0.1", "imap")
    await Boxes(assembly.house).create(claire, "Dossierbilby")
    append = Append(Targets(assembly.house, claire), "Dossierbilby")
    await append.look()
    append.begin()
    await append.write(
        b"From: wombat@ailleurs.example\r\nTo: wombat.deux@ailleurs.example\r\nSubject: Zyzomys\r\n\r\nQuokkacorps\r\n"
    )
    await append.end(0, frozenset({"Motdedingo"}), None)
    await append.finish()
    await append.abort()


@pytest.mark.parametrize("role", Role)
def test_each_verb(staffed: House, role: Role, tmp_path: Path) -> None:
    """A role gives the verbs of its rows, with its name in the trail; every other is refused, and traced.

    None of them shows anything of a message, nor a folder's or keyword's name, nor whom its holder writes to.
    """
    with assembled(load(staffed.config)) as assembly:
        asyncio.run(put_mail(assembly))
    file = tmp_path / "extract.txt"
    file.write_text("no extract")
    allowed: set[str] = set()
    refused: set[str] = set()
    for verb, rule in VERBS.items():
        if rule is Place.ANYWHERE:
            continue
        files = [file] if verb in INPUTS else []
        said = ask(staffed, USERS[role], *verb.split(), *example(verb), files=files)
        assert "--help" not in said.err, f"{verb} needs other arguments: give it some in EXAMPLES; it said {said}"
        assert not [word for word in CANARIES if word in said.out + said.err], verb
        (refused if "not permitted" in said.err else allowed).add(verb)
        if verb in refused:
            assert (said.status, said.out) == (1, ""), verb
    assert allowed == {verb for verb, rule in VERBS.items() if not isinstance(rule, Place) and role in rule}
    told = events(staffed, "--limit", "1000")
    for kind, verbs in (("administered", allowed), ("administration-refused", refused)):
        assert {e["details"]["verb"] for e in told if e["kind"] == kind} == verbs
    acts = [e["details"]["administrator"] for e in told if e["kind"] == "account-suspended"]
    assert set(acts) <= {role.value}


def test_strangers(staffed: House) -> None:
    """Who is no administrator gives nothing, though their number were known under another name."""
    said = ask(staffed, "mail", "account", "list")
    assert (said.status, said.out) == (1, "")
    with acting(staffed, "daemon") as session:
        session.user = "renamed"
        assert "not permitted" in staffed.call(["account", "list"]).err


# --- what a caller may bring ---


def paths(verb: str) -> set[str]:
    """The parameters of a verb that are paths."""
    return {each.name for each in parameters(verb) if "Path" in str(each.type_descriptor.annotation)}


def test_paths_are_known() -> None:
    """Each verb that takes a path over the socket reads it from the caller's descriptor, or refuses it there."""
    house_verbs = [verb for verb, rule in VERBS.items() if not isinstance(rule, Place)]
    found = {verb: paths(verb) - {INPUTS.get(verb, "")} for verb in house_verbs}
    assert {verb: names for verb, names in found.items() if names} == {"audit export": {"output"}}
    assert all(name in paths(verb) for verb, name in INPUTS.items())


def test_files_are_the_callers(staffed: House, extracts: tuple[Path, Path], tmp_path: Path) -> None:
    """An import takes the content that the caller opened, under the file's name, wherever that name leads here."""
    said = ask(
        staffed,
        USERS[Role.DIRECTORY],
        *("directory", "import", "--json", *(f"/elsewhere/{file.name}" for file in extracts)),
        files=extracts,
    )
    assert said.status == 0, said.err
    assert {each["file"].split("/")[0] for each in json.loads(said.out)["sources"]} == {file.name for file in extracts}


@pytest.mark.parametrize(
    ("user", "arguments", "count"),
    [
        ("bin", ["directory", "import", "/etc/shadow"], 0),
        ("bin", ["directory", "import", "a.txt"], 2),
        ("bin", ["directory", "status"], 1),
        ("bin", ["directory", "import", ".."], 1),
        ("games", ["audit", "export", "--output", "trail.jsonl"], 0),
        ("games", ["audit", "tail", "--config", "other.toml"], 0),
        ("games", ["--socket", "other", "audit", "tail"], 0),
        ("games", ["audit", "tail", "--config=other.toml"], 0),
    ],
)
def test_no_path_is_followed(staffed: House, tmp_path: Path, user: str, arguments: list[str], count: int) -> None:
    """Nothing is opened by name with the server's rights, and its configuration is its own."""
    file = tmp_path / "a.txt"
    file.write_text("x")
    said = ask(staffed, user, *arguments, files=[file] * count)
    assert (said.status, said.out) == (2, "")
    assert not Path("trail.jsonl").exists()
