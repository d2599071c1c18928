"""The settings of what joins this server to other operators: white list, their mail, patients. Sections of `model`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mssmail.settings import kind
from mssmail.settings.field import confidential as _confidential
from mssmail.settings.field import required as _required
from mssmail.settings.field import setting as _setting
from mssmail.settings.units import Seconds

DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class TrustList:
    folder: Path = _setting(
        kind.path_or_default(), Path(), "Folder of the white lists; empty: trust/ under the data folder."
    )
    source: str = _confidential(
        kind.text(),
        "",
        "Where the trust space's white list is fetched from, https://… or a file as file:///path; empty: it is "
        "imported by hand.",
    )
    source_ca: Path | None = _setting(
        kind.optional_path(),
        None,
        "PEM file of the authorities that `source` is trusted by; empty: the system's own.",
    )
    signers: Path | None = _setting(
        kind.optional_path(),
        None,
        "PEM file of the certificates of which one must have signed each list (XML Signature); empty: a signature is "
        "neither asked for nor looked at.",
    )
    refresh_interval: Seconds = _setting(
        kind.duration(1, 7 * DAY), Seconds(3 * 3600), "How often `source` is asked for what is new."
    )
    shrink_limit: float = _setting(
        kind.fraction(),
        0.05,
        "Share of its domains that a new list may lack before it is refused without --allow-shrink.",
    )
    stale_after: Seconds = _setting(
        kind.duration(1), Seconds(3 * DAY), "Age of the list from which an alarm is raised once a day; it serves on."
    )
    unlisted_boxes: bool = _setting(
        kind.switch(),
        True,
        "Whether mail may go to an address at a listed domain that the directory has no box for; red-listed boxes "
        "aren't in its extracts.",
    )


@dataclass(frozen=True, slots=True)
class Operators:
    max_connections: int = _setting(
        kind.integer(1, 100_000), 50, "Connections that one other operator may have open at once, in each worker."
    )
    max_messages_per_hour: int = _setting(
        kind.integer(0, 10_000_000),
        20_000,
        "Messages that one other operator may send in an hour, in each worker; 0: any number.",
    )
    max_recipients: int = _setting(
        kind.integer(100, 10_000),
        100,
        "Recipients of one message of another operator's (RFC 5321 §4.5.3.1.8: at least 100).",
    )


@dataclass(frozen=True, slots=True)
class Patients:
    domain: str = _setting(kind.text(), "patient.mssante.fr", "Mail domain of patients' addresses.")
    may_answer: bool = _setting(
        kind.switch(),
        False,
        "Whether a patient may write to a professional who wrote to them first; to others none ever may.",
    )
    answer_term: Seconds = _setting(
        kind.duration(DAY), Seconds(365 * DAY), "How long after a professional last wrote to a patient that is known."
    )


@dataclass(frozen=True, slots=True)
class Route:
    domain: str = _required(kind.text(), "", "Mail domain, in lower case.")
    host: str = _required(kind.text(), "", "Host that takes its mail, by name or address.")
    port: int = _setting(kind.integer(0, 65_535), 0, "Its port; 0: `relay.port`.")


@dataclass(frozen=True, slots=True)
class Relay:
    routes: tuple[Route, ...] = _setting(
        kind.many(kind.table(Route)),
        (),
        "Domains whose mail goes to a fixed host instead of the one that the DNS names, each a [[relay.routes]].",
    )
    certificate: Path | None = _setting(
        kind.optional_path(),
        None,
        "The organisation's certificate that other operators are shown, with its intermediates, as PEM; "
        "empty: `tls.certificate`.",
    )
    key: Path | None = _setting(
        kind.optional_path(), None, "The private key of `certificate`, PEM without a passphrase; empty: `tls.key`."
    )
    port: int = _setting(kind.integer(1, 65_535), 25, "Port of other operators' hosts.")
    nameservers: tuple[str, ...] = _setting(
        kind.many(kind.text()),
        (),
        "DNS servers that are asked for MX, as 192.0.2.1 or [2001:db8::1]:53; empty: the system's.",
    )
    dns_timeout: Seconds = _setting(kind.duration(1, 120), Seconds(15), "How long one question to the DNS may take.")
    connect_timeout: Seconds = _setting(kind.duration(1, 300), Seconds(30), "How long a host has to take a connection.")
    reply_timeout: Seconds = _setting(
        kind.duration(1, 3600),
        Seconds(300),
        "How long a host has to greet, and to answer a command (RFC 5321 §4.5.3.2.1: 5 minutes at least).",
    )
    block_timeout: Seconds = _setting(
        kind.duration(1, 3600),
        Seconds(180),
        "How long a host may take nothing of a message (RFC 5321 §4.5.3.2.5: 3 minutes at least).",
    )
    end_timeout: Seconds = _setting(
        kind.duration(1, 3600),
        Seconds(600),
        "How long a host has to answer a whole message (RFC 5321 §4.5.3.2.6: 10 minutes at least).",
    )
    idle_timeout: Seconds = _setting(
        kind.duration(0, 300), Seconds(5), "How long a connection is kept for the next message to the same domain."
    )
    max_connections_per_domain: int = _setting(
        kind.integer(1, 1000),
        20,
        "Connections to one domain at once, shared out among the workers; each has one at least.",
    )
