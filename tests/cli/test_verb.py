"""The verbs, each asked for what it must do and say; their effect is seen by another verb."""

import json
import re
from pathlib import Path

import pytest

from mssmail.demo.extract import write_extracts
from mssmail.demo.people import PAUL, VENDOR, populate
from tests.cli.conftest import CLAIRE_ADDRESS as CLAIRE
from tests.cli.conftest import PASSWORD, House
from tests.support.whitelist import domains

PAUL_ADDRESS = "paul.durand@demo.mssante.fr"


def shown(house: House, address: str = CLAIRE) -> dict[str, object]:
    said = house("account", "show", address, "--json")
    assert said.status == 0, said.err
    content: dict[str, object] = json.loads(said.out)
    return content


def events(house: House, *narrowed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in house("audit", "search", "--json", *narrowed).out.splitlines()]


# --- account ---


def test_account_created_with_password(house: House) -> None:
    """A professional's box is made with a password from standing input, and its code's secret is shown once."""
    said = house("account", "create", PAUL_ADDRESS, "--holder", PAUL.national_id, "--stdin", "--json", stdin=PASSWORD)
    assert said.status == 0, said.err
    made = json.loads(said.out)
    assert re.fullmatch(r"[A-Z2-7]{32}", made["totp_secret"])
    assert made["otpauth"].startswith("otpauth://totp/")
    assert "password" not in made
    account = shown(house, PAUL_ADDRESS)
    assert (account["has_password"], account["has_code"], account["name"]) == (True, True, "PAUL DURAND")


def test_account_created_for_an_application(house: House) -> None:
    """An application's box is opened by the certificate that it is made for, and has no password."""
    create = ["account", "create", "logiciel@demo.mssante.fr", "--kind", "APP", "--holder", VENDOR.structure_id]
    assert house(*create).status == 1
    assert house(*create, "--cn", "logiciel.editeur-demo.fr").status == 0
    account = shown(house, "logiciel@demo.mssante.fr")
    assert (account["common_name"], account["has_password"]) == ("logiciel.editeur-demo.fr", False)


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "words"),
    [
        (["account", "create", CLAIRE, "--holder", "810000000001", "--no-password"], "", 1, "already"),
        (["account", "create", "x@demo.mssante.fr", "--holder", "899999999999", "--no-password"], "", 1, "may not"),
        (["account", "create", "x@elsewhere.fr", "--holder", "810000000001", "--no-password"], "", 1, "no domain"),
        (["account", "create", "x@demo.mssante.fr", "--holder", "810000000001", "--stdin"], "azerty\n", 1, "weak"),
        (["account", "create", "x@demo.mssante.fr", "--holder", "810000000001", "--stdin"], "", 1, "no password"),
        (["account", "create", "x@demo.mssante.fr", "--holder", "810000000001"], "", 2, "--stdin"),
        (["account", "show", "nobody@demo.mssante.fr"], "", 1, "no such account"),
        (["account", "show", "not an address"], "", 2, "not a mail address"),
        (["account", "close", CLAIRE], "", 2, "--yes"),
        (["account", "quota", CLAIRE, "much"], "", 2, "size"),
        (["absence", "set", CLAIRE], "", 2, "--until"),
        (["absence", "set", CLAIRE, "--until", "soon"], "", 2, "soon"),
        (["absence", "set", CLAIRE, "--until", "2020-01-01"], "", 1, "can't be set"),
        (["absence", "set", CLAIRE, "--until", "2020-01-02", "--from", "2020-01-03"], "", 1, "before it begins"),
        (["absence", "show", "x@demo.mssante.fr"], "", 1, "no account"),
        (["forward", "set", CLAIRE, CLAIRE], "", 1, "itself"),
        (["forward", "set", CLAIRE, "x@demo.mssante.fr"], "", 1, "regist"),
        (["forward", "show", "x@demo.mssante.fr"], "", 1, "no account"),
        (["delegation", "withdraw", CLAIRE, CLAIRE], "", 1, "delegat"),
        (["delegation", "grant", CLAIRE, CLAIRE], "", 1, "one's own box"),
        (["delegation", "grant", CLAIRE, CLAIRE, "--rights", "read,peek"], "", 2, "peek"),
        (["delegation", "grant", CLAIRE, CLAIRE, "--until", "soon"], "", 2, "soon"),
        (["delegation", "grant", CLAIRE, CLAIRE, "--until", "2099-01-01", "--for", "1d"], "", 2, "give one"),
        (["account", "list", "--state", "odd"], "", 2, "odd"),
        (["retention", "set", CLAIRE, "ages"], "", 2, "duration"),
        (["retention", "set", CLAIRE, "36500d"], "", 1, "term"),
        (["directory", "show", "800000000000"], "", 1, "not in the directory"),
        (["ban", "clear"], "", 2, "--all"),
        (["ban", "add", "nobody"], "", 2, "address"),
        (["ban", "add", "192.0.2.66", "--for", "ages"], "", 2, "--for"),
        (["audit", "search", "--kind", "odd"], "", 2, "signed-in"),
        (["audit", "search", "--since", "yesteryear"], "", 2, "yesteryear"),
    ],
)
def test_refused(house: House, arguments: list[str], stdin: str, status: int, words: str) -> None:
    """What can't be done is refused with one line that says why, and its status."""
    said = house(*arguments, stdin=stdin)
    assert (said.status, said.out) == (status, "")
    assert words in said.err
    assert len(said.err.splitlines()) == 1
    assert "azerty" not in said.err


