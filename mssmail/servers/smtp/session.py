"""The commands of the SMTP side: which may come when, and what each asks of flow (RFC 5321, RFC 6409, RFC 4954).

aiosmtpd 1.4.6's handlers are replaced one by one, each under its own name with the defect it mends; how a connection
lives is in `connection`. It knows commands and replies; who may do what is asked of flow. No text of a message, an
exception or a peer gets into a log or a reply.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from mssmail.base.principal import Principal, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.sessions import Session as Entered
from mssmail.flow.submit import Submission
from mssmail.metrics.logs import failure, get_logger
from mssmail.metrics.registry import counter
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.connection import Connection, Gone
from mssmail.servers.smtp.data import Decoder
from mssmail.servers.smtp.envelope import BadCommand, Mail, Rcpt, parse_mail, parse_rcpt
from mssmail.wire.sasl.exchange import Certificate, Challenge, Credentials, Failed, Failure, Password
from mssmail.wire.sasl.registry import begin

if TYPE_CHECKING:
    from mssmail.servers.smtp.server import SubmissionServer

MAX_COMMAND_OCTETS: Final = 2048
"""CRLF included. RFC 5321 §4.5.3.1.4 has 512, to which SIZE, SMTPUTF8, AUTH, ENVID and ORCPT add 26, 10, 500, 108 and
507 at most; 2048 holds them all."""
MAX_FAILED_SIGN_INS: Final = 3
"""On one connection; the account's and address's own counters are flow's."""
MAX_FAULTS: Final = 20
"""Commands that couldn't be read or came out of order, on one connection."""
MIN_OCTETS_PER_S: Final = 1024
"""Slower than this on average, beyond one `smtp.timeout`, a message isn't waited for: a twentieth of a bad line."""

Detail = str | int | float | bool | list[str] | list[int] | list[list[int]] | None
"""What the trail takes."""

_refusals = counter("mssmail_smtp_refusals_total", "Refusals told to SMTP clients.", labels=("reason",))
_log = get_logger("servers.smtp")


