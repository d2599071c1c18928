"""What an account's row holds sealed: who the box belongs to, and the secrets it is opened with.

Knows the system key's seals and their JSON; never a password in clear. Each sealed piece is bound to its account, so
that one account's can't stand in another's row. Opened dossiers are remembered, since the gate asks for one at every
recipient; secrets never are.
"""

import json
from dataclasses import dataclass
from typing import Final

from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.limits import NO_LIMITS, Limits
from mssmail.base.principal import BoxKind
from mssmail.crypto.format import name_aad
from mssmail.crypto.keys import KeyRing

_REMEMBERED: Final = 20_000
"""Dossiers, some 500 octets each, and addresses' digests, some 200; past that the memory starts anew."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """Who a box belongs to."""

    address: Address
    kind: BoxKind
    holder: str
    """National id of a PER box's professional; structure id (`1`+FINESS, `3`+SIRET…) of an ORG or APP box, and of an
    employee's (EMP) employer."""
    name: str
    """As people read it."""
    profession: str = ""
    """TRE_G15 code of a PER box's professional when the account was made; what counts is the directory's."""
    common_name: str = ""
    """CN of an ORG or APP box's certificate, whose OU is `holder`; CN of an employee's card, empty for who has none."""
    limits: Limits = NO_LIMITS

    @property
    def subject(self) -> str:
        """What a certificate that opens this box names; see `person_subject` and `organisation_subject`."""
        if self.kind is BoxKind.PER:
            return person_subject(self.holder)
        if self.kind is BoxKind.EMP:
            return person_subject(self.common_name) if self.common_name else f"no card\0{self.address.key}"
        return organisation_subject(self.holder, self.common_name)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a box is opened with, beside certificates."""

    password_hash: str
    """Argon2id, in its own encoded form."""
    totp_secret: str
    """Base32; empty where none was set yet: then no code is ever right."""
    recovery: tuple[str, ...] = ()
    """Hashes of unused recovery codes."""

    def __repr__(self) -> str:
        return "Secrets(…)"


def person_subject(national_id: str) -> str:
    """The key under which a person's certificate finds boxes; no organisation's is ever equal to it."""
    return f"person\0{national_id}"


def organisation_subject(organisational_unit: str, common_name: str) -> str:
    """The key under which an organisation's certificate finds boxes: (OU, CN), compared to the letter."""
    return f"organisation\0{organisational_unit}\0{common_name}"


class Credentials:
    """Seals and opens both, and makes the digests by which rows are found. Safe for threads."""

    __slots__ = ("_digests", "_keys", "_opened")

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._opened: dict[tuple[int, bytes], Dossier] = {}
        self._digests: dict[str, bytes] = {}

    def seal_dossier(self, account: AccountId, dossier: Dossier) -> bytes:
        content = {
            "a": str(dossier.address),
            "k": dossier.kind.value,
            "h": dossier.holder,
            "n": dossier.name,
            "p": dossier.profession,
            "c": dossier.common_name,
            "l": dossier.limits.stored(),
        }
        return self._keys.seal_system(_encode(content), name_aad(b"dossier", account, 0))

    def dossier(self, account: AccountId, sealed: bytes) -> Dossier:
        """Raises Unsealable where the row was altered or moved."""
        found = self._opened.get((account, sealed))
        if found is None:
            content = json.loads(self._keys.open_system(sealed, name_aad(b"dossier", account, 0)))
            local, _, domain = content["a"].rpartition("@")
            found = Dossier(
                Address(local, domain),
                BoxKind(content["k"]),
                content["h"],
                content["n"],
                content.get("p", ""),
                content.get("c", ""),
                Limits.read(content.get("l", {})),
            )
            if len(self._opened) >= _REMEMBERED:
                self._opened.clear()
            self._opened[account, sealed] = found
        return found

    def seal_secrets(self, account: AccountId, secrets: Secrets) -> bytes:
        content = {"p": secrets.password_hash, "t": secrets.totp_secret, "r": list(secrets.recovery)}
        return self._keys.seal_system(_encode(content), name_aad(b"secrets", account, 0))

    def secrets(self, account: AccountId, sealed: bytes) -> Secrets:
        """Raises Unsealable where the row was altered or moved."""
        content = json.loads(self._keys.open_system(sealed, name_aad(b"secrets", account, 0)))
        return Secrets(content["p"], content["t"], tuple(content.get("r", ())))

    def address_digest(self, address: Address) -> bytes:
        """For `accounts.address_digest`."""
        key = address.key
        found = self._digests.get(key)
        if found is None:
            found = self._keys.digest("address", key.encode())
            if len(self._digests) >= _REMEMBERED:
                self._digests.clear()
            self._digests[key] = found
        return found

    def holder_digest(self, holder: str) -> bytes:
        """For `accounts.holder_digest`."""
        return self._keys.digest("holder", holder.encode())

    def subject_digest(self, subject: str) -> bytes:
        """For `accounts.subject_digest`, of a `Dossier.subject`."""
        return self._keys.digest("subject", subject.encode())


def _encode(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
