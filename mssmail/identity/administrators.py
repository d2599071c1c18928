"""What the rows of administrators and of their orders hold sealed. Each piece is bound to its row's number.

Knows the system key's seals and their JSON; decides nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mssmail.base.ids import AccountId
from mssmail.base.role import Act, Role
from mssmail.crypto.format import name_aad
from mssmail.crypto.keys import KeyRing


@dataclass(frozen=True, slots=True)
class Administrator:
    """Somebody who administers, and the user of the operating system's that they are known by."""

    name: str
    """As the trail has it."""
    os_user: str
    uid: int
    """Both must fit at the socket: a number given to somebody else opens nothing."""
    roles: frozenset[Role]
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An act that waits for a second person."""

    act: Act
    subject: str
    """The address or the administrator's name that it is about; empty where it is about all."""
    arguments: Mapping[str, str]
    by: str
    by_uid: int | None
    """None: by somebody with the data folder in their hands."""
    facts: str
    """What it was given upon; it goes no further once that has changed."""
    given_at: int


class Sealer:
    """Seals and opens both, and makes the digests by which administrators are found."""

    __slots__ = ("_keys",)

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def name_digest(self, name: str) -> bytes:
        """For `administrators.name_digest`."""
        return self._keys.digest("administrator", name.encode())

    def seal(self, number: int, who: Administrator) -> bytes:
        content = {
            "n": who.name,
            "o": who.os_user,
            "u": who.uid,
            "r": sorted(role.value for role in who.roles),
            "s": who.suspended,
        }
        return self._seal(b"admin", number, content)

    def administrator(self, number: int, sealed: bytes) -> Administrator:
        """Raises Unsealable where the row was altered or moved."""
        content = self._open(b"admin", number, sealed)
        roles = frozenset(Role(role) for role in content["r"])
        return Administrator(content["n"], content["o"], content["u"], roles, content["s"])

    def seal_order(self, number: int, until: int, order: Order) -> bytes:
        content = {
            "a": order.act.value,
            "s": order.subject,
            "m": dict(order.arguments),
            "b": order.by,
            "u": order.by_uid,
            "f": order.facts,
            "t": order.given_at,
            "e": until,
        }
        return self._seal(b"order", number, content)

    def order(self, number: int, until: int, sealed: bytes) -> Order | None:
        """None where its expiry was altered. Raises Unsealable where the row was altered or moved."""
        content = self._open(b"order", number, sealed)
        if content["e"] != until:
            return None
        return Order(
            Act(content["a"]),
            content["s"],
            content["m"],
            content["b"],
            content["u"],
            content["f"],
            content["t"],
        )

    def _seal(self, kind: bytes, number: int, content: Mapping[str, object]) -> bytes:
        encoded = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        return self._keys.seal_system(encoded, name_aad(kind, AccountId(number), 0))

    def _open(self, kind: bytes, number: int, sealed: bytes) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._keys.open_system(sealed, name_aad(kind, AccountId(number), 0)))
        return content
