"""Asking the directory in service, for an administrator: what it says of somebody, and who bears a name.

Knows the directory's entries as text; nothing of accounts or mail. Nothing is changed, so nothing is traced.
"""

from dataclasses import dataclass

from mssmail.base.address import Address
from mssmail.directory.model import Box, Found, Person, Structure
from mssmail.flow.house import House


@dataclass(frozen=True, slots=True)
class Entry:
    """A person, a structure, or a box whose holder isn't known, with the boxes."""

    kind: str
    """`person`, `structure` or `box`."""
    identity: str
    name: str
    professions: tuple[str, ...]
    """TRE_G15 codes."""
    allowed: bool
    """Whether this server may give them a box."""
    boxes: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "id": self.identity,
            "name": self.name,
            "professions": list(self.professions),
            "allowed": self.allowed,
            "boxes": list(self.boxes),
        }


def entries(house: House, who: str) -> list[Entry]:
    """What stands under a national id, a structure's id or a mail address. Raises Refusal(UNAVAILABLE)."""
    directory = house.directory
    address = Address.parse(who)
    if address is not None:
        found = []
        for box in directory.box(address.key):
            person = None if box.national_id is None else directory.person(box.national_id)
            structure = None if box.structure_id is None else directory.structure(box.structure_id)
            found.append(_entry(house, person or structure, (box,)))
        return found
    person = directory.person(who)
    structure = directory.structure(who)
    found = []
    if person is not None:
        found.append(_entry(house, person, directory.boxes_of_person(who)))
    if structure is not None:
        found.append(_entry(house, structure, directory.boxes_of_structure(who)))
    return found


def search(house: House, text: str, limit: int) -> list[Entry]:
    """Who bears these beginnings of names. Raises Refusal(UNAVAILABLE)."""
    found: tuple[Found, ...] = house.directory.search(text, limit)
    return [_entry(house, each.holder, each.boxes) for each in found]


def _entry(house: House, holder: Person | Structure | None, boxes: tuple[Box, ...]) -> Entry:
    addresses = tuple(str(box.address) for box in boxes)
    match holder:
        case Person():
            professions = tuple(dict.fromkeys(p.code for p in holder.professions))
            allowed = holder.practises(house.settings.directory.allowed_professions)
            return Entry(
                "person", holder.national_id, f"{holder.given_name} {holder.name}", professions, allowed, addresses
            )
        case Structure():
            return Entry("structure", holder.structure_id, holder.name, (), True, addresses)
        case None:
            return Entry("box", addresses[0] if addresses else "", "", (), False, addresses)
