"""What must hold between settings, and of the files that they name."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from mssmail.settings.fault import Fault
from mssmail.settings.model import BY_NAME, Settings
from mssmail.settings.place import file_of
from mssmail.settings.provider import INTROSPECTION

_DOMAIN = re.compile(
    r"(?=.{1,255}\Z)[a-z0-9\u0080-\U0010ffff](?:[a-z0-9.\-\u0080-\U0010ffff]*[a-z0-9\u0080-\U0010ffff])?"
)
_DATABASE = re.compile(r"sqlite://|postgresql\+psycopg://")
_BODIES = re.compile(r"file:|s3://")
_SOURCE = re.compile(r"file:///|https://[^/@\s]+(?:/|\Z)")
_LIST = re.compile(r"file:///.|https://[^/@\s]+(?:/|\Z)")
_HTTP = re.compile(r"https?://[^/@\s]+(?:/|\Z)")
_API = re.compile(r"https://[^/@?#\s]+(?:/[^?#\s]*)?")
_WEB = re.compile(r"https://[^/@?#\s]+/?")
_PROVIDER = re.compile(r"file:|pkcs11:")


def check(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (`section.key`, sentence) for all that is wrong in itself or with another setting. Touches no disk."""
    yield from _missing(settings)
    yield from _names(settings)
    retention = settings.retention
    if retention.period is not None and retention.period > retention.default:
        yield "retention.period", "must not be longer than retention.default"
    if retention.default > retention.maximum:
        yield "retention.default", "must not be longer than retention.maximum"
    yield from _directory(settings)
    yield from _providers(settings)
    yield from _trust(settings)
    if settings.web.address and not _WEB.fullmatch(settings.web.address):
        yield "web.address", "must be https:// and a host, with a port or without, and no path"
    if settings.oauth.refresh_lifetime > settings.oauth.authorization_lifetime:
        yield "oauth.refresh_lifetime", "must not be longer than oauth.authorization_lifetime"
    if settings.store.quota < settings.smtp.max_message_size:
        yield "store.quota", "must hold at least one message of smtp.max_message_size"
    listen = settings.listen
    if settings.proxy.listeners and not settings.proxy.networks:
        yield "proxy.networks", "must name the proxies that the connections of proxy.listeners come through"
    taken: dict[int, str] = {}
    for name in ("smtp", "submission", "submissions", "imap", "imaps", "https", "metrics"):
        port = getattr(listen, name)
        if port and port in taken:
            yield f"listen.{name}", f"has the port of listen.{taken[port]}"
        elif port:
            taken[port] = name


