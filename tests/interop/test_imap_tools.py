"""imap-tools reads, searches, flags and moves, as scripts do."""

import pytest
from imap_tools import AND, MailBox, MailMessageFlags

from tests.demo_process import DemoProcess, message
from tests.interop.witness import deliver, digest, digests, text

pytestmark = pytest.mark.interop

LOCAL = "box0025"


def test_a_scripts_work(demo: DemoProcess) -> None:
    """Bodies are those that were sent, in pages too; flags, folders, search and IDLE do what they say."""
    account = demo.account(LOCAL)
    bodies = {f"imaptools {n}": text(f"imaptools {n}") for n in range(20)}
    deliver(demo, LOCAL, bodies)
    box = MailBox(demo.host, demo.port("imaps"), timeout=20, ssl_context=demo.tls())
    with box.login(account["login"], demo.password(LOCAL), initial_folder="INBOX"):
        for bulk in (False, True, 7):
            read = {mail.subject: digest(mail.text.encode()) for mail in box.fetch(mark_seen=False, bulk=bulk)}
            assert read == digests(bodies), bulk
        assert [mail.subject for mail in box.fetch(AND(subject="imaptools 7", seen=False))] == ["imaptools 7"]
        assert [mail.subject for mail in box.fetch(AND(seen=True))] == ["imaptools 7"]

        (uid,) = box.uids(AND(subject="imaptools 7"))
        box.flag(uid, [MailMessageFlags.FLAGGED, "$suivi"], True)
        (flagged,) = box.fetch(AND(flagged=True, keyword="$suivi"))
        assert flagged.subject == "imaptools 7"

        box.folder.create("Dossier élève")
        assert box.folder.exists("Dossier élève")
        box.copy(uid, "Dossier élève")
        box.move(box.uids(AND(subject="imaptools 8")), "Dossier élève")
        assert box.folder.status("Dossier élève")["MESSAGES"] == 2
        mail = message(account["address"], account["address"], "imaptools draft", text("draft"))
        box.append(mail, "Drafts", flag_set=[MailMessageFlags.DRAFT])
        assert box.folder.status("Drafts")["MESSAGES"] == 1
        box.folder.rename("Dossier élève", "Dossier œuvre")
        box.folder.delete("Dossier œuvre")
        box.delete(uid)
        assert len(box.uids()) == 18

        box.idle.start()  # type: ignore[no-untyped-call]
        deliver(demo, LOCAL, {"imaptools idle": "Bonjour,\r\n"})
        assert b"* 19 EXISTS" in box.idle.poll(timeout=1)
        box.idle.stop()  # type: ignore[no-untyped-call]
