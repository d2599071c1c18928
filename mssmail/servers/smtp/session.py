"""Submission's own commands: signing in, and writing in one's own name (RFC 6409, RFC 4954).

What they have in common with other listeners' is in `commands`; who may do what is asked of flow.
"""

import sys
from typing import TYPE_CHECKING, Final

from mssmail.base.address import Address
from mssmail.base.principal import BoxKind, LetIn, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.allowance import NOTHING, Allowance
from mssmail.flow.sessions import Session as Entered
from mssmail.flow.submit import Submission
from mssmail.servers.net.credentials import complaint, judged
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.commands import COMMANDS, Commands
from mssmail.servers.smtp.connection import Gone
from mssmail.servers.smtp.envelope import Mail, parse_mail
from mssmail.wire.sasl.exchange import Certificate, Challenge, Credentials, Failed, Failure
from mssmail.wire.sasl.registry import begin

if TYPE_CHECKING:
    from mssmail.servers.smtp.server import SubmissionServer

MAX_FAILED_SIGN_INS: Final = 3
"""On one connection; the account's and address's own counters are flow's."""


class Session(Commands):
    """One client of a submission port."""

    _server: "SubmissionServer"

    def __init__(self, server: "SubmissionServer") -> None:
        super().__init__(server)
        self._entered: Entered | None = None
        self._failed_sign_ins = 0
        self._principal: Principal | None = None

    def _set_rset_state(self) -> None:
        super()._set_rset_state()
        self._recipients_left = sys.maxsize
        """As far as sending limits go."""

    async def _leave(self) -> None:
        try:
            await self._reset()
        finally:
            if self._entered is not None:
                self._entered.leave()

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
        challenge = complaint(self._server.login, self.door, presented, reason)
        if challenge is not None:
            self._say(b"334 " + challenge.line + b"\r\n")
            await self._line()

    async def _sign_in(self, credentials: Credentials) -> Principal:
        """Ask who this is. Raises Refusal, and hangs up after MAX_FAILED_SIGN_INS of them."""
        try:
            principal = await judged(self._server.login, self.door, credentials)
        except Refusal as refusal:
            await self._complain(credentials, refusal.reason)
            self._failed_sign_ins += refusal.reason is not Reason.UNAVAILABLE
            if self._failed_sign_ins < MAX_FAILED_SIGN_INS:
                raise
            self._refuse(refusal.reason)
            self._hang_up(replies.TOO_MANY_FAILURES)
            raise Gone from None
        self._principal, self._admitted = principal, True
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
        if mail.size_octets > self._settings.max_message_size:
            raise Refusal(Reason.TOO_LARGE, "announced by SIZE")
        if mail.sender is not None:  # else it is a read receipt, or refused once that is seen (RFC 8098 §3)
            await self._server.gate.envelope_sender(principal, mail.sender)
        self._recipients_left = await Allowance.before(self._server.house, principal, uncapped=self.uncapped)
        self._mail = mail
        return self._say(replies.SENDER_OK)

    async def _decide(self, wanted: list[Address], size_octets: int) -> dict[str, LetIn | Refusal]:
        decided = await super()._decide(wanted, size_octets)
        if any(each.reason is Reason.SENDING_LIMIT for each in decided.values() if isinstance(each, Refusal)):
            await Allowance(NOTHING, self._signed_in(), 0).refused(self._server.house, "recipients")
        return decided

    async def _ask(self, addresses: list[Address], size_octets: int) -> list[LetIn | Refusal]:
        return await self._server.gate.recipients(self._signed_in(), addresses, size_octets)

    def _room(self) -> tuple[int, Reason]:
        most, left = self._most_recipients(self._signed_in()), self._recipients_left
        return (most, Reason.TOO_MANY_RECIPIENTS) if most <= left else (left, Reason.SENDING_LIMIT)

    def _signed_in(self) -> Principal:
        assert self._principal is not None
        return self._principal

    def _most_recipients(self, principal: Principal) -> int:
        """Of one message."""
        most, own = self._settings.max_recipients, principal.limits.recipients_per_message
        if own is None and principal.kind is BoxKind.APP:
            own = self._server.house.settings.application.recipients_per_message
        return min(most, own) if own else most

    def _begin(self, mail: Mail) -> Submission:
        """Raises Refusal(TOO_MANY_MESSAGES)."""
        server, principal = self._server, self._signed_in()
        server.rate.check(principal, uncapped=self.uncapped)
        recipients = self._accepted()
        return Submission(
            server.house, server.gate, principal, mail.sender, recipients, mail.wishes, uncapped=self.uncapped
        )


Session.COMMANDS = {**COMMANDS, b"AUTH": Session.smtp_AUTH, b"MAIL": Session.smtp_MAIL}
