"""The commands of the SMTP side: which may come when, and what each asks of flow (RFC 5321, RFC 6409, RFC 4954).

aiosmtpd 1.4.6's handlers are replaced one by one, each under its own name with the defect it mends; how a connection
lives is in `connection`, how a message comes in is in `intake`. It knows commands and replies; who may do what is
asked of flow. No text of a message, an exception or a peer gets into a log or a reply.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Final, assert_never

from mssmail.base.address import Address
from mssmail.base.principal import BoxKind, Principal, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.allowance import NOTHING, Allowance
from mssmail.flow.sessions import Session as Entered
from mssmail.metrics.logs import failure, get_logger
from mssmail.servers.net.bearer import complaint
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.connection import Gone
from mssmail.servers.smtp.envelope import BadCommand, Mail, Rcpt, parse_mail, parse_rcpt
from mssmail.servers.smtp.intake import Intake
from mssmail.wire.sasl.exchange import Certificate, Challenge, Credentials, Failed, Failure, Password, Token
from mssmail.wire.sasl.registry import begin

if TYPE_CHECKING:
    from mssmail.servers.smtp.server import SubmissionServer

MAX_COMMAND_OCTETS: Final = 2048
"""CRLF included. RFC 5321 §4.5.3.1.4 has 512, to which SIZE, SMTPUTF8, AUTH, ENVID and ORCPT add 26, 10, 500, 108 and
507 at most; 2048 holds them all."""
MAX_FAILED_SIGN_INS: Final = 3
"""On one connection; the account's and address's own counters are flow's."""
MAX_RECIPIENTS_AT_ONCE: Final = 100
"""Pipelined recipients that are looked up together; what one read of the store may take."""

_log = get_logger("servers.smtp")


