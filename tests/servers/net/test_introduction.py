"""The PROXY protocol: read whole, piece by piece and with a client's octets behind; what isn't one is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.servers.net.introduction import MOST_OCTETS, SIGNATURE, Introduction, Malformed, read


def second(command: int = 0x21, family: int = 0x11, payload: bytes = b"", length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(payload) if length is None else length) + payload


FOUR = bytes([192, 0, 2, 9, 198, 51, 100, 1]) + struct.pack(">HH", 4000, 993)
SIX = bytes.fromhex("20010db8000000000000000000000009" * 2) + struct.pack(">HH", 4000, 993)
TLV = b"\x03\x00\x04abcd"

GOOD = [
    (b"PROXY TCP4 192.0.2.9 198.51.100.1 4000 993\r\n", "192.0.2.9"),
    (b"PROXY TCP6 2001:db8::9 2001:db8::1 4000 993\r\n", "2001:db8::9"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    (second(payload=FOUR), "192.0.2.9"),
    (second(payload=FOUR + TLV), "192.0.2.9"),
    (second(family=0x21, payload=SIX + TLV * 200), "2001:db8::9"),
    (second(command=0x20, family=0, payload=b""), None),
    (second(command=0x20, family=0x11, payload=FOUR), None),
    (second(family=0, payload=TLV), None),
]
BAD = [
    b"a LOGIN",
    b"\x16\x03\x01\x02\x00\x01",
    b"EHLO me\r\n",
    b"PROXY TCP4 192.0.2.9 198.51.100.1 4000 993\n",
    b"PROXY TCP4 192.0.2.9 198.51.100.1 4000\r\n",
    b"PROXY TCP4 192.0.2.9  198.51.100.1 4000 993\r\n",
    b"PROXY TCP4 192.0.2.999 198.51.100.1 4000 993\r\n",
    b"PROXY TCP4 2001:db8::9 198.51.100.1 4000 993\r\n",
    b"PROXY TCP6 192.0.2.9 198.51.100.1 4000 993\r\n",
    b"PROXY TCP4 192.0.2.9 198.51.100.1 4000 65536\r\n",
    b"PROXY TCP4 192.0.2.9 198.51.100.1 -1 993\r\n",
    b"PROXY UDP4 192.0.2.9 198.51.100.1 4000 993\r\n",
    b"PROXY \xff\xff\r\n",
    b"PROXY " + b"x" * 200,
    second(command=0x11, payload=FOUR),
    second(command=0x22, payload=FOUR),
    second(family=0x12, payload=FOUR),
    second(family=0x31, payload=bytes(216)),
    second(payload=FOUR[:-1]),
    second(family=0x21, payload=FOUR),
    second(length=2049),
    SIGNATURE[:-1] + b"X",
]


@pytest.mark.parametrize(("octets", "client"), GOOD)
def test_read(octets: bytes, client: str | None) -> None:
    """An introduction is read once it is whole, and says where it ends."""
    found = Introduction(client, len(octets))
    assert [read(octets[:n]) for n in range(len(octets))] == [None] * len(octets)
    assert read(octets) == read(octets + b"\x16\x03\x01") == found


@pytest.mark.parametrize("octets", BAD)
def test_malformed(octets: bytes) -> None:
    """What is no introduction of a TCP client is refused."""
    with pytest.raises(Malformed):
        read(octets)


@given(st.binary(max_size=64), st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x0c"]))
def test_any_octets(octets: bytes, start: bytes) -> None:
    """Whatever comes, there is an answer, and what is awaited is bounded."""
    try:
        found = read(start + octets)
    except Malformed:
        return
    assert found is None or 0 < found.octets <= min(MOST_OCTETS, len(start + octets))
