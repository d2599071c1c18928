"""A DNS server on a real socket, that tells the truth, lies, fails or is silent, by name."""

import asyncio
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SILENT = "silent"
SERVFAIL = "servfail"
REFUSED = "refused"
GARBAGE = "garbage"
STRAY = "stray"
"""An answer to another question."""

Zone = Mapping[str, Mapping[str, Sequence[str]] | str]
"""Names (without a final dot) to their records by type, or to how they aren't answered."""


class NameServer(asyncio.DatagramProtocol):
    """`open` it, then `close`."""

    def __init__(self, zone: Zone) -> None:
        self.zone = dict(zone)
        self.asked: list[tuple[str, str]] = []
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> "NameServer":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    @property
    def place(self) -> str:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        reply = self._reply(data)
        if reply is not None:
            self._transport.sendto(reply, addr)

    def _reply(self, data: bytes) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        found = self.zone.get(name)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if found == SILENT:
            return None
        if found == GARBAGE:
            return data[:2] + b"\xff" * 30
        if found == STRAY:
            other = dns.message.make_query("elsewhere.example.", "MX", id=query.id)
            return dns.message.make_response(other).to_wire()
        if found is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif isinstance(found, str):
            response.set_rcode(dns.rcode.SERVFAIL if found == SERVFAIL else dns.rcode.REFUSED)
        elif kind in found:
            response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, list(found[kind])))
        return response.to_wire()
