"""Asking the directory in service, for an administrator: what it says of somebody, and who bears a name.

Knows the directory's entries as text; nothing of accounts or mail. Nothing is changed, so nothing is traced.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from mssmail.base.address import Address
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.compare import Difference
from mssmail.directory.model import Box, Found, Person, Structure
from mssmail.directory.snapshot import previous_path
from mssmail.flow.house import House
from mssmail.flow.refresh import snapshot_path


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


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which two directories differ: how often, and the first of them in their order."""

    kind: str
    """`struck-off`, `registered`, `profession-changed`, `box-gone`, `box-new` or `box-moved`."""
    count: int
    first: tuple[str, ...]
    """National ids or addresses; a change of profession with the codes before and now."""


@dataclass(frozen=True, slots=True)
class Changes:
    """From the directory before to the one in service."""

    before: float
    """Epoch seconds at which each was built."""
    now: float
    changes: tuple[Change, ...]


def changes(house: House, limit: int) -> Changes:
    """What the newest load changed, `limit` of each kind listed; blocks for seconds on a whole country.

    Raises Refusal(IMPORT) where there is no directory before this one, UNAVAILABLE.
    """
    target = snapshot_path(house.settings)
    if not previous_path(target).exists():
        raise Refusal(Reason.IMPORT, "there is no directory before it to compare")
    with Difference(previous_path(target), target) as difference:
        professions = (
            f"{who} {' '.join(p.code for p in old) or '-'} > {' '.join(p.code for p in new) or '-'}"
            for who, old, new in difference.professions_changed()
        )
        found = (
            _change("struck-off", difference.struck_off(), limit),
            _change("registered", difference.registered(), limit),
            _change("profession-changed", professions, limit),
            _change("box-gone", difference.boxes_gone(), limit),
            _change("box-new", difference.boxes_new(), limit),
            _change("box-moved", difference.boxes_moved(), limit),
        )
        return Changes(*difference.dates(), found)


def _change(kind: str, items: Iterable[str], limit: int) -> Change:
    """Count a stream, of which only the first are held."""
    rest = iter(items)
    first = tuple(islice(rest, limit))
    return Change(kind, len(first) + sum(1 for _ in rest), first)


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
