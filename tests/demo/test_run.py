"""The demo as the contract promises it: started for real, driven from outside, stopped by signals."""

import imaplib
import signal
import smtplib
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from mssmail.settings.load import load
from tests.demo_process import COMMAND, DemoProcess, environment, message


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """One demo with three more accounts, for the tests that only look."""
    with DemoProcess(tmp_path_factory.mktemp("demo") / "data", "--accounts", "3") as running:
        yield running


def submit(demo: DemoProcess, sender: str, recipient: str, subject: str) -> None:
    with smtplib.SMTP_SSL(demo.host, demo.port("submissions"), context=demo.tls()) as smtp:
        address = demo.account(sender)["address"]
        smtp.login(address, demo.password(sender))
        to = demo.account(recipient)["address"]
        smtp.sendmail(address, [to], message(address, to, subject))


def subjects(demo: DemoProcess, local: str) -> list[str]:
    with imaplib.IMAP4_SSL(demo.host, demo.port("imaps"), ssl_context=demo.tls()) as imap:
        imap.login(demo.account(local)["login"], demo.password(local))
        imap.select("INBOX", readonly=True)
        _, found = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [part[1].decode().strip().removeprefix("Subject: ") for part in found if isinstance(part, tuple)]


def test_description(demo: DemoProcess) -> None:
    """demo.json says where everything is, and nobody else may read it."""
    said = demo.description
    assert said["pid"] == demo.process.pid
    assert (said["host"], said["server_name"], said["domain"]) == ("127.0.0.1", "localhost", "demo.mssante.fr")
    assert set(said["ports"]) == {"smtp", "submission", "submissions", "imap", "imaps", "https", "metrics"}
    for name in ("demo.json", "mssmail.toml", "credentials.json", "root.key"):
        assert (demo.data / name).stat().st_mode & 0o777 == 0o600, name
    assert demo.data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["smtp", "submission", "submissions", "imap", "imaps", "https", "metrics"])
def test_every_listener_accepts(demo: DemoProcess, name: str) -> None:
    """Once it is ready, each port of demo.json takes connections."""
    socket.create_connection((demo.host, demo.port(name)), timeout=5).close()


def relay(demo: DemoProcess, who: dict[str, str] | None, sender: str, recipient: str, from_: str = "") -> int:
    """Write as another operator does; the reply's code."""
    tls = demo.tls()
    if who is not None:
        tls.load_cert_chain(who["cert"], who["key"])
    with smtplib.SMTP(demo.host, demo.port("smtp"), "smtp.example") as smtp:
        smtp.starttls(context=tls)
        try:
            refused = smtp.sendmail(sender, [recipient], message(from_ or sender, recipient, "from elsewhere"))
        except smtplib.SMTPSenderRefused as error:
            return error.smtp_code
        except smtplib.SMTPRecipientsRefused as error:
            return error.recipients[recipient][0]
        except smtplib.SMTPDataError as error:
            return error.smtp_code
        assert not refused
        return 250


def test_other_operators(demo: DemoProcess) -> None:
    """Each operator writes here by its certificate, for its domain, to those who may be written to; patients don't."""
    (hospital, laboratory), nadia = demo.description["operators"], demo.account("nadia.lefevre")["address"]
    assert [each["domain"] for each in (hospital, laboratory)] == [
        "hopital-demo.mssante.fr",
        "laboratoire-demo.mssante.fr",
    ]
    doctor = hospital["addresses"][0]
    assert relay(demo, hospital, doctor, nadia) == 250
    assert "from elsewhere" in subjects(demo, "nadia.lefevre")
    assert relay(demo, laboratory, laboratory["addresses"][0], nadia) == 250
    assert relay(demo, None, doctor, nadia) == 550
    assert relay(demo, demo.account("nadia.lefevre"), doctor, nadia) == 550
    assert relay(demo, laboratory, doctor, nadia) == 550
    assert relay(demo, hospital, nadia, nadia) == 553
    assert relay(demo, hospital, doctor, "somebody@example.org") == 550
    assert relay(demo, hospital, doctor, nadia, "somebody@example.org") == 550
    for refused in demo.description["refused"]:
        assert relay(demo, hospital, doctor, refused["address"]) == 550, refused["reason"]
    for patient in demo.description["patients"]:
        assert relay(demo, patient, patient["address"], nadia) == 550


