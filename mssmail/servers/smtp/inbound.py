"""Other operators' own commands: nobody signs in, a certificate of the white list is asked for before MAIL (RFC 5321).

What they have in common with submission's is in `commands`; who may write for what is asked of flow, anew at each MAIL.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from mssmail.base.address import Address
from mssmail.base.principal import LetIn, Peer
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.receive import Reception, Tls
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.commands import COMMANDS, Commands
from mssmail.servers.smtp.connection import Gone
from mssmail.servers.smtp.envelope import Mail, parse_mail

if TYPE_CHECKING:
    from mssmail.servers.smtp.server import OperatorServer

MAX_REFUSED: Final = 3
"""Times on one connection that a certificate isn't taken; each is in the trail."""
_GREETED: Final = re.compile(
    r"(?=.{1,255}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[A-Za-z0-9.:]{2,64}\])", re.ASCII
)
"""A domain or an address literal (RFC 5321 §4.1.1.1), nothing that could be read otherwise in `Received`."""


class Inbound(Commands):
    """One client of the operators' port."""

    SIGNS_IN: ClassVar[bool] = False
    _server: "OperatorServer"

    def __init__(self, server: "OperatorServer") -> None:
        super().__init__(server)
        self._named = ""
        """By itself, in EHLO or HELO."""
        self._refused = 0
        self._peer: Peer | None = None
        """Who writes; the certificate stays what it is while a connection lasts."""

    async def _leave(self) -> None:
        try:
            await self._reset()
        finally:
            if self._peer is not None:
                self._server.leave(self._peer.name)

    async def _greet(self, hostname: str, reply: bytes, *, extended: bool) -> None:
        """The name is kept: it stands in `Received`, as that of a server (RFC 5321 §4.4)."""
        if _GREETED.fullmatch(hostname) is None:
            return self._fault(replies.BAD_ARGUMENTS)
        self._named = hostname
        return await super()._greet(hostname, reply, extended=extended)

    async def smtp_AUTH(self, arg: str) -> None:
        """Not on offer: a stolen password opens nothing here."""
        self._fault(replies.NOT_HERE)

    async def smtp_MAIL(self, arg: str) -> None:
        """Mends: as submission's."""
        if not self._greeted:
            return self._fault(replies.GREET_FIRST)
        if self._mail is not None:
            return self._fault(replies.NOT_WITHIN_MAIL)
        mail = parse_mail(arg, extended=self._extended, requires_tls=True)
        peer = await self._admit(mail.sender)
        if mail.size_octets > self._settings.max_message_size:
            refusal = Refusal(Reason.TOO_LARGE, "announced by SIZE")
            await self._server.operators.refused(peer, mail.sender, refusal)
            raise refusal
        lowered = mail.wishes.priority > 0
        self._mail = replace(mail, wishes=replace(mail.wishes, priority=0)) if lowered else mail
        return self._say(replies.PRIORITY_LOWERED if lowered else replies.SENDER_OK)

    async def _admit(self, sender: Address | None) -> Peer:
        """Ask who this is, and whether it may write so. Raises Refusal, and hangs up after MAX_REFUSED certificates."""
        try:
            peer = await self._server.operators.admit(self.door, self._named, sender)
        except Refusal as refusal:
            self._refused += refusal.reason is Reason.OPERATOR_CERTIFICATE
            if self._refused < MAX_REFUSED:
                raise
            self._refuse(refusal.reason)
            self._hang_up(replies.TOO_MANY_FAULTS)
            raise Gone from None
        if self._peer is None and not self._server.enter(peer.name, uncapped=self.uncapped):
            self._hang_up(replies.TOO_MANY_OF_OPERATOR)
            raise Gone
        self._peer, self._admitted = peer, True
        self._no_hurry()
        return peer

    async def _ask(self, addresses: list[Address], size_octets: int) -> list[LetIn | Refusal]:
        mail = self._mail
        assert mail is not None
        return await self._server.gate.recipients_from(self._known(), mail.sender, addresses, size_octets)

    def _room(self) -> tuple[int, Reason]:
        return self._server.house.settings.operators.max_recipients, Reason.TOO_MANY_RECIPIENTS

    def _known(self) -> Peer:
        assert self._peer is not None
        return self._peer

    def _begin(self, mail: Mail) -> Reception:
        server, peer = self._server, self._known()
        if not self.uncapped:
            server.hourly.count(peer.name, server.house.settings.operators.max_messages_per_hour)
        return Reception(
            server.house,
            server.operators,
            peer,
            mail.sender,
            self._accepted(),
            mail.wishes,
            protocol="UTF8SMTPS" if mail.wishes.utf8 else "ESMTPS" if self._extended else "SMTP",
            tls=self._secured(),
        )

    def _secured(self) -> Tls:
        extra = getattr(self.transport, "get_extra_info", None)
        cipher = None if extra is None else extra("cipher")
        return Tls() if cipher is None else Tls(str(cipher[1]), str(cipher[0]))


Inbound.COMMANDS = {**COMMANDS, b"AUTH": Inbound.smtp_AUTH, b"MAIL": Inbound.smtp_MAIL}
