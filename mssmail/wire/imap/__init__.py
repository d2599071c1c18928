"""IMAP4rev1 as values (RFC 3501 and its extensions). Knows no socket, store or user; reads no time.

In: `framer` cuts octets into `frame` events within limits; `table.read` finds the command's row, asks `machine` whether
it is in order, and has `parse` read its words (`grammar`) into one of `commands`. A broken protocol is a `fault`.
Out: `responses` are values that `encode` spells; FETCH, being hot, has `fetch` and `internaldate`.
"""