class Session(Intake):
    """One client of a submission port."""

    def __init__(self, server: "SubmissionServer") -> None:
        super().__init__(server)
        self._entered: Entered | None = None
        self._failed_sign_ins = 0
        self._forget_client()

    def _forget_client(self) -> None:
        """Before a greeting, and after STARTTLS, nothing is known of the client (RFC 3207 §4.2)."""
        self._greeted = self._extended = False
        self._set_rset_state()

    async def _leave(self) -> None:
        try:
            await self._reset()
        finally:
            if self._entered is not None:
                self._entered.leave()

    async def _obey(self, line: bytes | None) -> None:
        """Mends: bare LF taken for a line's end; refusals without enhanced codes; unknown commands sent back."""
        if line is None:
            return self._fault(replies.TOO_LONG)
        verb, _, argument = line[:-2].partition(b" ")
        command = _COMMANDS.get(verb.upper())
        if not line.endswith(b"\r\n") or b"\r" in argument or b"\0" in argument:
            return self._unread(command, replies.BAD_LINE)
        if command is None:
            return self._fault(replies.UNKNOWN)
        if len(line) > MAX_COMMAND_OCTETS and command is not Session.smtp_AUTH:
            return self._unread(command, replies.TOO_LONG)
        if not self._tls and command not in _BEFORE_TLS and command is not Session.smtp_BDAT:
            return self._fault(replies.TLS_FOR_AUTH if command is Session.smtp_AUTH else replies.TLS_FIRST)
        try:
            await command(self, argument.strip(b" ").decode())
        except BadCommand as bad:
            self._fault(bad.reply)
        except UnicodeDecodeError:
            self._unread(command, replies.BAD_LINE)
        except Refusal as refusal:
            self._refuse(refusal.reason)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - ours; told as temporary, without a word of it
            failure(_log, "smtp command failed", error, command=verb.decode("ascii", "replace").upper())
            self._say(replies.OWN_FAULT)
        return None

    def _unread(self, command: "Command | None", reply: bytes) -> None:
        """A line that can't be obeyed as it stands; behind BDAT a message may follow that mustn't be obeyed either."""
        return self._hang_up(replies.BAD_BDAT) if command is Session.smtp_BDAT else self._fault(reply)

    async def smtp_HELO(self, hostname: str) -> None:
        await self._greet(hostname, f"250 {self.hostname}\r\n".encode(), extended=False)

    async def smtp_EHLO(self, hostname: str) -> None:
        """Mends: keywords missing, AUTH announced by what methods exist, MAIL's limit raised at each EHLO."""
        await self._greet(hostname, self._server.announced(self._tls, self.door), extended=True)

    async def _greet(self, hostname: str, reply: bytes, *, extended: bool) -> None:
        """The name isn't kept: `Received` never shows the author's program (DEMO-CONTRACT)."""
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

    async def smtp_AUTH(self, arg: str) -> None:
        """Mends: mechanisms told apart by case, `=` not decoded, AUTH in mid-transaction, no end of failures."""
        if not self._extended:
            return self._fault(replies.GREET_FIRST)
        if self._principal is not None:
            return self._fault(replies.SIGNED_IN_ALREADY)
        if self._mail is not None:
            return self._fault(replies.NOT_WITHIN_MAIL)
        name, _, initial = arg.partition(" ")
        if not name:
            return self._fault(replies.BAD_ARGUMENTS)
        exchange = begin(name, self._server.there(self.door))
        if exchange is None:
            return self._fault(replies.UNKNOWN_MECHANISM)
        step = exchange.begin(initial.strip().encode() or None)
        while isinstance(step, Challenge):
            self._say(b"334 " + step.line + b"\r\n")
            line = await self._line()
            if line is None:
                return self._fault(replies.EXCHANGE[Failure.TOO_LONG])
            step = exchange.answer(line.rstrip(b"\r\n"))
        if isinstance(step, Failed):
            return self._fault(replies.EXCHANGE[step.why])
        await self._sign_in(step.credentials)
        self._say(replies.SIGNED_IN)
        return None

    async def _complain(self, presented: Credentials, reason: Reason) -> None:
        """Say what is wrong with a token, and hear the answer, which means nothing (RFC 7628 §3.2.3)."""
        login = self._server.login
        challenge = complaint(presented, reason, login.scope(self.door), login.discovery)
        if challenge is not None:
            self._say(b"334 " + challenge.line + b"\r\n")
            await self._line()

    async def _sign_in(self, credentials: Credentials) -> Principal:
        """Ask who this is. Raises Refusal, and hangs up after MAX_FAILED_SIGN_INS of them."""
        login, door = self._server.login, self.door
        try:
            match credentials:
                case Password(authzid, authcid, secret):
                    principal = await login.by_password(door, authzid, authcid, secret)
                case Certificate(authzid):
                    principal = await login.by_certificate(door, authzid)
                case Token(authzid, token):
                    principal = await login.by_token(door, authzid, token)
                case _:
                    assert_never(credentials)
        except Refusal as refusal:
            await self._complain(credentials, refusal.reason)
            self._failed_sign_ins += refusal.reason is not Reason.UNAVAILABLE
            if self._failed_sign_ins < MAX_FAILED_SIGN_INS:
                raise
            self._refuse(refusal.reason)
            self._hang_up(replies.TOO_MANY_FAILURES)
            raise Gone from None
        self._principal = principal
        self._at_latest = float("inf")
        self._entered = self._server.sessions.enter(principal, self.end)
        return principal

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Mends: parameters in upper case, hyphenated names refused, an address grammar that takes almost anything and
        costs 43 % of a small message; DSN's parameters refused.
        """
        if not self._greeted:
            return self._fault(replies.GREET_FIRST)
        principal = self._principal
        if principal is None:
            if self.door.certificate is None:
                return self._fault(replies.SIGN_IN_FIRST)
            # A client with a certificate and no EXTERNAL, as Thunderbird, says MAIL at once (DEMO-CONTRACT).
            principal = await self._sign_in(Certificate(""))
        if self._mail is not None:
            return self._fault(replies.NOT_WITHIN_MAIL)
        mail = parse_mail(arg or "", extended=self._extended)
        if mail.sender is None:
            return self._say(replies.NULL_SENDER)
        if mail.size_octets > self._settings.max_message_size:
            raise Refusal(Reason.TOO_LARGE, "announced by SIZE")
        await self._server.gate.envelope_sender(principal, mail.sender)
        self._recipients_left = await Allowance.before(self._server.house, principal, uncapped=self.uncapped)
        self._mail = mail
        return self._say(replies.SENDER_OK)

    async def smtp_RCPT(self, arg: str) -> None:
        """Mends: as smtp_MAIL; no limit on recipients. Those that came in one go are looked up in one go."""
        mail, principal = self._mail, self._principal
        if mail is None or principal is None or self._chunked:
            return self._fault(self._missing())
        self._tried = True
        read = [self._read_rcpt(each, mail) for each in (arg, *self._more_recipients())]
        wanted = [each.recipient for each in read if isinstance(each, Rcpt)]
        decided = await self._decide(principal, wanted, mail.size_octets)
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
            return parse_rcpt(argument, extended=self._extended, utf8=mail.utf8, domain=domain)
        except BadCommand as bad:
            return bad

    async def _decide(
        self, principal: Principal, wanted: list[Address], size_octets: int
    ) -> dict[str, Recipient | Refusal]:
        """What the gate says of each, by key; it isn't asked for who is in already, nor for more than there may be."""
        decided: dict[str, Recipient | Refusal] = dict(self._recipients)
        most = self._most_recipients(principal)
        room = min(most, self._recipients_left) - len(decided)
        asked: dict[str, Address] = {}
        for address in wanted:
            key = address.key
            if key in decided or key in asked:
                continue
            if len(asked) < room:
                asked[key] = address
            else:
                full = most <= self._recipients_left
                decided[key] = Refusal(Reason.TOO_MANY_RECIPIENTS if full else Reason.SENDING_LIMIT, f"over {room}")
        if any(each.reason is Reason.SENDING_LIMIT for each in decided.values() if isinstance(each, Refusal)):
            await Allowance(NOTHING, principal, 0).refused(self._server.house, "recipients")
        if asked:
            try:
                answers = await self._server.gate.recipients(principal, list(asked.values()), size_octets)
            except Refusal as refusal:
                answers = [refusal] * len(asked)
            except Exception as error:  # noqa: BLE001 - ours; each of the commands has its answer
                failure(_log, "smtp command failed", error, command="RCPT")
                answers = [Refusal(Reason.UNAVAILABLE)] * len(asked)
            decided.update(zip(asked, answers, strict=True))
        return decided

    def _most_recipients(self, principal: Principal) -> int:
        """Of one message."""
        most, own = self._settings.max_recipients, principal.limits.recipients_per_message
        if own is None and principal.kind is BoxKind.APP:
            own = self._server.house.settings.application.recipients_per_message
        return min(most, own) if own else most

    def _answer_rcpt(self, rcpt: Rcpt, decided: Recipient | Refusal) -> None:
        if isinstance(decided, Refusal):
            return self._refuse(decided.reason)
        key = rcpt.recipient.key
        if key not in self._recipients:
            self._recipients[key] = decided
            self._keep_dsn(rcpt)
        return self._say(replies.RECIPIENT_OK)

    def _keep_dsn(self, rcpt: Rcpt) -> None:
        if rcpt.notify or rcpt.orcpt:
            self._dsn.append(f"{rcpt.recipient} NOTIFY={rcpt.notify} ORCPT={rcpt.orcpt}")

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


Command = Callable[[Session, str], Awaitable[None]]

_COMMANDS: Final[dict[bytes, Command]] = {
    b"HELO": Session.smtp_HELO,
    b"EHLO": Session.smtp_EHLO,
    b"STARTTLS": Session.smtp_STARTTLS,
    b"AUTH": Session.smtp_AUTH,
    b"MAIL": Session.smtp_MAIL,
    b"RCPT": Session.smtp_RCPT,
    b"DATA": Session.smtp_DATA,
    b"BDAT": Session.smtp_BDAT,
    b"RSET": Session.smtp_RSET,
    b"NOOP": Session.smtp_NOOP,
    b"QUIT": Session.smtp_QUIT,
    b"HELP": Session.smtp_HELP,
    b"VRFY": Session.smtp_VRFY,
    b"EXPN": Session.smtp_EXPN,
}
_BEFORE_TLS: Final = frozenset(
    {Session.smtp_HELO, Session.smtp_EHLO, Session.smtp_STARTTLS, Session.smtp_NOOP, Session.smtp_QUIT}
)
"""RFC 3207 §4; HELO changes nothing and tells nothing."""