def test_account_states(house: House) -> None:
    """Suspended, resumed, closed for good; each seen by `list` and in the trail with who did it."""
    assert house("account", "suspend", CLAIRE).status == 0
    assert shown(house)["state"] == "suspended"
    assert CLAIRE in house("account", "list", "--state", "suspended").out
    assert house("account", "resume", CLAIRE).status == 0
    assert shown(house)["state"] == "open"
    assert house("account", "close", CLAIRE, "--yes").status == 0
    assert house("account", "resume", CLAIRE).status == 1
    assert [a["state"] for a in json.loads(house("account", "list", "--json").out)] == ["closed"]
    kinds = [e["kind"] for e in events(house, "--address", CLAIRE)]
    assert kinds == [
        "account-created",
        "account-suspended",
        "account-resumed",
        "account-closed",
        "trail-read",
    ]


def test_password_and_code(house: House) -> None:
    """A password and a code are set; the QR code comes with its secret, the password isn't told again."""
    said = house("account", "password", CLAIRE, "--stdin", stdin=PASSWORD + "\r\n")
    assert (said.status, PASSWORD in said.out) == (0, False)
    said = house("account", "otp", CLAIRE)
    assert said.status == 0
    assert "█" in said.out
    assert re.search(r"otpauth://totp/\S+secret=[A-Z2-7]{32}", said.out)
    assert "[" + "\033" not in said.out
    account = shown(house)
    assert (account["has_password"], account["has_code"]) == (True, True)


def test_generated_password_is_shown(house: House) -> None:
    """A password made up is told, since nobody else knows it."""
    assert re.search(r"password: \S{16}\n", house("account", "password", CLAIRE, "--generate").out)


def test_limits(house: House) -> None:
    """An account's own limits are set one by one, shown, and taken back."""
    call = ("account", "limits", CLAIRE)
    assert json.loads(house(*call, "--json").out)["messages_per_hour"] is None
    house(*call, "--messages-per-hour", "50", "--from", "192.0.2.0/24", "--from", "2001:DB8::1")
    said = json.loads(house(*call, "--recipients-per-day", "0", "--json").out)
    assert said["networks"] == ["192.0.2.0/24", "2001:db8::1/128"]
    assert (said["messages_per_hour"], said["recipients_per_day"], said["messages_per_day"]) == (50, 0, None)
    assert "any number" in house(*call).out
    house(*call, "--from", "any", "--messages-per-hour", "default", "--recipients-per-day", "default")
    assert not any(json.loads(house(*call, "--json").out).values())
    assert "'limits': []" in str(events(house, "--kind", "limits-set")[-1]["details"])


