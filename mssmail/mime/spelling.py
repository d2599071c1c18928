"""How text is spelled in the messages that the server writes itself: 7-bit, whatever its letters. Pure."""

import binascii


def quoted_printable(text: str) -> bytes:
    """Lines ending in LF as the body of a text part in UTF-8, lines ending in CRLF (RFC 2045 §6.7)."""
    return binascii.b2a_qp(text.encode(), istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def unstructured(text: str) -> str:
    """An unstructured field's value: as it is where it is ASCII, else encoded words of 75 octets (RFC 2047 §2)."""
    if text.isascii():
        return text
    words: list[bytes] = [b""]
    for sign in text:
        octets = sign.encode()
        if len(words[-1]) + len(octets) > 42:
            words.append(b"")
        words[-1] += octets
    return "\r\n ".join(f"=?utf-8?b?{binascii.b2a_base64(word, newline=False).decode()}?=" for word in words)
