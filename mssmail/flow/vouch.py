"""Whether a host may be given a domain's mail: its certificate, judged as that of an operator's server, and the list.

Asked by the courier, at each connection and before each message. Knows no connection; refuses nothing by itself.
"""

from typing import Final

from mssmail.base.relay import Cause
from mssmail.flow.courier import Unvouched
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.identity.certificates import End
from mssmail.identity.fault import Cause as Fault
from mssmail.identity.fault import Unfit

_CAUSES: Final = {
    Fault.EARLY: Cause.EXPIRED,
    Fault.EXPIRED: Cause.EXPIRED,
    Fault.REVOKED: Cause.REVOKED,
    Fault.NO_LIST: Cause.UNJUDGED,
    Fault.OLD_LIST: Cause.UNJUDGED,
    Fault.NO_ANSWER: Cause.UNJUDGED,
}
"""Anything else is the certificate's own fault."""


class ListVouch:
    """flow's Vouch: by the white list in service."""

    def __init__(self, house: House, standing: Standing) -> None:
        self._house = house
        self._standing = standing

    async def __call__(self, certificate: bytes | None, domain: str) -> str:
        try:
            operator = await self._standing.judge_operator(certificate, End.SERVER)
        except Unfit as unfit:
            raise Unvouched(_CAUSES.get(unfit.fault.cause, Cause.CERTIFICATE), unfit.detail) from unfit
        name = str(operator.name)
        listed = self._house.white_list.current()
        if listed is None:
            raise Unvouched(Cause.UNJUDGED, "no white list is in service", name)
        if not listed.speaks_for(operator.name, domain):
            raise Unvouched(Cause.NOT_LISTED, "its certificate isn't the domain's in the white list", name)
        return name