def test_metrics(demo: DemoProcess) -> None:
    """The metrics page is served, in the text format."""
    with urllib.request.urlopen(f"http://{demo.host}:{demo.port('metrics')}/metrics", timeout=5) as answer:
        assert b"# TYPE mssmail_messages_sealed_total counter" in answer.read()


def test_accounts(demo: DemoProcess) -> None:
    """Each promised kind is there, with what it is opened by."""
    accounts = demo.description["accounts"]
    assert Counter((a["kind"], a.get("profession")) for a in accounts) == {
        ("PER", "10"): 4,
        ("PER", "21"): 1,
        ("PER", "60"): 2,
        ("PER", "70"): 1,
        ("ORG", None): 1,
        ("APP", None): 1,
    }
    for account in accounts:
        for file in (account["cert"], account["key"]):
            assert Path(file).is_absolute()
        assert Path(account["key"]).stat().st_mode & 0o777 == 0o600
        assert account["login"] == account["address"]
        if account["kind"] == "PER":
            assert account["password"]
            assert account["totp_secret"]


def test_refused_and_revoked(demo: DemoProcess) -> None:
    """There is an address for each reason, and a certificate that its CA's list revokes."""
    assert {r["reason"] for r in demo.description["refused"]} == {
        "not-registered",
        "struck-off",
        "outside-trust",
        "no-mailbox",
        "suspended",
    }
    (revoked,) = demo.description["revoked"]
    certificate = x509.load_pem_x509_certificate(Path(revoked["cert"]).read_bytes())
    crl = x509.load_pem_x509_crl((demo.data / "pki" / "persons.crl").read_bytes())
    assert crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
    assert revoked["address"] == "claire.martin@demo.mssante.fr"


