"""In whose name one may write: one's own box, or one delegated (AU-037 art. 7)."""

from collections.abc import Collection

from mssmail.base.address import Address
from mssmail.base.refusal import Reason
from mssmail.policy.verdict import ALLOW, Deny, Verdict


def send(address: Address, owned: Collection[str]) -> Verdict:
    """Decide on a MAIL FROM or an address of header From; `owned`: keys of the identity's addresses."""
    if address.key in owned:
        return ALLOW
    return Deny(Reason.NOT_YOUR_ADDRESS, "neither the identity's own nor delegated to it")
