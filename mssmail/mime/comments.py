"""Comments of structured header fields: text in parentheses, nested, outside quoted strings (RFC 5322 §3.2.2).

Counted, never recursed into: three thousand opening parentheses cost three thousand steps.
"""

import re

_SIGN = re.compile(rb"[()]|\\.", re.DOTALL)
_OUTSIDE = re.compile(rb"(?:[^(\"\\]++|\"(?:[^\"\\]++|\\.)*\"?+|\\.?+)*", re.DOTALL)


def skip(value: bytes, at: int) -> int | None:
    """The place after the comment whose opening parenthesis is before `at`; None where it is never closed."""
    depth = 1
    for m in _SIGN.finditer(value, at):
        sign = m[0]
        if sign == b"(":
            depth += 1
        elif sign == b")":
            depth -= 1
            if depth == 0:
                return m.end()
    return None


def uncomment(value: bytes) -> bytes:
    """Take out the comments; one that is never closed runs to the end."""
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    at: int | None = 0
    while at is not None and at < len(value):
        m = _OUTSIDE.match(value, at)
        assert m is not None
        kept.append(m[0])
        at = m.end()
        if at < len(value):
            at = skip(value, at + 1)
    return b"".join(kept)
