"""SASL PLAIN (RFC 4616): one message, `[authzid] NUL authcid NUL passwd`."""

from mssmail.base.secret import Secret
from mssmail.wire.sasl.exchange import Challenge, Done, Failed, Failure, Password, Step, identity


class Plain:
    """message = [authzid] UTF8NUL authcid UTF8NUL passwd ; authcid and passwd of one character at least"""

    __slots__ = ()

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        parts = response.split(b"\0")
        if len(parts) != 3:
            return Failed(Failure.MALFORMED)
        authzid, authcid, passwd = map(identity, parts)
        if authzid is None or not authcid or not passwd:
            return Failed(Failure.MALFORMED)
        return Done(Password(authzid, authcid, Secret(passwd)))
