"""A smart card as clients see one: a PKCS#11 token of SoftHSM, with a certificate and a key that doesn't leave it."""

import os
import shutil
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

PIN, LABEL = "4721", "carte"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so")
MODULE = next((Path(place) for place in MODULES if Path(place).exists()), None)
TOOLS = ("softhsm2-util", "pkcs11-tool")
MISSING = None if MODULE is not None and all(map(shutil.which, TOOLS)) else "needs SoftHSM (softhsm2) and opensc"


class Card:
    """A card of its own, personalised once."""

    def __init__(self, folder: Path, certificate: Path, key: Path) -> None:
        assert MODULE is not None
        tokens = folder / "tokens"
        tokens.mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.module = MODULE
        self.environment = {**os.environ, "SOFTHSM2_CONF": str(configuration), "PKCS11_MODULE_PATH": str(MODULE)}
        self.uri = f"pkcs11:token={LABEL};object=auth"
        (folder / "auth.der").write_bytes(
            x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(serialization.Encoding.DER)
        )
        token = ("--token", LABEL, "--pin", PIN)
        self._run("softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "12345678")
        self._run("softhsm2-util", "--import", str(key), *token, "--label", "auth", "--id", "01")
        write = ("--write-object", str(folder / "auth.der"), "--type", "cert", "--label", "auth", "--id", "01")
        login = ("--login", "--pin", PIN, "--token-label", LABEL)
        self._run("pkcs11-tool", "--module", str(MODULE), *login, *write)
        (folder / "auth.der").unlink()

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, env=self.environment, capture_output=True)
