"""Values of the form `type/subtype; name=value` (RFC 2045 §5.1, RFC 2183), and RFC 2231's long and encoded parameters.

Tolerant and linear: comments are dropped, a quote that isn't closed runs to the end, what makes no sense is skipped.
"""

import re
from urllib.parse import unquote_to_bytes

from mssmail.mime.charset import decode
from mssmail.mime.limits import DEFAULT

Parameters = tuple[tuple[bytes, bytes], ...]
"""Names and values as written, in order, quoting removed."""

_PARAMETER = re.compile(
    rb";\s*+([^\s=;\"]++)\s*+=\s*+(?:\"((?:[^\"\\]++|\\.)*)\"?|([^;\"]*+))[^;\"]*+(?:\"(?:[^\"\\]++|\\.)*\"?[^;\"]*+)*",
    re.DOTALL,
)
_MEDIA = re.compile(rb"\s*([^\s/;()<>@,:\\\"\[\]?=]+)\s*/\s*([^\s/;()<>@,:\\\"\[\]?=]+)\s*(?=;|$|\s)")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")


def media_type(value: bytes) -> tuple[bytes, bytes] | None:
    """The type and subtype in lower case, or None where they can't be made out."""
    if (m := _MEDIA.match(value)) is None:
        return None
    return m[1].lower(), m[2].lower()


def parameters(value: bytes, *, limit: int = DEFAULT.parameters) -> Parameters:
    """The parameters after the first semicolon of an uncommented value, at most `limit`."""
    found: list[tuple[bytes, bytes]] = []
    at = value.find(b";")
    while at >= 0 and len(found) < limit:
        if (m := _PARAMETER.match(value, at)) is None:
            at = value.find(b";", at + 1)
            continue
        quoted = m[2]
        if quoted is None:
            found.append((m[1], m[3].rstrip()))
        else:
            found.append((m[1], _ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted))
        at = m.end() if m.end() < len(value) else -1
    return tuple(found)


def parameter(found: Parameters, name: bytes) -> bytes | None:
    """The value of the first parameter of that name (lower case), undecoded."""
    for key, value in found:
        if key.lower() == name:
            return value
    return None


def decoded(found: Parameters) -> dict[str, str]:
    """The parameters as text: sections joined, percent signs undone (RFC 2231 §3, §4), names in lower case.

    Where a name stands both plainly and by RFC 2231, the latter wins. Encoded words in a plain value, which RFC 2047
    §5 forbids and mail programs write, are decoded by the caller, who knows whether the value is shown.
    """
    sections: dict[str, dict[int, tuple[bytes, bool]]] = {}
    plain: dict[str, str] = {}
    for key, value in found:
        if b"*" not in key:
            plain.setdefault(key.decode("latin-1").lower(), decode(value, b""))
            continue
        m = _SECTION.fullmatch(key.decode("latin-1").lower())
        if m is None or (m[2] is None and m[3] is None):
            plain.setdefault(key.decode("latin-1").lower(), decode(value, b""))
        else:
            sections.setdefault(m[1], {}).setdefault(int(m[2] or 0), (value, m[3] is not None))
    for name, pieces in sections.items():
        plain[name] = _joined(pieces)
    return plain


def decoded_one(found: Parameters, name: str) -> str | None:
    """As `decoded` has that one (lower case), None where there is none."""
    wanted = name.encode()
    for key, _ in found:
        if b"*" in key:
            return decoded(found).get(name)
    value = parameter(found, wanted)
    return None if value is None else decode(value, b"")


def _joined(pieces: dict[int, tuple[bytes, bool]]) -> str:
    charset, octets, index = b"", [], 0
    while index in pieces:
        value, encoded = pieces[index]
        if encoded:
            if index == 0 and value.count(b"'") >= 2:
                charset, _, value = value.split(b"'", 2)
            value = unquote_to_bytes(value)
        octets.append(value)
        index += 1
    return decode(b"".join(octets), charset)
