"""Seal and open small things: AES-256-GCM with a random nonce before the sealed octets.

Bodies have their own way (`body`), with a key of their own and a counter.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mssmail.crypto.format import NONCE_OCTETS


class Unsealable(Exception):
    """What was to be opened was altered, moved, or sealed under another key."""


def seal(key: bytes, plain: bytes, aad: bytes) -> bytes:
    """Nonce (12 random octets), then ciphertext and tag: 28 octets more than `plain`."""
    nonce = os.urandom(NONCE_OCTETS)
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The plain octets; raises `Unsealable` on any difference."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], aad)
    except (InvalidTag, ValueError) as error:
        raise Unsealable from error
