"""FHIR resources of the Annuaire Santé, read into what a snapshot keeps. Pure; takes any JSON without harm.

Knows the profiles as-practitioner, as-practitionerrole and as-organization as far as a box needs them: identifiers,
names, professions (TRE_G15 with TRE_R09 beside it), and boxes, which are telecoms whose emailType is MSSANTE. A person
has a Practitioner for each of their professions; a box of a person at a structure stands on the PractitionerRole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mssmail.base.address import Address
from mssmail.base.principal import BoxKind
from mssmail.directory.extract import ID_TOKEN, PROFESSION, clean
from mssmail.directory.model import Fault, encode_professions

NATIONAL_ID: Final = "urn:oid:1.2.250.1.71.4.2.1"
RPPS: Final = "https://rpps.esante.gouv.fr"
STRUCTURE_ID: Final = "urn:oid:1.2.250.1.71.4.2.2"
MAX_ID_CHARS: Final = 128
MAX_BOXES: Final = 1_000
"""Of one resource; the largest hospital has some hundred."""
MAX_ITEMS: Final = 10_000
_KINDS: Final = frozenset(kind.value for kind in BoxKind if kind is not BoxKind.EMP)

ApiBox = tuple[str, str, str, str, int | None]
"""address key, kind, address as written, service, red-listed"""


@dataclass(frozen=True, slots=True)
class Held:
    """A resource as it is kept: whose it is, and which boxes stand on it. Inactive: to be forgotten."""

    key: str
    """`Practitioner/ID`, `PractitionerRole/ID` or `Organization/ID`."""
    active: bool
    person: str = ""
    structure: str = ""
    name: str = ""
    """The person's, or the structure's."""
    given: str = ""
    professions: str = ""
    """As `encode_professions` spells them."""
    boxes: tuple[ApiBox, ...] = ()


def key_of(resource: Mapping[str, object]) -> str:
    """`Type/id`, or "" where one of them isn't a token."""
    kind, ident = _text(resource, "resourceType"), _text(resource, "id")
    return f"{kind}/{ident}" if kind.isalpha() and _token(ident) else ""


def read(resource: Mapping[str, object], beside: Mapping[str, Mapping[str, object]]) -> Held | Fault:
    """Read a resource of one of the three types; `beside`: those that came in the same page, by `Type/id`."""
    key = key_of(resource)
    kind = key.partition("/")[0]
    if not key or kind not in ("Practitioner", "PractitionerRole", "Organization"):
        return Fault.BAD_ID
    if resource.get("active") is False:
        return Held(key, active=False)
    if kind == "Practitioner":
        person = _national_id(resource)
        if not person:
            return Fault.MISSING_ID
        name, given = _name(resource)
        return Held(key, True, person, "", name, given, _professions(resource), tuple(_boxes(resource, "PER")))
    if kind == "Organization":
        structure = _structure_id(resource)
        boxes = tuple(_boxes(resource, "ORG"))
        if not boxes:
            return Held(key, active=False)  # hundreds of thousands of organisations are of no concern here
        if not structure:
            return Fault.MISSING_ID
        return Held(key, True, "", structure, clean(_text(resource, "name")), boxes=boxes)
    return _role(resource, key, beside)


def _role(resource: Mapping[str, object], key: str, beside: Mapping[str, Mapping[str, object]]) -> Held | Fault:
    boxes = tuple(_boxes(resource, "PER"))
    if not boxes:
        return Held(key, active=False)
    practitioner = beside.get(_reference(resource, "practitioner"))
    organisation = beside.get(_reference(resource, "organization"))
    person = _national_id(practitioner) if practitioner is not None else ""
    if not person or (organisation is None and _reference(resource, "organization")):
        return Fault.UNRESOLVED
    structure = _structure_id(organisation) if organisation is not None else ""
    name = clean(_text(organisation, "name")) if organisation is not None else ""
    return Held(key, True, person, structure, name, boxes=boxes)


