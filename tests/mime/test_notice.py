"""Notices as other programs read them."""

import email
import email.policy
from datetime import UTC, datetime

from mssmail.mime.notice import Notice, render


def test_read_back() -> None:
    """Python's own parser finds subject, text and the mark against automatic answers; no line is long or bare."""
    text = "Votre boîte a été ouverte.\n\n    depuis 192.0.2.1\n" + "é" * 300 + "\n.\n"
    subject = "Connexion depuis un endroit où vous n'étiez jamais allé, d'après nos données / Sign-in"
    at = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
    octets = render(Notice("postmaster@a.fr", "claire@a.fr", "1.2@srv", subject, text, at))
    assert octets.isascii()
    assert all(len(line) <= 78 for line in octets.split(b"\r\n"))
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    read = email.message_from_bytes(octets, policy=email.policy.default)
    assert read["subject"] == subject
    assert read["auto-submitted"] == "auto-generated"
    assert read["message-id"] == "<1.2@srv>"
    assert read.get_content().splitlines() == text.splitlines()
    assert b"\r\nSubject: Plain\r\n" in render(Notice("a@a.fr", "b@a.fr", "1@srv", "Plain", "x\n", at))
