"""Identifiers, each a type of its own so that one can't stand where another is meant."""

from typing import Final, NewType

AccountId = NewType("AccountId", int)
"""A mailbox account's number, from 1, never reused."""
POST: Final = AccountId(0)
"""Nobody's: what is on its way to other operators is wrapped for it, whoever sent it."""
FolderId = NewType("FolderId", int)
"""A folder's number, unique over all accounts, never reused (so it serves as UIDVALIDITY's partner)."""
Uid = NewType("Uid", int)
"""An IMAP UID, 1 to 2**32 - 1, strictly ascending in its folder."""
BodyId = NewType("BodyId", int)
"""A sealed body's number, below 2**63: the chain that made it in the high bits, a counter in the low ones."""
Period = NewType("Period", int)
"""A retention period, named by its end in whole seconds of the Unix epoch (UTC)."""
ModSeq = NewType("ModSeq", int)
"""A change's number within an account, from 1 (RFC 7162 calls it mod-sequence)."""
ChainId = NewType("ChainId", int)
"""A registered chain of the trail: one for each lane and start, never reused."""
