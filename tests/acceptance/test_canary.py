"""Nothing readable of a message lies on disk, at no moment; and what was erased can't be opened from an old copy."""

import base64
import json
import secrets
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

from mssmail.base.clock import SystemClock
from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keys import KeyRing
from mssmail.crypto.keystore import KeyDestroyed, KeyStore
from mssmail.crypto.kms.local import LocalKeyProvider
from mssmail.settings.load import load
from mssmail.settings.place import file_of
from mssmail.store.engine import make_key_engine
from tests.acceptance.test_queue_kill import CONFIG, Operator, free_port
from tests.servers.smtp.courier.sink import Manners
from tests.support.demos import Demo, Person, files_with, idents


def word() -> str:
    return "canari" + secrets.token_hex(5)


def canary_message(person: Person, words: list[str], filler: int) -> bytes:
    """The words in sender name, subject, attachment name, and in the body plain, quoted-printable and base64."""
    sender, subject, body, name = words
    attachment = base64.encodebytes(secrets.token_bytes(filler)).replace(b"\n", b"\r\n")
    return (
        (
            f"From: {sender} <{person.address}>\r\nTo: {person.address}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
            f"{body}\r\n"
            * 1
            + f"{(body + ' ') * 500}\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            f"{base64.b64encode(body.encode()).decode()}\r\n--b\r\n"
            f'Content-Type: application/pdf; name="{name}.pdf"\r\n'
            f'Content-Disposition: attachment; filename="{name}.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        ).encode()
        + attachment
        + b"--b--\r\n"
    )


def test_no_file_holds_a_canary(tmp_path: Path) -> None:
    """Neither while a message is being taken, nor kept, read, copied, searched or purged; a planted canary is found."""
    demo = Demo(tmp_path / "demo").start()
    anne = demo.people()[0]
    words = [word() for _ in range(4)]
    folder, keyword = word(), word()
    every = [*words, folder, keyword]
    smtp = anne.smtp()
    smtp.sendmail(anne.address, [anne.address], canary_message(anne, words, 2_000))
    large = canary_message(anne, words, 3_000_000)
    smtp.docmd("MAIL", f"FROM:<{anne.address}>")
    smtp.docmd("RCPT", f"TO:<{anne.address}>")
    smtp.docmd("DATA")
    smtp.send(large[: len(large) // 2])
    time.sleep(0.5)
    assert files_with(demo.folder, every) == {}, "while DATA is under way"
    smtp.send(large[len(large) // 2 :] + b".\r\n")
    assert smtp.getreply()[0] == 250
    imap = anne.imap()
    assert imap.create(folder)[0] == "OK"
    assert imap.subscribe(folder)[0] == "OK"
    imap.select("INBOX")
    assert imap.uid("STORE", "1:*", "+FLAGS", f"({keyword})")[0] == "OK"
    assert imap.uid("COPY", "1:*", folder)[0] == "OK"
    assert imap.uid("SEARCH", "TEXT", words[2])[1][0].split() == [b"1", b"2"]
    assert imap.append(folder, keyword, "", canary_message(anne, words, 500_000))[0] == "OK"
    assert files_with(demo.folder, every) == {}, "while it runs"
    (demo.folder / "planted").write_bytes(b"xx" + base64.b64encode(b"a" + words[0].encode()))
    assert files_with(demo.folder, every) == {words[0]: {"planted"}}
    (demo.folder / "planted").unlink()
    log = demo.log()
    assert not any(each in log for each in every)
    demo.kill()
    assert files_with(demo.folder, every) == {}, "after SIGKILL"
    demo.start()
    assert demo.stop() < 5
    assert files_with(demo.folder, every) == {}, "after a stop"
    assert not any(each in demo.log() for each in every)


def test_the_queue_holds_no_canary(tmp_path: Path) -> None:
    """Of mail that waits for another operator neither recipient, identifier, content nor the host's answer is read."""
    port = free_port()
    demo = Demo(tmp_path / "demo", config=CONFIG.format(domain="hopital-demo.mssante.fr", port=port)).start()
    operator = Operator(demo.about["operators"][0], port)
    anne = demo.people()[0]
    words, local, envelope, answer = [word() for _ in range(4)], word(), word(), word()
    every = [*words, local, envelope, answer]
    operator.sink.manners = Manners(says={"END": f"451 4.3.0 {answer}".encode()})
    to = f"{local}@hopital-demo.mssante.fr"
    anne.smtp().sendmail(anne.address, [to], canary_message(anne, words, 600_000), [f"ENVID={envelope}"])
    until = time.monotonic() + 20
    listed: dict[str, Any] = {"recipients": [{"attempts": 0}]}
    while not listed["recipients"][0]["attempts"] and time.monotonic() < until:
        (listed,) = json.loads(demo.run("queue", "list", "--json").stdout)
    assert [each["address"] for each in listed["recipients"]] == [to]
    assert answer in demo.run("queue", "show", listed["id"], "--json").stdout
    assert files_with(demo.folder, every) == {}, "while it waits"
    for verb, status in (("hold", 0), ("hold", 1), ("release", 0), ("show", 0)):
        assert demo.run("queue", verb, listed["id"]).returncode == status
    assert [demo.run("queue", *verb).returncode for verb in (["retry"], ["retry", "--all"], ["show", "zz"])] == [
        2,
        0,
        1,
    ]
    assert "hopital-demo.mssante.fr" in demo.run("queue", "stats").stdout
    demo.kill()
    assert files_with(demo.folder, every) == {}, "after SIGKILL"
    assert not any(each in demo.log() for each in every)
    operator.close()


def wraps_of(database: Path) -> list[tuple[int, int, int, bytes]]:
    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT account_id, body_id, period, wrapped FROM wraps").fetchall()
    connection.close()
    return rows


def test_what_was_erased_does_not_open_from_an_old_copy(tmp_path: Path) -> None:
    """With a term of 5 s: after the purge, no wrap of a copy taken before opens with the present key store."""
    config = '[retention]\ndefault = "5s"\ninterval = "1h"\n'
    demo = Demo(tmp_path / "demo", config=config).start()
    anne = demo.people()[0]
    smtp = anne.smtp()
    for _ in range(3):
        smtp.sendmail(anne.address, [anne.address], canary_message(anne, [word() for _ in range(4)], 2_000))
    watching = anne.imap()
    assert len(idents(watching, "INBOX")) == 3
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in demo.folder.glob("mail.db*"):
        shutil.copy(path, copy / path.name)
    settings = load(demo.folder / "mssmail.toml", environment={})
    root = file_of(settings.keys.provider)
    assert root is not None
    clock = SystemClock()

    def opened() -> int:
        ring = KeyRing(KeyStore(make_key_engine(settings.keys.store), LocalKeyProvider(root), clock), clock)
        count = 0
        for account, body, period, wrapped in wraps_of(copy / "mail.db"):
            try:
                ring.unwrap(AccountId(account), BodyId(body), Period(period), wrapped)
                count += 1
            except (KeyDestroyed, Unsealable):
                continue
        return count

    assert opened() == 3
    time.sleep(6.5)
    run = demo.run("retention", "run", "--json")
    assert run.returncode == 0, run.stderr
    assert opened() == 0
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        watching.noop()
        if watching.search(None, "ALL")[1][0] == b"":
            break
        time.sleep(0.1)
    assert watching.search(None, "ALL")[1][0] == b""
    assert wraps_of(demo.folder / "mail.db") == []
    demo.stop()
