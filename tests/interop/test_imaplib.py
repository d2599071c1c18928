"""The standard library's clients: smtplib sends, imaplib does what a mail program does."""

import hashlib
import imaplib
import random
import smtplib

import pytest

from tests.demo_process import DemoProcess, message


@pytest.fixture
def imap(demo: DemoProcess) -> imaplib.IMAP4:
    """A connection signed in as box0006, over STARTTLS."""
    connection = imaplib.IMAP4(demo.host, demo.port("imap"))
    connection.starttls(demo.tls())
    connection.login(demo.account("box0006")["login"], demo.password("box0006"))
    return connection


def test_body_unchanged(demo: DemoProcess, imap: imaplib.IMAP4) -> None:
    """The SHA-256 of a fetched body is that of the sent one, at sizes around the chunks' and the limits of inline."""
    draw = random.Random(7)
    address, recipient = demo.account("box0007")["address"], demo.account("box0006")["address"]
    sent = {}
    with smtplib.SMTP(demo.host, demo.port("submission")) as smtp:
        smtp.starttls(context=demo.tls())
        smtp.login(address, demo.password("box0007"))
        for octets in (0, 1, 65_535, 65_536, 65_537, 300_000, 2_000_000):
            lines = (draw.randbytes(38).hex() for _ in range(octets // 78 + 1))
            body = "\r\n".join(lines)[: max(0, octets - 2)] + "\r\n"
            sent[f"size {octets}"] = hashlib.sha256(body.encode()).hexdigest()
            smtp.sendmail(address, [recipient], message(address, recipient, f"size {octets}", body))
    imap.select("INBOX")
    got = {}
    for subject in sent:
        _, (found,) = imap.search(None, "SUBJECT", f'"{subject}"')
        numbers = found.split()
        for number in numbers:
            _, parts = imap.fetch(number.decode(), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT])")
            octets_parts = [part[1] for part in parts if isinstance(part, tuple)]
            if octets_parts[0].strip() == f"Subject: {subject}".encode():
                got[subject] = hashlib.sha256(octets_parts[1]).hexdigest()
    imap.logout()
    assert got == sent


def test_a_mail_programs_day(demo: DemoProcess, imap: imaplib.IMAP4) -> None:
    """Folders are made and renamed, a draft is kept, flagged, moved and deleted."""
    address = demo.account("box0006")["address"]
    assert imap.create('"Dossier test"')[0] == "OK"
    assert imap.rename('"Dossier test"', '"Dossier 2"')[0] == "OK"
    assert imap.append('"Dossier 2"', r"(\Draft)", "", message(address, address, "brouillon"))[0] == "OK"
    assert imap.select('"Dossier 2"') == ("OK", [b"1"])
    assert imap.store("1", "+FLAGS", r"(\Flagged $Important)")[0] == "OK"
    _, (flags,) = imap.fetch("1", "(FLAGS)")
    assert isinstance(flags, bytes)
    assert b"\\Flagged" in flags
    assert b"$Important" in flags
    assert imap.uid("MOVE", "1", "Trash")[0] == "OK"
    assert imap.select('"Dossier 2"') == ("OK", [b"0"])
    assert imap.select("Trash") == ("OK", [b"1"])
    assert imap.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert imap.expunge() == ("OK", [b"1"])
    assert imap.delete('"Dossier 2"')[0] == "OK"
    imap.logout()
