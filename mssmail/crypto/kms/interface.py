"""What a key provider does: wrap and unwrap 32-octet keys under a root that it doesn't give away."""

from typing import Protocol


class KeyProviderError(Exception):
    """The root key is missing, unreadable, malformed or out of reach; the text names where and is safe to show."""


class KeyProvider(Protocol):
    """A root key somewhere: a file, a token."""

    @property
    def place(self) -> str:
        """Where the root is, for messages to an administrator."""

    def fingerprint(self) -> bytes:
        """16 octets that tell one root from another, and nothing more."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Seal `key`; `context` must be given again to unwrap. May block."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key; raises `KeyProviderError` where it was wrapped under another root or context. May block."""
