"""The scanner finds the parts of any octets, the same for every way of cutting them into chunks."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssmail.mime.limits import Limits
from mssmail.mime.node import Node
from mssmail.mime.scan import Scanner

SMALL = Limits(header_octets=200, headers_octets=500, depth=4, parts=12, boundary_octets=20, false_boundaries=30)


def scan(message: bytes, *cuts: int, limits: Limits | None = None) -> Node:
    scanner = Scanner(limits or Limits())
    last = 0
    for cut in (*sorted(cuts), len(message)):
        scanner.feed(message[last:cut])
        last = cut
    return scanner.finish()


def every_octet(message: bytes, *, limits: Limits | None = None) -> Node:
    return scan(message, *range(1, len(message)), limits=limits)


def walk(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.children)


def preorder(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from preorder(child)


def outline(message: bytes, node: Node) -> object:
    """A leaf as (type/subtype, body), a container as (type/subtype, [parts])."""
    name = (node.type + b"/" + node.subtype).decode()
    if node.children:
        return name, [outline(message, child) for child in node.children]
    return name, message[node.body_start : node.end]


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


MIXED = "Content-Type: multipart/mixed; boundary=b\n\n"
PLAIN = "text/plain"
CASES: list[tuple[str, str, object]] = [
    ("plain", "Subject: x\n\nhello\n", (PLAIN, b"hello\r\n")),
    ("no header", "\nhello\n", (PLAIN, b"hello\r\n")),
    ("no blank line", "Subject: x\nhello", (PLAIN, b"")),
    ("nothing", "", (PLAIN, b"")),
    ("malformed type", "Content-Type: nonsense\n\nx", (PLAIN, b"x")),
    ("no boundary given", "Content-Type: multipart/mixed\n\nx", (PLAIN, b"x")),
    (
        "preamble, two parts, epilogue",
        MIXED + "preamble\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n\n--b--\nepilogue\n--b\n",
        ("multipart/mixed", [(PLAIN, b"one"), ("text/html", b"two\r\n")]),
    ),
    ("no preamble", MIXED + "--b\n\none\n--b--", ("multipart/mixed", [(PLAIN, b"one")])),
    ("missing close", MIXED + "--b\n\none\n", ("multipart/mixed", [(PLAIN, b"one\r\n")])),
    ("blanks after a boundary", MIXED + "--b \t\n\none\n--b-- \n", ("multipart/mixed", [(PLAIN, b"one")])),
    ("empty multipart", MIXED + "--b--\n", ("multipart/mixed", [(PLAIN, b"")])),
    ("multipart without a boundary line", MIXED + "text\n", ("multipart/mixed", [(PLAIN, b"")])),
    ("part without blank line", MIXED + "--b\nContent-Type: a/b\n--b--", ("multipart/mixed", [("a/b", b"")])),
    ("parts of nothing", MIXED + "--b\n--b\n--b--\n", ("multipart/mixed", [(PLAIN, b""), (PLAIN, b"")])),
    ("cut after a boundary", MIXED + "--b", ("multipart/mixed", [(PLAIN, b"")])),
    (
        "only a prefix",
        MIXED + "--bc\n--b\n\none\n--bc\n--b-\n--b--\n",
        ("multipart/mixed", [(PLAIN, b"one\r\n--bc\r\n--b-")]),
    ),
    (
        "boundary that begins another",
        MIXED + "--b\nContent-Type: multipart/x; boundary=bb\n\n--bb\n\none\n--bb--\n--b\n\ntwo\n--b--\n",
        ("multipart/mixed", [("multipart/x", [(PLAIN, b"one")]), (PLAIN, b"two")]),
    ),
    (
        "boundary that looks like the outer one's close",
        MIXED + '--b\nContent-Type: multipart/x; boundary="b--"\n\n--b--\n\none\n--b----\n--b\n\ntwo\n--b--\n',
        ("multipart/mixed", [("multipart/x", [(PLAIN, b"one")]), (PLAIN, b"two")]),
    ),
    (
        "inner multipart never closed",
        MIXED + "--b\nContent-Type: multipart/x; boundary=i\n\n--i\n\none\n--b\n\ntwo\n--b--\n",
        ("multipart/mixed", [("multipart/x", [(PLAIN, b"one")]), (PLAIN, b"two")]),
    ),
    (
        "inner boundary is the outer one",
        MIXED + "--b\nContent-Type: multipart/x; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n",
        ("multipart/mixed", [("multipart/x", [(PLAIN, b"one")]), (PLAIN, b"two")]),
    ),
    (
        "digest",
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b\n"
        "Content-Type: text/html\n\ntwo\n--b--",
        ("multipart/digest", [("message/rfc822", [(PLAIN, b"one")]), ("text/html", b"two")]),
    ),
    (
        "embedded message cut in its header",
        MIXED + "--b\nContent-Type: message/rfc822\n\nSubject: x\n--b\n\ntwo\n--b--",
        ("multipart/mixed", [("message/rfc822", [(PLAIN, b"")]), (PLAIN, b"two")]),
    ),
    (
        "embedded message of nothing",
        MIXED + "--b\nContent-Type: message/rfc822\n--b\n\ntwo\n--b--",
        ("multipart/mixed", [("message/rfc822", [(PLAIN, b"")]), (PLAIN, b"two")]),
    ),
    (
        "embedded multipart",
        "Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n",
        ("message/rfc822", [("multipart/mixed", [(PLAIN, b"one")])]),
    ),
    ("NUL octets", MIXED + "--b\n\n\0one\0\n--b--", ("multipart/mixed", [(PLAIN, b"\0one\0")])),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_outline(text: str, expected: object) -> None:
    """Each oddity gives the parts that a reader would expect, with CRLF and, but for line ends, with bare LF."""
    message = crlf(text)
    assert outline(message, scan(message)) == expected
    assert scan(message) == every_octet(message)
    bare = text.encode()
    found = outline(bare, scan(bare))
    assert repr(found) == repr(expected).replace("\\r\\n", "\\n")


def test_offsets_and_lines() -> None:
    """Offsets are absolute, and lines count the line feeds of a body without the break that is the boundary's."""
    inner = crlf("Subject: in\n\na\nb\n")
    head = crlf(MIXED + "--b\nContent-Type: message/rfc822\n\n")
    message = head + inner + crlf("--b--\n")
    part = scan(message).children[0]
    assert (part.header_start, part.body_start, part.end) == (
        len(crlf(MIXED)) + 5,
        len(head),
        len(head) + len(inner) - 2,
    )
    assert part.lines == 3
    embedded = part.children[0]
    assert (embedded.header_start, embedded.body_start, embedded.end) == (part.body_start, part.end - 4, part.end)
    assert embedded.lines == 1
    assert embedded.envelope == b'(NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL)'


def test_fields_of_a_part() -> None:
    """What the header of a part says is kept: parameters, id, description, disposition, language, location, md5."""
    message = crlf(
        'Content-Type: Application/PDF (comment); name="a\\"b;c.pdf"; x=1\nContent-ID: <i@d>\n'
        "Content-Description: Some\n thing\n"
        "Content-Transfer-Encoding: base64 (x)\nContent-Disposition: attachment; filename*0=a; filename*1=b\n"
        "Content-Language: fr, en\nContent-Location: http://x\nContent-MD5: abc\n\n"
    )
    node = scan(message)
    assert (node.type, node.subtype, node.encoding) == (b"application", b"pdf", b"BASE64")
    assert node.parameters == ((b"name", b'a"b;c.pdf'), (b"x", b"1"))
    assert (node.content_id, node.description, node.location, node.md5) == (
        b"<i@d>",
        b"Some thing",
        b"http://x",
        b"abc",
    )
    assert node.disposition == (b"attachment", ((b"filename*0", b"a"), (b"filename*1", b"b")))
    assert node.language == (b"fr", b"en")
    assert node.block is not None
    assert node.block.raw == message


def test_as_the_standard_library_sees_it() -> None:
    """On a well-formed message the standard library finds the same parts, with the same bodies."""
    letter = EmailMessage()
    letter["Subject"], letter["From"] = "in", "a@b"
    letter.set_content("inner\n")
    letter.add_alternative("<p>inner", subtype="html")
    message = EmailMessage()
    message["Subject"], message["From"] = "René", "René <a@b>"
    message.set_content("outer é\n" * 30, cte="quoted-printable")
    message.add_alternative("<p>outer</p>", subtype="html")
    message.add_attachment(bytes(range(256)) * 9, maintype="application", subtype="pdf", filename="é.pdf")
    message.add_attachment(letter)
    octets = message.as_bytes(policy=email.policy.SMTP)
    theirs = list(email.message_from_bytes(octets, policy=email.policy.compat32).walk())
    ours = list(preorder(scan(octets)))
    assert [(node.type + b"/" + node.subtype).decode() for node in ours] == [part.get_content_type() for part in theirs]
    for node, part in zip(ours, theirs, strict=True):
        if not part.is_multipart():
            body = part.get_payload()
            assert isinstance(body, str)
            assert octets[node.body_start : node.end].decode() == body.replace("\n", "\r\n").replace("\r\r", "\r")


