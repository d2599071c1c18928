"""SASL EXTERNAL (RFC 4422 appendix A): the client relies on its TLS certificate; the message is the authzid, if any."""

from mssmail.wire.sasl.exchange import Certificate, Challenge, Done, Failed, Failure, Step, identity


class External:
    """external-initial-response = authz-id-string ; *( UTF8-char-no-nul ), empty for one's own box"""

    __slots__ = ()

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        authzid = identity(response)
        return Failed(Failure.MALFORMED) if authzid is None else Done(Certificate(authzid))
