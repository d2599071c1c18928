"""The root key in a file: for one machine, or where the disk of the keys is another than the mail's.

The file holds one line, `mssmail-root-1:` and 32 octets in base64, mode 0600.
"""

import base64
import binascii
import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mssmail.crypto.envelope import Unsealable, seal, unseal
from mssmail.crypto.format import KEY_OCTETS
from mssmail.crypto.kms.interface import KeyProviderError

_PREFIX = "mssmail-root-1:"


def create_root(path: Path) -> None:
    """Write a new root key, durable before return; raises FileExistsError rather than replace one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = _PREFIX + base64.b64encode(os.urandom(KEY_OCTETS)).decode() + "\n"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class LocalKeyProvider:
    """Wrap keys under a root read from a file once, at start."""

    def __init__(self, path: Path) -> None:
        self._place = str(path)
        try:
            text = path.read_text("ascii").strip()
        except FileNotFoundError:
            raise KeyProviderError(
                f"root key file {path} is missing: restore it, no mail can be opened without"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise KeyProviderError(f"root key file {path} can't be read: {type(error).__name__}") from None
        if not text.startswith(_PREFIX):
            raise KeyProviderError(f"root key file {path} doesn't begin with {_PREFIX!r}: it is not a root key")
        try:
            root = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            root = b""
        if len(root) != KEY_OCTETS:
            raise KeyProviderError(f"root key file {path} is damaged: it must hold {KEY_OCTETS} octets in base64")
        self._root = root

    @property
    def place(self) -> str:
        return self._place

    def fingerprint(self) -> bytes:
        return HKDFExpand(hashes.SHA256(), 16, b"mssmail/1/fingerprint").derive(self._root)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return seal(self._root, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        try:
            return unseal(self._root, wrapped, context)
        except Unsealable:
            raise KeyProviderError(f"a key wasn't wrapped by the root key in {self._place}") from None
