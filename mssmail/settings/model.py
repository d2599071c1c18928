"""Every setting: its section, key, kind, default and one sentence. The single source for loading and for the reference.

An attribute bears the name of its TOML key; its type says the unit (`Seconds`, `Octets`, `Port`). Values here are
valid on their own; what must hold between settings is checked in `load`. Relative paths are made absolute by `place`.
"""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from mssmail.base.network import Network
from mssmail.base.role import Act
from mssmail.settings import kind
from mssmail.settings.field import confidential as _confidential
from mssmail.settings.field import required as _required
from mssmail.settings.field import setting as _setting
from mssmail.settings.kind import AnyKind, Port
from mssmail.settings.provider import OpenIdProvider
from mssmail.settings.queue import Queue
from mssmail.settings.trust_space import Operators, Patients, Relay, TrustList
from mssmail.settings.units import Octets, Seconds

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
DAY: Final = 86_400


# TRE_G15: the professions bound by secrecy that the trust space admits.
# fmt: off
PROFESSIONS: Final = (
    "10", "21", "26", "28", "31", "32", "40", "50", "60", "69", "70", "80",
    "81", "82", "83", "84", "85", "86", "91", "92", "94", "95", "96", "98",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting beside its value. `required`: has no sensible default, must be given."""

    section: str
    key: str
    kind: AnyKind
    sentence: str
    default: object
    required: bool
    confidential: bool

    @property
    def name(self) -> str:
        return f"{self.section}.{self.key}"


@dataclass(frozen=True, slots=True)
class Server:
    name: str = _setting(
        kind.text(), "localhost", "Name that the server gives of itself in greetings and trace headers."
    )
    domains: tuple[str, ...] = _required(
        kind.many(kind.text()), (), "Mail domains this server holds boxes of; lower case, at least one."
    )
    data: Path = _setting(
        kind.path(), Path("/var/lib/mssmail"), "Data folder; whatever has no place of its own lies under it."
    )
    workers: int = _setting(kind.integer(1, 256), 1, "Worker processes that share the listeners' ports.")
    loopback_unlimited: bool = _setting(
        kind.switch(),
        False,
        "Whether connections, good sign-ins and mails from 127.0.0.0/8 and ::1 go uncapped; limits on failures stay.",
    )


@dataclass(frozen=True, slots=True)
class Listen:
    host: str = _setting(kind.text(), "", "Address that the mail listeners bind; empty: every interface.")
    smtp: Port | None = _setting(
        kind.port(), None, "Mail of other operators, as 25; STARTTLS and client certificate required (RFC 5321)."
    )
    submission: Port | None = _setting(kind.port(), Port(587), "Submission, STARTTLS required (RFC 6409).")
    submissions: Port | None = _setting(kind.port(), Port(465), "Submission over implicit TLS (RFC 8314).")
    imap: Port | None = _setting(kind.port(), Port(143), "IMAP, STARTTLS required before any sign-in.")
    imaps: Port | None = _setting(kind.port(), Port(993), "IMAP over implicit TLS.")
    https: Port | None = _setting(
        kind.port(), Port(443), "Pages for users, sign-in of programs (RFC 6749) and enrolment, over HTTPS."
    )
    metrics: Port | None = _setting(kind.port(), None, "Prometheus metrics over plain HTTP.")
    metrics_host: str = _setting(kind.text(), "127.0.0.1", "Address that the metrics listener binds.")


@dataclass(frozen=True, slots=True)
class Proxy:
    listeners: tuple[str, ...] = _setting(
        kind.many(kind.one_of("smtp", "submission", "submissions", "imap", "imaps", "https")),
        (),
        "Listeners whose connections all come through a proxy that names the client by the PROXY protocol, 1 or 2.",
    )
    networks: tuple[Network, ...] = _setting(
        kind.many(kind.network()),
        (),
        "Networks of the proxies that may do so; connections to `listeners` from elsewhere are closed.",
    )


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Path = _required(
        kind.path(),
        Path(),
        "The server's certificate, then its intermediates, as PEM; TLS 1.2 is the least in any case.",
    )
    key: Path = _required(kind.path(), Path(), "The private key of `certificate`, PEM without a passphrase.")


@dataclass(frozen=True, slots=True)
class Trust:
    persons_ca: Path | None = _setting(
        kind.optional_path(), None, "PEM file of the anchors of persons' certificates; empty: none is taken."
    )
    organisations_ca: Path | None = _setting(
        kind.optional_path(),
        None,
        "PEM file of the anchors of organisations' and applications' certificates; empty: none is taken.",
    )
    crls: tuple[Path, ...] = _setting(
        kind.many(kind.path()), (), "Revocation lists, PEM or DER; an expired one closes its issuer's certificates out."
    )
    operators_ca: Path | None = _setting(
        kind.optional_path(), None, "PEM file of the anchors of other operators' certificates; empty: none is taken."
    )
    crl_sources: tuple[str, ...] = _setting(
        kind.many(kind.text()), (), "Addresses (http:// or https://) that the CAs' revocation lists are fetched from."
    )
    crl_distribution_points: bool = _setting(
        kind.switch(), True, "Whether lists are fetched too from where certificates of the anchors say they lie."
    )
    crl_refresh_interval: Seconds = _setting(
        kind.duration(60, 7 * DAY), Seconds(3600), "How often revocation lists are fetched."
    )
    crl_folder: Path = _setting(
        kind.path_or_default(), Path(), "Folder of the lists fetched; empty: `revocation` under the data folder."
    )
    ocsp: str = _setting(
        kind.one_of("off", "prefer", "require"),
        "off",
        "Whether OCSP is asked at sign-in; prefer: lists decide where no responder answers, require: nobody is let in.",
    )
    ocsp_responder: str = _setting(
        kind.text(), "", "Address of the OCSP responder; empty: the one that the certificate names."
    )
    ocsp_timeout: Seconds = _setting(kind.duration(1, 30), Seconds(3), "How long a sign-in waits for OCSP.")
    ocsp_max_age: Seconds = _setting(
        kind.duration(0, 7 * DAY), Seconds(3600), "How long an OCSP answer serves again, within its own time."
    )
    require_client_usage: bool = _setting(
        kind.switch(),
        False,
        "Whether a certificate must say that it is for clients; else one that names no use is taken (RFC 5280).",
    )
    allow_test_hierarchy: bool = _setting(
        kind.switch(), False, "Whether certificates of IGC-Santé's test hierarchy are taken; never in production."
    )


@dataclass(frozen=True, slots=True)
class Auth:
    grant_lifetime: Seconds = _setting(
        kind.duration(0, 30 * DAY),
        Seconds(8 * 3600),
        "How long a sign-in by password and code serves the same client address; 0s: a new code each time.",
    )
    grant_bare_password: bool = _setting(
        kind.switch(), False, "Whether the password alone is enough within a grant; a shared address makes that unsafe."
    )
    max_failures: int = _setting(
        kind.integer(1, 10),
        10,
        "Failed sign-ins, by client address and by account, after which more are refused (CNIL 2022-100: at most 10).",
    )
    failure_window: Seconds = _setting(
        kind.duration(1, 30 * DAY), Seconds(3600), "How long a failed sign-in counts towards `max_failures`."
    )
    lock_time: Seconds = _setting(
        kind.duration(1, 30 * DAY), Seconds(15 * 60), "How long sign-in is refused once `max_failures` is reached."
    )
    never_banned: tuple[Network, ...] = _setting(
        kind.many(kind.network()),
        (),
        "Networks whose addresses failures never close, as a clinic's one address for many people; "
        "those on each account count all the same.",
    )
    notices: bool = _setting(
        kind.switch(),
        True,
        "Whether a professional is told by mail of a sign-in to their account from an area it never came from.",
    )
    totp_drift_steps: int = _setting(
        kind.integer(0, 5), 1, "30-second steps a code's clock may be off, either way (RFC 6238 §5.2)."
    )
    argon2_memory: Octets = _setting(
        kind.size(8 * MIB, 4 * GIB), Octets(19 * MIB), "Memory of one Argon2id hash; new and changed passwords take it."
    )
    argon2_time: int = _setting(kind.integer(1, 100), 2, "Passes of one Argon2id hash.")
    argon2_parallelism: int = _setting(kind.integer(1, 64), 1, "Lanes of one Argon2id hash.")


@dataclass(frozen=True, slots=True)
class OAuth:
    access_lifetime: Seconds = _setting(
        kind.duration(60, DAY), Seconds(3600), "How long an access token serves (RFC 6749 §1.4)."
    )
    refresh_lifetime: Seconds = _setting(
        kind.duration(60, 365 * DAY),
        Seconds(30 * DAY),
        "How long a refresh token may lie unused; each use gives a new one (RFC 9700 §4.14.2).",
    )
    authorization_lifetime: Seconds = _setting(
        kind.duration(60, 3650 * DAY),
        Seconds(180 * DAY),
        "Longest time from a user's consent until a program has to ask for it again.",
    )
    device_lifetime: Seconds = _setting(
        kind.duration(60, 3600), Seconds(600), "How long a device waits for its user to enter a code (RFC 8628 §3.2)."
    )
    registration: bool = _setting(
        kind.switch(), False, "Whether public programs may register themselves (RFC 7591); users see unvouched names."
    )


@dataclass(frozen=True, slots=True)
class Web:
    address: str = _setting(
        kind.text(),
        "",
        "Address by which users and programs reach the HTTPS port, https://host:port without a path; "
        "empty: https:// with server.name and listen.https.",
    )
    session_idle: Seconds = _setting(
        kind.duration(60, DAY), Seconds(15 * 60), "Silence after which a signed-in browser has to sign in again."
    )
    enrolment_lifetime: Seconds = _setting(
        kind.duration(60, 90 * DAY),
        Seconds(3 * DAY),
        "How long a holder has to set password and code by the link that `mssmail account enrol` gives.",
    )
    max_connections_per_address: int = _setting(
        kind.integer(1, 100_000), 100, "Connections open at once from one client address."
    )


@dataclass(frozen=True, slots=True)
class OpenId:
    providers: tuple[OpenIdProvider, ...] = _setting(
        kind.many(kind.table(OpenIdProvider)),
        (),
        "OpenID providers whose tokens open their holders' boxes over IMAP and SMTP, each a [[openid.providers]].",
    )
    end_with_token: bool = _setting(
        kind.switch(),
        False,
        "Whether a session ends, within half a minute, when the token that opened it expires: Pro Santé Connect's last "
        "minutes, and a mail client that waits for mail would sign in anew all day.",
    )


@dataclass(frozen=True, slots=True)
class Delegation:
    max_term: Seconds | None = _setting(
        kind.or_word("unlimited", kind.duration(60)),
        None,
        "Longest time that a box may be delegated for; unlimited: also until it is withdrawn.",
    )
    notices: bool = _setting(
        kind.switch(), True, "Whether a box is told by mail to whom it was opened, unless it was made that same day."
    )
    local_list: bool = _setting(
        kind.switch(),
        False,
        "Whether an administrator may enter employees of a structure of the directory who aren't in it themselves "
        "(AU-037 art. 7): they act in boxes delegated to them, and have none.",
    )


@dataclass(frozen=True, slots=True)
class Smtp:
    max_message_size: Octets = _setting(
        kind.size(64 * KIB, 2 * GIB),
        Octets(50 * MIB),
        "Largest message taken; announced by SIZE (RFC 1870) and by APPENDLIMIT (RFC 7889).",
    )
    max_recipients: int = _setting(
        kind.integer(100, 10_000), 100, "Recipients of one message (RFC 5321 §4.5.3.1.8: at least 100)."
    )
    timeout: Seconds = _setting(
        kind.duration(1, 3600),
        Seconds(300),
        "Silence after which a connection is closed (RFC 5321 §4.5.3.2.7: 5 minutes at least).",
    )
    max_connections_per_address: int = _setting(
        kind.integer(1, 100_000), 50, "Connections open at once from one client address."
    )
    max_messages_per_hour: int = _setting(
        kind.integer(0, 1_000_000), 1000, "Messages one account may submit in an hour; 0: any number."
    )


@dataclass(frozen=True, slots=True)
class Sending:
    messages_per_hour: int = _setting(
        kind.integer(0, 1_000_000),
        200,
        "Messages a person may send in an hour of the clock, from all their boxes; 0: any number.",
    )
    messages_per_day: int = _setting(
        kind.integer(0, 10_000_000), 1000, "Messages a person may send in a day of the clock (UTC); 0: any number."
    )
    recipients_per_hour: int = _setting(
        kind.integer(0, 1_000_000),
        500,
        "Recipients, summed over messages, that a person may write to in an hour; 0: any number.",
    )
    recipients_per_day: int = _setting(
        kind.integer(0, 10_000_000),
        2000,
        "Recipients, summed over messages, that a person may write to in a day; 0: any number.",
    )
    mss_headers: str = _setting(
        kind.one_of("off", "warn"),
        "off",
        "Whether a sender is told by mail, once a day at most, which X-MSS-… fields their program leaves out.",
    )


@dataclass(frozen=True, slots=True)
class Application:
    messages_per_hour: int = _setting(
        kind.integer(0, 1_000_000),
        1000,
        "Messages an application's box may send in an hour of the clock, unless it has a limit of its own; "
        "0: any number.",
    )
    messages_per_day: int = _setting(
        kind.integer(0, 10_000_000), 10_000, "Messages an application's box may send in a day (UTC); 0: any number."
    )
    recipients_per_hour: int = _setting(
        kind.integer(0, 1_000_000),
        2000,
        "Recipients, summed over messages, that an application's box may write to in an hour; 0: any number.",
    )
    recipients_per_day: int = _setting(
        kind.integer(0, 10_000_000),
        20_000,
        "Recipients, summed over messages, that an application's box may write to in a day; 0: any number.",
    )
    recipients_per_message: int = _setting(
        kind.integer(1, 10_000), 100, "Recipients of one message of an application's box."
    )


@dataclass(frozen=True, slots=True)
class Imap:
    idle_timeout: Seconds = _setting(
        kind.duration(1, DAY),
        Seconds(30 * 60),
        "Silence after which a signed-in connection is closed (RFC 9051 §5.4: 30 minutes at least).",
    )
    login_timeout: Seconds = _setting(
        kind.duration(1, 3600),
        Seconds(180),
        "Time a connection has to sign in before it is closed; a mail program's waits while its user is in a browser.",
    )
    max_connections_per_account: int = _setting(
        kind.integer(1, 100_000), 50, "Connections one account may have open at once."
    )
    max_connections_per_address: int = _setting(
        kind.integer(1, 1_000_000), 500, "Connections open at once from one client address."
    )


@dataclass(frozen=True, slots=True)
class Retention:
    default: Seconds = _setting(
        kind.duration(1), Seconds(90 * DAY), "Term of a message from its arrival, where its account has no other."
    )
    period: Seconds | None = _setting(
        kind.or_word("auto", kind.duration(1)),
        None,
        "Length of the periods that mail is erased by; auto: the shorter of a day and a twentieth of the term, "
        "at least a second.",
    )
    interval: Seconds = _setting(kind.duration(1, 7 * DAY), Seconds(3600), "How often the purge looks for what is due.")
    maximum: Seconds = _setting(
        kind.duration(1), Seconds(3650 * DAY), "Longest term that an account or a message may be given."
    )


@dataclass(frozen=True, slots=True)
class Store:
    database: str = _confidential(
        kind.text(),
        "",
        "Database of the mail, an SQLAlchemy address as sqlite:////path or postgresql+psycopg://…; "
        "empty: SQLite at mail.db under the data folder.",
    )
    bodies: str = _confidential(
        kind.text(),
        "",
        "Where sealed bodies beyond `inline_max` lie, file:///path or s3://BUCKET?endpoint=…; "
        "empty: bodies/ under the data folder.",
    )
    inline_max: Octets = _setting(
        kind.size(0, 64 * MIB), Octets(256 * KIB), "Sealed bodies up to this size live in the database."
    )
    quota: Octets = _setting(kind.size(MIB), Octets(10 * GIB), "Quota of an account that has none of its own.")


@dataclass(frozen=True, slots=True)
class Keys:
    provider: str = _confidential(
        kind.text(),
        "",
        "Holder of the root key, file:///path; keep it off the disk and the backups that hold the mail.",
        required=True,
    )
    store: str = _confidential(
        kind.text(),
        "",
        "Key store's own database, an SQLAlchemy address, never backed up with the mail; "
        "empty: SQLite at keys/keys.db under the data folder.",
    )


@dataclass(frozen=True, slots=True)
class Directory:
    folder: Path = _setting(
        kind.path_or_default(), Path(), "Folder of the directory's snapshots; empty: directory/ under the data folder."
    )
    allowed_professions: tuple[str, ...] = _setting(
        kind.many(kind.text()),
        PROFESSIONS,
        "Profession codes (TRE_G15) whose holders may have a box.",
    )
    shrink_limit: float = _setting(
        kind.fraction(), 0.05, "Share of its rows a new extract may lack before it is refused without --allow-shrink."
    )
    source: tuple[str, ...] = _confidential(
        kind.many(kind.text()),
        (),
        "Where new extracts are fetched from: a folder as file:///path, and addresses as https://…; empty: nowhere.",
    )
    source_ca: Path | None = _setting(
        kind.optional_path(),
        None,
        "PEM file of the authorities that `source` and `fhir` are trusted by; empty: the system's own.",
    )
    refresh_interval: Seconds = _setting(
        kind.duration(1, 7 * DAY), Seconds(6 * 3600), "How often `source` and `fhir` are asked for what is new."
    )
    fhir: str = _setting(
        kind.text(),
        "",
        "Base address of the Annuaire Santé's FHIR API, https://gateway.api.esante.gouv.fr/fhir/v2; empty: not used.",
    )
    fhir_key: Path | None = _setting(
        kind.optional_path(), None, "File that holds the API key for `fhir`, readable by this server alone."
    )
    stale_after: Seconds = _setting(
        kind.duration(1), Seconds(3 * DAY), "Age of the directory from which an alarm is raised once a day."
    )
    max_age: Seconds = _setting(
        kind.duration(1),
        Seconds(14 * DAY),
        "Time since the last load from which recipients and new boxes are refused for now, as no registration can be "
        "vouched for; the publisher's longest known gap is 10 days, and four more are for mending what broke.",
    )


@dataclass(frozen=True, slots=True)
class Audit:
    retention: Seconds = _setting(
        kind.duration(DAY),
        Seconds(183 * DAY),
        "How long the trail is kept; six months are recommended (ANS FAQ 10217).",
    )
    checkpoint_interval: Seconds = _setting(
        kind.duration(1, 3600), Seconds(10), "How often the trail's chains are tied by a signed checkpoint."
    )


@dataclass(frozen=True, slots=True)
class Admin:
    socket: Path = _setting(
        kind.path_or_default(),
        Path(),
        "Socket by which administrators give commands without a right to the data folder, in a folder that they can "
        "enter; empty: admin.sock in the data folder.",
    )
    group: str = _setting(
        kind.text(), "", "Group whose members alone may open the socket; empty: everybody, and their roles decide."
    )
    two_persons: tuple[str, ...] = _setting(
        kind.many(kind.one_of(*(act.value for act in Act))),
        (),
        "Acts that wait until a second administrator approves them.",
    )
    order_lifetime: Seconds = _setting(
        kind.duration(60, 30 * DAY), Seconds(72 * 3600), "How long an act of `two_persons` waits for the second."
    )


@dataclass(frozen=True, slots=True)
class Log:
    level: str = _setting(
        kind.one_of("debug", "info", "warning", "error"), "info", "Least level written; debug shows addresses."
    )
    format: str = _setting(kind.one_of("json", "console"), "json", "Shape of a log line, on standard error.")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, by section."""

    server: Server = field(default_factory=Server)
    listen: Listen = field(default_factory=Listen)
    proxy: Proxy = field(default_factory=Proxy)
    tls: Tls = field(default_factory=Tls)
    trust: Trust = field(default_factory=Trust)
    auth: Auth = field(default_factory=Auth)
    oauth: OAuth = field(default_factory=OAuth)
    openid: OpenId = field(default_factory=OpenId)
    delegation: Delegation = field(default_factory=Delegation)
    web: Web = field(default_factory=Web)
    smtp: Smtp = field(default_factory=Smtp)
    sending: Sending = field(default_factory=Sending)
    application: Application = field(default_factory=Application)
    imap: Imap = field(default_factory=Imap)
    retention: Retention = field(default_factory=Retention)
    store: Store = field(default_factory=Store)
    keys: Keys = field(default_factory=Keys)
    directory: Directory = field(default_factory=Directory)
    trust_list: TrustList = field(default_factory=TrustList)
    operators: Operators = field(default_factory=Operators)
    patients: Patients = field(default_factory=Patients)
    relay: Relay = field(default_factory=Relay)
    queue: Queue = field(default_factory=Queue)
    audit: Audit = field(default_factory=Audit)
    admin: Admin = field(default_factory=Admin)
    log: Log = field(default_factory=Log)


def _described(section: str, of: "Field[Any]") -> Setting:
    more = of.metadata
    return Setting(
        section,
        of.name,
        more["kind"],
        more["sentence"],
        of.default,
        more.get("required", False),
        more.get("confidential", False),
    )


def all_settings() -> Iterator[Setting]:
    """Every setting, in the order in which the reference shows them."""
    empty = Settings()
    for part in fields(Settings):
        for of in fields(getattr(empty, part.name)):
            yield _described(part.name, of)


BY_NAME: Final[dict[str, Setting]] = {setting.name: setting for setting in all_settings()}
"""Every setting by `section.key`."""
SECTIONS: Final[tuple[str, ...]] = tuple(part.name for part in fields(Settings))
