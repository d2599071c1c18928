"""Dialogue files: what clients and server say to each other, line by line, several clients interleaved.

    ; a remark
    SETUP alice plain plain      an account by that name with these messages in its INBOX
    MAIL alice mixed             a message arrives
    SUSPEND alice                its right to be open ends
    GRANT alice bob read,write   bob may do that in alice's box from now on
    WITHDRAW alice bob           and nothing any more
    LOOK                         the server looks whose right to be in has ended, as it does twice a second
    CONNECT 2 clear              a connection before TLS (a client that isn't connected otherwise connects over TLS)
    TLS 2                        the client turns to TLS
    ENTER 1 alice INBOX          sign in and select, without a word
    C1: a1 NOOP                  client 1 says this, and CRLF
    S1: * 3 EXISTS               server says this next to client 1, exactly; `…` is anything in a line, `⏎` CRLF
    E1:                          the server has closed

`{plain}` is the message of that name as a literal: `{size+}` and its octets from a client, `{size}` from the server.
`{~plain}` from a client is the announcement alone, `{size}`; `MSG1: plain` sends the octets.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from mssmail.base.rights import rights_of
from tests.servers.imap.harness import WAIT_S, Client, Site

MESSAGES = {
    "plain": (
        b"From: Claire <claire@demo.mssante.fr>\r\nTo: bob@demo.mssante.fr\r\nSubject: Bilan\r\n"
        b"Date: Mon, 05 Jan 2026 12:00:00 +0100\r\nMessage-ID: <1@demo.mssante.fr>\r\n\r\nTout va bien.\r\n"
    ),
    "mixed": (
        b"From: claire@demo.mssante.fr\r\nTo: bob@demo.mssante.fr\r\nCc: zoe@demo.mssante.fr\r\n"
        b"Subject: =?utf-8?q?Cr=C3=A9atinine?=\r\nDate: Tue, 06 Jan 2026 08:00:00 +0000\r\n"
        b"Message-ID: <2@demo.mssante.fr>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nR\xc3\xa9sultat joint.\r\n"
        b"--b\r\nContent-Type: application/pdf; name=r.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n"
        b"--b--\r\n"
    ),
    "empty": b"",
}

_LITERAL = re.compile(rb"\{(~?)([a-z]+)\}")
_LINE = re.compile(r"(C|S|E|MSG)(\d+):(?: (.*))?\Z")


@dataclass(frozen=True, slots=True)
class Step:
    """A line of a dialogue, with where it stands."""

    place: str
    words: str


def steps(file: Path) -> list[Step]:
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
    return [Step(f"{file.name}:{n}", line.rstrip()) for n, line in lines if line.strip() and line[0] != ";"]


def commands(file: Path) -> list[str]:
    """What clients say in a file, tags left out, upper case."""
    said = (m[3] or "" for step in steps(file) if (m := _LINE.match(step.words)) is not None and m[1] == "C")
    return [line.partition(" ")[2].upper() for line in said]


def _said(text: str) -> bytes:
    def literal(m: re.Match[bytes]) -> bytes:
        octets = MESSAGES[m[2].decode()]
        return b"{%d}" % len(octets) if m[1] else b"{%d+}\r\n%b" % (len(octets), octets)

    return _LITERAL.sub(literal, text.encode())


def _expected(text: str) -> re.Pattern[bytes]:
    def literal(m: re.Match[bytes]) -> bytes:
        octets = MESSAGES[m[2].decode()]
        return b"{%d}\r\n%b" % (len(octets), octets)

    spelt = re.escape(_LITERAL.sub(literal, text.replace("⏎", "\r\n").encode()))
    return re.compile(spelt.replace(re.escape("…".encode()), rb"[^\r\n]*") + rb"\Z")


class Dialog:
    """Plays a file against a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._clients: dict[str, Client] = {}

    async def play(self, file: Path) -> None:
        for step in steps(file):
            try:
                await self._take(step.words)
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"{step.place}: {step.words}: {error or type(error).__name__}") from error
        for number, client in self._clients.items():
            left = bytes(client.reader._buffer)  # type: ignore[attr-defined]
            assert not left, f"client {number} was told more: {left[:200]!r}"
            client.close()

    async def _take(self, words: str) -> None:
        m = _LINE.match(words)
        if m is not None:
            await self._line(m[1], m[2], m[3] or "")
            return
        verb, *rest = words.split()
        match verb, rest:
            case "SETUP", [name, *messages]:
                self._site.add(name)
                for message in messages:
                    await self._site.send(name, MESSAGES[message])
            case "MAIL", [name, message]:
                await self._site.send(name, MESSAGES[message])
            case "SUSPEND", [name]:
                await self._site.suspend(self._site.login.known[name])
            case "GRANT", [box, person, rights]:
                await self._site.grant(box, person, rights_of(rights.split(",")))
            case "WITHDRAW", [box, person]:
                await self._site.withdraw(box, person)
            case "LOOK", []:
                await self._site.sessions.look()
            case "CONNECT", [number, "clear"]:
                self._clients[number] = await Client.clear(self._site)
            case "CONNECT", [number]:
                self._clients[number] = await Client.secured(self._site)
            case "TLS", [number]:
                await self._clients[number].start_tls()
            case "ENTER", [number, name, *folder]:
                self._clients[number] = await Client.signed_in(self._site, name, " ".join(folder) or None)
            case _:
                raise AssertionError("not a step")

    async def _line(self, who: str, number: str, text: str) -> None:
        client = self._clients[number]
        match who:
            case "C":
                client.send(_said(text) + b"\r\n")
            case "MSG":
                client.send(MESSAGES[text])
            case "E":
                assert await asyncio.wait_for(client.reader.read(), WAIT_S) == b""
            case _:
                got = await client.response()
                assert _expected(text).match(got), f"got {got!r}"