@pytest.mark.parametrize(
    "wrong",
    [
        ["--messages-per-hour", "many"],
        ["--messages-per-hour", "-1"],
        ["--recipients-per-day", "10000001"],
        ["--from", "192.0.2.1/24"],
        ["--from", "localhost"],
        ["--from", "any", "--from", "192.0.2.0/24"],
        ["--from", ""],
    ],
)
def test_no_limits(house: House, wrong: list[str]) -> None:
    """A limit that can't be read changes nothing."""
    said = house("account", "limits", CLAIRE, *wrong)
    assert (said.status, said.out) == (2, "")
    assert events(house, "--kind", "limits-set") == []


def test_absence(house: House) -> None:
    """An absence is set, shown with its words, and taken back; the words aren't in the trail."""
    assert "no absence" in house("absence", "show", CLAIRE).out
    assert json.loads(house("absence", "show", CLAIRE, "--json").out) is None
    until = ["--until", "2099-01-02", "--from", "2099-01-01"]
    said = house("absence", "set", CLAIRE, *until, "--french", "Voyez le Dr Petit.\nMerci", "--english", "Away")
    assert said.status == 0, said.err
    content = json.loads(house("absence", "show", CLAIRE, "--json").out)
    assert (content["state"], content["told"], content["until_at"]) == ("to come", 0, 4_070_995_200)
    assert (content["french"], content["english"]) == ("Voyez le Dr Petit.\nMerci", "Away")
    assert "Voyez le Dr Petit. / Merci" in house("absence", "show", CLAIRE).out
    assert "no longer" in house("absence", "clear", CLAIRE).out
    assert "no absence" in house("absence", "clear", CLAIRE).out
    assert [each["kind"] for each in events(house, "--kind", "absence-set")] == ["absence-set"]
    assert "Petit" not in json.dumps(events(house))


def test_forward(house: House) -> None:
    """A box's mail is had go on, shown with what the gate says now, and kept again."""
    create = ["account", "create", PAUL_ADDRESS, "--holder", PAUL.national_id, "--no-password"]
    assert house(*create).status == 0
    assert "is not forwarded" in house("forward", "show", CLAIRE).out
    assert house("forward", "set", CLAIRE, PAUL_ADDRESS, "--no-copy").status == 0
    content = json.loads(house("forward", "show", CLAIRE, "--json").out)
    assert (content["to"], content["copy"], content["refused"]) == (PAUL_ADDRESS, False, None)
    assert house("account", "suspend", PAUL_ADDRESS).status == 0
    assert "refused: suspended" in house("forward", "show", CLAIRE).out
    assert "no longer" in house("forward", "clear", CLAIRE).out
    assert "was not" in house("forward", "clear", CLAIRE).out
    assert json.loads(house("forward", "show", CLAIRE, "--json").out) is None


