"""Every fuzz target there is, by name."""

from tests.fuzz import configuration, directory, disk, imap, mime, smtp, text
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target for room in (imap, smtp, mime, text, directory, configuration, disk) for target in room.TARGETS
}
