"""ELAN annotation files (.eaf), read into events; `elan_writer` writes them.

A tier per AU, by its name in any usual spelling, with the person in its name or as its participant; or tiers whose
annotations name the AUs (`6+12C`), by themselves or through the descriptions of a controlled vocabulary. Child tiers of an
AU's tier give its intensity, side, apex, phases or comment. Symbolic tiers inherit their parent's time, in equal parts where
they subdivide it; slots without a time are spread evenly between their neighbours, as ELAN shows them. Annotations run from
the linked video's TIME_ORIGIN, which is added. A tier `coded` holds the spans that were coded; an AU's empty tier says that
the AU was coded and did not occur.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.parsers import expat

from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.notation import LETTERS, Code, parse_code, parse_codes, parse_intensity, parse_side
from au_jax.data.recordings import Problem
from au_jax.errors import DataError
from au_jax.labels import ABSENT, MISSING

_LIMIT, _DEPTH = 64 << 20, 32
_UNITS = {
    "milliseconds": Fraction(1, 1000),
    "pal-frames": Fraction(1, 25),
    "pal-50-frames": Fraction(1, 50),
    "ntsc-frames": Fraction(1001, 30000),
}
_APEX = ("apex", "peak")
_PHASES = ("onset", "offset", "rise", "fall", "decay", *_APEX)
_NOTES = ("comment", "comments", "note", "notes", "confidence", "certainty")
_CHILDREN = ("intensity", "level", "side", "laterality", "phase", "phases", *_NOTES, *_APEX)
_FACS_WORDS = {
    "facs",
    "au",
    "aus",
    "action",
    "face",
    "facial",
    "upper",
    "lower",
    "brow",
    "brows",
    "eyes",
    "mouth",
    "codes",
}


@dataclass
class _Annotation:
    name: str
    value: str
    begin: float  # seconds
    end: float


@dataclass
class _Tier:
    name: str
    person: str
    parent: str
    kind: str  # its linguistic type
    elements: list[ElementTree.Element]
    annotations: list[_Annotation]
    code: Code | None = None


def read_elan(path: Path, *, media: str = "", person: str | None = None) -> EventCodes:
    """Reads an .eaf file.

    Args:
      path: the file.
      media: name of the video whose clock counts, where the file links several with different origins.
      person: only the tiers of this person; None: all.

    Returns:
      Events in seconds of the video.

    Raises:
      DataError: no XML, a document type declaration, not an annotation document, no tier or annotation of an AU.

    Example:
      >>> import tempfile
      >>> from au_jax.data.annotations.elan_writer import write_elan
      >>> path = Path(tempfile.mkdtemp()) / "clip.eaf"
      >>> write_elan(path, EventCodes((Event(12, 1.0, 2.5, side="L", intensity="C"),), (12,)), media="clip.mp4")
      >>> codes = read_elan(path)
      >>> codes.events, codes.media
      ((Event(au=12, onset=1.0, offset=2.5, apex=None, side='L', intensity='C', label=1, person='', comment=''),), ('clip.mp4',))
    """
    root = _parse_xml(path)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise DataError(f"{path} is XML, but no ELAN annotation document (its root is {root.tag}); save it from ELAN")
    problems: list[Problem] = []
    linked, origin = _media(path, root, media)
    slots = _slots(path, root)
    tiers = _tiers(path, root, slots, problems)
    events, aus, spans = _events(path, root, tiers, person, problems)
    if not aus:
        names = ", ".join(repr(name) for name in list(tiers)[:8]) or "no tiers"
        raise DataError(f"{path} has no tier or annotation of an AU (it has {names}); name tiers as AU12 or P1 AU12 L")
    if silent := sorted(aus - {event.au for event in events}):
        text = f"no event of AU {', '.join(map(str, silent))}; taken as coded and absent"
        problems.append(Problem("AU without events", str(path), text, len(silent)))
    ordered = tuple(sorted(events, key=lambda event: (event.onset, event.au, event.side, event.person)))
    codes = EventCodes(ordered, tuple(sorted(aus)), tuple(sorted(spans)), "seconds", linked, str(path), tuple(problems))
    return codes.shifted(origin) if origin else codes


def _parse_xml(path: Path) -> ElementTree.Element:
    """The root element; without document types and entities, and of bounded size and depth."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(_LIMIT + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its name and permissions") from error
    if len(content) > _LIMIT:
        raise DataError(f"{path} has more than {_LIMIT >> 20} MB, which no annotation file has; check that it is one")
    builder, parser, depth = ElementTree.TreeBuilder(), expat.ParserCreate(), 0

    def refuse(*_) -> None:
        raise DataError(f"{path} has a document type declaration, which ELAN does not write; save it from ELAN")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise DataError(
                f"{path}, line {parser.CurrentLineNumber}: elements nest deeper than in any ELAN file; save it from ELAN"
            )
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is no whole XML file ({error}); open it in ELAN and save it again") from error
    return builder.close()


