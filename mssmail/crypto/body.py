"""Bodies: chunks of 64 KiB, each compressed alone, then sealed under the body's own key.

A chunk's plain form is one octet (0 stored, 1 zstd) and its content. A body of no octets is one empty final chunk.
`BodySealer` takes octets in any pieces and holds at most one chunk; `BodyOpener` opens any one chunk by itself.
"""

import os
import threading
from collections.abc import Iterator

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mssmail.base.ids import BodyId
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.format import (
    CHUNK_OCTETS,
    KEY_OCTETS,
    LABEL_CHUNKS,
    LABEL_COLUMNS,
    LABEL_RECORD,
    LABEL_SEARCH,
    NONCE_OCTETS,
    chunk_aad,
    chunk_nonce,
    columns_aad,
    record_aad,
    search_aad,
)

_STORED, _ZSTD = b"\0", b"\1"
_LEVEL = 1
"""Level 1: base64 attachments gain as much as at 3, for less time."""
_RECORD_COMPRESSED_OCTETS = 4096
"""A usual record of 1 KB would save 400 octets, and cost each listing and each delivery a turn of the interpreter."""
_MAX_RECORD_OCTETS = 1 << 22
_MAX_SEARCH_OCTETS = 1 << 21
_MAX_COLUMNS_OCTETS = 1 << 23
_local = threading.local()


def subkey(key: bytes, label: bytes) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3): body keys are uniformly random, so there is nothing to extract."""
    return HKDFExpand(hashes.SHA256(), KEY_OCTETS, label).derive(key)


def new_key() -> bytes:
    return os.urandom(KEY_OCTETS)


def _compressor() -> zstandard.ZstdCompressor:
    """One for each thread: they aren't thread-safe, and making one costs more than using it."""
    try:
        return _local.compressor  # type: ignore[no-any-return]
    except AttributeError:
        _local.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False)
        return _local.compressor  # type: ignore[no-any-return]


def _decompressor() -> zstandard.ZstdDecompressor:
    try:
        return _local.decompressor  # type: ignore[no-any-return]
    except AttributeError:
        _local.decompressor = zstandard.ZstdDecompressor()
        return _local.decompressor  # type: ignore[no-any-return]


def _pack(plain: bytes, from_octets: int = 0) -> bytes:
    """The form that is sealed; what is shorter than `from_octets` isn't worth compressing."""
    if len(plain) < from_octets:
        return _STORED + plain
    packed: bytes = _compressor().compress(plain)
    return _ZSTD + packed if len(packed) < len(plain) else _STORED + plain


def _unpack(packed: bytes, limit: int) -> bytes:
    if packed[:1] == _STORED:
        return packed[1:]
    return _decompressor().decompress(packed[1:], max_output_size=limit)


