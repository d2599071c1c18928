"""A decision is a value: allowed, or denied for one closed reason."""

from dataclasses import dataclass

from mssmail.base.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class Allow:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Deny:
    """No, and why; the detail is for the trail."""

    reason: Reason
    detail: str = ""

    def refusal(self) -> Refusal:
        return Refusal(self.reason, self.detail)


Verdict = Allow | Deny
ALLOW = Allow()
