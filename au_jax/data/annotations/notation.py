"""How coders write AUs, sides, intensities and times, whatever the program: text in, numbers out.

An AU: `12`, `AU12`, `AU 12`, `au_012`, `L12B` (side before, intensity after, as in the FACS manual), `AU12 left`, `12R`,
`AU12 - Lip Corner Puller`, `lip corner puller`, with a person before it or after an `@` (`mother AU12`, `AU12@mother`).
Several at once: `6B+12C`, `AU1, AU2`.

A time: seconds or milliseconds with a decimal point or comma, frame numbers, `hh:mm:ss.mmm`, or SMPTE timecode, where
`hh:mm:ss:ff` counts every frame and `hh:mm:ss;ff` is drop-frame.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from au_jax.errors import DataError
from au_jax.labels import AU_NAMES

LETTERS = "ABCDE"
"""FACS intensities 1 (trace) to 5 (maximum)."""

LEFT, RIGHT, BILATERAL = "L", "R", "B"

SECONDS, MILLISECONDS, FRAMES, TIMECODE = "seconds", "milliseconds", "frames", "timecode"
UNITS = (SECONDS, MILLISECONDS, FRAMES, TIMECODE)

UNIT_WORDS = {
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), MILLISECONDS),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "sekunden", "ss.msec"), SECONDS),
    **dict.fromkeys(("frame", "frames", "frameno", "f"), FRAMES),
    **dict.fromkeys(("tc", "timecode", "smpte", "hh:mm:ss:ff", "hh:mm:ss;ff"), TIMECODE),
    **dict.fromkeys(("hh:mm:ss.ms", "hh:mm:ss.mmm", "hh:mm:ss"), "clock"),
}
"""Words in the names of columns -> the unit of their times; "clock": such as 00:01:02.5."""

NOT_TEXT = "not text in UTF-8, UTF-16 or a Western code page"

_SIDES = {
    **dict.fromkeys(("l", "left", "links", "gauche", "unilateral_left"), LEFT),
    **dict.fromkeys(("r", "right", "rechts", "droite", "unilateral_right"), RIGHT),
    **dict.fromkeys(("bilateral", "both", "bi", "lr", "rl", "l+r", "l/r", "beidseitig"), BILATERAL),
}
_GRADES = {"trace": 1, "slight": 2, "marked": 3, "pronounced": 3, "severe": 4, "extreme": 4, "maximum": 5, "max": 5}
_MISSING = {"9", "?", "999", "-999", "nan", "na", "n/a", "missing", "unscorable", "uncodable", "not codable"}
# The manual writes L and R (side), A (asymmetric), T and B (top, bottom lip) and U before the number.
_COMPACT = re.compile(r"(?:au|ad)?[ _.-]?([lratbu])?0*([1-9][0-9]?)(?:([a-e])|([lr]))?")
_NAMED = re.compile(
    r"(?<![a-z0-9])(?:aus?|ad|action[ _-]?units?)[ _.:#-]*([lr])?0*([1-9][0-9]?)([a-e])?(?![0-9a-z])", re.I
)
_FIRST = re.compile(r"0*([1-9][0-9]?)([a-e])?(?![0-9a-z.,:])", re.I)
_SIDED = re.compile(r"(?<![a-z0-9])((?:aus?|action[ _-]?unit)[ _.:#-]*0*[1-9][0-9]?)([lr])(?![a-z0-9])", re.I)
_TIMECODE = re.compile(r"([0-9]{1,3})[:;]([0-9]{2})[:;]([0-9]{2})([:;])([0-9]{2,3})")
_CLOCK = re.compile(r"(?:(?:([0-9]+):)?([0-9]{1,3}):)?([0-9]+(?:[.,][0-9]*)?)")
_LIMIT = 64 << 20  # bytes; an hour of events is below one MB


@dataclass(frozen=True)
class Code:
    """An AU as it is written.

    Attributes:
      au: its number.
      side: "L", "R", "B" for both, or "" where nothing is said.
      intensity: 1 to 5; 0 where nothing is said.
      person: what stands before the AU, or behind an `@`.
      rest: words behind the AU that are none of these, lower case.

    Example:
      >>> code = Code(12, side="L", intensity=2)
      >>> f"AU {code.au}, side {code.side}, intensity {LETTERS[code.intensity - 1]}"
      'AU 12, side L, intensity B'
    """

    au: int
    side: str = ""
    intensity: int = 0
    person: str = ""
    rest: str = ""


def parse_code(text: str) -> Code | None:
    """Reads one AU in any usual spelling.

    Args:
      text: such as the name of a tier or of a behaviour.

    Returns:
      The code; None: no AU is named, or several.

    Example:
      >>> parse_code("L12B")
      Code(au=12, side='L', intensity=2, person='', rest='')
      >>> parse_code("mother - AU 4 right").person, parse_code("lip corner puller").au
      ('mother', 12)
      >>> parse_code("trial 12") is None
      True
    """
    text = " ".join(text.split())
    if match := _COMPACT.fullmatch(text.lower()):
        before, number, grade, after = match.groups()
        side = {"l": LEFT, "r": RIGHT}.get(before or after or "", "")
        return Code(int(number), side, " abcde".index(grade) if grade else 0)
    person = ""
    if "@" in text:
        text, _, person = text.partition("@")
    text = _SIDED.sub(r"\1 \2", text)
    found = list(_NAMED.finditer(text))
    if len({match[2] for match in found}) > 1 or re.search(r"[0-9][a-e]?\s*[+&,;]\s*(?:au\s*)?[0-9lr]", text, re.I):
        return None
    if found:
        match = found[0]
        au, before, after = int(match[2]), text[: match.start()], text[match.end() :]
        side, grade = {"l": LEFT, "r": RIGHT}.get((match[1] or "").lower(), ""), match[3]
        after = re.sub(rf"(?i)\b{re.escape(AU_NAMES.get(au, '-'))}\b", " ", after)
        # `Lip corner puller (AU12)`
        before = re.sub(rf"(?i)\b{re.escape(AU_NAMES.get(au, '-'))}\b", " ", before)
    elif match := _FIRST.match(text):
        au, side, before, after, grade = int(match[1]), "", "", text[match.end() :], match[2]
    else:
        plain = re.sub(r"[\W_]+", " ", text.lower())
        named = [(au, re.search(rf"\b{name}\b", plain)) for au, name in AU_NAMES.items()]
        named = [(au, hit) for au, hit in named if hit]
        if len(named) != 1:
            return None
        au, hit = named[0]
        side, before, after, grade = "", plain[: hit.start()], plain[hit.end() :], None
    intensity = " abcde".index(grade.lower()) if grade else 0
    rest = []
    for word in re.findall(r"[^\W_]+", after.lower()):
        if word in _SIDES:
            side = _SIDES[word]
        elif not intensity and len(word) == 1 and word in "abcde":
            intensity = " abcde".index(word)
        else:
            rest.append(word)
    words = re.findall(r"[^\W_]+", before)
    if sides := [_SIDES[word.lower()] for word in words if word.lower() in _SIDES]:
        side, before = sides[-1], " ".join(word for word in words if word.lower() not in _SIDES)
    return Code(au, side, intensity, person.strip() or before.strip(" _-.:|/()[]"), " ".join(rest))


def parse_codes(text: str) -> tuple[Code, ...]:
    """Reads one AU or several: `6B+12C`, `AU1, AU2`, `L12 & 14`.

    Returns:
      The codes; empty: a part is no AU.

    Example:
      >>> [(code.au, code.side, code.intensity) for code in parse_codes("1+L2B + AU4")]
      [(1, '', 0), (2, 'L', 2), (4, '', 0)]
    """
    if (code := parse_code(text)) is not None:
        return (code,)
    parts = [part.strip() for part in re.split(r"[+&,;/]", text) if part.strip()]
    codes = [parse_code(part) for part in parts]
    if len(codes) < 2 or any(code is None or code.rest for code in codes):
        return ()
    return tuple(code for code in codes if code is not None)


def parse_side(text: str) -> str | None:
    """The side behind a word: "L", "R", "B", "" for none said; None: not a side.

    Example:
      >>> parse_side("left"), parse_side("Both"), parse_side(""), parse_side("B"), parse_side("up")
      ('L', 'B', '', 'B', None)
    """
    word = text.strip().lower()
    return BILATERAL if word == "b" else "" if not word or word in ("none", "na") else _SIDES.get(word)


def parse_intensity(text: str) -> int | None:
    """The intensity 0 to 5 behind a letter, a number or a word; -1: said to be missing; None: not an intensity.

    Example:
      >>> [parse_intensity(text) for text in ("A", "e", "3", "3,0", "0", "slight", "9", "smile")]
      [1, 5, 3, 3, 0, 2, -1, None]
    """
    word = text.strip().lower()
    if len(word) == 1 and word in "abcde":
        return " abcde".index(word)
    if word in _MISSING:
        return -1
    if word in _GRADES:
        return _GRADES[word]
    try:
        value = float(word.replace(",", "."))
    except ValueError:
        return None
    return int(value) if value.is_integer() and 0 <= value <= 5 else None


def exact_rate(fps: int | float | Fraction) -> Fraction:
    """The frame rate that a rounded number means: 29.97 is 30000/1001.

    Example:
      >>> exact_rate(29.97), exact_rate(23.976), exact_rate(25)
      (Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 1))
    """
    for nominal in (24, 30, 48, 60, 120, 240):
        if abs(float(fps) - nominal / 1.001) < 0.006:
            return Fraction(nominal * 1000, 1001)
    return Fraction(fps).limit_denominator(100_000)


def timecode_frame(text: str, fps: int | float | Fraction) -> int:
    """The number of frames before a timecode `hh:mm:ss:ff` or `hh:mm:ss;ff`.

    `;` before the frame is drop-frame: at 29.97 (59.94) the numbers 0 and 1 (0 to 3) of every minute that is not a tenth
    are left out, so that the clock keeps up; no frame is lost. With `:` every number is counted.

    Args:
      text: the timecode.
      fps: frames a second.

    Raises:
      ValueError: not a timecode, or one that does not exist at this rate.

    Example:
      >>> timecode_frame("00:01:00;02", 29.97), timecode_frame("00:01:00:00", 29.97)
      (1800, 1800)
      >>> timecode_frame("00:00:02:05", 25)
      55
    """
    match = _TIMECODE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no timecode hh:mm:ss:ff")
    hours, minutes, seconds, frame = (int(match[part]) for part in (1, 2, 3, 5))
    nominal = math.ceil(exact_rate(fps))
    if minutes > 59 or seconds > 59 or frame >= nominal:
        raise ValueError(f"timecode {text} does not exist at {float(fps):g} frames a second")
    total = 60 * hours + minutes
    number = (60 * total + seconds) * nominal + frame
    if match[4] == ":":
        return number
    if nominal % 30 or exact_rate(fps).denominator != 1001:
        raise ValueError(f"timecode {text} is drop-frame, which {float(fps):g} frames a second do not have")
    dropped = nominal // 15
    if minutes % 10 and not seconds and frame < dropped:
        raise ValueError(f"timecode {text} does not exist: drop-frame leaves this number out")
    return number - dropped * (total - total // 10)


def format_timecode(frame: int, fps: int | float | Fraction, drop: bool = False) -> str:
    """The timecode of the frame with this many before it; the inverse of `timecode_frame`.

    Example:
      >>> format_timecode(1800, 29.97, drop=True), format_timecode(55, 25)
      ('00:01:00;02', '00:00:02:05')
    """
    nominal = math.ceil(exact_rate(fps))
    if drop:
        dropped = nominal // 15
        minute = 60 * nominal - dropped
        tens, left = divmod(frame, 10 * minute + dropped)
        frame += 9 * dropped * tens + dropped * max(0, (left - dropped) // minute)
    seconds, frame = divmod(frame, nominal)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{';' if drop else ':'}{frame:02d}"


def parse_time(text: str, unit: str = SECONDS, fps: int | float | Fraction | None = None) -> float:
    """Reads a time.

    Args:
      text: a number with a decimal point or comma; or, whatever the unit, `hh:mm:ss.mmm`, `mm:ss` or a timecode.
      unit: of a plain number: one of `UNITS`.
      fps: frames a second; needed for timecode.

    Returns:
      Seconds; a frame number where the unit is frames.

    Raises:
      ValueError: another form, or timecode without a rate.

    Example:
      >>> parse_time("2,5"), parse_time("2500", "milliseconds"), parse_time("00:01:02.250")
      (2.5, 2.5, 62.25)
      >>> parse_time("00:00:02:05", fps=25)
      2.2
    """
    text = text.strip()
    if _TIMECODE.fullmatch(text):
        if fps is None:
            raise ValueError(f"{text!r} is a timecode; say how many frames a second it counts")
        return float(timecode_frame(text, fps) / exact_rate(fps))
    if ":" in text:
        match = _CLOCK.fullmatch(text.removeprefix("-"))
        if match is None:
            raise ValueError(f"{text!r} is no time")
        hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in match.groups())
        if seconds >= 60 or (match[1] and minutes >= 60):
            raise ValueError(f"{text!r} is no time")
        value = 3600 * hours + 60 * minutes + seconds
        return -value if text.startswith("-") else value
    if unit == TIMECODE:
        raise ValueError(f"{text!r} is no timecode hh:mm:ss:ff")
    value = float(text.replace(",", "."))
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no time")
    if unit == FRAMES and not value.is_integer():
        raise ValueError(f"{text!r} is no frame number")
    return value / 1000 if unit == MILLISECONDS else value


def byte_order(content: bytes) -> str:
    """The encoding that the mark at the begin of a file tells; "" without a mark.

    Example:
      >>> byte_order("AU".encode("utf-16")), byte_order(b"AU")
      ('utf-16', '')
    """
    marks = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
    return next((name for mark, name in marks.items() if content.startswith(mark)), "")


def read_text(path: Path, limit: int = _LIMIT) -> str:
    """Reads a text file: UTF-8, UTF-16 with its mark, else the Western code page of old spreadsheets.

    Raises:
      DataError: it cannot be opened, is longer than `limit` bytes, or is not text.

    Example:
      >>> _ = (folder / "note.txt").write_bytes("Jörg: AU12".encode("cp1252"))
      >>> read_text(folder / "note.txt")
      'Jörg: AU12'
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its name and permissions") from error
    if len(content) > limit:
        raise DataError(f"{path} has more than {limit >> 20} MB, which no file of events has; check that it is one")
    mark = byte_order(content)
    try:
        text = content.decode(mark or "utf-8")
    except UnicodeDecodeError as error:
        if mark or b"\0" in content:
            raise DataError(f"{path} is not text; save it again as UTF-8 text") from error
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise DataError(f"{path} is not text; save it again as UTF-8 text")
    return text
