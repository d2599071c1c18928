"""What lies on disk: labels, associated data and nonces. FINAL: a change here is a new version number beside the old.

Every AES-256-GCM call takes its associated data from here, so that no sealed piece can stand in another's place.
Keys: a body has one random key. HKDF-Expand gives a key for its chunks, one for its record, one for its search text.
Columns of header fields have a random key and a number as a body has, and are wrapped as one.
A body's key is wrapped, for each account that holds it, under HKDF(account key, period key).
"""

import struct
from typing import Final

from mssmail.base.ids import AccountId, BodyId, ChainId, Period

VERSION: Final = 1
KEY_OCTETS: Final = 32
NONCE_OCTETS: Final = 12

CHUNK_OCTETS: Final = 64 * 1024
"""Plain octets of a body sealed at a time; every chunk but the last has exactly that many."""

LABEL_CHUNKS: Final = b"mssmail/1/chunks"
LABEL_RECORD: Final = b"mssmail/1/record"
LABEL_SEARCH: Final = b"mssmail/1/search"
LABEL_COLUMNS: Final = b"mssmail/1/columns"
LABEL_WRAP: Final = b"mssmail/1/wrap"
LABEL_NAMES: Final = b"mssmail/1/names"
LABEL_DIGEST: Final = b"mssmail/1/digest"
LABEL_SYSTEM: Final = b"mssmail/1/system"
LABEL_TRAIL: Final = b"mssmail/1/trail"

_CHUNK = struct.Struct(">8sBQI")
_THREE = struct.Struct(">8sBQQQ")
_TWO = struct.Struct(">8sBQQ")
_NONCE = struct.Struct(">Q3xB")


def chunk_aad(body: BodyId, number: int) -> bytes:
    """Associated data of a body's chunk: format, body, chunk number from 0."""
    return _CHUNK.pack(b"chunk", VERSION, body, number)


def chunk_nonce(number: int, *, final: bool) -> bytes:
    """Nonce of a body's chunk. The key is the body's own, so the counter is unique; the final bit shows truncation."""
    return _NONCE.pack(number, final)


def record_aad(body: BodyId, generation: int) -> bytes:
    """Associated data of a message's record."""
    return _TWO.pack(b"record", VERSION, body, generation)


def search_aad(body: BodyId, generation: int) -> bytes:
    """Associated data of a body's search text."""
    return _TWO.pack(b"search", VERSION, body, generation)


def columns_aad(number: BodyId) -> bytes:
    """Associated data of columns of header fields."""
    return _TWO.pack(b"columns", VERSION, number, 0)


def wrap_aad(account: AccountId, body: BodyId, period: Period) -> bytes:
    """Associated data of a wrapped body key: never the folder or UID, so that COPY takes the wrap as it is."""
    return _THREE.pack(b"wrap", VERSION, account, body, period)


def name_aad(kind: bytes, account: AccountId, number: int) -> bytes:
    """Associated data of a folder's or keyword's name: its kind (at most 8 octets), account and number."""
    return _TWO.pack(kind, VERSION, account, number)


def event_aad(chain: ChainId, sequence: int, at_ms: int, kind: int, account: int) -> bytes:
    """Associated data of an event of the trail: its place and every column that stands in clear."""
    return struct.pack(">8sBQQQHQ", b"event", VERSION, chain, sequence, at_ms, kind, account)


def key_context(kind: str, number: int) -> bytes:
    """Associated data of a key that the root wraps."""
    return f"mssmail/{VERSION}/key/{kind}/{number}".encode()
