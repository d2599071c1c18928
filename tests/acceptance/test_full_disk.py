"""A full disk: refused with the right code, nothing acknowledged lost, and taken again once there is space."""

import imaplib
import secrets
import smtplib
from pathlib import Path

import pytest

from tests.support.demos import Demo, idents, message, small_disk

__all__ = ["small_disk"]


@pytest.mark.timeout(300)
def test_full_disk_is_refused_and_recovered_from(small_disk: Path) -> None:
    """452 and NO while it is full, all that was acknowledged is there, and mail is taken again without a restart."""
    demo = Demo(small_disk / "demo").start()
    anne, bert = demo.people()[:2]
    (small_disk / "spare").write_bytes(bytes(4 << 20))
    client = anne.imap()
    smtp, acknowledged, refused = anne.smtp(), [], None
    for number in range(400):
        ident = f"full-{number:04d}"
        body = secrets.token_bytes(150_000).hex().encode()
        lines = b"".join(body[k : k + 76] + b"\r\n" for k in range(0, len(body), 76))
        try:
            smtp.sendmail(anne.address, [bert.address], message(anne.address, bert.address, ident, lines))
            acknowledged.append(ident)
        except smtplib.SMTPResponseException as error:
            refused = error
            break
        except smtplib.SMTPRecipientsRefused as error:
            refused = smtplib.SMTPResponseException(*next(iter(error.recipients.values())))
            break
    assert refused is not None
    assert refused.smtp_code == 452, refused
    with pytest.raises(imaplib.IMAP4.error):
        answer = client.append(
            "INBOX",
            "",
            "",
            message(anne.address, anne.address, "append-full", secrets.token_bytes(900_000).hex().encode()),
        )
        assert answer[0] == "NO", answer
        raise imaplib.IMAP4.error
    (small_disk / "spare").unlink()
    again = anne.smtp()
    again.sendmail(anne.address, [bert.address], message(anne.address, bert.address, "after-space"))
    acknowledged.append("after-space")
    assert sorted(idents(bert.imap(), "INBOX").values()) == sorted(acknowledged)
    demo.kill()
    demo.start()
    assert sorted(idents(demo.people()[1].imap(), "INBOX").values()) == sorted(acknowledged)
    verified = demo.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    demo.stop()
