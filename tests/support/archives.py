"""IHE XDM archives as software writes them, and as nobody should: real zips, made by the standard library."""

import base64
import io
import struct
import zipfile
from collections.abc import Iterable

NIR = "1.2.250.1.213.1.4.8"
NIA = "1.2.250.1.213.1.4.9"
TEST = "1.2.250.1.213.1.4.10"
CALCULATED = "1.2.250.1.213.1.4.2"
LOCAL = "1.2.250.1.71.4.2.2.999"
ENTRY_SCHEME = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
SET_SCHEME = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
METADATA = "IHE_XDM/SUBSET01/METADATA.XML"


def matricule(number: str = "1850578006084") -> str:
    """A matricule with its key."""
    return f"{number}{97 - int(number) % 97:02}"


def cx(number: str, authority: str = NIR) -> str:
    """A patient's identifier as metadata hold it."""
    return f"{number}^^^&amp;{authority}&amp;ISO^NH"


def metadata(
    source: str = cx(matricule()), entry: str = cx("77^", LOCAL), submission: str = "", *, encoding: str = "UTF-8"
) -> str:
    """METADATA.XML of one document."""
    return f"""<?xml version="1.0" encoding="{encoding}"?>
<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
 xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">
<rim:RegistryObjectList>
<rim:ExtrinsicObject id="Document01" mimeType="text/xml" objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">
<rim:Slot name="creationTime"><rim:ValueList><rim:Value>20261124</rim:Value></rim:ValueList></rim:Slot>
<rim:Slot name="sourcePatientId"><rim:ValueList><rim:Value>{source}</rim:Value></rim:ValueList></rim:Slot>
<rim:Name><rim:LocalizedString value="Compte rendu d'hospitalisation"/></rim:Name>
<rim:ExternalIdentifier identificationScheme="{ENTRY_SCHEME}" value="{entry}" id="ei1" registryObject="Document01">
<rim:Name><rim:LocalizedString value="XDSDocumentEntry.patientId"/></rim:Name></rim:ExternalIdentifier>
</rim:ExtrinsicObject>
<rim:RegistryPackage id="SubmissionSet01">
<rim:ExternalIdentifier identificationScheme="{SET_SCHEME}" value="{submission}" id="ei2" registryObject="S"/>
</rim:RegistryPackage>
</rim:RegistryObjectList>
</lcm:SubmitObjectsRequest>
"""


def archive(
    files: Iterable[tuple[str, bytes]] = (), *, said: str | bytes | None = None, method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """An archive of an index, a document and METADATA.XML (`said`), then of these files."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", method) as made:
        made.writestr("INDEX.HTM", "<html></html>")
        made.writestr("README.TXT", "Archive IHE_XDM")
        made.writestr("IHE_XDM/SUBSET01/DOC0001.XML", "<ClinicalDocument/>" * 50)
        made.writestr(METADATA, metadata() if said is None else said)
        for name, content in files:
            made.writestr(name, content)
    return octets.getvalue()


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of these files alone."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", method) as made:
        for name, content in files:
            made.writestr(name, content)
    return octets.getvalue()


def overlapping(copies: int, content: bytes) -> bytes:
    """A zip bomb of files that are all made of the same octets."""
    plain = zipped((METADATA, content))
    end = struct.unpack("<4s4H2LH", plain[-22:])
    table = plain[end[6] : end[6] + end[5]]
    tables = b"".join(table.replace(b"SUBSET01", b"SUBSET%02d" % n) for n in range(copies))
    body = plain[: end[6]]
    return body + tables + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, copies, copies, len(tables), len(body), 0)


def mail(octets: bytes, *, subject: str = "XDM/1.0/DDM+CR", name: str = "IHE_XDM.ZIP", head: str = "") -> bytes:
    """A message that carries an archive, from Claire to Paul."""
    return (
        (
            f"From: claire.martin@demo.mssante.fr\r\nTo: paul.durand@demo.mssante.fr\r\nSubject: {subject}\r\n{head}"
            'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nBonjour.\r\n--b\r\n'
            f'Content-Type: application/zip; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
        ).encode()
        + base64.encodebytes(octets).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )
