"""Who carries mail to other operators, as `relay` sees them, and what a courier has to ask of this house.

The courier knows connections; neither queue nor store nor white list. It is given `Vouch` by app.
"""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from mssmail.base.relay import Attempt, Cause, Errand

Body = Callable[[], AsyncIterator[bytes]]
"""Opens the message, whole, in chunks of any size; called once for each transaction, so that it may be sent again."""


class Courier(Protocol):
    """Carries errands; several at a time, of any domains. Keeps its connections for the next."""

    async def carry(self, errand: Errand, body: Body) -> Attempt:
        """Try once. Never raises for what a peer, the DNS or the network does: that is in the outcomes.

        Ends within bounded time, and holds a bounded part of the message. What `body` raises comes through, once the
        connection was cut so that the peer has nothing; so does ValueError, where the body isn't as long as the errand
        says (cut short on its way from the store, say), or a wish holds what can't be said in a command. Cancelled, it
        cuts the connection: the peer may then have the message, as one in doubt.
        """

    async def close(self) -> None:
        """Take leave of all peers, at once where one is slow."""


class Unvouched(Exception):
    """A peer isn't one that may be given the domain's mail."""

    def __init__(self, cause: Cause, detail: str, operator: str = "") -> None:
        """`operator`: the certificate's name, where it was read."""
        super().__init__(cause.value, detail)
        self.cause = cause
        self.detail = detail
        self.operator = operator


class Vouch(Protocol):
    """Says whether a peer is one of the trust space."""

    async def __call__(self, certificate: bytes | None, domain: str) -> str:
        """Give the printed name (RFC 4514) of the operator whose certificate (DER) it is.

        TLS has verified that it chains to an anchor; dates, revocation, use, and that the white list gives it the
        domain, are judged here. Raises Unvouched(CERTIFICATE, EXPIRED, REVOKED, NOT_LISTED, UNJUDGED).
        """
