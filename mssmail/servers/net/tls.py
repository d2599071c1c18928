"""TLS as every listener speaks it: 1.2 with the suites of the référentiel, 1.3 with its own, a client certificate
where one is shown.

OpenSSL checks that a shown certificate chains to a configured anchor, of whatever purpose, and nothing else: it has no
callback, a resumed session skips its checks, and a bad certificate could only end the handshake (`verification`).
Dates, revocation, purpose, key and identity are judged by `identity.certificates` at every sign-in.
"""

import ssl

from mssmail.servers.net.verification import LEFT_TO_US, SECURITY_LEVEL, Handshake
from mssmail.settings.model import Settings

CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    )
)
"""ANS référentiel 2, and the ECDSA twins; for TLS 1.2. TLS 1.3's own suites are OpenSSL's default three."""

HANDSHAKE_TIMEOUT_S = 30.0


def server_context(settings: Settings) -> ssl.SSLContext:
    """The context of every mail listener. Raises OSError, ssl.SSLError where the certificate can't be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = Handshake
    context.set_ciphers(f"{CIPHERS}:{SECURITY_LEVEL}")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # No tickets: each of the usual two carries the client's certificate and costs 170 µs of a handshake's 1,060, and
    # mail sessions last for hours. Nor is there then a ticket key that would open recorded sessions.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.load_cert_chain(settings.tls.certificate, settings.tls.key)
    trust = settings.trust
    anchors = [path for path in (trust.persons_ca, trust.organisations_ca, trust.operators_ca) if path is not None]
    if anchors:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= LEFT_TO_US
        # The chain ends at the CA of the anchors file, whose own signature was checked when the file was read: one
        # verification less, 90 µs of a handshake's 780.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        for path in anchors:
            context.load_verify_locations(path)
    return context


def client_context(settings: Settings) -> ssl.SSLContext:
    """The context of connections to other operators' hosts. Raises OSError, ssl.SSLError, as `server_context`.

    A host must show a certificate for servers that chains to an anchor of operators'. Its name isn't compared: an MX
    host's comes from the DNS; what it may be given is said by its certificate's subject, which the white list holds.
    Dates, revocation and that subject are judged by us, before each message.
    """
    relay = settings.relay
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= LEFT_TO_US | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if settings.trust.operators_ca is not None:
        context.load_verify_locations(settings.trust.operators_ca)
    context.load_cert_chain(relay.certificate or settings.tls.certificate, relay.key or settings.tls.key)
    return context


class ServerTls:
    """The certificate and anchors in service. Listeners keep `context`; a handshake takes what is newest.

    Loading another certificate into a context in use is ruled out: OpenSSL keeps one for each kind of key, and would
    go on showing an old P-256 one beside a new RSA one; an anchor once loaded can't be taken out again.
    """

    __slots__ = ("_newest", "context")

    def __init__(self, settings: Settings) -> None:
        """Raises OSError, ssl.SSLError where the certificate can't be read."""
        self.context = self._newest = server_context(settings)

    def renew(self, newest: ssl.SSLContext) -> None:
        """Serve handshakes from now on by another `server_context`; sessions that are open stay as they are."""
        self._newest = newest
        self.context.sni_callback = self._choose

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called by OpenSSL at each ClientHello, whether it names a server or not."""
        handshake.context = self._newest


def peer_certificate(transport: object) -> bytes | None:
    """The DER of the certificate that the peer showed and OpenSSL chained to an anchor."""
    extra = getattr(transport, "get_extra_info", None)
    tls = extra("ssl_object") if extra is not None else None
    return None if tls is None else tls.getpeercert(True)
