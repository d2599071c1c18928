"""A Thunderbird profile with one mssmail account, as a user's settings would leave it.

Trust and the user's own certificate lie in NSS's database (cert9.db, key4.db), made by certutil and pk12util.
"""

import json
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

PASSWORD, EXTERNAL, OAUTH2 = 3, 7, 10  # nsMsgAuthMethod: passwordCleartext, External, OAuth2
TLS = 3  # nsMsgSocketType: SSL

# What would put itself between the tester and the mail: first-run pages, questions, what calls home.
QUIET: dict[str, str | int | bool] = {
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "calendar.registerAsDefault": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "extensions.autoDisableScopes": 0,  # an add-on in the profile runs without a question
    "extensions.update.enabled": False,
    "mail.inappnotifications.enabled": False,
    "mail.provider.enabled": False,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spellcheck.inline": False,
    "mail.spotlight.firstRunDone": True,
    "mail.warn_on_send_accel_key": False,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
    "ui.prefersReducedMotion": 1,
}


@dataclass(frozen=True, slots=True)
class Account:
    """What the account's settings hold; ports of listeners with implicit TLS."""

    name: str
    address: str
    imaps: int
    submissions: int
    method: int
    host: str = "localhost"


def preferences(account: Account) -> dict[str, str | int | bool]:
    """The preferences of one IMAP account with its SMTP server, and Local Folders."""
    server, smtp, identity = "mail.server.server1", "mail.smtpserver.smtp1", "mail.identity.id1"
    return {
        **QUIET,
        "mail.accountmanager.accounts": "account1,account2",
        "mail.accountmanager.defaultaccount": "account1",
        "mail.accountmanager.localfoldersserver": "server2",
        "mail.account.account1.identities": "id1",
        "mail.account.account1.server": "server1",
        "mail.account.account2.server": "server2",
        "mail.server.server2.type": "none",
        "mail.server.server2.hostname": "Local Folders",
        "mail.server.server2.userName": "nobody",
        "mail.server.server2.name": "Local Folders",
        f"{server}.type": "imap",
        f"{server}.hostname": account.host,
        f"{server}.port": account.imaps,
        f"{server}.socketType": TLS,
        f"{server}.authMethod": account.method,
        f"{server}.userName": account.address,
        f"{server}.name": account.address,
        f"{server}.login_at_startup": True,
        f"{server}.check_new_mail": True,
        "mail.smtpservers": "smtp1",
        "mail.smtp.defaultserver": "smtp1",
        f"{smtp}.hostname": account.host,
        f"{smtp}.port": account.submissions,
        f"{smtp}.try_ssl": TLS,
        f"{smtp}.authMethod": account.method,
        f"{smtp}.username": account.address,
        f"{identity}.fullName": account.name,
        f"{identity}.useremail": account.address,
        f"{identity}.smtpServer": "smtp1",
        f"{identity}.valid": True,
        f"{identity}.compose_html": False,
        "security.default_personal_cert": "Select Automatically",
    }


def write(folder: Path, account: Account) -> None:
    """Write the preferences."""
    folder.mkdir()
    lines = []
    for name, value in preferences(account).items():
        shown = str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else f'"{value}"'
        lines.append(f'user_pref("{name}", {shown});\n')
    (folder / "user.js").write_text("".join(lines))


def trust(folder: Path, ca: Path) -> None:
    """Make the certificate database; trust the first certificate of a PEM file for servers and clients."""
    database = f"sql:{folder}"
    subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
    command = ["certutil", "-A", "-d", database, "-n", "demo root", "-t", "CT,,", "-a", "-i", str(ca)]
    subprocess.run(command, check=True)


def own(folder: Path, certificate: Path, key: Path) -> None:
    """Import a person's certificate with its key, by way of PKCS#12 as the README tells."""
    bundle = folder / "own.p12"
    command = ["openssl", "pkcs12", "-export", "-in", str(certificate), "-inkey", str(key)]
    command += ["-out", str(bundle)]
    subprocess.run([*command, "-passout", "pass:demo", "-name", "own"], check=True)
    command = ["pk12util", "-i", str(bundle), "-d", f"sql:{folder}", "-W", "demo"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def reader(folder: Path, module: Path) -> None:
    """Add a card reader's PKCS#11 module, as Settings → Security Devices → Load would."""
    command = ["modutil", "-force", "-dbdir", f"sql:{folder}", "-add", "Carte", "-libfile", str(module)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def provider(folder: Path, site: str, host: str) -> None:
    """Add an add-on that names the authorization server at `site` for mail at `host` (docs/sign-in-of-programs.md).

    Thunderbird looks for a provider by hostnames with a dot in them alone. It takes any address that begins as the
    redirect does for the answer, so that pages at `https://localhost:PORT` call for a redirect that begins otherwise.
    """
    name = "provider@mssmail.example"
    manifest = {
        "manifest_version": 2,
        "name": "Test provider",
        "version": "1.0",
        "browser_specific_settings": {"gecko": {"id": name, "strict_min_version": "140.0"}},
        "oauth_provider": {
            "issuer": site.partition("://")[2],
            "clientId": "thunderbird",
            "authorizationEndpoint": f"{site}/oauth/authorize",
            "tokenEndpoint": f"{site}/oauth/token",
            "redirectionEndpoint": "http://localhost",
            "usePKCE": True,
            "hostnames": [host],
            "scopes": "imap smtp",
        },
    }
    extensions = folder / "extensions"
    extensions.mkdir()
    with zipfile.ZipFile(extensions / f"{name}.xpi", "w") as packed:
        packed.writestr("manifest.json", json.dumps(manifest))
