"""Reception: another operator's message, its header held against its envelope, sealed and delivered.

The octets that come in are kept as they are, but for these: `Return-Path` and `Received` before them, and fields taken
out that only this server may set: `Authentication-Results` in its name, `X-MSSmail-…` (`mime.trace`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.principal import LetIn, Peer
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import Wishes
from mssmail.flow.arrival import MAX_RECEIVED, Arrival, authors, date_of, untraced, wished
from mssmail.flow.house import House
from mssmail.flow.operators import Operators, accepted
from mssmail.mime.headers import HeaderBlock, without
from mssmail.mime.trace import is_forged, received_by, return_path

MAX_OWN_RECEIVED: Final = 5
"""Times that a message may have been here before: forwarding to and fro passes twice, a loop does so for ever."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is secured, as OpenSSL names it."""

    version: str = ""
    cipher: str = ""


class Reception(Arrival):
    """Another operator's message."""

    _ours = False

    def __init__(
        self,
        house: House,
        operators: Operators,
        peer: Peer,
        sender: Address | None,
        recipients: Sequence[LetIn],
        wishes: Wishes,
        *,
        protocol: str,
        tls: Tls,
    ) -> None:
        """`sender`: None for the null one; `protocol`: by RFC 3848, RFC 6531 §4.3."""
        super().__init__(house, recipients, wishes)
        self._operators = operators
        self._peer = peer
        self._sender = sender
        self._protocol = protocol
        self._tls = tls

    async def _edited(self, block: bytes) -> bytes:
        header = HeaderBlock(block)
        await self._check_from(header)
        received = header.all(b"received")
        if len(received) > MAX_RECEIVED:
            raise Refusal(Reason.LOOP, f"{len(received)} Received fields")
        server = self._house.settings.server
        own = server.name.lower().encode()
        passed = sum(received_by(value) == own for value in received)
        if passed >= MAX_OWN_RECEIVED:
            raise Refusal(Reason.LOOP, f"was here {passed} times")
        names = {own, *(domain.encode() for domain in server.domains)}
        return self._trace_fields() + without(block, lambda field: is_forged(field.name, field.value, names))

    def _trace_fields(self) -> bytes:
        """RFC 5321 §4.4, with the clause of RFC 8314 §4.3 for the suite."""
        peer, name = self._peer, self._house.settings.server.name
        literal = f"IPv6:{peer.client}" if ":" in peer.client else peer.client
        suite = f" tls {self._tls.cipher}" if self._tls.cipher else ""
        lines = (
            f"Received: from {peer.greeted} ([{literal}])\r\n"
            f" by {name} (mssmail) with {self._protocol}{suite}\r\n"
            f" id {self.queue_id}{self._priority()};\r\n "
        )
        return return_path(self._sender) + lines.encode() + date_of(int(self._house.clock.now())) + b"\r\n"

    async def _check_from(self, header: HeaderBlock) -> None:
        """Every address of From must be of a domain that the operator may write for; a patient's, the sender's own."""
        for address in authors(header):
            try:
                self._operators.may_write_for(self._peer, address.domain)
            except Refusal as refusal:
                if refusal.reason is Reason.UNAVAILABLE:
                    raise
                raise Refusal(Reason.MISALIGNED, f"{refusal.reason.value}: {refusal.detail}") from refusal
            await self._check_patient(address)

    async def _check_patient(self, address: Address) -> None:
        """A patient writes as themselves: MAIL FROM and From are both theirs, or MAIL FROM is null."""
        patients = self._operators.patients
        if self._sender is not None and address.key != self._sender.key:
            if patients.includes(address) or patients.includes(self._sender):
                raise Refusal(Reason.MISALIGNED, "another patient than MAIL FROM")
        elif self._sender is None and patients.includes(address):
            boxes = [recipient.account for recipient in self._recipients]
            if not await patients.answered(address, boxes) >= set(boxes):
                raise Refusal(Reason.PATIENT)

    def _event(self) -> Event:
        details: dict[str, Value] = {
            **wished(self._wishes, self._recipients),
            "id": self.queue_id,
            "octets": self._size,
            "recipients": len(self._recipients),
            "operator": str(self._peer.name),
            "client": self._peer.client,
            "greeted": self._peer.greeted,
            "tls": self._tls.version,
            "cipher": self._tls.cipher,
        }
        return Event(Kind.RECEIVED, 0, None if self._sender is None else str(self._sender), details=details)

    def _envelope(self) -> tuple[str, str]:
        operator = "\1".join(f"{oid}={value}" for oid, value in self._peer.name.key)
        return operator, "" if self._sender is None else self._sender.key

    def _taken(self) -> None:
        accepted.inc()

    async def _trace(self, refusal: Refusal) -> None:
        try:
            await self._operators.refused(self._peer, self._sender, refusal, self._size)
        except Refusal:
            untraced.inc()
