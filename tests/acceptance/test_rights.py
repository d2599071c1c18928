"""Who may not be in is out within five seconds, and receives nothing more; good recipients are served meanwhile."""

import imaplib
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from mssmail.base.clock import SystemClock
from mssmail.demo.extract import write_extracts
from mssmail.demo.people import STRUCK_OFF, populate
from mssmail.demo.pki import DemoPki
from tests.support.demos import Demo, Person, idents, message

WITHIN_S = 5.0


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    made = Demo(tmp_path / "demo").start()
    yield made
    made.stop()


def ended_after(client: imaplib.IMAP4) -> float:
    """Seconds until an idle session ends by itself."""
    began = time.monotonic()
    client.sock.settimeout(WITHIN_S + 2)
    try:
        while client.sock.recv(4096):
            pass
    except TimeoutError:
        return float("inf")
    except OSError:
        pass
    return time.monotonic() - began


def refusal(demo: Demo, to: str) -> tuple[int, str]:
    """What RCPT to an address is answered, in a session of the first account."""
    client = demo.account(0).smtp()
    client.mail(demo.account(0).address)
    code, text = client.rcpt(to)
    client.quit()
    return code, text.decode()


def test_refused_addresses_are_refused_and_the_others_served(demo: Demo) -> None:
    """Each reason is told at RCPT, and a good recipient of the same message receives it."""
    anne, bert = demo.people()[:2]
    for number, row in enumerate(demo.about["refused"]):
        client = anne.smtp()
        client.mail(anne.address)
        code, text = client.rcpt(row["address"])
        assert 500 <= code < 600, (row, code, text)
        assert client.rcpt(bert.address)[0] == 250
        ident = f"refused-{number}"
        assert client.data(message(anne.address, bert.address, ident))[0] == 250
        client.quit()
        assert ident in idents(bert.imap(), "INBOX").values()
    assert {row["reason"] for row in demo.about["refused"]} == {
        "not-registered",
        "struck-off",
        "outside-trust",
        "no-mailbox",
        "suspended",
    }


def suspend(demo: Demo, person: Person) -> None:
    assert demo.run("account", "suspend", person.address).returncode == 0


def new_password(demo: Demo, person: Person) -> None:
    done = demo.run("account", "password", person.address, "--stdin", stdin="Vingt-Deux-Girafes-77-lentes\n")
    assert done.returncode == 0, done.stderr


def strike_off(demo: Demo, person: Person) -> None:
    newer = populate().without(person.row["national_id"], STRUCK_OFF.national_id)
    extracts = write_extracts(demo.folder.parent / "newer", newer, SystemClock().now())
    done = demo.run("directory", "import", str(extracts.activity), str(extracts.boxes))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("act", [suspend, new_password, strike_off])
def test_open_sessions_end(demo: Demo, act: Callable[[Demo, Person], None]) -> None:
    """A suspension, a new password and a strike-off end an idle IMAP session and a submission session."""
    person = demo.people()[1]
    imap, smtp = person.imap(), person.smtp()
    imap.select("INBOX")
    act(demo, person)
    assert ended_after(imap) < WITHIN_S
    deadline = time.monotonic() + WITHIN_S
    with pytest.raises((smtplib.SMTPException, OSError)):
        while time.monotonic() < deadline:
            if smtp.noop()[0] == 421:
                raise smtplib.SMTPServerDisconnected("421")
            time.sleep(0.1)


def test_a_suspended_account_is_out_until_resumed(demo: Demo) -> None:
    """At once no mail is taken for it; it can't sign in; after `resume` both work, and its mail is there."""
    anne, bert = demo.people()[:2]
    anne.smtp().sendmail(anne.address, [bert.address], message(anne.address, bert.address, "before"))
    suspend(demo, bert)
    code, text = refusal(demo, bert.address)
    assert code == 550, text
    with pytest.raises(imaplib.IMAP4.error):
        bert.imap()
    assert demo.run("account", "resume", bert.address).returncode == 0
    assert refusal(demo, bert.address)[0] == 250
    assert list(idents(bert.imap(), "INBOX").values()) == ["before"]


