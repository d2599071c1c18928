"""How much of a message is understood. What lies beyond is kept and served, never interpreted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on what a sender can make us compute and keep; the defaults are well above what mail programs write."""

    header_octets: int = 256 * 1024
    """Of one header block, the octets that are read; large real ones (references, signatures) reach 64 KiB."""
    headers_octets: int = 1024 * 1024
    """Of all header blocks of one message together, embedded messages included."""
    depth: int = 50
    """Nesting of multiparts and embedded messages. Forwarded chains of thirty are seen; beyond is one opaque part."""
    parts: int = 1000
    """Parts of a message, containers included; the last one takes all that follows."""
    boundary_octets: int = 256
    """RFC 2046 §5.1.1 allows 70; longer ones are seen, none this long."""
    false_boundaries: int = 200_000
    """Lines that begin like a boundary and are none. Each costs about a microsecond; beyond, the rest is opaque."""
    addresses: int = 1000
    """Addresses of one header field that an ENVELOPE shows."""
    parameters: int = 200
    """Parameters of one Content-Type or Content-Disposition."""


DEFAULT = Limits()
