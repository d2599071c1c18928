"""The demo's population written as the two extracts, in their true formats and zipped as they are published.

Knows the columns of `PS_LibreAcces_Personne_activite` (56) and `Extraction_Correspondance_MSSante` (31), for writing;
the product's own reader is in `directory` and shares nothing with this, so that each checks the other.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mssmail.base.clock import utc
from mssmail.demo.people import PROFESSION_LABELS, ListedBox, Population, Professional, Structure

_ADDRESS_COLUMNS = (
    "Complément destinataire|Complément point géographique|Numéro Voie|Indice répétition voie|Code type de voie|"
    "Libellé type de voie|Libellé Voie|Mention distribution|Bureau cedex|Code postal|Code commune|Libellé commune|"
    "Code pays|Libellé pays|Téléphone|Téléphone 2|Télécopie|Adresse e-mail"
).split("|")
ACTIVITY_COLUMNS: tuple[str, ...] = (
    *(
        "Type d'identifiant PP|Identifiant PP|Identification nationale PP|Code civilité d'exercice|"
        "Libellé civilité d'exercice|Code civilité|Libellé civilité|Nom d'exercice|Prénom d'exercice|Code profession|"
        "Libellé profession|Code catégorie professionnelle|Libellé catégorie professionnelle|Code type savoir-faire|"
        "Libellé type savoir-faire|Code savoir-faire|Libellé savoir-faire|Code mode exercice|Libellé mode exercice|"
        "Numéro SIRET site|Numéro SIREN site|Numéro FINESS site|Numéro FINESS établissement juridique|"
        "Identifiant technique de la structure|Raison sociale site|Enseigne commerciale site"
    ).split("|"),
    *(f"{column} (coord. structure)" for column in _ADDRESS_COLUMNS),
    *(
        "Code Département (structure)|Libellé Département (structure)|Ancien identifiant de la structure|"
        "Autorité d'enregistrement|Code secteur d'activité|Libellé secteur d'activité|"
        "Code section tableau pharmaciens|Libellé section tableau pharmaciens|Code rôle|Libellé rôle|"
        "Code genre activité|Libellé genre activité"
    ).split("|"),
)
BOX_COLUMNS: tuple[str, ...] = tuple(
    (
        "Type de BAL|Adresse BAL|Type Identifiant PP|Identifiant PP|Identification nationale PP|"
        "Type identifiant structure|Identification Structure|Service de rattachement|Civilité d'exercice|"
        "Nom d'exercice|Prénom d'exercice|Catégorie profession|Libellé de catégorie profession|Code Profession|"
        "Libellé Profession|Code savoir-faire|Libellé savoir-faire|Dématérialisation|Raison Sociale structure BAL|"
        "Enseigne commerciale structure BAL|L2COMPLEMENTLOCALISATION|L3COMPLEMENTDISTRIBUTION|L4NUMEROVOIE|"
        "L4COMPLEMENTNUMEROVOIE|NL4TYPEVOIE|L4LIBELLEVOIE|L5LIEUDITMENTION|L6LIGNEACHEMINEMENT|Code postal|"
        "Département|Pays"
    ).split("|")
)
_CATEGORIES = {"C": "Civil", "M": "Militaire", "E": "Etudiant", "F": "Fonctionnaire"}


@dataclass(frozen=True, slots=True)
class Extracts:
    """Both files of a day."""

    activity: Path
    boxes: Path


def write_extracts(folder: Path, population: Population, published_at: float) -> Extracts:
    """Write both extracts of a population, dated `published_at` (epoch seconds, UTC in the names)."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = utc(published_at).strftime("%Y%m%d%H%M")
    return Extracts(
        _zip(
            folder / f"PS_LibreAcces_{stamp}.zip",
            f"PS_LibreAcces_Personne_activite_{stamp}.txt",
            activity_lines(population.professionals),
            published_at,
        ),
        _zip(
            folder / f"Extraction_Correspondance_MSSante_{stamp}.zip",
            f"Extraction_Correspondance_MSSante_{stamp}.txt",
            box_lines(population.boxes),
            published_at,
        ),
    )


def activity_lines(professionals: Iterable[Professional]) -> Iterator[str]:
    """The activity extract, header first, each line ending in a separator as published."""
    yield "|".join(ACTIVITY_COLUMNS) + "|"
    for p in professionals:
        doctor = p.profession in ("10", "21", "40")
        head = "|".join(
            (
                p.national_id[0],
                p.national_id[1:],
                p.national_id,
                "DR" if doctor else "",
                "Docteur" if doctor else "",
                "",
                "",
                p.surname,
                p.given_name.upper(),
                p.profession,
                PROFESSION_LABELS[p.profession],
                p.category,
                _CATEGORIES[p.category],
                "",
                "",
                "",
                "",
            )
        )
        for place in p.structures or (None,):
            yield head + _activity_place(place)


def _activity_place(place: Structure | None) -> str:
    """From `Code mode exercice` (18th) to the 56th column and the trailing separator."""
    if place is None:
        return "|L|Libéral" + "|" * 28 + "|ARS/CPAM/CPAM|SA07|Cabinet individuel|||||GENR01|Activité standard de soin|"
    return (
        f"|S|Salarié|||{place.structure_id[1:]}||F{place.structure_id[1:]}|{place.name}|{place.name}"
        f"|||12||R|Rue|{place.street}||{place.post_code} {place.town}|{place.post_code}|{place.post_code}|{place.town}"
        f"|99000|France|0100000000||||{place.post_code[:2]}|{place.town}|{place.structure_id}|ARS/ARS/ARS"
        f"|SA01|Etablissement public de santé|||||GENR01|Activité standard de soin|"
    )


def box_lines(boxes: Iterable[ListedBox]) -> Iterator[str]:
    """The extract of boxes, header first."""
    yield "|".join(BOX_COLUMNS)
    for box in boxes:
        holder = _box_holder(box.holder)
        structure = box.structure or (box.holder.structures[0] if box.holder and box.holder.structures else None)
        kind_and_id = ("1", structure.structure_id) if structure else ("", "")
        place = (
            (structure.name, structure.name, "", "", "12", "", "RUE", structure.street, "", structure.town)
            if structure
            else ("",) * 10
        )
        code = structure.post_code if structure else ""
        yield "|".join(
            (
                box.kind.value,
                box.address,
                *holder[:3],
                *kind_and_id,
                box.service,
                *holder[3:],
                "",
                "",
                "O",
                *place,
                code,
                code[:2],
                "FRANCE",
            )
        )


def _box_holder(holder: Professional | None) -> tuple[str, ...]:
    """The holder's columns: three ids, then title, names, category and profession with their labels."""
    if holder is None:
        return ("",) * 10
    return (
        holder.national_id[0],
        holder.national_id[1:],
        holder.national_id,
        "",
        holder.surname,
        holder.given_name,
        holder.category,
        _CATEGORIES[holder.category],
        holder.profession,
        PROFESSION_LABELS[holder.profession],
    )


def _zip(path: Path, member: str, lines: Iterable[str], published_at: float) -> Path:
    """Write lines as the only member of an archive, put in place whole; the same lines give the same octets."""
    at = utc(published_at)
    entry = zipfile.ZipInfo(member, (at.year, at.month, at.day, at.hour, at.minute, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    new = path.with_name(path.name + ".new")
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry, ("\n".join(lines) + "\n").encode())
    new.replace(path)
    return path