def test_delegation_and_quota(house: House) -> None:
    """A box is opened to another professional and closed again; a quota is set."""
    create = ["account", "create", PAUL_ADDRESS, "--holder", PAUL.national_id, "--no-password"]
    assert house(*create).status == 0
    assert house("delegation", "grant", CLAIRE, PAUL_ADDRESS).status == 0
    assert shown(house)["delegates"] == [PAUL_ADDRESS]
    (listed,) = json.loads(house("delegation", "list", CLAIRE, "--json").out)
    assert (listed["box"], listed["person"], listed["rights"]) == (CLAIRE, PAUL_ADDRESS, ["read", "write", "send"])
    assert (listed["until_at"], listed["given_by"], listed["state"]) == (None, None, "in force")
    assert house("delegation", "grant", CLAIRE, PAUL_ADDRESS, "--rights", "read, manage", "--for", "30d").status == 0
    (listed,) = json.loads(house("delegation", "list", "--json").out)
    assert (listed["rights"], listed["until_at"] - listed["from_at"]) == (["read", "manage"], 30 * 86_400)
    assert "read, manage" in house("delegation", "list").out
    assert shown(house, PAUL_ADDRESS)["delegated"] == [CLAIRE]
    assert house("delegation", "withdraw", CLAIRE, PAUL_ADDRESS).status == 0
    assert shown(house)["delegates"] == []
    assert house("account", "quota", CLAIRE, "512MiB").status == 0
    assert shown(house)["quota_octets"] == 512 << 20


# --- retention ---


def test_retention(house: House) -> None:
    """A term of one's own is set, shown and taken back; with nothing due, nothing is erased."""
    assert house("retention", "set", CLAIRE, "30d").status == 0
    assert json.loads(house("retention", "show", "--json").out)["accounts"] == [
        {"address": CLAIRE, "term_s": 30 * 86_400}
    ]
    assert house("retention", "set", CLAIRE, "default").status == 0
    content = json.loads(house("retention", "show", "--json").out)
    assert (content["default_s"], content["accounts"]) == (90 * 86_400, [])
    assert json.loads(house("retention", "preview", "--json").out) == []
    assert json.loads(house("retention", "run", "--json").out) == {"messages": 0, "periods": 0, "bodies": 0}


# --- directory ---


def test_directory_status(house: House) -> None:
    """The directory in service tells its counts and files."""
    content = json.loads(house("directory", "status", "--json").out)
    assert (content["people"], content["boxes"]) == (60, 20)
    assert {s["kind"] for s in content["sources"]} == {"activity", "boxes"}
    assert "60 people" in house("directory", "status").out


