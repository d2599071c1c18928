"""Search texts and columns: what was sealed opens, and its length tells little."""

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mssmail.base.ids import BodyId
from mssmail.crypto.body import (
    new_key,
    open_columns,
    open_search_text,
    seal_columns,
    seal_search_text,
    subkey,
)
from mssmail.crypto.envelope import Unsealable

BODY = BodyId(7)


@pytest.mark.parametrize("size", [0, 1, 506, 507, 508, 762, 763, 764, 100_000])
def test_what_was_sealed_opens(size: int) -> None:
    """Whatever the size, and whether it compresses or not."""
    key = new_key()
    for plain in (b"a" * size, os.urandom(size)):
        assert open_search_text(key, BODY, seal_search_text(key, BODY, plain)) == plain
        assert open_columns(key, BODY, seal_columns(key, BODY, plain)) == plain


@pytest.mark.parametrize(
    ("size", "step"),
    [(0, 512), (507, 512), (508, 768), (763, 768), (764, 1024), (1019, 1024), (1020, 1536), (1532, 2048)],
)
def test_lengths_go_in_steps(size: int, step: int) -> None:
    """A sealed text is as long as its step, generation and tag; of what doesn't compress, five octets are ours."""
    plain = os.urandom(size)
    assert len(seal_search_text(new_key(), BODY, plain)) == 1 + step + 16
    assert len(seal_columns(new_key(), BODY, plain)) == step + 16


def test_touched_ones_do_not_open() -> None:
    """Another body, another generation, a flipped bit, a lost end, the one in place of the other."""
    key = new_key()
    text = seal_search_text(key, BODY, b"text", 1)
    columns = seal_columns(key, BODY, b"columns")
    assert open_search_text(key, BODY, text) == b"text"
    for body, octets in (
        (BodyId(8), text),
        (BODY, b"\0" + text[1:]),
        (BODY, text[:-1] + bytes([text[-1] ^ 1])),
        (BODY, text[:-1]),
        (BODY, b""),
        (BODY, columns),
    ):
        with pytest.raises(Unsealable):
            open_search_text(key, body, octets)
    for body, octets in ((BodyId(8), columns), (BODY, columns[:-1]), (BODY, b""), (BODY, text[1:])):
        with pytest.raises(Unsealable):
            open_columns(key, body, octets)


def test_what_lies_on_disk() -> None:
    """The layout is final: key, nonce, associated data, length, content, zeros."""
    key = bytes(range(32))
    plain = b"\0\0\0\2\0x" + bytes(506)
    number = (7).to_bytes(8, "big")
    for sealed, label, aad in (
        (seal_search_text(key, BODY, b"x", 3)[1:], b"mssmail/1/search\3", b"search\0\0\1" + number + b"\0" * 7 + b"\3"),
        (seal_columns(key, BODY, b"x"), b"mssmail/1/columns", b"columns\0\1" + number + b"\0" * 8),
    ):
        assert AESGCM(subkey(key, label)).decrypt(bytes(12), sealed, aad) == plain
