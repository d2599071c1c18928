"""Patients as senders: who one is, and whether a professional may be written to by them.

A patient's address is the INS matricule at the patients' domain. Patients write only in answer to a professional who
wrote to them first, and only where `patients.may_answer` says so. Who wrote to whom is known to whoever sends mail out
(`Correspondence`); while nothing is sent to patients from here, nobody has.
"""

from collections.abc import Sequence
from typing import Protocol

from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.ins import is_ins
from mssmail.flow.house import House


class Correspondence(Protocol):
    """Who wrote to whom."""

    async def wrote_to(self, patient: Address, accounts: Sequence[AccountId]) -> frozenset[AccountId]:
        """Those of the accounts that have written to a patient. Raises Refusal(UNAVAILABLE)."""


class NoCorrespondence:
    """Nobody has."""

    async def wrote_to(self, patient: Address, accounts: Sequence[AccountId]) -> frozenset[AccountId]:
        return frozenset()


class Patients:
    """The rule for patients."""

    def __init__(self, house: House, correspondence: Correspondence | None = None) -> None:
        self._house = house
        self._correspondence = correspondence or NoCorrespondence()

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