@pytest.mark.parametrize("kind", ["empty", "malformed", "half", "absent"])
def test_bad_directory_file(house: House, extracts: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    """A bad file is refused whole with a clear line; the last good directory serves on."""
    before = house("directory", "status", "--json").out
    file = tmp_path / "extract.txt"
    if kind == "half":
        small = populate(people=30, boxes=10)
        file = write_extracts(tmp_path / "half", small, 1_790_086_400).activity
    elif kind != "absent":
        file.write_bytes(b"" if kind == "empty" else b"a|b\nc|d\n")
    said = house("directory", "import", str(file))
    assert said.status == 1
    assert len(said.err.splitlines()) == 1
    assert file.name in said.err
    assert house("directory", "status", "--json").out == before
    assert events(house, "--kind", "directory-refused")[0]["outcome"] == "import"
    if kind == "half":
        assert house("directory", "import", str(file), "--allow-shrink").status == 0
        assert json.loads(house("directory", "status", "--json").out)["people"] == 30
        assert house("directory", "rollback").status == 0
        assert json.loads(house("directory", "status", "--json").out)["people"] == 60


def test_directory_asked(house: House) -> None:
    """People are found by id, by address and by name; the gate's answer is foreseen."""
    by_id = json.loads(house("directory", "show", "810000000001", "--json").out)
    by_address = json.loads(house("directory", "show", CLAIRE, "--json").out)
    by_name = json.loads(house("directory", "search", "clai", "mart", "--json").out)
    assert [entry["id"] for entry in by_id + by_address] == ["810000000001"] * 2
    assert "810000000001" in [entry["id"] for entry in by_name]
    listed = house.folder / "list.xml"
    listed.write_bytes(domains(1_700_000_000, "demo.mssante.fr", "hopital.mssante.fr"))
    assert house("trust", "import", str(listed)).status == 0
    said = house("directory", "check", CLAIRE, PAUL_ADDRESS, "x@demo.mssante.fr", "x@elsewhere.fr", "--json")
    assert said.status == 1
    assert [entry["outcome"] for entry in json.loads(said.out)] == [
        "ok",
        "no-mailbox",
        "not-registered",
        "outside-trust",
    ]
    assert house("directory", "check", CLAIRE).status == 0


# --- ban ---


def test_ban(house: House) -> None:
    """With no failures there is nothing to list or to clear."""
    assert json.loads(house("ban", "list", "--json").out) == []
    assert "no failures" in house("ban", "clear", "127.0.0.9").out
    assert house("ban", "clear", "--all").status == 0


def test_grants_and_all_else(house: House) -> None:
    """Grants are listed and ended, recovery codes given once, and everything ended at once; the trail has it all."""
    assert json.loads(house("grant", "list", CLAIRE, "--json").out) == []
    assert house("grant", "revoke", CLAIRE, "7").status == 1
    assert house("grant", "revoke", CLAIRE).status == 2
    assert house("grant", "revoke", CLAIRE, "--all").status == 0
    assert house("account", "revoke-all", CLAIRE).status == 0
    kinds = [json.loads(line)["kind"] for line in house("audit", "tail", "-n", "9", "--json").out.splitlines()]
    assert kinds.count("grants-ended") == 1
    assert kinds.count("signed-out-everywhere") == 1


def test_ban_add(house: House) -> None:
    """An address is closed by hand, shown with its end, and opened again."""
    assert "192.0.2.66" in house("ban", "add", "192.0.2.66", "--for", "2h").out
    (shown,) = json.loads(house("ban", "list", "--json").out)
    assert (shown["subject"], shown["failures"], shown["locked_until"] is None) == ("192.0.2.66", 0, False)
    assert "1 cleared" in house("ban", "clear", "192.0.2.66").out


# --- audit ---


def test_tail(house: House) -> None:
    """The latest events come last; looking is an event too."""
    said = house("audit", "tail", "-n", "2", "--json")
    kinds = [json.loads(line)["kind"] for line in said.out.splitlines()]
    assert kinds == ["account-created", "trail-read"]
    assert house("audit", "tail", "-n", "1").out.split()[1] == "trail-read"


def test_search_narrowed(house: House) -> None:
    """A search is narrowed by kind, account, time and outcome."""
    assert [e["kind"] for e in events(house, "--kind", "directory-loaded")] == ["directory-loaded"]
    assert {e["kind"] for e in events(house, "--account", CLAIRE)} == {"account-created", "trail-read"}
    assert events(house, "--until", "2020-01-01") == []
    assert len(events(house, "--since", "2020-01-01", "--limit", "1")) == 1
    assert events(house, "--outcome", "locked") == []


def test_verify_and_export(house: House, tmp_path: Path) -> None:
    """A sound trail verifies; an export holds every event, goes to a new file alone, and can do without content."""
    said = house("audit", "verify", "--json")
    assert said.status == 0
    assert json.loads(said.out)["sound"]
    out = tmp_path / "trail.jsonl"
    assert house("audit", "export", "-o", str(out)).status == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[0]["format"] == "mssmail-trail-1"
    assert CLAIRE in out.read_text()
    assert out.stat().st_mode & 0o777 == 0o600
    assert house("audit", "export", "-o", str(out)).status == 1
    sealed = house("audit", "export", "--sealed-only").out
    assert len(sealed.splitlines()) > len(lines)
    assert CLAIRE not in sealed


def test_verify_finds_tampering(house: House) -> None:
    """An event altered in the database is a fault, listed, with status 1."""
    import sqlite3

    with sqlite3.connect(house.folder / "data" / "mail.db") as db:
        db.execute("UPDATE events SET at_ms = at_ms + 1 WHERE kind = 70")
    db.close()
    said = house("audit", "verify")
    assert said.status == 1
    assert "altered" in said.err
    assert not json.loads(house("audit", "verify", "--json").out)["sound"]
