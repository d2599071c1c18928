"""What OpenSSL decides about a client's certificate in the handshake, cut down to what we can't: that it chains to an
anchor. And what becomes known of a handshake that fails.

Python's ssl has no callback for a certificate that isn't taken: the handshake ends, the client hears an alert, and the
program nothing. Hence each thing that OpenSSL doesn't judge is one that a sign-in can answer with its reason, while
password and code still let in. `identity.certificates` judges all of it: dates, critical extensions, purpose, key.
"""

import _ssl
import ctypes
import ssl
from typing import Final

from mssmail.metrics.logs import get_logger
from mssmail.metrics.registry import counter

# openssl/x509_vfy.h
_NO_CHECK_TIME: Final = 0x200000
_IGNORE_CRITICAL: Final = 0x10
# openssl/x509v3.h, x509.h
_PURPOSE_ANY: Final = 7
_TRUST_SSL_CLIENT: Final = 2

LEFT_TO_US: Final = ssl.VerifyFlags(_NO_CHECK_TIME | _IGNORE_CRITICAL)
SECURITY_LEVEL: Final = "@SECLEVEL=1"
"""For the list of ciphers. At level 2, Debian's default, a client's RSA key of 1024 bits ends the handshake; at 1 it is
shown to us. Of all else that the levels govern, TLS 1.2 at least, suites and the curves are fixed by us, SHA-1 is
refused at both, and our own key is checked by `mssmail doctor`."""

_CAUSES: Final = {
    2: "stranger",  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
    7: "signature",  # X509_V_ERR_CERT_SIGNATURE_FAILURE
    18: "self-signed",
    19: "self-signed",  # in its chain
    20: "stranger",  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: "stranger",  # X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
    22: "chain",  # too long
    24: "chain",  # X509_V_ERR_INVALID_CA
    25: "chain",  # path length exceeded
    26: "purpose",
    66: "weak-key",
    67: "weak-key",  # of a CA
    68: "weak-signature",
    79: "chain",  # X509_V_ERR_INVALID_CA
}
"""X509_V_ERR_… to words."""

_failed = counter("mssmail_tls_handshakes_failed_total", "TLS handshakes that failed, by cause.", labels=("reason",))
_log = get_logger("servers.tls")


def judge_purpose_ourselves() -> bool:
    """Have OpenSSL leave a client certificate's purpose to us, in this process; whether it does.

    Its defaults for servers that verify clients are the parameters named `ssl_client`, which want the purpose of a TLS
    client; an entry of the same name in its public table goes before them (X509_VERIFY_PARAM_add0_table(3)). ssl offers
    no way to it. Where OpenSSL's functions can't be reached, built into the interpreter say, such a certificate ends
    the handshake, counted and logged like any other.
    """
    try:
        library = ctypes.CDLL(_ssl.__file__)
        new, name, purpose, trust, add = (
            getattr(library, f"X509_VERIFY_PARAM_{what}")
            for what in ("new", "set1_name", "set_purpose", "set_trust", "add0_table")
        )
    except (OSError, AttributeError):
        return False
    new.restype = ctypes.c_void_p
    for function, arguments in (
        (name, [ctypes.c_void_p, ctypes.c_char_p]),
        (purpose, [ctypes.c_void_p, ctypes.c_int]),
        (trust, [ctypes.c_void_p, ctypes.c_int]),
        (add, [ctypes.c_void_p]),
    ):
        function.argtypes = arguments
    parameters = new()
    if not parameters:
        return False
    return bool(
        name(parameters, b"ssl_client")
        and purpose(parameters, _PURPOSE_ANY)
        and trust(parameters, _TRUST_SSL_CLIENT)
        and add(parameters)
    )


PURPOSE_LEFT_TO_US: Final = judge_purpose_ourselves()


class Handshake(ssl.SSLObject):
    """A server's end of TLS that tells why a handshake failed; both event loops keep that to themselves."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLCertVerificationError as error:
            cause = _CAUSES.get(error.verify_code, "certificate")
            _failed.labels(reason=cause).inc()
            _log.warning("client certificate ends the handshake", cause=cause, openssl=error.verify_message)
            raise
        except ssl.SSLError as error:
            cause = "alert" if "ALERT" in (error.reason or "") else "protocol"
            _failed.labels(reason=cause).inc()
            _log.debug("handshake failed", cause=cause, openssl=error.reason)
            raise
