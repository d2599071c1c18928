"""What a message is made of: header fields, addresses, dates, parts, and the record that listings are read from.

Pure: no I/O, no time, no asyncio. Everything here takes hostile octets and ends in bounded time and memory: no
recursion that a sender controls, no quadratic scan, caps in `limits`. Knows the message formats (RFC 5322, 2045-2047,
2183, 2231) and how IMAP spells them (RFC 3501 §7.4.2); knows no protocol state, no store and no key.
"""
