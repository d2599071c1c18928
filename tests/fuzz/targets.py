"""Every fuzz target there is, by name."""

from tests.fuzz import certificate, configuration, directory, disk, imap, mime, smtp, text, token, xdm
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for room in (imap, smtp, mime, text, token, directory, certificate, configuration, disk, xdm)
    for target in room.TARGETS
}
