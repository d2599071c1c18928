"""Whom a message is about, beside those who write and read it: patients, by keyed digest. The seam for their rights.

Every message that carries archives (`archives`) is shown to the house's `Register` within the transaction that accepts
it. Who keeps a list of objections refuses it there; who keeps account of exchanges writes there. Neither exists yet:
`NoRegister` lets all pass. No number of a patient's leaves `archives`; digests alone do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from mssmail.audit.events import Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.ins import PatientId
from mssmail.crypto.keys import KeyRing
from mssmail.store.interface import Transaction

PURPOSE: Final = "patient concerned"


def concerned_digest(keys: KeyRing, patient: PatientId) -> bytes:
    """By what a patient is known wherever it is kept whom exchanges were about."""
    return keys.digest(PURPOSE, patient.key.encode())


@dataclass(frozen=True, slots=True)
class Concern:
    """What a message's archives say."""

    patients: tuple[bytes, ...]
    """`concerned_digest` of each, once."""
    xdm: int
    """Archives that are of IHE XDM and were read."""
    flaws: tuple[str, ...] = ()
    """`mime.archive.Flaw` of each that couldn't be read, or mustn't: whom those are about isn't known."""

    def details(self) -> dict[str, Value]:
        """For the trail, where it is sealed with the event."""
        said: dict[str, Value] = {
            "xdm": self.xdm,
            "concerned": [digest.hex() for digest in self.patients],
            "unread": list(self.flaws),
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message that is about somebody, as it is about to be accepted."""

    queue_id: str
    concern: Concern
    account: AccountId
    """The box that it is sent from; 0: another operator's."""
    sender: str | None
    """None for the null sender."""
    recipients: Sequence[Address]


class Register(Protocol):
    """What is known of patients' wishes, and kept of exchanges about them."""

    def take(self, tx: Transaction, exchange: Exchange) -> None:
        """In the transaction that accepts the message. Raises Refusal: then nobody gets it."""


class NoRegister:
    """Nothing is known, and nothing kept."""

    def take(self, tx: Transaction, exchange: Exchange) -> None:
        pass