def _attribute(path: Path, element: ElementTree.Element, name: str) -> str:
    if (value := element.get(name)) is None:
        what = element.get("ANNOTATION_ID") or element.get("TIER_ID") or element.tag
        raise DataError(f"{path}: {what} has no {name}; open the file in ELAN and save it again")
    return value


def _media(path: Path, root: ElementTree.Element, wanted: str) -> tuple[tuple[str, ...], float]:
    """Names of the linked media, and the seconds of the video at which annotation time is 0."""
    origins: dict[str, float] = {}
    for element in root.iterfind("HEADER/MEDIA_DESCRIPTOR"):
        url = unquote(element.get("RELATIVE_MEDIA_URL") or element.get("MEDIA_URL") or "")
        name = PureWindowsPath(url).name or PurePosixPath(url).name
        try:
            origins[name] = int(element.get("TIME_ORIGIN") or 0) / 1000
        except ValueError:
            raise DataError(
                f"{path}: TIME_ORIGIN of {name} is no number of milliseconds; set it in ELAN again"
            ) from None
    if wanted:
        hits = [name for name in origins if Path(name).stem == Path(wanted).stem]
        if origins and not hits:
            raise DataError(f"{path} does not link {wanted}; it links {', '.join(origins)}")
        return tuple(origins), origins[hits[0]] if hits else 0.0
    videos = {
        name: origin for name, origin in origins.items() if not name.lower().endswith((".wav", ".mp3", ".m4a"))
    } or origins
    if len(set(videos.values())) > 1:
        raise DataError(f"{path} links {', '.join(videos)} with different origins; say which video its codes are for")
    return tuple(origins), next(iter(videos.values()), 0.0)


def _slots(path: Path, root: ElementTree.Element) -> dict[str, float | None]:
    """Time slots in their order -> seconds, or None."""
    header = root.find("HEADER")
    unit = (header.get("TIME_UNITS") if header is not None else None) or "milliseconds"
    if unit.lower() not in _UNITS:
        raise DataError(f"{path} counts in {unit!r}, which is not known; save it from ELAN in milliseconds")
    slots: dict[str, float | None] = {}
    for element in root.iterfind("TIME_ORDER/TIME_SLOT"):
        text, name = element.get("TIME_VALUE"), _attribute(path, element, "TIME_SLOT_ID")
        try:
            slots[name] = None if text is None else float(int(text) * _UNITS[unit.lower()])
        except ValueError:
            raise DataError(
                f"{path}: time slot {name} has the time {text!r}; open the file in ELAN and save it again"
            ) from None
    return slots


