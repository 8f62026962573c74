"""Tiers, as ELAN and Praat have them, read as events of AUs and laid out from them.

A tier is that of an AU by its name in any usual spelling, with the person in its name or as its participant; its annotations
are the events, whose values may say intensity and side. Tiers whose annotations name the AUs (`6+12C`), by themselves or
through the descriptions of a controlled vocabulary, are read as well. A tier called as an AU's with `intensity`, `side`,
`apex`, `phase` or `comment` behind, or a child of such a tier, describes the events of that AU. A tier `coded` holds the
spans that were coded; an AU's empty tier says that the AU was coded and did not occur.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.notation import LETTERS, Code, parse_code, parse_codes, parse_intensity, parse_side
from au_jax.data.recordings import Problem
from au_jax.errors import DataError
from au_jax.labels import ABSENT, MISSING

CODED = "coded"
"""Name of the tier of coded spans."""

POINT = "point"
"""Behind an AU: the name of a tier of its points."""

_APEX = ("apex", "peak")
_PHASES = ("onset", "offset", "rise", "fall", "decay", *_APEX)
_NOTES = ("comment", "comments", "note", "notes", "confidence", "certainty")
_CHILDREN = ("intensity", "level", "side", "laterality", "phase", "phases", *_NOTES, *_APEX)
_FACS_WORDS = {*"facs au aus action face facial upper lower brow brows eyes mouth codes".split()}
_YES = ("x", "yes", "on", "true", "present", "+")


@dataclass(frozen=True)
class Annotation:
    """One annotation of a tier.

    Attributes:
      name: its identifier in the file.
      value: its text, stripped.
      begin, end: seconds; equal for a point.
      parent: identifier of the annotation that it refers to, or "".

    Example:
      >>> smile = Annotation("a1", "C", begin=1.0, end=2.5)
      >>> smile.value, smile.end - smile.begin
      ('C', 1.5)
    """

    name: str
    value: str
    begin: int | float
    end: int | float
    parent: str = ""


@dataclass
class Tier:
    """A tier of a file.

    Attributes:
      name: as in the file.
      person: its participant; where empty, the one in its name.
      parent: name of the tier that it depends on, or "".
      kind: its linguistic type.
      vocabulary: value -> description of its controlled vocabulary.
      annotations: in any order.

    Example:
      >>> tier = Tier("AU12 left", person="anna", annotations=[Annotation("a1", "C", 1.0, 2.5)])
      >>> [event.person for event in events_of_tiers(Path("clip.eaf"), [tier], [])[0]]
      ['anna']
    """

    name: str
    person: str = ""
    parent: str = ""
    kind: str = ""
    vocabulary: Mapping[str, str] = field(default_factory=dict)
    annotations: list[Annotation] = field(default_factory=list)


def events_of_tiers(
    path: Path, tiers: Sequence[Tier], problems: list[Problem], *, person: str | None = None
) -> tuple[tuple[Event, ...], tuple[int, ...], tuple[tuple[int | float, int | float], ...]]:
    """The events of a file's tiers.

    Args:
      path: the file, for messages.
      tiers: all of them.
      problems: what is not understood is added.
      person: only tiers of this person; None: all.

    Returns:
      Events in order of onset; AUs that were coded; spans that were coded.

    Raises:
      DataError: no tier or annotation of an AU, or nobody of this name.

    Example:
      >>> tier = Tier("AU12 left", annotations=[Annotation("a1", "C", 1.0, 2.0)])
      >>> events_of_tiers(Path("clip.eaf"), [tier], [])[0][0].intensity
      'C'
    """
    codes = {tier.name: parse_code(tier.name) for tier in tiers}
    people = {tier.name: tier.person or (code.person if (code := codes[tier.name]) else "") for tier in tiers}
    if person is not None and person not in people.values():
        known = ", ".join(sorted({repr(name) for name in people.values() if name})) or "nobody"
        raise DataError(f"{path} has no tier of {person!r}; it has {known}")
    chosen = [tier for tier in tiers if person is None or people[tier.name] == person or tier.name.lower() == CODED]
    homes = _homes(tiers, codes, people)
    events: dict[tuple[str, int], Event] = {}  # annotation, place in it
    owned: dict[str, list[str]] = {}  # tier -> annotations with events
    aus: set[int] = set()
    spans: list[tuple[int | float, int | float]] = []
    silent: list[str] = []
    for tier in chosen:
        code = codes[tier.name]
        if tier.name.strip().lower() == CODED:
            spans += [(annotation.begin, annotation.end) for annotation in tier.annotations]
        elif homes[tier.name]:
            continue
        elif code is not None and {*code.rest.split()} & {*_NOTES}:
            silent.append(tier.name)
        elif code is not None:
            aus.add(code.au)
            if more := [word for word in code.rest.split() if not word.isdigit() and word not in (*_CHILDREN, POINT)]:
                text = f"tier {tier.name!r} is taken as AU {code.au}; {' '.join(more)!r} is not understood"
                problems.append(Problem("tier name with more words", str(path), text))
            grade = LETTERS[code.intensity - 1] if code.intensity else None
            # Where nothing but 0 and 1 is coded, 1 is no intensity.
            binary = {annotation.value for annotation in tier.annotations} <= {"", "0", "1"}
            for annotation, apex in _joined_phases(tier.annotations):
                event = Event(
                    code.au, annotation.begin, annotation.end, apex, code.side, grade, person=people[tier.name]
                )
                value = "" if binary and annotation.value == "1" else annotation.value
                events[annotation.name, 0] = with_value(event, value)
                owned.setdefault(tier.name, []).append(annotation.name)
        else:
            named = bool(set(re.findall(r"[a-z]+", tier.name.lower())) & _FACS_WORDS)
            listed = [*tier.vocabulary, *tier.vocabulary.values()]
            if not named and all(text.strip().isdigit() for text in tier.vocabulary):
                listed = [*tier.vocabulary.values()]
            understood = {code.au for text in listed for code in parse_codes(text)}
            for annotation in tier.annotations:
                # A bare number may count trials; it is an AU in a tier that says so.
                trusted = named or not re.fullmatch(r"[0-9+, ]*", annotation.value)
                found = parse_codes(annotation.value) if trusted else ()
                for place, code in enumerate(found or parse_codes(tier.vocabulary.get(annotation.value, ""))):
                    understood.add(code.au)
                    events[annotation.name, place] = Event(
                        code.au, annotation.begin, annotation.end, None, code.side,
                        LETTERS[code.intensity - 1] if code.intensity else None,
                        person=people[tier.name] or code.person, comment=code.rest,
                    )  # fmt: skip
                    owned.setdefault(tier.name, []).append(annotation.name)
            aus |= understood
            if not understood:
                silent.append(tier.name)
    parents = {annotation.name: annotation.parent for tier in tiers for annotation in tier.annotations}
    for tier in chosen:
        if home := homes[tier.name]:
            word = next((word for word in re.findall(r"[a-z]+", tier.name.lower()) if word in _CHILDREN), "")
            owners = set(owned.get(home, ()))
            keys = [key for key in events if key[0] in owners]
            for annotation in tier.annotations:
                target = annotation.parent
                while target and target not in owners:
                    target = parents.get(target, "")
                middle = (annotation.begin + annotation.end) / 2
                # A border belongs to the event that it begins.
                around = [key for key in keys if events[key].onset <= middle <= (events[key].offset or 0)]
                within = [key for key in around if middle < (events[key].offset or 0)] or around
                for key in [key for key in keys if key[0] == target] if target else within:
                    events[key] = _described(events[key], word, annotation)
    if silent:
        text = f"{len(silent)} tiers name no AU and are left out: {', '.join(repr(name) for name in silent[:8])}"
        problems.append(Problem("tier without AU", str(path), text, len(silent)))
    if not aus:
        names = ", ".join(repr(tier.name) for tier in tiers[:8]) or "no tiers"
        raise DataError(f"{path} has no tier or annotation of an AU (it has {names}); name tiers as AU12 or P1 AU12 L")
    if never := sorted(aus - {event.au for event in events.values()}):
        text = f"no event of AU {', '.join(map(str, never))}; taken as coded and absent"
        problems.append(Problem("AU without events", str(path), text, len(never)))
    order = sorted(events.values(), key=lambda event: (event.onset, event.au, event.side, event.person))
    return tuple(order), tuple(sorted(aus)), tuple(sorted(spans))


def with_value(event: Event, value: str) -> Event:
    """An event with what its annotation says: intensity, side, or else a comment.

    Example:
      >>> with_value(Event(12, 1.0, 2.0), "L12C").side, with_value(Event(12, 1.0, 2.0), "?").label
      ('L', 0)
    """
    code = parse_code(value)
    if code is not None and code.au == event.au and not code.rest and not (value.strip().isdigit() and code.au <= 5):
        grade, side = code.intensity, code.side
        return replace(event, side=side or event.side, intensity=LETTERS[grade - 1] if grade else event.intensity)
    result = event
    for word in re.split(r"[\s,;]+", value):
        grade, side = parse_intensity(word), parse_side(word)
        if word.lower() in _YES:
            continue
        if grade is not None and word:
            label = ABSENT if grade == 0 else MISSING if grade < 0 else event.label
            result = replace(result, label=label, intensity=LETTERS[grade - 1] if grade > 0 else None)
        elif side:
            result = replace(result, side=side)
        elif word:
            return replace(event, comment=value)
    return result


def value_of(event: Event) -> str:
    """What an annotation says of an event: its intensity, "0" where it is absent, "?" where it could not be coded.

    Example:
      >>> value_of(Event(12, 1.0, 2.0, intensity="C")), value_of(Event(12, 1.0, 2.0, label=ABSENT)), value_of(Event(12, 1.0, 2.0))
      ('C', '0', '')
    """
    return {ABSENT: "0", MISSING: "?"}.get(event.label, event.intensity or "")


def tiers_of_events(codes: EventCodes) -> dict[str, tuple[str, list[Event]]]:
    """Lays events out in tiers: one for each person, AU and side, and another where events of one overlap.

    Returns:
      Name, such as `AU12 left@P1` -> person and events in order, of which none begins before the one before it ends.

    Example:
      >>> list(tiers_of_events(EventCodes((Event(12, 0.0, 1.0, side="L"), Event(12, 0.5, 2.0, side="L")), (4, 12))))
      ['AU4', 'AU12 left', 'AU12 left (2)']
    """
    tiers: dict[str, tuple[str, list[Event]]] = {}
    for person in codes.persons or ("",):
        for au in sorted({*codes.aus, *(event.au for event in codes.events)}):
            mine = [event for event in codes.events if (event.au, event.person) == (au, person)]
            for side in sorted({event.side for event in mine}) or [""]:
                placed: list[list[Event]] = [[]]
                for event in sorted((event for event in mine if event.side == side), key=lambda event: event.onset):
                    fitting = next((row for row in placed if not row or _is_over(row[-1], event.onset)), None)
                    if fitting is None:
                        placed.append(fitting := [])
                    fitting.append(event)
                for copy, row in enumerate(placed, start=1):
                    where = {"L": " left", "R": " right", "B": " bilateral"}.get(side, "")
                    name = f"AU{au}{where}" + (f" ({copy})" if copy > 1 else "") + (f"@{person}" if person else "")
                    tiers[name] = person, row
    return tiers


def child_name(name: str, word: str) -> str:
    """The name of a tier that describes another: `AU12 left@P1`, `apex` -> `AU12 left apex@P1`.

    Example:
      >>> child_name("AU12 left@P1", "apex"), child_name("AU12", "apex")
      ('AU12 left apex@P1', 'AU12 apex')
    """
    stem, at, person = name.partition("@")
    return f"{stem} {word}{at}{person}"


def _is_over(event: Event, time: int | float) -> bool:
    # What lasts less than a millisecond is written as one.
    return event.offset is not None and max(event.offset, event.onset + 0.001) <= time + 1e-9


def _homes(tiers: Sequence[Tier], codes: Mapping[str, Code | None], people: Mapping[str, str]) -> dict[str, str]:
    """Name of each tier -> that of the tier whose events it describes, or ""."""
    by_name = {tier.name: tier for tier in tiers}

    def describes(code: Code) -> bool:
        return any(word in _CHILDREN for word in code.rest.split())

    own: dict[tuple[int, str, str], list[str]] = {}
    for tier in tiers:
        if (code := codes[tier.name]) is not None and not describes(code):
            own.setdefault((code.au, code.side, people[tier.name]), []).append(tier.name)
    homes = {}
    for tier in tiers:
        code, home = codes[tier.name], ""
        if code is not None and describes(code):
            named = own.get((code.au, code.side, people[tier.name]), [])
            copies = [
                name for name in named if (other := codes[name]) and {*other.rest.split()} <= {*code.rest.split()}
            ]
            # The one of most words in common: `AU12 (2) apex` describes `AU12 (2)`.
            copies.sort(key=lambda name: -len(codes[name].rest))  # type: ignore[union-attr]
            home = tier.parent if tier.parent in named else next(iter(copies), "")
        elif code is None:
            parent, seen = by_name.get(tier.parent), {tier.name}
            if parent is not None and set(re.findall(r"[a-z]+", tier.name.lower())) & {*_CHILDREN}:
                home = parent.name
            while not home and parent is not None and parent.name not in seen:
                seen.add(parent.name)
                if (other := codes[parent.name]) is not None and not describes(other):
                    home = parent.name
                parent = by_name.get(parent.parent)
        homes[tier.name] = home
    return homes


def _joined_phases(annotations: Sequence[Annotation]) -> list[tuple[Annotation, int | float | None]]:
    """Annotations of an AU's tier, where onset, apex and offset that touch are one event; with the time of the apex."""
    joined: list[tuple[Annotation, int | float | None]] = []
    in_phases = False
    for annotation in sorted(annotations, key=lambda annotation: annotation.begin):
        phase = annotation.value.lower()
        if phase not in _PHASES:
            joined.append((annotation, None))
            in_phases = False
            continue
        apex = annotation.begin if phase in _APEX else None
        if in_phases and annotation.begin - joined[-1][0].end < 1e-6 and phase not in ("onset", "rise"):
            event, before = joined[-1]
            joined[-1] = replace(event, end=annotation.end), apex if before is None else before
        else:
            joined.append((replace(annotation, value=""), apex))
        in_phases = True
    return joined


def _described(event: Event, word: str, annotation: Annotation) -> Event:
    """An event with what an annotation of a tier that describes it says."""
    phase = annotation.value.lower()
    if word in _NOTES:
        return replace(event, comment=" ".join(part for part in (event.comment, annotation.value) if part))
    if word in _APEX or phase in _APEX:
        return replace(event, apex=annotation.begin)
    if phase in _PHASES:
        return event
    if word in ("side", "laterality"):
        return replace(event, side=parse_side(annotation.value) or event.side)
    described = with_value(replace(event, comment=""), annotation.value)
    return replace(described, comment=" ".join(part for part in (event.comment, described.comment) if part))
