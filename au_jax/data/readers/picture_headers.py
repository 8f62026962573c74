"""Whether picture files are whole, by their first and last bytes: a few microseconds a file instead of a decoding."""

from pathlib import Path

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_TAIL = 64


def picture_flaw(path: Path) -> str:
    """Says why a JPEG or PNG file cannot be read, as far as its ends show; "" where they are in order."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(8)
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL))
            tail = stream.read(_TAIL)
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if not size:
        return "has no content"
    if head.startswith(b"\xff\xd8\xff"):
        # Some cameras fill the last block up with zeros.
        return "" if tail.rstrip(b"\0\r\n ").endswith(b"\xff\xd9") else "ends too early (a JPEG without end marker)"
    if head == _PNG_MAGIC:
        return "" if b"IEND" in tail else "ends too early (a PNG without end marker)"
    return "is neither a JPEG nor a PNG"