class Session(Connection):
    """One client of a submission port."""

    def __init__(self, server: "SubmissionServer") -> None:
        super().__init__(server)
        self._entered: Entered | None = None
        self._principal: Principal | None = None
        self._failed_sign_ins = self._faults = 0
        self._forget_client()

    def _forget_client(self) -> None:
        """Before a greeting, and after STARTTLS, nothing is known of the client (RFC 3207 §4.2)."""
        self._greeted = self._extended = False
        self._set_rset_state()

    def _set_rset_state(self) -> None:
        """Forget the mail transaction. Mends: an Envelope that holds whole messages."""
        self._mail: Mail | None = None
        self._recipients: dict[str, Recipient] = {}
        self._dsn: list[str] = []
        self._tried = False

    def _leave(self) -> None:
        if self._entered is not None:
            self._entered.leave()

    async def _obey(self, line: bytes | None) -> None:
        """Mends: bare LF taken for a line's end; refusals without enhanced codes; unknown commands sent back."""
        if line is None:
            return self._fault(replies.TOO_LONG)
        verb, _, argument = line[:-2].partition(b" ")
        if not line.endswith(b"\r\n") or b"\r" in argument or b"\0" in argument:
            return self._fault(replies.BAD_LINE)
        command = _COMMANDS.get(verb.upper())
        if command is None:
            return self._fault(replies.UNKNOWN)
        if len(line) > MAX_COMMAND_OCTETS and command is not Session.smtp_AUTH:
            return self._fault(replies.TOO_LONG)
        if not self._tls and command not in _BEFORE_TLS:
            return self._fault(replies.TLS_FOR_AUTH if command is Session.smtp_AUTH else replies.TLS_FIRST)
        try:
            await command(self, argument.strip(b" ").decode())
        except BadCommand as bad:
            self._fault(bad.reply)
        except UnicodeDecodeError:
            self._fault(replies.BAD_LINE)
        except Refusal as refusal:
            self._refuse(refusal.reason)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - ours; told as temporary, without a word of it
            failure(_log, "smtp command failed", error, command=verb.decode("ascii", "replace").upper())
            self._say(replies.OWN_FAULT)
        return None

    def _refuse(self, reason: Reason) -> None:
        _refusals.labels(reason.value).inc()
        self._say(replies.REASONS[reason])

    def _fault(self, reply: bytes) -> None:
        """Answer a command that breaks the protocol, and have enough of a client that goes on so."""
        self._say(reply)
        self._faults += 1
        if self._faults >= MAX_FAULTS:
            self._hang_up(replies.TOO_MANY_FAULTS)

    async def smtp_HELO(self, hostname: str) -> None:
        self._greet(hostname, f"250 {self.hostname}\r\n".encode(), extended=False)

    async def smtp_EHLO(self, hostname: str) -> None:
        """Mends: keywords missing, AUTH announced by what methods exist, MAIL's limit raised at each EHLO."""
        self._greet(hostname, self._server.announced(self._tls, self.door.certificate), extended=True)

    def _greet(self, hostname: str, reply: bytes, *, extended: bool) -> None:
        """The name isn't kept: `Received` never shows the author's program (DEMO-CONTRACT)."""
        if not hostname or not hostname.isprintable():
            return self._fault(replies.BAD_ARGUMENTS)
        self._set_rset_state()
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
        exchange = begin(name, certificate=self.door.certificate is not None)
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

    async def _sign_in(self, credentials: Credentials) -> Principal:
        """Ask who this is. Raises Refusal, and hangs up after MAX_FAILED_SIGN_INS of them."""
        login, door = self._server.login, self.door
        try:
            if isinstance(credentials, Password):
                principal = await login.by_password(door, credentials.authzid, credentials.authcid, credentials.secret)
            else:
                principal = await login.by_certificate(door, credentials.authzid)
        except Refusal as refusal:
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
        self._mail = mail
        return self._say(replies.SENDER_OK)

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Mends: as smtp_MAIL; no limit on recipients."""
        mail, principal = self._mail, self._principal
        if mail is None or principal is None:
            return self._fault(self._missing())
        self._tried = True
        rcpt = parse_rcpt(
            arg or "", extended=self._extended, utf8=mail.utf8, domain=self._server.house.settings.server.domains[0]
        )
        key = rcpt.recipient.key
        if key not in self._recipients:
            if len(self._recipients) >= self._settings.max_recipients:
                raise Refusal(Reason.TOO_MANY_RECIPIENTS, f"over {self._settings.max_recipients}")
            self._recipients[key] = await self._server.gate.recipient(principal, rcpt.recipient, mail.size_octets)
            self._keep_dsn(rcpt)
        return self._say(replies.RECIPIENT_OK)

    def _keep_dsn(self, rcpt: Rcpt) -> None:
        if rcpt.notify or rcpt.orcpt:
            self._dsn.append(f"{rcpt.recipient} NOTIFY={rcpt.notify} ORCPT={rcpt.orcpt}")

    def _missing(self) -> bytes:
        """What must come before a recipient or a message can."""
        if not self._greeted:
            return replies.GREET_FIRST
        return replies.SIGN_IN_FIRST if self._principal is None else replies.MAIL_FIRST

    async def smtp_DATA(self, arg: str) -> None:
        """Take a message. Mends: a list of its lines in memory and a loop over them, 96 % of a large message's cost;
        bare CR and LF kept; the size looked at in lines; nothing that ends a slow sender.
        """
        mail, principal = self._mail, self._principal
        if mail is None or principal is None:
            return self._fault(self._missing())
        if arg:
            return self._fault(replies.BAD_ARGUMENTS)
        if not self._recipients:
            return self._say(replies.NO_RECIPIENT) if self._tried else self._fault(replies.RCPT_FIRST)
        assert mail.sender is not None
        self._server.rate.check(principal, uncapped=self.uncapped)
        recipients = list({recipient.account: recipient for recipient in self._recipients.values()}.values())
        submission = Submission(
            self._server.house, self._server.gate, principal, mail.sender, recipients, _details(mail, self._dsn)
        )
        self._say(replies.START_DATA)
        self._receiving = True
        try:
            await self._receive(submission)
            self._say(replies.accepted(await submission.finish()))
            self._acks.sent(submission.replay_digest)
        except Refusal:
            raise  # finish let go of it
        except BaseException:
            await submission.abort()
            raise
        finally:
            self._receiving = False
            self._at_latest = float("inf")
            self._set_rset_state()
        return None

    async def _receive(self, submission: Submission) -> None:
        """Read to the message's end, whatever becomes of it. Raises Gone, and what went wrong of ours, at the end."""
        decoder, wrong = Decoder(), None
        most = 2 * self._settings.max_message_size
        started = self.loop.time() + self._settings.timeout
        chunk = bytes(self._buffer)
        self._buffer.clear()
        while True:
            try:
                if wrong is None:
                    await submission.write(decoder.feed(chunk))
                    self._judge(decoder, submission)
                else:
                    decoder.feed(chunk)
            except Exception as error:  # noqa: BLE001 - ours; raised once the message is over
                wrong = error
            if decoder.rest is not None:
                break
            self._at_latest = started + decoder.octets / MIN_OCTETS_PER_S
            if decoder.octets > most:
                # Far over the limit: refused without its end, so that nothing behind it can be read either.
                self._parting = self._parting or replies.TOO_MUCH
                break
            chunk = await self._read()
        self._buffer += decoder.rest or b""
        if wrong is not None:
            raise wrong
        if self._ended is not None:
            submission.refuse(self._ended, "the session ended while the message came")

    def _judge(self, decoder: Decoder, submission: Submission) -> None:
        if decoder.bare_newline:
            submission.refuse(Reason.BARE_NEWLINE)
        elif decoder.line_too_long:
            submission.refuse(Reason.LINE_TOO_LONG)

    async def smtp_RSET(self, arg: str) -> None:
        self._set_rset_state()
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


def _details(mail: Mail, dsn: list[str]) -> dict[str, Detail]:
    """What of the envelope is kept beside sender and recipients."""
    details: dict[str, Detail] = {}
    if mail.utf8:
        details["utf8"] = True
    if dsn:
        details["dsn"] = dsn
    for name, value in (("body", mail.body), ("ret", mail.ret), ("envid", mail.envid)):
        if value:
            details[name] = value
    return details


Command = Callable[[Session, str], Awaitable[None]]

_COMMANDS: Final[dict[bytes, Command]] = {
    b"HELO": Session.smtp_HELO,
    b"EHLO": Session.smtp_EHLO,
    b"STARTTLS": Session.smtp_STARTTLS,
    b"AUTH": Session.smtp_AUTH,
    b"MAIL": Session.smtp_MAIL,
    b"RCPT": Session.smtp_RCPT,
    b"DATA": Session.smtp_DATA,
    b"BDAT": Session.smtp_EXPN,
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
