"""The commands that every SMTP listener has: their order, STARTTLS, RCPT, and what each answers (RFC 5321).

aiosmtpd 1.4.6's handlers are replaced one by one, each under its own name with the defect it mends; how a connection
lives is in `connection`, how a message comes in is in `intake`. What a listener's role adds is in `session` for
submission, in `inbound` for other operators. No text of a message, an exception or a peer gets into a log or a reply.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mssmail.base.address import Address
from mssmail.base.principal import LetIn
from mssmail.base.refusal import Reason, Refusal
from mssmail.metrics.logs import failure, get_logger
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.connection import Gone
from mssmail.servers.smtp.envelope import BadCommand, Mail, Rcpt, parse_rcpt
from mssmail.servers.smtp.intake import Intake

if TYPE_CHECKING:
    from mssmail.servers.smtp.server import SmtpServer

MAX_COMMAND_OCTETS: Final = 2048
"""CRLF included. RFC 5321 §4.5.3.1.4 has 512, to which SIZE, SMTPUTF8, AUTH, ENVID, BY, MT-PRIORITY and ORCPT add
26, 10, 500, 108, 17, 15 and 507 at most; 2048 holds them all."""
MAX_RECIPIENTS_AT_ONCE: Final = 100
"""Pipelined recipients that are looked up together; what one read of the store may take."""

_log = get_logger("servers.smtp")


Command = Callable[[Any, str], Awaitable[None]]
"""A method of the session's class."""


