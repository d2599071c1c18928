"""Responses to octets. Whatever a value holds, what leaves is well-framed: a string that doesn't fit in quotes is a
literal, a sentence is one line of US-ASCII, an atom is checked. FETCH has its own file, being the hot one."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import assert_never

from mssmail.base.search import Flag
from mssmail.wire.imap import mutf7, responses, sequence
from mssmail.wire.imap.grammar import ASTRING_ATOM, ATOM
from mssmail.wire.imap.responses import Code, Response
from mssmail.wire.imap.values import FlagList, Numbering

MAX_QUOTED_OCTETS = 1_024
"""A longer string goes as a literal: clients read lines into small buffers."""
MAX_TEXT_OCTETS = 900
"""A status line stays under the 1,000 or so that clients expect."""

_QUOTABLE = re.compile(rb"[ -~]*\Z")
_SPECIAL = re.compile(rb'["\\]')
_FOLDS = {"œ": "oe", "Œ": "OE", "æ": "ae", "’": "'", "‘": "'", "«": '"', "»": '"', "–": "-", "—": "-"}
_LIGATURES = str.maketrans(_FOLDS)
"""What Unicode's own decomposition leaves whole."""
_CONTROL = re.compile(rb"[^ -~]")

SYSTEM_FLAGS: tuple[tuple[int, bytes], ...] = (
    (Flag.ANSWERED.value, b"\\Answered"),
    (Flag.FLAGGED.value, b"\\Flagged"),
    (Flag.DELETED.value, b"\\Deleted"),
    (Flag.SEEN.value, b"\\Seen"),
    (Flag.DRAFT.value, b"\\Draft"),
)


def string(octets: bytes) -> bytes:
    """string = quoted / literal"""
    if len(octets) <= MAX_QUOTED_OCTETS and _QUOTABLE.match(octets) is not None:
        return b'"' + _SPECIAL.sub(rb"\\\g<0>", octets) + b'"'
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """nstring = string / nil"""
    return b"NIL" if octets is None else string(octets)


def astring(octets: bytes) -> bytes:
    """astring = 1*ASTRING-CHAR / string ; NIL in quotes, so that nobody takes it for nil"""
    if ASTRING_ATOM.fullmatch(octets) is not None and octets.upper() != b"NIL":
        return octets
    return string(octets)


def mailbox(name: str) -> bytes:
    """mailbox = "INBOX" / astring ; in modified UTF-7"""
    return b"INBOX" if name == "INBOX" else string(mutf7.encode(name))


@lru_cache(maxsize=512)
def text(sentence: str) -> bytes:
    """text = 1*TEXT-CHAR ; accents folded, anything else that isn't printable US-ASCII a `?`, never empty"""
    if not (sentence.isascii() and sentence.isprintable()):
        split = unicodedata.normalize("NFKD", sentence.translate(_LIGATURES))
        sentence = "".join(c for c in split if not unicodedata.combining(c))
    octets = _CONTROL.sub(b"?", sentence.encode("ascii", "replace"))[:MAX_TEXT_OCTETS]
    # A text that starts with `[` would be read as a response code (RFC 3501 §9 resp-text).
    return (b"." + octets if octets.startswith(b"[") else octets) or b"."


def atom(name: str) -> bytes:
    """atom = 1*ATOM-CHAR, a leading backslash allowed, as flags and attributes have it; ValueError if it isn't one"""
    octets = name.encode() if name.isascii() else b""
    if ATOM.fullmatch(octets.removeprefix(b"\\")) is None:
        raise ValueError("not an atom")
    return octets


@lru_cache(maxsize=64)
def _atoms(names: tuple[str, ...]) -> bytes:
    return b"".join(b" " + atom(name) for name in names)


def flags(flag_list: FlagList, *more: bytes) -> bytes:
    """flag-list = "(" [flag *(SP flag)] ")" """
    words = [name for bit, name in SYSTEM_FLAGS if flag_list.system & bit]
    words += map(atom, flag_list.keywords)
    return b"(" + b" ".join([*words, *more]) + b")"


def code(value: Code) -> bytes:
    """resp-text-code, without brackets"""
    match value:
        case responses.Word():
            return value.value.encode()
        case responses.BadCharset(charsets):
            return b"BADCHARSET (" + b" ".join(astring(c.encode()) for c in charsets) + b")"
        case responses.CapabilityCode(names):
            return b"CAPABILITY" + _atoms(names)
        case responses.PermanentFlags(flag_list, more):
            return b"PERMANENTFLAGS " + (flags(flag_list, b"\\*") if more else flags(flag_list))
        case responses.UidNext(number):
            return b"UIDNEXT %d" % number
        case responses.UidValidity(number):
            return b"UIDVALIDITY %d" % number
        case responses.Unseen(number):
            return b"UNSEEN %d" % number
        case responses.HighestModSeq(modseq):
            return b"HIGHESTMODSEQ %d" % modseq
        case responses.Modified(messages):
            return b"MODIFIED " + sequence.encode(messages)
        case responses.AppendUid(validity, uids):
            return b"APPENDUID %d %b" % (validity, sequence.encode(uids))
        case responses.CopyUid(validity, source, target):
            return b"COPYUID %d %b %b" % (validity, sequence.encode(source), sequence.encode(target))
        case _:
            assert_never(value)