def test_refusals_are_real(demo: DemoProcess) -> None:
    """Each refused address gets a 5xx at RCPT, while a good recipient of the same message is served."""
    sender, good = demo.account("paul.durand")["address"], demo.account("nadia.lefevre")["address"]
    refused = [r["address"] for r in demo.description["refused"]]
    with smtplib.SMTP_SSL(demo.host, demo.port("submissions"), context=demo.tls()) as smtp:
        smtp.login(sender, demo.password("paul.durand"))
        said = smtp.sendmail(sender, [*refused, good], message(sender, good, "among the refused"))
    assert {address: code // 100 for address, (code, _) in said.items()} == dict.fromkeys(refused, 5)
    assert "among the refused" in subjects(demo, "nadia.lefevre")


def test_table(demo: DemoProcess) -> None:
    """People are told who may sign in, with which password and code, and how to add it to Thunderbird."""
    told = "".join(demo.told)
    claire = demo.account("claire.martin")
    assert claire["address"] in told
    assert claire["password"] in told
    assert "Thunderbird" in told
    assert str(demo.port("imaps")) in told
    assert claire["totp_secret"] not in told
    assert demo.told[-1] == "ready\n"


def test_configuration_in_force(demo: DemoProcess) -> None:
    """mssmail.toml has the ports in use, and every other verb works with it on the running demo."""
    settings = load(demo.data / "mssmail.toml", environment={})
    assert settings.listen.imaps == demo.port("imaps")
    verbs = (["config", "check"], ["account", "list"], ["retention", "run"], ["audit", "verify"], ["ban", "list"])
    for verb in verbs:
        arguments = [*COMMAND, *verb, "--config", str(demo.data / "mssmail.toml")]
        ran = subprocess.run(arguments, capture_output=True, text=True, env=environment())
        assert ran.returncode == 0, (verb, ran.stderr)


def test_one_demo_a_folder(demo: DemoProcess) -> None:
    """A second demo on the same folder is refused, even with --fresh, and the first one serves on."""
    for more in ([], ["--fresh"]):
        arguments = [*COMMAND, "demo", "--data", str(demo.data), "--port-base", "0", *more]
        ran = subprocess.run(arguments, capture_output=True, text=True, env=environment())
        assert (ran.returncode, ran.stdout) == (1, "")
        assert str(demo.process.pid) in ran.stderr
    assert (demo.data / "demo.json").exists()


def test_kept_over_a_stop(tmp_path: Path) -> None:
    """SIGTERM and Ctrl-C end it within 5 s; the next start has the mail, the passwords and room for more accounts."""
    with DemoProcess(tmp_path / "data", "--accounts", "1") as first:
        submit(first, "claire.martin", "paul.durand", "kept")
        status, seconds = first.stop(signal.SIGTERM)
        assert (status, seconds < 5) == (0, True)
        assert first.errors() == ""
    with DemoProcess(tmp_path / "data", "--accounts", "2", "--workers", "2") as second:
        assert subjects(second, "paul.durand") == ["kept"]
        before = {a["address"]: a for a in first.description["accounts"]}
        after = {a["address"]: a for a in second.description["accounts"]}
        assert {address: after[address] for address in before} == before
        assert len(after) == len(before) + 1
        submit(second, "box0002", "paul.durand", "from the newcomer")
        status, seconds = second.stop(signal.SIGINT)
        assert (status, seconds < 5) == (0, True)
    size = sum(file.stat().st_blocks * 512 for file in (tmp_path / "data").rglob("*"))
    assert size < 30 << 20


def test_changed_by_hand(tmp_path: Path) -> None:
    """A password or code changed by an administrator is promised no longer at the next start; all else still is."""
    with DemoProcess(tmp_path / "data") as first:
        verb = [*COMMAND, "--config", str(first.data / "mssmail.toml"), "account"]
        given = {"text": True, "check": True, "capture_output": True, "env": environment()}
        password = [*verb, "password", first.account("claire.martin")["address"], "--stdin"]
        subprocess.run(password, input="gorge ballon tuile 73 verger\n", **given)  # type: ignore[call-overload]
        subprocess.run([*verb, "otp", first.account("paul.durand")["address"]], **given)  # type: ignore[call-overload]
    with DemoProcess(tmp_path / "data") as second:
        before = {a["address"]: a for a in first.description["accounts"]}
        after = {a["address"]: a for a in second.description["accounts"]}
        claire, paul = second.account("claire.martin"), second.account("paul.durand")
        assert [claire["password"], paul["totp_secret"]].count(None) == 2  # type: ignore[arg-type]
        changed = {claire["address"]: "password", paul["address"]: "totp_secret"}
        for address, account in after.items():
            assert account | {changed.get(address, ""): ""} == before[address] | {changed.get(address, ""): ""}
        assert "(changed)" in "".join(second.told)


def test_fresh(tmp_path: Path) -> None:
    """--fresh begins anew, and spares what no demo wrote."""
    data = tmp_path / "data"
    with DemoProcess(data) as first:
        pass
    (data / "notes.txt").write_text("mine")
    overlay = tmp_path / "over.toml"
    overlay.write_text('[retention]\ndefault = "5s"\n')
    with DemoProcess(data, "--fresh", "--config", str(overlay)) as second:
        assert second.account("claire.martin")["password"] != first.account("claire.martin")["password"]
        assert load(data / "mssmail.toml", environment={}).retention.default == 5
    assert (data / "notes.txt").read_text() == "mine"


def test_foreign_folder(tmp_path: Path) -> None:
    """A folder that holds what a demo would overwrite is left alone."""
    (tmp_path / "keys").mkdir()
    for more in ([], ["--fresh"]):
        arguments = [*COMMAND, "demo", "--data", str(tmp_path), "--port-base", "0", *more]
        ran = subprocess.run(arguments, capture_output=True, text=True, env=environment())
        assert ran.returncode == 2
        assert "keys" in ran.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_port_taken(tmp_path: Path) -> None:
    """A port that another program has is told, and nothing is announced."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base = taken.getsockname()[1] - 143
        arguments = [*COMMAND, "demo", "--data", str(tmp_path / "data"), "--port-base", str(base)]
        ran = subprocess.run(arguments, capture_output=True, text=True, env=environment())
    assert ran.returncode == 1
    assert f"127.0.0.1:{base + 143} can't be bound" in ran.stderr
    assert not (tmp_path / "data" / "demo.json").exists()
