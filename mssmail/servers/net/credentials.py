"""What IMAP and submission do with what a SASL exchange ended with: have it judged, and tell a client that its token
isn't taken: which refusals call for an error, and which error.
"""

from typing import Final, assert_never

from mssmail.base.principal import Door, Principal
from mssmail.base.refusal import Reason
from mssmail.flow.bearer import TokenLogin
from mssmail.wire.sasl.bearer import Fault, report
from mssmail.wire.sasl.exchange import Certificate, Challenge, Credentials, Password, Token

_FAULTS: Final = {Reason.TOKEN: Fault.INVALID_TOKEN, Reason.SCOPE: Fault.INSUFFICIENT_SCOPE}


async def judged(login: TokenLogin, door: Door, presented: Credentials) -> Principal:
    """Who this is. Raises Refusal."""
    match presented:
        case Password(authzid, authcid, secret):
            return await login.by_password(door, authzid, authcid, secret)
        case Certificate(authzid):
            return await login.by_certificate(door, authzid)
        case Token(authzid, token):
            return await login.by_token(door, authzid, token)
        case _:
            assert_never(presented)


def complaint(login: TokenLogin, door: Door, presented: Credentials, reason: Reason) -> Challenge | None:
    """The challenge that goes before the failure (RFC 7628 §3.2.2), None where the failure is said at once.

    It is for what another token would mend. A suspension, or our own outage, isn't the token's: told as such, or a
    client would throw a good one away.
    """
    fault = _FAULTS.get(reason)
    if fault is None or not isinstance(presented, Token):
        return None
    return report(presented.carrier, fault, login.scope(door), login.discovery)
