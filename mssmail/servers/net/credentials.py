"""How both protocols tell a client that its token isn't taken: which refusals call for an error, and which error."""

from typing import Final

from mssmail.base.refusal import Reason
from mssmail.wire.sasl.bearer import Fault, report
from mssmail.wire.sasl.exchange import Challenge, Credentials, Token

_FAULTS: Final = {Reason.TOKEN: Fault.INVALID_TOKEN, Reason.SCOPE: Fault.INSUFFICIENT_SCOPE}


def complaint(presented: Credentials, reason: Reason, scope: str, discovery: str) -> Challenge | None:
    """The challenge that goes before the failure (RFC 7628 §3.2.2), None where the failure is said at once.

    It is for what another token would mend. A suspension, or our own outage, isn't the token's: told as such, or a
    client would throw a good one away. `scope`, `discovery`: see `wire.sasl.bearer.report`.
    """
    fault = _FAULTS.get(reason)
    if fault is None or not isinstance(presented, Token):
        return None
    return report(presented.carrier, fault, scope, discovery)