def status(value: responses.Status) -> bytes:
    """(tag / "*") SP resp-cond-state CRLF"""
    label = b"" if value.code is None else b"[" + code(value.code) + b"] "
    return b"%b %b %b%b\r\n" % (value.tag, value.condition.value.encode(), label, text(value.text))


def encode(response: Response) -> bytes:
    """Return a response with its CRLF."""
    match response:
        case responses.Status():
            return status(response)
        case responses.Continue(sentence):
            return b"+ " + text(sentence) + b"\r\n"
        case responses.ContinueWith(line):
            return b"+ " + line + b"\r\n"
        case responses.Capabilities(names):
            return b"* CAPABILITY" + _atoms(names) + b"\r\n"
        case responses.Enabled(names):
            return b"* ENABLED" + _atoms(names) + b"\r\n"
        case responses.Listed():
            return _listed(response)
        case responses.StatusData(name, items):
            pairs = b" ".join(b"%b %d" % (item.value.encode(), number) for item, number in items)
            return b"* STATUS " + mailbox(name) + b" (" + pairs + b")\r\n"
        case responses.QuotaRoots(name, roots):
            return _spelt(b"* QUOTAROOT", name, roots)
        case responses.StorageQuota(root, used, limit):
            return b"* QUOTA %b (STORAGE %d %d)\r\n" % (astring(root.encode()), used, limit)
        case responses.AccessList(name, entries):
            return _spelt(b"* ACL", name, (word for entry in entries for word in entry))
        case responses.RightsOf(name, identifier, required, optional):
            return _spelt(b"* LISTRIGHTS", name, (identifier, required, *optional))
        case responses.MyRights(name, rights):
            return _spelt(b"* MYRIGHTS", name, (rights,))
        case responses.Found(numbers, modseq):
            words = ["* SEARCH", *map(str, numbers)]
            if modseq is not None:
                words.append(f"(MODSEQ {modseq})")
            return " ".join(words).encode() + b"\r\n"
        case responses.FoundInShort():
            return _found_in_short(response)
        case responses.Flags(flag_list):
            return b"* FLAGS " + flags(flag_list) + b"\r\n"
        case responses.Exists(count):
            return b"* %d EXISTS\r\n" % count
        case responses.Recent(count):
            return b"* %d RECENT\r\n" % count
        case responses.Expunged(number):
            return b"* %d EXPUNGE\r\n" % number
        case responses.Identity(fields):
            return b"* ID " + _identity(fields) + b"\r\n"
        case responses.Namespaces(personal, others, shared):
            return b"* NAMESPACE " + b" ".join(map(_namespace, (personal, others, shared))) + b"\r\n"
        case _:
            assert_never(response)


def _spelt(word: bytes, name: str, strings: Iterable[str]) -> bytes:
    """A mailbox and a row of astrings."""
    return b" ".join([word, mailbox(name), *(astring(string.encode()) for string in strings)]) + b"\r\n"


def _listed(response: responses.Listed) -> bytes:
    """mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP mbox-list-extended]

    mbox-list-extended = "(" "CHILDINFO" SP "(" DQUOTE option DQUOTE *(SP DQUOTE option DQUOTE) ")" ")" ; RFC 5258 §6
    """
    word = b"LSUB" if response.lsub else b"LIST"
    attributes = b" ".join(map(atom, response.attributes))
    more = b""
    if response.children:
        more = b" (CHILDINFO (" + b" ".join(string(option.encode()) for option in response.children) + b"))"
    delimiter = _delimiter(response.delimiter)
    return b"* %b (%b) %b %b%b\r\n" % (word, attributes, delimiter, mailbox(response.name), more)


def _found_in_short(response: responses.FoundInShort) -> bytes:
    """esearch-response = "ESEARCH" SP "(" "TAG" SP string ")" [SP "UID"] *(SP search-return-data) ; RFC 4466 §2.6.2"""
    words = [b"* ESEARCH (TAG " + string(response.tag) + b")"]
    if response.numbering is Numbering.UID:
        words.append(b"UID")
    named = ((b"MIN", response.lowest), (b"MAX", response.highest), (b"COUNT", response.count))
    words += [b"%b %d" % (name, number) for name, number in named if number is not None]
    if response.all is not None:
        words.append(b"ALL " + sequence.encode(response.all))
    if response.modseq is not None:
        words.append(b"MODSEQ %d" % response.modseq)
    return b" ".join(words) + b"\r\n"


def _delimiter(delimiter: str | None) -> bytes:
    return b"NIL" if delimiter is None else string(delimiter.encode())


def _identity(fields: tuple[tuple[str, str | None], ...]) -> bytes:
    """id-params-list = "(" string SP nstring *(SP string SP nstring) ")" / nil"""
    if not fields:
        return b"NIL"
    words = (
        string(name.encode()) + b" " + nstring(None if value is None else value.encode()) for name, value in fields
    )
    return b"(" + b" ".join(words) + b")"


def _namespace(pairs: tuple[tuple[str, str | None], ...]) -> bytes:
    """Namespace = nil / "(" 1*("(" string SP (<"> QUOTED_CHAR <"> / nil) ")") ")" """
    if not pairs:
        return b"NIL"
    inner = b"".join(
        b"(" + string(mutf7.encode(prefix)) + b" " + _delimiter(delimiter) + b")" for prefix, delimiter in pairs
    )
    return b"(" + inner + b")"
