"""Other operators at port 25: by which certificate one is known, and in whose name it may write.

Knows certificate, white list and the domain of a sender; recipients are the gate's, the message is `receive`'s. All of
it is judged again at each MAIL: a certificate may have expired or been revoked meanwhile, a list been swapped. Each
refusal is in the trail. What is missing on our side, a revocation list or the white list, is told as temporary: the
peer keeps the message.
"""

from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.principal import Door, Peer
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.flow.patients import Patients
from mssmail.flow.standing import Standing
from mssmail.identity.fault import Cause, Unfit
from mssmail.metrics.registry import counter
from mssmail.policy.operator import DomainFacts, write_for
from mssmail.policy.verdict import Deny

_OURS: Final = frozenset({Cause.NO_LIST, Cause.OLD_LIST, Cause.NO_ANSWER})
"""What isn't wrong with the certificate, but with what it is judged by."""

_received = counter("mssmail_receptions_total", "Messages of other operators by outcome.", labels=("outcome",))
accepted = _received.labels(outcome="ok")


class Operators:
    """The use-cases before RCPT."""

    def __init__(self, house: House, standing: Standing, patients: Patients) -> None:
        self._house = house
        self._standing = standing
        self.patients = patients

    async def admit(self, door: Door, greeted: str, sender: Address | None) -> Peer:
        """Let an operator write in a sender's name (None: the null one); `greeted`: the name that it gives itself.

        Raises Refusal(OPERATOR_CERTIFICATE, OWN_DOMAIN, NOT_LISTED, PATIENT, UNAVAILABLE), traced.
        """
        peer = await self._known(door, greeted, sender)
        try:
            self.may_write_for(peer, None if sender is None else sender.domain)
            if sender is not None and self.patients.includes(sender) and not self.patients.is_sound(sender):
                raise Refusal(Reason.PATIENT, "the local part is no INS matricule with its key")
        except Refusal as refusal:
            await self.refused(peer, sender, refusal)
            raise
        return peer

    def may_write_for(self, peer: Peer, domain: str | None) -> None:
        """Raises Refusal(OWN_DOMAIN, NOT_LISTED, UNAVAILABLE) where it may not. None: for any of its domains."""
        listed = self._house.white_list.current()
        if listed is None:
            facts = DomainFacts(list_in_service=False)
        elif domain is None:
            facts = DomainFacts(list_in_service=True, listed=listed.knows(peer.name))
        else:
            own = domain in self._house.settings.server.domains
            facts = DomainFacts(list_in_service=True, own=own, listed=listed.speaks_for(peer.name, domain))
        verdict = write_for(facts)
        if isinstance(verdict, Deny):
            raise verdict.refusal()

    async def _known(self, door: Door, greeted: str, sender: Address | None) -> Peer:
        """Raises Refusal(OPERATOR_CERTIFICATE, UNAVAILABLE), traced."""
        try:
            operator = await self._standing.judge_operator(door.certificate)
        except Unfit as unfit:
            reason = Reason.UNAVAILABLE if unfit.fault.cause in _OURS else Reason.OPERATOR_CERTIFICATE
            refusal = Refusal(reason, unfit.detail)
            details: dict[str, Value] = {"client": door.client, "greeted": greeted, "cause": unfit.fault.cause.value}
            await self._trace(sender, refusal, details)
            raise refusal from unfit
        return Peer(operator.name, door.client, greeted)

    async def refused(self, peer: Peer, sender: Address | None, refusal: Refusal, octets: int | None = None) -> None:
        """Trace and count that a message was refused, at MAIL or at its end (`octets`)."""
        details: dict[str, Value] = {"operator": str(peer.name), "client": peer.client, "greeted": peer.greeted}
        if octets is not None:
            details["octets"] = octets
        await self._trace(sender, refusal, details)

    async def _trace(self, sender: Address | None, refusal: Refusal, details: dict[str, Value]) -> None:
        _received.labels(outcome=refusal.reason.value).inc()
        details["detail"] = refusal.detail
        subject = None if sender is None else str(sender)
        event = Event(Kind.RECEPTION_REFUSED, 0, subject, refusal.reason.value, details)
        await self._house.write.run(lambda tx: tx.trail(event))