class Commands(Intake):
    """One client of a listener. A role's class gives `COMMANDS` and what may differ."""

    COMMANDS: ClassVar[Mapping[bytes, Command]]

    def __init__(self, server: "SmtpServer") -> None:
        super().__init__(server)
        self._forget_client()

    def _forget_client(self) -> None:
        """Before a greeting, and after STARTTLS, nothing is known of the client (RFC 3207 §4.2)."""
        self._greeted = self._extended = False
        self._set_rset_state()

    async def _ask(self, addresses: list[Address], size_octets: int) -> list[LetIn | Refusal]:
        """What the gate says of recipients. Raises Refusal."""
        raise NotImplementedError

    def _room(self) -> tuple[int, Reason]:
        """How many recipients a message may have, and why no more."""
        raise NotImplementedError

    async def _obey(self, line: bytes | None) -> None:
        """Mends: bare LF taken for a line's end; refusals without enhanced codes; unknown commands sent back."""
        if line is None:
            return self._fault(replies.TOO_LONG)
        verb, _, argument = line[:-2].partition(b" ")
        name = verb.upper()
        command = self.COMMANDS.get(name)
        if not line.endswith(b"\r\n") or b"\r" in argument or b"\0" in argument:
            return self._unread(name, replies.BAD_LINE)
        if command is None:
            return self._fault(replies.UNKNOWN)
        if len(line) > MAX_COMMAND_OCTETS and name != b"AUTH":
            return self._unread(name, replies.TOO_LONG)
        if not self._tls and name not in BEFORE_TLS:
            return self._fault(replies.TLS_FOR_AUTH if name == b"AUTH" and self.SIGNS_IN else replies.TLS_FIRST)
        try:
            await command(self, argument.strip(b" ").decode())
        except BadCommand as bad:
            self._fault(bad.reply)
        except UnicodeDecodeError:
            self._unread(name, replies.BAD_LINE)
        except Refusal as refusal:
            self._refuse(refusal.reason)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - ours; told as temporary, without a word of it
            failure(_log, "smtp command failed", error, command=name.decode("ascii", "replace"))
            self._say(replies.OWN_FAULT)
        return None

    def _unread(self, name: bytes, reply: bytes) -> None:
        """A line that can't be obeyed as it stands; behind BDAT a message may follow that mustn't be obeyed either."""
        return self._hang_up(replies.BAD_BDAT) if name == b"BDAT" else self._fault(reply)

    async def smtp_HELO(self, hostname: str) -> None:
        await self._greet(hostname, f"250 {self.hostname}\r\n".encode(), extended=False)

    async def smtp_EHLO(self, hostname: str) -> None:
        """Mends: keywords missing, AUTH announced by what methods exist, MAIL's limit raised at each EHLO."""
        await self._greet(hostname, self._server.announced(self.door, tls=self._tls), extended=True)

    async def _greet(self, hostname: str, reply: bytes, *, extended: bool) -> None:
        """The name isn't kept: `Received` never shows an author's program (DEMO-CONTRACT)."""
        if not hostname or not hostname.isprintable():
            return self._fault(replies.BAD_ARGUMENTS)
        await self._reset()
        self._greeted, self._extended = True, extended
        self._say(reply)
        return None

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Mends: see Connection._start_tls."""
        if self._tls:
            return self._fault(replies.TLS_ALREADY)
        if arg:
            return self._fault(replies.BAD_ARGUMENTS)
        await self._start_tls()
        self._forget_client()
        return None

    async def smtp_RCPT(self, arg: str) -> None:
        """Mends: as smtp_MAIL; no limit on recipients. Those that came in one go are looked up in one go."""
        mail = self._mail
        if mail is None or self._chunked:
            return self._fault(self._missing())
        self._tried = True
        read = [self._read_rcpt(each, mail) for each in (arg, *self._more_recipients())]
        wanted = [each.recipient for each in read if isinstance(each, Rcpt)]
        decided = await self._decide(wanted, mail.size_octets)
        for each in read:
            if self._closing:
                break
            if isinstance(each, BadCommand):
                self._fault(each.reply)
            else:
                self._answer_rcpt(each, decided[each.recipient.key])
        return None

    def _more_recipients(self) -> Iterator[str]:
        """Take the RCPT commands out of the buffer that follow at once; what isn't plainly one is left."""
        buffer = self._buffer
        for _ in range(MAX_RECIPIENTS_AT_ONCE):
            end = buffer.find(b"\r\n", 5, MAX_COMMAND_OCTETS)
            if end < 0 or buffer[:5].upper() != b"RCPT ":
                break
            argument = bytes(buffer[5:end])
            if b"\n" in argument or b"\r" in argument or b"\0" in argument:
                break
            try:
                text = argument.strip(b" ").decode()
            except UnicodeDecodeError:
                break
            del buffer[: end + 2]
            yield text

    def _read_rcpt(self, argument: str, mail: Mail) -> Rcpt | BadCommand:
        domain = self._server.house.settings.server.domains[0]
        try:
            return parse_rcpt(argument, extended=self._extended, utf8=mail.wishes.utf8, domain=domain)
        except BadCommand as bad:
            return bad

    async def _decide(self, wanted: list[Address], size_octets: int) -> dict[str, LetIn | Refusal]:
        """What the gate says of each, by key; it isn't asked for who is in already, nor for more than there may be."""
        decided: dict[str, LetIn | Refusal] = dict(self._recipients)
        most, beyond = self._room()
        room = most - len(decided)
        asked: dict[str, Address] = {}
        for address in wanted:
            key = address.key
            if key in decided or key in asked:
                continue
            if len(asked) < room:
                asked[key] = address
            else:
                decided[key] = Refusal(beyond, f"over {most}")
        if asked:
            try:
                answers = await self._ask(list(asked.values()), size_octets)
            except Refusal as refusal:
                answers = [refusal] * len(asked)
            except Exception as error:  # noqa: BLE001 - ours; each of the commands has its answer
                failure(_log, "smtp command failed", error, command="RCPT")
                answers = [Refusal(Reason.UNAVAILABLE)] * len(asked)
            decided.update(zip(asked, answers, strict=True))
        return decided

    def _answer_rcpt(self, rcpt: Rcpt, decided: LetIn | Refusal) -> None:
        if isinstance(decided, Refusal):
            return self._refuse(decided.reason)
        key = rcpt.recipient.key
        if key not in self._recipients:
            plain = rcpt.wishes == decided.wishes
            self._recipients[key] = decided if plain else replace(decided, wishes=rcpt.wishes)
        return self._say(replies.RECIPIENT_OK)

    async def smtp_RSET(self, arg: str) -> None:
        await self._reset()
        self._say(replies.OK)

    async def smtp_NOOP(self, arg: str) -> None:
        self._say(replies.OK)

    async def smtp_QUIT(self, arg: str) -> None:
        self._hang_up(replies.BYE)

    async def smtp_HELP(self, arg: str) -> None:
        """Mends: a list of methods as they are named in the program."""
        self._say(replies.HELP)

    async def smtp_VRFY(self, arg: str) -> None:
        """Mends: the argument sent back, and read by the liberal grammar."""
        self._say(replies.CANNOT_VERIFY)

    async def smtp_EXPN(self, arg: str) -> None:
        self._say(replies.NOT_HERE)


COMMANDS: Final[Mapping[bytes, Command]] = {
    b"HELO": Commands.smtp_HELO,
    b"EHLO": Commands.smtp_EHLO,
    b"STARTTLS": Commands.smtp_STARTTLS,
    b"RCPT": Commands.smtp_RCPT,
    b"DATA": Commands.smtp_DATA,
    b"BDAT": Commands.smtp_BDAT,
    b"RSET": Commands.smtp_RSET,
    b"NOOP": Commands.smtp_NOOP,
    b"QUIT": Commands.smtp_QUIT,
    b"HELP": Commands.smtp_HELP,
    b"VRFY": Commands.smtp_VRFY,
    b"EXPN": Commands.smtp_EXPN,
}
"""What every role has; each adds MAIL, and AUTH."""
BEFORE_TLS: Final = frozenset({b"HELO", b"EHLO", b"STARTTLS", b"NOOP", b"QUIT", b"BDAT"})
"""RFC 3207 §4; HELO changes nothing and tells nothing, and BDAT's octets are read before it is refused."""