def test_a_struck_off_professional_keeps_nothing_open(demo: Demo) -> None:
    """After the import: no reception, no sign-in by password or certificate; the trail says so."""
    anne, bert = demo.people()[:2]
    anne.smtp().sendmail(anne.address, [bert.address], message(anne.address, bert.address, "before"))
    strike_off(demo, bert)
    time.sleep(1)
    code, text = refusal(demo, bert.address)
    assert code == 550, text
    with pytest.raises(imaplib.IMAP4.error):
        bert.imap()
    port = demo.about["ports"]["imaps"]
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=bert.certificate_context())
    with pytest.raises(imaplib.IMAP4.error):
        client.authenticate("EXTERNAL", lambda _: b"")
    told = demo.run("audit", "search", "--kind", "struck-off", "--json")
    assert bert.address in told.stdout, told.stdout + told.stderr
    assert demo.run("audit", "verify").returncode == 0


def test_a_revoked_certificate_ends_its_session(demo: Demo) -> None:
    """A session opened by a certificate ends once a CRL names it, and it doesn't open another."""
    person = demo.people()[2]
    port = demo.about["ports"]["imaps"]
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=person.certificate_context())
    assert client.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
    pki = DemoPki.create_or_load(demo.folder / "pki", SystemClock())
    leaf = x509.load_pem_x509_certificate(Path(person.row["cert"]).read_bytes())
    pki.revoke(pki.persons, leaf.serial_number)
    assert ended_after(client) < WITHIN_S
    again = imaplib.IMAP4_SSL("localhost", port, ssl_context=person.certificate_context())
    with pytest.raises(imaplib.IMAP4.error):
        again.authenticate("EXTERNAL", lambda _: b"")


def test_the_demos_revoked_certificate_opens_nothing(demo: Demo) -> None:
    """The certificate that the CRL revokes is refused on IMAP and on submission, and the password still works."""
    row = demo.about["revoked"][0]
    context = demo.context()
    context.load_cert_chain(row["cert"], row["key"])
    client = imaplib.IMAP4_SSL("localhost", demo.about["ports"]["imaps"], ssl_context=context)
    with pytest.raises(imaplib.IMAP4.error):
        client.authenticate("EXTERNAL", lambda _: b"")
    smtp = smtplib.SMTP_SSL("localhost", demo.about["ports"]["submissions"], context=context)
    smtp.ehlo()
    assert smtp.mail(row["address"])[0] >= 500
    assert demo.account(0).imap().noop()[0] == "OK"


def test_codes_and_grants_follow_the_contract(demo: Demo) -> None:
    """A code with its password serves again within the grant; other digits, or none, don't; ten failures lock."""
    person = demo.people()[3]
    assert person.imap().noop()[0] == "OK"
    assert person.smtp().noop()[0] == 250
    good = person.secret
    wrong = good[:-6] + ("000000" if good[-6:] != "000000" else "111111")
    for secret in (wrong, good[:-6]):
        client = imaplib.IMAP4_SSL("localhost", demo.about["ports"]["imaps"], ssl_context=demo.context())
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login(person.address, secret)
    assert person.imap().noop()[0] == "OK"


@pytest.mark.timeout(240)
def test_two_workers_share_everything(tmp_path: Path) -> None:
    """Codes, wake-ups and the trail hold over workers: mail is announced within a second whoever took it."""
    demo = Demo(tmp_path / "demo", "--workers", "2").start()
    anne, bert = demo.people()[:2]
    readers = [bert.imap() for _ in range(6)]
    for reader in readers:
        reader.select("INBOX")
        reader.send(b"x IDLE\r\n")
        assert reader.readline().startswith(b"+")
    for number in range(4):
        anne.smtp().sendmail(anne.address, [bert.address], message(anne.address, bert.address, f"w{number}"))
        began = time.monotonic()
        for reader in readers:
            reader.sock.settimeout(3)
            while f"* {number + 1} EXISTS".encode() not in reader.readline():
                pass
        assert time.monotonic() - began < 1
    verified = demo.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    assert demo.stop() < 5
