"""Octets to text, whatever a sender calls its charset. Never fails, never asks the codec registry for an unknown name.

The registry keeps every name that it is asked for, and some of its codecs are quadratic or no charsets at all (idna,
punycode, unicode_escape): a name is looked up in its alias table alone, and only charsets of mail pass.
"""

import re
from encodings.aliases import aliases
from functools import lru_cache

_CODECS = frozenset(
    "ascii utf_8 utf_7 utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le latin_1 "
    "iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 iso8859_10 iso8859_11 iso8859_13 "
    "iso8859_14 iso8859_15 iso8859_16 cp437 cp850 cp852 cp855 cp858 cp862 cp866 cp874 cp1250 cp1251 cp1252 cp1253 "
    "cp1254 cp1255 cp1256 cp1257 cp1258 koi8_r koi8_u mac_roman mac_cyrillic mac_greek mac_latin2 mac_turkish "
    "big5 big5hkscs cp949 cp950 cp932 euc_jp euc_kr gb2312 gbk gb18030 hz shift_jis shift_jisx0213 "
    "iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_3 iso2022_jp_ext iso2022_kr tis_620 johab".split()
)
_OTHER = {"utf8": "utf_8", "windows_1252": "cp1252", "iso_8859_8_i": "iso8859_8"}
_SEPARATOR = re.compile(r"[\s\-_]+")


def codec(name: bytes) -> str | None:
    """The codec of a charset's name, None where it is unknown or no charset of mail."""
    return _codec(name) if name and len(name) <= 40 else None


@lru_cache(maxsize=256)
def _codec(name: bytes) -> str | None:
    key = _SEPARATOR.sub("_", name.decode("latin-1").strip(" \t\"'").lower())
    found = _OTHER.get(key) or aliases.get(key) or aliases.get(key.replace(".", "_")) or key
    return found if found in _CODECS else None


def decode(octets: bytes, charset: bytes) -> str:
    """The text of octets; unknown charsets are read as UTF-8 where they are that, else as Latin-1.

    ISO-8859-1 is read as Windows-1252, as browsers do: senders name the one and write the other.
    """
    found = codec(charset)
    if found is None or found == "ascii" or found == "utf_8":
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            return octets.decode("utf-8", "replace") if found == "utf_8" else octets.decode("latin-1")
    if found == "latin_1":
        found = "cp1252"
    try:
        return octets.decode(found, "replace")
    except (UnicodeError, ValueError):
        return octets.decode("latin-1")
