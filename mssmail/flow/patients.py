"""Patients as senders: who one is, and whether a professional may be written to by them.

A patient's address is the INS matricule at the patients' domain. Patients write only in answer to a professional who
wrote to them first, and only where `patients.may_answer` says so. Who wrote to whom is noted by `queue` in the
transaction that accepts the professional's message.
"""

from collections.abc import Sequence
from typing import Protocol

from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.ins import is_ins
from mssmail.flow.house import House
from mssmail.flow.queue import patient_digest
from mssmail.store import correspondence


class Correspondence(Protocol):
    """Who wrote to whom."""

    async def wrote_to(self, patient: Address, accounts: Sequence[AccountId]) -> frozenset[AccountId]:
        """Those of the accounts that have written to a patient. Raises Refusal(UNAVAILABLE)."""


class Noted:
    """As the queue noted it, within `patients.answer_term`."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def wrote_to(self, patient: Address, accounts: Sequence[AccountId]) -> frozenset[AccountId]:
        house = self._house
        digest = patient_digest(house.keys, patient)
        since = int(house.clock.now() - house.settings.patients.answer_term)
        return await house.read.run(lambda tx: correspondence.wrote_since(tx, digest, accounts, since))


class Patients:
    """The rule for patients."""

    def __init__(self, house: House, known: Correspondence | None = None) -> None:
        self._house = house
        self._correspondence = known or Noted(house)

    def includes(self, address: Address) -> bool:
        """Whether an address is at the patients' domain."""
        return address.domain == self._house.settings.patients.domain

    def is_sound(self, address: Address) -> bool:
        """Whether an address at the patients' domain is one that a patient can have."""
        return is_ins(address.local)

    async def answered(self, patient: Address, accounts: Sequence[AccountId]) -> frozenset[AccountId]:
        """The accounts that this patient may write to. Raises Refusal(UNAVAILABLE)."""
        if not accounts or not self._house.settings.patients.may_answer or not self.is_sound(patient):
            return frozenset()
        return await self._correspondence.wrote_to(patient, accounts)
