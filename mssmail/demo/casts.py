"""Who lives at the demo's other operators, where they are demos themselves. Nobody here exists, as in `people`."""

from typing import Final

from mssmail.base.principal import BoxKind
from mssmail.demo.people import (
    CAST,
    HOSPITAL,
    HOSPITAL_DOMAIN,
    LABORATORY,
    LABORATORY_DOMAIN,
    Account,
    Cast,
    Structure,
    personal,
    professional,
    refused_at,
    rpps,
)

MOST: Final = 9
"""Operators of one federation."""
_IDS: Final = 1_000_000_100
"""Numbers of their people start here, ten for each operator."""


def cast(number: int) -> Cast:
    """The operator of this number, from 1 to `MOST`; 1 is every demo's own."""
    if number == 1:
        return CAST
    if number == 2:
        boxes, people = (("cardiologie", "Cardiologie"), ("urgences", "Urgences")), _HOSPITAL_PEOPLE
        return _cast(number, HOSPITAL_DOMAIN, "hopital", HOSPITAL, boxes, people)
    if number == 3:
        return _cast(
            number, LABORATORY_DOMAIN, "laboratoire", LABORATORY, (("resultats", "Résultats"),), _LABORATORY_PEOPLE
        )
    name = f"operateur{number}"
    office = Structure(f"17500998{number:02d}", f"OPERATEUR {number} (DEMO)", "RUE DU RESEAU", "75011", "PARIS")
    return _cast(number, f"{name}-demo.mssante.fr", name, office, (("secretariat", "Secrétariat"),), _OTHER_PEOPLE)


_People = tuple[tuple[str, str, str, str], ...]
"""Local part, given name, surname, profession."""
_HOSPITAL_PEOPLE: Final[_People] = (("anne.petit", "Anne", "PETIT", "10"), ("marc.girard", "Marc", "GIRARD", "60"))
_LABORATORY_PEOPLE: Final[_People] = (("lise.roche", "Lise", "ROCHE", "21"), ("karim.faure", "Karim", "FAURE", "10"))
_OTHER_PEOPLE: Final[_People] = (("louis.blanc", "Louis", "BLANC", "10"), ("zoe.mercier", "Zoé", "MERCIER", "60"))


def _cast(
    number: int, domain: str, name: str, at: Structure, boxes: tuple[tuple[str, str], ...], people: _People
) -> Cast:
    """Boxes of the organisation, which its people share, then theirs."""
    persons = tuple(
        personal(local, professional(rpps(_IDS + 10 * number + n), given, surname, profession, at), domain)
        for n, (local, given, surname, profession) in enumerate(people)
    )
    shared = tuple(
        Account(
            f"{local}@{domain}",
            BoxKind.ORG,
            service,
            structure=at,
            common_name=f"{local}.{domain}",
            delegates=tuple(person.address for person in persons),
        )
        for local, service in boxes
    )
    return Cast(domain, name, at, (*shared, *persons), refused_at(domain))
