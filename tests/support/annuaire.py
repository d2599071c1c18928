"""The shape of the FHIR API of the Annuaire Santé: resources, and a server of pages of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.origin import Answer, Asked, Origin

Resource = dict[str, Any]

_MOS = "https://mos.esante.gouv.fr/NOS"
KEY = "11111111-2222-3333-4444-555555555555"


def box(address: str, kind: str | None = "PER", *, red: bool | None = None, service: str = "") -> Resource:
    """A telecom that is a box."""
    more: list[Resource] = []
    if kind is not None:
        coding = {"system": f"{_MOS}/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL", "code": kind}
        more.append({"url": "type", "valueCodeableConcept": {"coding": [coding]}})
    if service:
        more.append({"url": "service", "valueString": service})
    if red is not None:
        more.append({"url": "listeRouge", "valueBoolean": red})
    return {
        "system": "email",
        "value": address,
        "extension": [
            {
                "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type",
                "valueCoding": {
                    "system": f"{_MOS}/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie",
                    "code": "MSSANTE",
                },
            },
            {
                "url": "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata",
                "extension": more,
            },
        ],
    }


def practitioner(
    ident: str,
    national_id: str,
    *,
    professions: Sequence[tuple[str, str]] = (("10", "C"),),
    telecom: Sequence[Resource] = (),
    family: str = "MARTIN",
    active: bool = True,
) -> Resource:
    qualification = [
        {
            "code": {
                "coding": [
                    {"system": f"{_MOS}/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante", "code": code},
                    {
                        "system": f"{_MOS}/TRE_R09-CategorieProfessionnelle/FHIR/TRE-R09-CategorieProfessionnelle",
                        "code": category,
                    },
                ]
            }
        }
        for code, category in professions
    ]
    degree = {
        "coding": [{"system": f"{_MOS}/TRE_R48-DiplomeEtatFrancais/FHIR/TRE-R48-DiplomeEtatFrancais", "code": "DE05"}]
    }
    return {
        "resourceType": "Practitioner",
        "id": ident,
        "active": active,
        "identifier": [
            {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": national_id},
            {"system": "https://rpps.esante.gouv.fr", "value": national_id[1:]},
        ],
        "name": [{"prefix": ["MME"], "use": "usual", "family": family, "given": ["Claire", "Anne"]}],
        "telecom": list(telecom),
        "qualification": [{"code": degree}, *qualification],
    }


def role(ident: str, of: str, at: str, *, telecom: Sequence[Resource] = (), active: bool = True) -> Resource:
    return {
        "resourceType": "PractitionerRole",
        "id": ident,
        "active": active,
        "practitioner": {"reference": f"Practitioner/{of}"},
        "organization": {"reference": f"Organization/{at}"},
        "telecom": list(telecom),
    }


def organisation(
    ident: str, structure: str, *, name: str = "CENTRE", telecom: Sequence[Resource] = (), active: bool = True
) -> Resource:
    return {
        "resourceType": "Organization",
        "id": ident,
        "active": active,
        "identifier": [{"system": "urn:oid:1.2.250.1.71.4.2.2", "value": structure}],
        "name": name,
        "telecom": list(telecom),
    }


class Annuaire:
    """The API over HTTPS, under `/fhir/v2`. Change `resources`; those in `changed` answer a search since a date."""

    def __init__(self, folder: Path) -> None:
        self.resources: list[Resource] = []
        self.changed: list[Resource] = []
        self.trouble: list[Answer] = []
        """Answers to give first, one a call."""
        self.origin = Origin(folder, self._answer)
        self.base = f"{self.origin.base}/fhir/v2"

    def _answer(self, asked: Asked) -> Answer:
        if asked.headers.get("ESANTE-API-KEY") != KEY:
            return Answer(401)
        if self.trouble:
            return self.trouble.pop(0)
        where = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(where.query).items()}
        kind = where.path.removeprefix("/fhir/v2/")
        among = self.changed if "_lastUpdated" in query else self.resources
        found = [r for r in among if r["resourceType"] == kind]
        size, start = int(query["_count"]), int(query.get("_offset", "0"))
        page = found[start : start + size]
        link = [{"relation": "self", "url": self.origin.base + asked.path}]
        if start + size < len(found):
            plain = asked.path.partition("&_offset=")[0]
            link.append({"relation": "next", "url": f"{self.origin.base}{plain}&_offset={start + size}"})
        entries = [{"resource": r, "search": {"mode": "match"}} for r in page]
        if kind == "PractitionerRole" and "_include" in where.query:
            named = {r[field]["reference"] for r in page for field in ("practitioner", "organization")}
            beside = {f"{r['resourceType']}/{r['id']}": r for r in self.resources}
            entries += [{"resource": beside[n], "search": {"mode": "include"}} for n in sorted(named) if n in beside]
        return bundle(entries, link)

    def close(self) -> None:
        self.origin.close()


def bundle(entries: Sequence[object], link: Sequence[object] = ()) -> Answer:
    body = {"resourceType": "Bundle", "type": "searchset", "link": list(link), "entry": list(entries)}
    return Answer(200, json.dumps(body).encode(), {"Content-Type": "application/fhir+json"})
