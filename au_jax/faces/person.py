"""Which person of a picture is meant, as a text says it: by a word, or by a box around the face."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from au_jax.errors import ConfigError

Box = tuple[float, float, float, float]
"""x, y, width and height in pixels of the image."""

WORDS: tuple[str, ...] = ("largest", "left", "right", "anyone")
"""Words for the person who is meant."""


def parse_person(text: str) -> str | Box:
    """Which person is meant: `largest`, `left`, `right`, `anyone`, or a box.

    Args:
      text: one of these words, or x, y, width and height in pixels of the upright picture.

    Raises:
      ConfigError: something else.

    Example:
      >>> parse_person("left"), parse_person("320, 40, 200, 200")
      ('left', (320.0, 40.0, 200.0, 200.0))
      >>> parse_person("middle")
      Traceback (most recent call last):
      au_jax.errors.ConfigError: a person is 'middle'; give largest, left, right, anyone, or a box as x,y,width,height in pixels
    """
    word = text.strip().lower()
    if word in WORDS:
        return word
    try:
        x, y, width, height = (float(part) for part in word.split(","))
    except ValueError:
        x = y = width = height = math.nan
    if not (math.isfinite(x) and math.isfinite(y) and 0 < width < math.inf and 0 < height < math.inf):
        raise ConfigError(f"a person is {text!r}; give {', '.join(WORDS)}, or a box as x,y,width,height in pixels")
    return x, y, width, height


@dataclass(frozen=True)
class Persons:
    """Who is meant in each recording.

    Attributes:
      usual: in those that are not named.
      named: subject, or subject/video -> who is meant there.

    Example:
      >>> persons = Persons("largest", {"001A": "left", "001B/T2": "right"})
      >>> persons.of("001A", "T1"), persons.of("001B", "T2"), persons.of("001B", "T3")
      ('left', 'right', 'largest')
    """

    usual: str | Box
    named: Mapping[str, str | Box]

    def of(self, subject: str, video: str) -> str | Box:
        """Who is meant in a recording."""
        return self.named.get(f"{subject}/{video}", self.named.get(subject, self.usual))


def parse_persons(text: str) -> Persons:
    """Parses `config.data.person`.

    Args:
      text: who is meant everywhere; or parts with semicolons between, of which `subject=who` or `subject/video=who` names a
        recording's, and one without a name the others'.

    Raises:
      ConfigError: a part has another form, or comes twice.

    Example:
      >>> parse_persons("001A=left; 001B=0,0,320,360").named
      {'001A': 'left', '001B': (0.0, 0.0, 320.0, 360.0)}
      >>> parse_persons("right").of("anna", "clip")
      'right'
    """
    usual: list[str | Box] = []
    named: dict[str, str | Box] = {}
    for part in (part.strip() for part in text.split(";") if part.strip()):
        name, equals, who = (piece.strip() for piece in part.rpartition("="))
        person = parse_person(who)
        if name in named or (not equals and usual) or (equals and not name):
            raise ConfigError(
                f"config.data.person says twice, or of nobody, {part!r}; write it as '001A=left; 001B=right'"
            )
        if name:
            named[name] = person
        else:
            usual.append(person)
    return Persons(usual[0] if usual else WORDS[0], named)


def is_persons(text: str) -> bool:
    """Whether a text can be `config.data.person`.

    Example:
      >>> is_persons("001A=left; right"), is_persons("middle")
      (True, False)
    """
    try:
        parse_persons(text)
    except ConfigError:
        return False
    return True
