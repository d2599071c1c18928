"""SASL LOGIN (draft-murchison-sasl-login): a name, then a password, each after a prompt. Obsolete, and still in use.

An initial response is taken as the name, as Outlook sends it over SMTP.
"""

from mssmail.base.secret import Secret
from mssmail.wire.sasl.exchange import Challenge, Done, Failed, Failure, Password, Step, identity

NAME_PROMPT = b"Username:"
PASSWORD_PROMPT = b"Password:"
"""Old clients compare these two, to the letter."""


class Login:
    """Two prompts: `Username:`, `Password:`."""

    __slots__ = ("_name",)

    def __init__(self) -> None:
        self._name: str | None = None

    def start(self, initial: bytes | None) -> Step:
        return Challenge(NAME_PROMPT) if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        text = identity(response)
        if not text:
            return Failed(Failure.MALFORMED)
        if self._name is None:
            self._name = text
            return Challenge(PASSWORD_PROMPT)
        return Done(Password("", self._name, Secret(text)))