def _tiers(
    path: Path, root: ElementTree.Element, slots: dict[str, float | None], problems: list[Problem]
) -> dict[str, _Tier]:
    """The tiers by name, with the times of all their annotations."""
    tiers: dict[str, _Tier] = {}
    for element in root.iterfind("TIER"):
        name = _attribute(path, element, "TIER_ID")
        elements = [child for annotation in element.iterfind("ANNOTATION") for child in annotation]
        tiers[name] = _Tier(
            name, element.get("PARTICIPANT") or "", element.get("PARENT_REF") or "",
            element.get("LINGUISTIC_TYPE_REF") or "", elements, [],
        )  # fmt: skip
    spread = _spread(path, tiers.values(), slots)
    if spread:
        text = f"{spread} time slots have no time; spread evenly between their neighbours, as ELAN shows them"
        problems.append(Problem("time slot without a time", str(path), text, spread))
    intervals: dict[str, tuple[float, float]] = {}
    for tier in tiers.values():
        for element in (element for element in tier.elements if element.tag == "ALIGNABLE_ANNOTATION"):
            name = _attribute(path, element, "ANNOTATION_ID")
            refs = [_attribute(path, element, ref) for ref in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
            if lacking := [ref for ref in refs if slots.get(ref) is None]:
                raise DataError(
                    f"{path}, tier {tier.name!r}: annotation {name} has no time ({lacking[0]}); give it one in ELAN"
                )
            begin, end = (slots[ref] or 0.0 for ref in refs)
            if end < begin:
                raise DataError(f"{path}, tier {tier.name!r}: annotation {name} ends before it begins; mend it in ELAN")
            intervals[name] = begin, end
    kinds = {
        element.get("LINGUISTIC_TYPE_ID"): element.get("CONSTRAINTS") or ""
        for element in root.iterfind("LINGUISTIC_TYPE")
    }
    children: dict[tuple[str, str], list[ElementTree.Element]] = {}  # tier, parent annotation -> annotations
    for tier in tiers.values():
        for element in (element for element in tier.elements if element.tag == "REF_ANNOTATION"):
            children.setdefault((tier.name, _attribute(path, element, "ANNOTATION_REF")), []).append(element)
    waiting = dict(children)
    while ready := [key for key in waiting if key[1] in intervals]:
        for tier_name, parent in ready:
            family = _in_order(waiting.pop((tier_name, parent)))
            begin, end = intervals[parent]
            parts = 1 if kinds.get(tiers[tier_name].kind) == "Symbolic_Association" else len(family)
            for place, element in enumerate(family):
                part = min(place, parts - 1)
                intervals[_attribute(path, element, "ANNOTATION_ID")] = (
                    begin + (end - begin) * part / parts,
                    begin + (end - begin) * (part + 1) / parts,
                )
    if waiting:
        tier_name, parent = next(iter(waiting))
        raise DataError(
            f"{path}, tier {tier_name!r}: its annotations refer to {parent}, which is not in the file; save it from ELAN"
        )
    for tier in tiers.values():
        for element in tier.elements:
            name = _attribute(path, element, "ANNOTATION_ID")
            value = element.findtext("ANNOTATION_VALUE") or ""
            if name in intervals:
                tier.annotations.append(_Annotation(name, value.strip(), *intervals[name]))
    return tiers


def _spread(path: Path, tiers: Iterable[_Tier], slots: dict[str, float | None]) -> int:
    """Gives slots without a time one; annotations of a tier that follow each other share the time between two known slots."""
    lacking = {name for name, time in slots.items() if time is None}
    for tier in tiers:
        after = {element.get("TIME_SLOT_REF1"): element.get("TIME_SLOT_REF2") for element in tier.elements}
        for first in [slot for slot in after if slots.get(slot or "") is not None]:
            chain = [first]
            while (following := after.get(chain[-1])) is not None and following not in chain:
                chain.append(following)
                if slots.get(following) is not None:
                    break
            begin, end = slots[chain[0] or ""], slots.get(chain[-1] or "")
            if len(chain) > 2 and begin is not None and end is not None:
                for place, slot in enumerate(chain[1:-1], start=1):
                    slots[slot or ""] = begin + (end - begin) * place / (len(chain) - 1)
    # Others lie between their neighbours in the file's order of time.
    names = list(slots)
    for place, name in enumerate(names):
        if slots[name] is None:
            right = next((index for index in range(place, len(names)) if slots[names[index]] is not None), None)
            if place and right is not None:
                begin, end = slots[names[place - 1]], slots[names[right]]
                if begin is not None and end is not None:
                    slots[name] = begin + (end - begin) / (right - place + 1)
    return sum(slots[name] is not None for name in lacking)


def _in_order(family: Sequence[ElementTree.Element]) -> list[ElementTree.Element]:
    """Children of one annotation, each behind the one that it names as previous."""
    following = {element.get("PREVIOUS_ANNOTATION"): element for element in family}
    ordered, element = [], following.get(None)
    while element is not None and len(ordered) < len(family):
        ordered.append(element)
        element = following.get(element.get("ANNOTATION_ID"))
    return ordered if len(ordered) == len(family) else list(family)


def _events(
    path: Path, root: ElementTree.Element, tiers: dict[str, _Tier], person: str | None, problems: list[Problem]
) -> tuple[list[Event], set[int], list[tuple[float, float]]]:
    """Events, AUs that were coded, and coded spans of the tiers."""
    vocabularies = _vocabularies(root)
    for tier in tiers.values():
        tier.code = parse_code(tier.name)
        tier.person = tier.person or (tier.code.person if tier.code else "")
    chosen = [tier for tier in tiers.values() if person is None or tier.person == person]
    if person is not None and not any(tier.person == person for tier in tiers.values()):
        known = ", ".join(sorted({repr(tier.person) for tier in tiers.values() if tier.person})) or "nobody"
        raise DataError(f"{path} has no tier of {person!r}; it has {known}")
    events: dict[str, Event] = {}
    owned: dict[str, dict[str, list[str]]] = {}  # tier -> annotation -> its events
    aus: set[int] = set()
    spans: list[tuple[float, float]] = []
    children: list[tuple[_Tier, str]] = []
    silent: list[str] = []

    def home(tier: _Tier) -> str:
        """The tier of an AU that a tier describes, or ""."""
        if tier.code and any(word in _CHILDREN for word in tier.code.rest.split()):
            named = [
                other.name for other in tiers.values()
                if other.code and _is_au(other.code) and (other.code.au, other.code.side) == (tier.code.au, tier.code.side)
                and other.person == tier.person
            ]  # fmt: skip
            return tier.parent if tier.parent in named else next(iter(named), "")
        parent = tiers.get(tier.parent)
        if parent is not None and tier.code is None and set(re.findall(r"[a-z]+", tier.name.lower())) & {*_CHILDREN}:
            return parent.name
        while parent is not None and not (parent.code and _is_au(parent.code)):
            parent = tiers.get(parent.parent) if parent.parent != parent.name else None
        return parent.name if parent is not None and not (tier.code and _is_au(tier.code)) else ""

    for tier in chosen:
        if tier.name.strip().lower() in ("coded", "coded span", "coded spans"):
            spans += [(annotation.begin, annotation.end) for annotation in tier.annotations]
        elif described := home(tier):
            children.append((tier, described))
        elif tier.code is not None:
            aus.add(tier.code.au)
            if more := [word for word in tier.code.rest.split() if not word.isdigit() and word not in _CHILDREN]:
                text = f"tier {tier.name!r} is taken as AU {tier.code.au}; {' '.join(more)!r} is not understood"
                problems.append(Problem("tier name with more words", str(path), text))
            for annotation, phases in _joined_phases(tier.annotations):
                event = Event(
                    tier.code.au, annotation.begin, annotation.end, phases, tier.code.side,
                    LETTERS[tier.code.intensity - 1] if tier.code.intensity else None, person=tier.person,
                )  # fmt: skip
                events[annotation.name] = _with_value(event, annotation.value)
                owned.setdefault(tier.name, {})[annotation.name] = [annotation.name]
        else:
            entries = vocabularies.get(tier.kind, {})
            named = set(re.findall(r"[a-z]+", tier.name.lower())) & _FACS_WORDS
            understood = False
            for code in (code for text in (*entries, *entries.values()) for code in parse_codes(text)):
                if named or not all(text.strip().isdigit() for text in entries):
                    aus.add(code.au)
                    understood = True
            for annotation in tier.annotations:
                # A bare number may count trials; it is an AU in a tier that says so.
                trusted = named or not re.fullmatch(r"[0-9+, ]*", annotation.value)
                codes = parse_codes(annotation.value) if trusted else ()
                for place, code in enumerate(codes or parse_codes(entries.get(annotation.value, ""))):
                    understood = True
                    aus.add(code.au)
                    key = f"{annotation.name} {place}"
                    owned.setdefault(tier.name, {}).setdefault(annotation.name, []).append(key)
                    events[key] = Event(
                        code.au, annotation.begin, annotation.end, None, code.side,
                        LETTERS[code.intensity - 1] if code.intensity else None,
                        person=tier.person or code.person, comment=code.rest,
                    )  # fmt: skip
            if not understood:
                silent.append(tier.name)
    references = {
        element.get("ANNOTATION_ID"): element.get("ANNOTATION_REF")
        for tier in tiers.values()
        for element in tier.elements
    }
    for tier, described in children:
        word = next((word for word in re.findall(r"[a-z]+", tier.name.lower()) if word in _CHILDREN), "")
        owners = owned.get(described, {})
        for annotation in tier.annotations:
            target = references.get(annotation.name)
            while target is not None and target not in owners:
                target = references.get(target)
            middle = (annotation.begin + annotation.end) / 2
            for keys in [owners[target]] if target is not None else owners.values():
                for key in keys:
                    if target is not None or events[key].onset <= middle <= (events[key].offset or 0):
                        events[key] = _described(events[key], word, annotation)
    if silent:
        text = f"{len(silent)} tiers name no AU and are left out: {', '.join(repr(name) for name in silent[:8])}"
        problems.append(Problem("tier without AU", str(path), text, len(silent)))
    return list(events.values()), aus, spans


def _is_au(code: Code) -> bool:
    """Whether a tier's name is that of an AU, and not of its intensity or the like."""
    return not any(word in _CHILDREN for word in code.rest.split())


def _vocabularies(root: ElementTree.Element) -> dict[str, dict[str, str]]:
    """Linguistic type -> value -> description of its controlled vocabulary."""
    entries: dict[str, dict[str, str]] = {}
    for vocabulary in root.iterfind("CONTROLLED_VOCABULARY"):
        values = entries.setdefault(vocabulary.get("CV_ID") or "", {})
        for entry in (*vocabulary.iterfind("CV_ENTRY"), *vocabulary.iterfind("CV_ENTRY_ML/CVE_VALUE")):
            values[(entry.text or "").strip()] = entry.get("DESCRIPTION") or ""
    return {
        element.get("LINGUISTIC_TYPE_ID") or "": entries.get(element.get("CONTROLLED_VOCABULARY_REF") or "", {})
        for element in root.iterfind("LINGUISTIC_TYPE")
    }


def _joined_phases(annotations: Sequence[_Annotation]) -> list[tuple[_Annotation, float | None]]:
    """Annotations of an AU's tier, where onset, apex and offset that touch are one event; with the time of the apex."""
    joined: list[tuple[_Annotation, float | None]] = []
    open_phases: list[str] = []
    for annotation in sorted(annotations, key=lambda annotation: annotation.begin):
        phase = annotation.value.lower()
        if phase not in _PHASES:
            joined.append((annotation, None))
            open_phases = []
            continue
        apex = annotation.begin if phase in _APEX else None
        touches = bool(open_phases) and annotation.begin - joined[-1][0].end < 1e-6
        if touches and phase not in ("onset", "rise"):
            event, before = joined[-1]
            joined[-1] = replace(event, end=annotation.end), apex if before is None else before
        else:
            joined.append((replace(annotation, value=""), apex))
        open_phases = [phase]
    return joined


def _with_value(event: Event, value: str) -> Event:
    """An event with what its annotation says: intensity, side or, where that is not understood, a comment."""
    code = parse_code(value)
    if code is not None and code.au == event.au and not code.rest and not value.strip().isdigit():
        grade, side = code.intensity, code.side
        return replace(event, side=side or event.side, intensity=LETTERS[grade - 1] if grade else event.intensity)
    result = event
    for word in re.split(r"[\s,;]+", value):
        grade, side = parse_intensity(word), parse_side(word)
        if grade is not None and word:
            label = ABSENT if grade == 0 else MISSING if grade < 0 else event.label
            result = replace(result, label=label, intensity=LETTERS[grade - 1] if grade > 0 else None)
        elif side:
            result = replace(result, side=side)
        elif word:
            return replace(event, comment=value)
    return result


def _described(event: Event, word: str, annotation: _Annotation) -> Event:
    """An event with what an annotation of a child tier says about it."""
    if word in _NOTES:
        return replace(event, comment=" ".join(part for part in (event.comment, annotation.value) if part))
    if word in _APEX or annotation.value.lower() in _APEX:
        return replace(event, apex=annotation.begin)
    if annotation.value.lower() in _PHASES:
        return event
    if word in ("side", "laterality"):
        return replace(event, side=parse_side(annotation.value) or event.side)
    described = _with_value(replace(event, comment=""), annotation.value)
    return replace(described, comment=" ".join(part for part in (event.comment, described.comment) if part))
