"""IMAPClient: by password, by certificate and over STARTTLS; folders, flags, search, IDLE, move."""

import pytest
from imapclient import IMAPClient

from tests.demo_process import DemoProcess, message
from tests.interop.witness import deliver, digest, digests, text

pytestmark = pytest.mark.interop

LOCAL = "box0020"
BODIES = {f"imapclient {n}": text(f"imapclient {n}") for n in range(10)}


@pytest.fixture(scope="module", autouse=True)
def mail(demo: DemoProcess) -> None:
    """The messages that each test may look at, and none may change."""
    deliver(demo, LOCAL, BODIES)


def connect(demo: DemoProcess, how: str) -> IMAPClient:
    """A signed-in client."""
    account = demo.account(LOCAL)
    if how == "starttls":
        client = IMAPClient(demo.host, demo.port("imap"), ssl=False, timeout=20)
        client.starttls(demo.tls())
        client.login(account["login"], demo.password(LOCAL))
        return client
    context = demo.tls(LOCAL if how == "external" else None)
    client = IMAPClient(demo.host, demo.port("imaps"), ssl_context=context, timeout=20)
    if how == "external":
        client.sasl_login("EXTERNAL", lambda _: b"")
    elif how == "plain":
        client.plain_login(account["login"], demo.password(LOCAL))
    else:
        client.login(account["login"], demo.password(LOCAL))
    return client


@pytest.mark.parametrize("how", ["external", "plain", "login", "starttls"])
def test_signs_in_and_reads(demo: DemoProcess, how: str) -> None:
    """By each way the bodies are those that were sent, and listing tells of all."""
    with connect(demo, how) as client:
        client.select_folder("INBOX", readonly=True)
        found = client.search(["SUBJECT", "imapclient", "NOT", "SUBJECT", "idle"])
        fetched = client.fetch(found, ["ENVELOPE", "BODY.PEEK[TEXT]", "RFC822.SIZE", "INTERNALDATE", "BODYSTRUCTURE"])
    read = {data[b"ENVELOPE"].subject.decode(): digest(data[b"BODY[TEXT]"]) for data in fetched.values()}
    assert read == digests(BODIES)


def test_flags_and_folders(demo: DemoProcess) -> None:
    """A message is appended, flagged, copied, moved and expunged in folders with names beyond ASCII."""
    address = demo.account(LOCAL)["address"]
    with connect(demo, "plain") as client:
        client.create_folder("Résultats & analyses")
        client.create_folder("Résultats & analyses/2026")
        assert {name for _, _, name in client.list_folders("Résultats*")} == {
            "Résultats & analyses",
            "Résultats & analyses/2026",
        }
        mail = message(address, address, "imapclient draft", text("draft"))
        client.append("Résultats & analyses", mail, [b"\\Draft", b"$suivi"])
        client.select_folder("Résultats & analyses")
        (uid,) = client.search("ALL")
        assert set(client.add_flags(uid, [b"\\Flagged"])[uid]) >= {b"\\Draft", b"$suivi", b"\\Flagged"}
        assert b"\\Draft" not in client.remove_flags(uid, [b"\\Draft"])[uid]
        client.copy(uid, "Résultats & analyses/2026")
        client.move(uid, "Trash")
        assert client.search("ALL") == []
        assert client.folder_status("Résultats & analyses/2026")[b"MESSAGES"] == 1
        client.select_folder("Trash")
        (uid,) = client.search(["SUBJECT", "imapclient draft"])
        assert client.fetch(uid, ["BODY.PEEK[]"])[uid][b"BODY[]"] == mail
        client.delete_messages(uid)
        client.uid_expunge(uid)
        assert client.search(["SUBJECT", "imapclient draft"]) == []
        client.delete_folder("Résultats & analyses/2026")
        client.delete_folder("Résultats & analyses")


def test_idles(demo: DemoProcess) -> None:
    """A message sent during IDLE is told of within a second."""
    with connect(demo, "login") as client:
        before = client.select_folder("INBOX", readonly=True)[b"EXISTS"]
        client.idle()
        deliver(demo, LOCAL, {"imapclient idle": "Bonjour,\r\n"})
        told = client.idle_check(timeout=1)
        rest = client.idle_done()[1]
        assert (before + 1, b"EXISTS") in [*told, *rest]