_LINES = st.sampled_from(
    [
        "--a",
        "--b",
        "--ab",
        "--a--",
        "--b--",
        "--",
        "--a ",
        "",
        "",
        "x",
        "Subject: s",
        " folded",
        "-",
        "\r",
        "--ab" + "c" * 30,
    ]
    + [f"Content-Type: multipart/{kind}; boundary={b}" for kind in ("mixed", "digest") for b in ("a", "b", "ab", "b--")]
    + ["Content-Type: message/rfc822", "Content-Type: text/html", "From: a@b", "\0", "y" * 300]
)
MESSAGES = st.lists(st.tuples(_LINES, st.sampled_from(["\r\n", "\r\n", "\n", "\r", ""])), max_size=60).map(
    lambda lines: "".join(a + b for a, b in lines).encode()
)


def test_a_header_cut_near_its_limit() -> None:
    """A boundary line that waits for its end isn't counted as header when the block reaches the limit meanwhile."""
    limits = Limits(header_octets=43, headers_octets=43 + 14 + 14)
    message = b"Content-Type: multipart/x; boundary=b\nA: b\n\n"
    message += b"--b\nContent-ID: 01\n--b" + b" " * 50 + b"\nContent-ID: 02\n--b--"
    for root in (scan(message, limits=limits), every_octet(message, limits=limits)):
        assert [part.content_id for part in root.children] == [b"01", b"02"]


@settings(max_examples=300, deadline=None)
@given(MESSAGES, st.data(), st.sampled_from([Limits(), SMALL]))
def test_chunks_never_matter(message: bytes, data: st.DataObject, limits: Limits) -> None:
    """However a message is cut, the tree is the same, under wide and under narrow limits."""
    whole = scan(message, limits=limits)
    cuts = data.draw(st.lists(st.integers(0, len(message)), max_size=8))
    assert scan(message, *cuts, limits=limits) == whole
    assert every_octet(message, limits=limits) == whole


@settings(max_examples=300, deadline=None)
@given(MESSAGES | st.binary(max_size=300), st.sampled_from([Limits(), SMALL]))
def test_parts_lie_inside_each_other(message: bytes, limits: Limits) -> None:
    """Offsets are ordered, within the message and within the parent's body; siblings don't overlap; caps hold."""
    root = scan(message, limits=limits)
    assert (root.header_start, root.end) == (0, len(message))
    nodes = list(walk(root))
    assert sum(node.body_start < node.end or bool(node.children) for node in nodes) <= limits.parts
    for node in nodes:
        assert 0 <= node.header_start <= node.body_start <= node.end <= len(message)
        at = node.body_start
        for child in node.children:
            assert at <= child.header_start
            assert child.end <= node.end
            at = child.end
        if node.type == b"text" or node.is_message:
            assert node.lines == message[node.body_start : node.end].count(b"\n")
        assert node.type != b"multipart" or node.children
        assert not node.is_message or len(node.children) == 1
