"""White lists as their publisher writes them."""

from datetime import UTC, datetime
from xml.sax.saxutils import escape

from mssmail.base.dn import DistinguishedName
from mssmail.directory.trustlist import NAMESPACE

OPERATOR = "CN=smtp.hopital.mssante.fr,OU=1750000002,O=HOPITAL,ST=Puy-de-Dôme (63),C=FR"


def white_list(at: float, *entries: tuple[str, str | DistinguishedName]) -> bytes:
    """A list made at an epoch time; entries are a domain and the name of a certificate that speaks for it."""
    listed = "".join(
        f"<Domaine><Nom>{escape(domain)}</Nom><DNCertificatOperateur>{escape(str(name))}</DNCertificatOperateur></Domaine>"
        for domain, name in entries
    )
    date = datetime.fromtimestamp(at, UTC).isoformat()
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><ListeBlancheMSSante xmlns="{NAMESPACE}">'
        f"<DateDeGeneration>{date}</DateDeGeneration><ListeDomaines>{listed}</ListeDomaines></ListeBlancheMSSante>"
    ).encode()


def domains(at: float, *names: str) -> bytes:
    """The same with one operator for all domains."""
    return white_list(at, *((name, OPERATOR) for name in names))
