"""What is said of a refusal to an administrator: the reason in words, then the detail, which may be shown to them."""

from typing import Final

from mssmail.base.refusal import Reason, Refusal

# Total: tests/cli checks that each reason stands here.
WORDS: Final[dict[Reason, str]] = {
    Reason.NOT_REGISTERED: "isn't registered in the health directory",
    Reason.STRUCK_OFF: "is gone from the newest extract of the health directory",
    Reason.OUTSIDE_TRUST: "the domain isn't of the trust space",
    Reason.NO_MAILBOX: "is registered, but has no box here",
    Reason.SUSPENDED: "the account is suspended",
    Reason.OVER_QUOTA: "the box is full",
    Reason.DIRECTORY_STALE: "the directory in service is older than directory.max_age; `mssmail directory refresh`",
    Reason.RELAY: "isn't a domain of this server",
    Reason.PATIENT: "a patient may not write to this professional",
    Reason.OPERATOR_CERTIFICATE: "no operator's certificate that is good now",
    Reason.NOT_LISTED: "the white list doesn't give this domain to that operator",
    Reason.OWN_DOMAIN: "a domain of this server, from outside",
    Reason.MISALIGNED: "header From isn't of a domain of the operator's",
    Reason.NULL_SENDER: "MAIL FROM is empty, and the message is no read receipt",
    Reason.CREDENTIALS: "login, password or code is wrong",
    Reason.CODE_USED: "the code was used before",
    Reason.GRANT_ENDED: "the grant has ended: a new code is due",
    Reason.LOCKED: "locked after too many failures; `mssmail ban clear` lifts that",
    Reason.CERTIFICATE: "the certificate is revoked, out of date, of the wrong kind, or names nobody here",
    Reason.SOURCE: "may not sign in from this address",
    Reason.NOT_DELEGATED: "isn't delegated to that box",
    Reason.NO_RIGHT: "the delegation doesn't give that right",
    Reason.DELEGATION: "not a delegation that can be given",
    Reason.MECHANISM: "this account may not sign in that way",
    Reason.TOKEN: "the token or code is unknown, expired or revoked",
    Reason.CLIENT: "no such program is registered",
    Reason.SCOPE: "that access isn't given",
    Reason.NOT_YOUR_ADDRESS: "the sender's address is somebody else's",
    Reason.TOO_LARGE: "too large",
    Reason.TOO_MANY_RECIPIENTS: "too many recipients",
    Reason.BARE_NEWLINE: "a bare CR or LF",
    Reason.LINE_TOO_LONG: "a line is too long",
    Reason.HEADERS_TOO_LARGE: "the header is too large",
    Reason.BAD_HEADERS: "the header lacks what it must have, or has it twice",
    Reason.LOOP: "the message goes in circles",
    Reason.TOO_MANY_MESSAGES: "too many messages within an hour",
    Reason.SENDING_LIMIT: "more messages or recipients than `sending.…` allows in an hour or a day",
    Reason.FOLDER_MISSING: "no such folder",
    Reason.FOLDER_EXISTS: "the folder exists already",
    Reason.FOLDER_FIXED: "that folder can't be changed",
    Reason.FOLDER_NAME: "not a name for a folder",
    Reason.FOLDER_LIMIT: "too many folders",
    Reason.KEYWORD_LIMIT: "too many keywords",
    Reason.MESSAGE_GONE: "the message is gone",
    Reason.READ_ONLY: "read-only",
    Reason.SEARCH_CHARSET: "unknown charset",
    Reason.SEARCH_TOO_WIDE: "the search is too wide",
    Reason.STORAGE_FULL: "the disk is full",
    Reason.UNAVAILABLE: "can't be done now",
    Reason.ACCOUNT_EXISTS: "there is an account with this address already",
    Reason.ACCOUNT_MISSING: "no such account",
    Reason.NOT_ELIGIBLE: "may not have a box: no active registration in an allowed profession",
    Reason.WEAK_PASSWORD: "the password is too weak",
    Reason.TERM: "a retention term must be",
    Reason.NOT_PERMITTED: "not permitted",
    Reason.ADMINISTRATOR: "that can't be done with an administrator",
    Reason.ORDER: "that order can't be carried out",
    Reason.RULE: "that can't be set",
    Reason.IMPORT: "not imported, what was in service serves on",
}


def sentence(refusal: Refusal) -> str:
    """One line: what, and the detail behind it."""
    words = WORDS[refusal.reason]
    if not refusal.detail:
        return words
    joint = " " if refusal.reason is Reason.TERM else ": "
    return f"{words}{joint}{refusal.detail}"