def _missing(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, setting in BY_NAME.items():
        if setting.required and getattr(getattr(settings, setting.section), setting.key) == setting.default:
            yield name, f"must be given ({setting.kind.form})"


def _names(settings: Settings) -> Iterator[tuple[str, str]]:
    for domain in settings.server.domains:
        if _DOMAIN.fullmatch(domain) is None:
            yield "server.domains", "each must be a mail domain in lower case"
            break
    for name, value, pattern, wanted in (
        ("store.database", settings.store.database, _DATABASE, "sqlite:/// or postgresql+psycopg://"),
        ("keys.store", settings.keys.store, _DATABASE, "sqlite:/// or postgresql+psycopg://"),
        ("store.bodies", settings.store.bodies, _BODIES, "file:/// or s3://"),
        ("keys.provider", settings.keys.provider, _PROVIDER, "file:/// or pkcs11:"),
    ):
        if value and pattern.match(value) is None:
            yield name, f"must start with {wanted}"
        elif value.startswith("file://") and file_of(value) is None:
            yield name, "a file: address has three slashes and an absolute path, as file:///path"
    if settings.store.database and settings.store.database == settings.keys.store:
        yield "keys.store", "must not be the mail's own database: a backup of the mail would hold the keys"


def _directory(settings: Settings) -> Iterator[tuple[str, str]]:
    directory = settings.directory
    if directory.max_age < directory.stale_after:
        yield "directory.max_age", "must not be shorter than directory.stale_after: the alarm would come too late"
    if any(not _SOURCE.match(source) for source in directory.source):
        yield "directory.source", "each must be a folder as file:///path, or an address as https://…"
    if directory.fhir and not _API.fullmatch(directory.fhir):
        yield "directory.fhir", "must be an address as https://host/path"
    if directory.fhir and directory.fhir_key is None:
        yield "directory.fhir_key", "must be given where directory.fhir is"


def _providers(settings: Settings) -> Iterator[tuple[str, str]]:
    providers, key = settings.openid.providers, "openid.providers"
    for provider in providers:
        if any(not _API.fullmatch(address) for address in (provider.issuer, provider.description)):
            yield key, "issuer and discovery must make addresses as https://host/path"
        if not provider.algorithms:
            yield key, "algorithms must name one at least"
        if provider.mode == INTROSPECTION and not (provider.client_id and provider.client_secret):
            yield key, "introspection needs client_id and client_secret"
    for of in ("name", "issuer"):
        if len({getattr(provider, of) for provider in providers}) < len(providers):
            yield key, f"two have the same {of}"


def _trust(settings: Settings) -> Iterator[tuple[str, str]]:
    trust = settings.trust
    if any(not _HTTP.match(source) for source in trust.crl_sources):
        yield "trust.crl_sources", "each must be an address as http://… or https://…"
    if settings.listen.smtp is not None and trust.operators_ca is None:
        yield "trust.operators_ca", "must be given where listen.smtp is: no other operator could be known"
    if _DOMAIN.fullmatch(settings.patients.domain) is None:
        yield "patients.domain", "must be a mail domain in lower case"
    if settings.trust_list.source and not _LIST.match(settings.trust_list.source):
        yield "trust_list.source", "must be an address as https://…, or a file as file:///path"
    yield from _relay(settings)
    if trust.ocsp_responder and not _HTTP.match(trust.ocsp_responder):
        yield "trust.ocsp_responder", "must be an address as http://… or https://…"


def _relay(settings: Settings) -> Iterator[tuple[str, str]]:
    relay = settings.relay
    if (relay.certificate is None) is not (relay.key is None):
        yield "relay.key", "relay.certificate and relay.key are given both or neither"
    domains = [route.domain for route in relay.routes]
    if any(_DOMAIN.fullmatch(domain) is None for domain in domains):
        yield "relay.routes", "each domain must be a mail domain in lower case"
    if len(set(domains)) < len(domains):
        yield "relay.routes", "two are for the same domain"
    for text in relay.nameservers:
        if name_server(text) is None:
            yield "relay.nameservers", "each must be an address, as 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53"
            break


def name_server(text: str) -> tuple[str, int] | None:
    """Address and port of a DNS server as `relay.nameservers` names it; None where it isn't one."""
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        ip_address(host)
    except ValueError:
        return None
    return (host, int(port)) if port.isascii() and port.isdigit() and 0 < int(port) < 65_536 else None


def check_files(settings: Settings) -> tuple[Fault, ...]:
    """What is wrong with the certificate files that settings name; apart from `check` since it reads the disk."""
    tls, trust = settings.tls, settings.trust
    named: list[tuple[str, Path]] = [("tls.certificate", tls.certificate), ("tls.key", tls.key)]
    named += [
        (key, file)
        for key, file in (
            ("trust.persons_ca", trust.persons_ca),
            ("trust.organisations_ca", trust.organisations_ca),
            ("trust.operators_ca", trust.operators_ca),
        )
        if file is not None
    ]
    named += [("trust.crls", file) for file in trust.crls]
    named += [
        (key, file)
        for key, file in (("relay.certificate", settings.relay.certificate), ("relay.key", settings.relay.key))
        if file is not None
    ]
    named += [
        ("openid.providers", file)
        for provider in settings.openid.providers
        for file in (provider.client_secret, provider.ca)
        if file is not None
    ]
    faults = []
    for key, file in named:
        try:
            with file.open("rb") as stream:
                empty = not stream.read(1)
        except OSError as error:
            faults.append(Fault(str(file), key, None, f"can't be read: {error.strerror}"))
        else:
            if empty:
                faults.append(Fault(str(file), key, None, "is empty"))
    return tuple(faults)