class BodySealer:
    """Turn a body's octets into sealed chunks, holding at most one chunk of plain text."""

    __slots__ = ("_aead", "_body", "_held", "_number", "size_octets")

    def __init__(self, key: bytes, body: BodyId) -> None:
        self._aead = AESGCM(subkey(key, LABEL_CHUNKS))
        self._body = body
        self._held = bytearray()
        self._number = 0
        self.size_octets = 0

    def write(self, plain: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """Take octets; yield each sealed chunk that is complete and known not to be the last."""
        self.size_octets += len(plain)
        self._held += plain
        while len(self._held) > CHUNK_OCTETS:
            yield self._seal(bytes(memoryview(self._held)[:CHUNK_OCTETS]), final=False)
            del self._held[:CHUNK_OCTETS]

    @property
    def unsealed(self) -> bytes | None:
        """The octets taken so far, None where a chunk of them was sealed already."""
        return bytes(self._held) if self._number == 0 else None

    def finish(self) -> bytes:
        """The last sealed chunk."""
        return self._seal(bytes(self._held), final=True)

    def _seal(self, plain: bytes, *, final: bool) -> bytes:
        number = self._number
        self._number += 1
        return self._aead.encrypt(chunk_nonce(number, final=final), _pack(plain), chunk_aad(self._body, number))


class BodyOpener:
    """Open a body's chunks, each by itself."""

    __slots__ = ("_aead", "_body", "_count")

    def __init__(self, key: bytes, body: BodyId, count: int) -> None:
        self._aead = AESGCM(subkey(key, LABEL_CHUNKS))
        self._body = body
        self._count = count

    def open(self, number: int, sealed: bytes) -> bytes:
        """The plain octets of chunk `number`; raises `Unsealable` on any difference, a lost tail included."""
        final = number == self._count - 1
        try:
            packed = self._aead.decrypt(chunk_nonce(number, final=final), sealed, chunk_aad(self._body, number))
            return _unpack(packed, CHUNK_OCTETS)
        except (InvalidTag, ValueError, zstandard.ZstdError) as error:
            raise Unsealable from error


def chunks_of(start: int, end: int) -> range:
    """The numbers of the chunks that hold octets [start, end)."""
    return range(start // CHUNK_OCTETS, -(-max(end, start + 1) // CHUNK_OCTETS))


def seal_record(key: bytes, body: BodyId, record: bytes, generation: int = 0) -> bytes:
    """A message's record: generation (1 octet), then sealed. The key is single-use: each generation has its own."""
    derived = subkey(key, LABEL_RECORD + bytes([generation]))
    nonce = bytes(NONCE_OCTETS)
    return bytes([generation]) + AESGCM(derived).encrypt(
        nonce, _pack(record, _RECORD_COMPRESSED_OCTETS), record_aad(body, generation)
    )


def open_record(key: bytes, body: BodyId, sealed: bytes) -> bytes:
    """A message's record; raises `Unsealable`."""
    derived = subkey(key, LABEL_RECORD + sealed[:1])
    try:
        packed = AESGCM(derived).decrypt(bytes(NONCE_OCTETS), sealed[1:], record_aad(body, sealed[0]))
        return _unpack(packed, _MAX_RECORD_OCTETS)
    except (InvalidTag, IndexError, ValueError, zstandard.ZstdError) as error:
        raise Unsealable from error


def seal_search_text(key: bytes, body: BodyId, text: bytes, generation: int = 0) -> bytes:
    """A message's search text: generation (1 octet), then sealed, padded. Each generation has a key of its own."""
    derived = subkey(key, LABEL_SEARCH + bytes([generation]))
    sealed = AESGCM(derived).encrypt(bytes(NONCE_OCTETS), _padded(_pack(text)), search_aad(body, generation))
    return bytes([generation]) + sealed


def open_search_text(key: bytes, body: BodyId, sealed: bytes) -> bytes:
    """A message's search text; raises `Unsealable`."""
    derived = subkey(key, LABEL_SEARCH + sealed[:1])
    try:
        padded = AESGCM(derived).decrypt(bytes(NONCE_OCTETS), sealed[1:], search_aad(body, sealed[0]))
        return _unpack(_unpadded(padded), _MAX_SEARCH_OCTETS)
    except (InvalidTag, IndexError, ValueError, zstandard.ZstdError) as error:
        raise Unsealable from error


def seal_columns(key: bytes, number: BodyId, columns: bytes) -> bytes:
    """Columns of header fields, padded. The key seals nothing else: changed columns have a new one."""
    padded = _padded(_pack(columns))
    return AESGCM(subkey(key, LABEL_COLUMNS)).encrypt(bytes(NONCE_OCTETS), padded, columns_aad(number))


def open_columns(key: bytes, number: BodyId, sealed: bytes) -> bytes:
    """Columns of header fields; raises `Unsealable`."""
    try:
        padded = AESGCM(subkey(key, LABEL_COLUMNS)).decrypt(bytes(NONCE_OCTETS), sealed, columns_aad(number))
        return _unpack(_unpadded(padded), _MAX_COLUMNS_OCTETS)
    except (InvalidTag, ValueError, zstandard.ZstdError) as error:
        raise Unsealable from error


def _padded(packed: bytes) -> bytes:
    """Length (4 octets, big-endian), octets, and zeros up to the next step: 512, 768, 1024, 1536, 2048 and so on.

    A text's length, compressed, would tell of its content; what is left tells its size within a third or a half.
    """
    length = 4 + len(packed)
    whole = max(512, 1 << (length - 1).bit_length())
    step = whole * 3 // 4 if whole > 512 and length <= whole * 3 // 4 else whole
    return len(packed).to_bytes(4, "big") + packed + bytes(step - length)


def _unpadded(padded: bytes) -> bytes:
    return padded[4 : 4 + int.from_bytes(padded[:4], "big")]
