"""The demo's trust space: two other operators, the one of patients, and the white list that names their certificates.

Knows their names, domains and certificates, and how the list is published; it is put in service by the use-case that an
administrator has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509

from mssmail.demo.people import (
    DOMAIN,
    HOSPITAL,
    HOSPITAL_BOXES,
    HOSPITAL_DOMAIN,
    LABORATORY,
    LABORATORY_BOXES,
    LABORATORY_DOMAIN,
    Structure,
)
from mssmail.demo.pki import DemoPki, Leaf
from mssmail.files import write_whole
from mssmail.flow import trust
from mssmail.flow.house import House
from mssmail.flow.trust import NAMESPACE, TrustLists

PATIENTS_DOMAIN: Final = "patient.mssante.fr"
_PATIENTS: Final = ("185057800608491", "292027510804508")
"""Made-up matricules with their keys."""
_PATIENTS_OPERATOR: Final = Structure("1750099905", "ESPACE PATIENTS (DEMO)", "RUE DES PATIENTS", "75007", "PARIS")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another operator."""

    domain: str
    leaf: Leaf
    addresses: tuple[str, ...]
    reach: Mapping[str, object] = field(default_factory=dict)
    """Where it runs, for demo.json; empty where it is but a certificate."""


@dataclass(frozen=True, slots=True)
class TrustSpace:
    """Everybody else."""

    operators: tuple[Neighbour, ...]
    patients: Neighbour

    def as_json(self) -> dict[str, object]:
        """`operators` and `patients` of demo.json."""
        keys = {"cert": str(self.patients.leaf.cert), "key": str(self.patients.leaf.key)}
        return {
            "operators": [
                {
                    "domain": each.domain,
                    "cert": str(each.leaf.cert),
                    "key": str(each.leaf.key),
                    "addresses": list(each.addresses),
                    **each.reach,
                }
                for each in self.operators
            ],
            "patients": [{"address": address, **keys} for address in self.patients.addresses],
        }


def settle(pki: DemoPki) -> TrustSpace:
    """Make the other operators' certificates, or take those that are there."""
    return TrustSpace(
        (
            operator(pki, HOSPITAL_DOMAIN, HOSPITAL, [box.address for box in HOSPITAL_BOXES]),
            operator(pki, LABORATORY_DOMAIN, LABORATORY, [box.address for box in LABORATORY_BOXES]),
        ),
        patients(pki),
    )


def patients(pki: DemoPki) -> Neighbour:
    """The one that patients have their boxes at."""
    return operator(pki, PATIENTS_DOMAIN, _PATIENTS_OPERATOR, [f"{each}@{PATIENTS_DOMAIN}" for each in _PATIENTS])


def host_of(domain: str) -> str:
    """Which takes a domain's mail."""
    return f"smtp.{domain}"


def operator(pki: DemoPki, domain: str, structure: Structure, addresses: Sequence[str]) -> Neighbour:
    """An operator with its certificate, which serves at both ends of a connection."""
    host = host_of(domain)
    leaf = pki.organisation(
        host, structure.structure_id, structure.name, "Paris (75)", (host, "localhost", "127.0.0.1", "::1")
    )
    return Neighbour(domain, leaf, tuple(addresses))


def named(space: TrustSpace, *own: Leaf) -> tuple[tuple[str, str], ...]:
    """What the white list is to say: domains and certificates' names. `own`: the certificates of `demo.mssante.fr`."""
    others = ((each.domain, _name(each.leaf)) for each in (*space.operators, space.patients))
    return (*others, *((DOMAIN, _name(leaf)) for leaf in own))


async def publish(house: House, listed: Sequence[tuple[str, str]]) -> None:
    """Put the white list in service where the one there lacks somebody or has grown old. Raises Refusal."""
    if trust.status(house).state == "ok" and all(name in trust.shown(house, domain) for domain, name in listed):
        return
    folder = house.settings.trust_list.folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "published.xml"
    write_whole(file, _document(listed, house.clock.now()))
    # one that was put there by hand is replaced, whatever its size
    await TrustLists(house, "demo").load_file(file, allow_shrink=True)


def _name(leaf: Leaf) -> str:
    return x509.load_pem_x509_certificates(leaf.cert.read_bytes())[0].subject.rfc4514_string()


def _document(listed: Sequence[tuple[str, str]], at: float) -> bytes:
    """A list of the published form (DOMAIN.md)."""
    date = datetime.fromtimestamp(int(at), UTC).isoformat()
    domains = "".join(
        f"<Domaine><Nom>{escape(domain)}</Nom><Description>demo</Description>"
        f"<DNCertificatOperateur>{escape(name)}</DNCertificatOperateur><DateMAJ>{date}</DateMAJ></Domaine>\n"
        for domain, name in listed
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ListeBlancheMSSante xmlns="{NAMESPACE}"><DateDeGeneration>{date}</DateDeGeneration><ListeDomaines>\n'
        f"{domains}</ListeDomaines></ListeBlancheMSSante>\n"
    ).encode()
