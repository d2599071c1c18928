"""Whether a delegate's right still stands, asked within the transaction of each act. In one's own box it always does.

Sessions of a delegate whose right has ended are closed (`sessions`); until they are, nothing is done by it.
"""

from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Right
from mssmail.store import delegations
from mssmail.store.interface import Transaction


def require(tx: Transaction, principal: Principal, needed: Right) -> None:
    """Raises Refusal(NO_RIGHT) where the principal lacks a right in the box that is acted on."""
    if principal.person == principal.account:
        return
    held = principal.rights & delegations.rights(tx, principal.account, principal.person)
    if needed not in held:
        raise Refusal(Reason.NO_RIGHT, f"needs {needed!r}")