def _boxes(resource: Mapping[str, object], usual: str) -> Iterator[ApiBox]:
    """The telecoms that are boxes; ordinary mail addresses stand beside them. `usual`: the kind where none is said."""
    for telecom in _dicts(resource, "telecom")[:MAX_BOXES]:
        extensions = _dicts(telecom, "extension")
        coding = next((_dict(e, "valueCoding") for e in extensions if _ends(e, "contact-point-email-type")), {})
        if _text(coding, "code") != "MSSANTE":
            continue
        address = Address.parse(_text(telecom, "value").strip())
        if address is None:
            continue
        more = [part for e in extensions if _ends(e, "mailbox-mss-metadata") for part in _dicts(e, "extension")]
        kind, service, red = usual, "", None
        for part in more:
            match _text(part, "url"):
                case "type":
                    codings = _dicts(_dict(part, "valueCodeableConcept"), "coding")
                    kind = next((_text(c, "code") for c in codings if _text(c, "code") in _KINDS), usual)
                case "service":
                    service = clean(_text(part, "valueString"))
                case "listeRouge":
                    said = part.get("valueBoolean")
                    red = int(said) if isinstance(said, bool) else None
        yield address.key, kind, str(address), service, red


def _professions(resource: Mapping[str, object]) -> str:
    """Each qualification with a TRE_G15 code, and the TRE_R09 category beside it."""
    found = []
    for qualification in _dicts(resource, "qualification"):
        codes = {"G15": "", "R09": ""}
        for coding in _dicts(_dict(qualification, "code"), "coding"):
            for mark in codes:
                if f"TRE_{mark}-" in _text(coding, "system"):
                    codes[mark] = _text(coding, "code")
        profession = f"{codes['G15']}:{codes['R09']}"
        if codes["G15"] and PROFESSION.fullmatch(profession):
            found.append(profession)
    return encode_professions(found[:20])


def _national_id(resource: Mapping[str, object]) -> str:
    """The 12-digit national id, or `8` and the RPPS number; "" where there is neither."""
    ids = {_text(i, "system"): _text(i, "value").strip() for i in _dicts(resource, "identifier")}
    found = ids.get(NATIONAL_ID, "")
    if not found and ids.get(RPPS):
        found = "8" + ids[RPPS]
    return found if ID_TOKEN.fullmatch(found) else ""


def _structure_id(resource: Mapping[str, object]) -> str:
    """The structure's national id, or its FINESS or SIRET number with the type before it."""
    ids = {_text(i, "system"): _text(i, "value").strip() for i in _dicts(resource, "identifier")}
    found = ids.get(STRUCTURE_ID, "")
    for system, value in ids.items():
        if not found and "finess" in system and len(value) == 9:
            found = "1" + value
    for system, value in ids.items():
        if not found and "siren" in system and len(value) == 14:
            found = "3" + value
    return found if ID_TOKEN.fullmatch(found) else ""


def _name(resource: Mapping[str, object]) -> tuple[str, str]:
    names = _dicts(resource, "name")
    name = next((n for n in names if _text(n, "family")), {})
    given = name.get("given")
    first = " ".join(g for g in given[:4] if isinstance(g, str)) if isinstance(given, list) else ""
    return clean(_text(name, "family")), clean(first)


def _reference(resource: Mapping[str, object], field: str) -> str:
    """`Type/id` of what a field refers to, out of a relative or an absolute reference."""
    return "/".join(_text(_dict(resource, field), "reference").split("/")[-2:])


def _ends(extension: Mapping[str, object], name: str) -> bool:
    return _text(extension, "url").endswith(name)


def _token(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_CHARS and text.isascii() and text.isprintable() and " " not in text


def _text(of: Mapping[str, object], field: str) -> str:
    value = of.get(field)
    # a lone surrogate can be written in JSON and in nothing else
    return value.encode("utf-8", "ignore").decode() if isinstance(value, str) else ""


def _dict(of: Mapping[str, object], field: str) -> Mapping[str, object]:
    value = of.get(field)
    return value if isinstance(value, dict) else {}


def _dicts(of: Mapping[str, object], field: str) -> list[Mapping[str, object]]:
    value = of.get(field)
    return [item for item in value[:MAX_ITEMS] if isinstance(item, dict)] if isinstance(value, list) else []
