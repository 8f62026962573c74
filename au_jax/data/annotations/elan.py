"""ELAN annotation files (.eaf), read into events; `elan_writer` writes them, and `tiers` says what tiers mean.

Symbolic tiers inherit their parent's time, in equal parts where they subdivide it. Slots without a time are spread evenly
between their neighbours, as ELAN shows them. Annotations run from the linked video's TIME_ORIGIN, which is added.
"""

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.parsers import expat

from au_jax.data.annotations.events import EventCodes
from au_jax.data.annotations.tiers import Annotation, Tier, events_of_tiers
from au_jax.data.recordings import Problem
from au_jax.errors import DataError

_LIMIT, _DEPTH = 64 << 20, 32
_UNITS = {
    "milliseconds": Fraction(1, 1000),
    "pal-frames": Fraction(1, 25),
    "pal-50-frames": Fraction(1, 50),
    "ntsc-frames": Fraction(1001, 30000),
}


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
      >>> from au_jax.data.annotations.events import Event
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
    tiers = _tiers(path, root, _slots(path, root), problems)
    events, aus, spans = events_of_tiers(path, tiers, problems, person=person)
    codes = EventCodes(events, aus, spans, "seconds", linked, str(path), tuple(problems))
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
) -> list[Tier]:
    """The tiers, with the times of all their annotations."""
    elements: dict[str, list[ElementTree.Element]] = {}
    tiers: list[Tier] = []
    vocabularies = _vocabularies(root)
    for element in root.iterfind("TIER"):
        name, kind = _attribute(path, element, "TIER_ID"), element.get("LINGUISTIC_TYPE_REF") or ""
        elements[name] = [child for annotation in element.iterfind("ANNOTATION") for child in annotation]
        tiers.append(
            Tier(
                name,
                element.get("PARTICIPANT") or "",
                element.get("PARENT_REF") or "",
                kind,
                vocabularies.get(kind, {}),
            )
        )
    if spread := _spread(elements.values(), slots):
        text = f"{spread} time slots have no time; spread evenly between their neighbours, as ELAN shows them"
        problems.append(Problem("time slot without a time", str(path), text, spread))
    intervals: dict[str, tuple[float, float]] = {}
    families: dict[tuple[str, str], list[ElementTree.Element]] = {}  # kind of tier, parent annotation -> its children
    for tier in tiers:
        for element in elements[tier.name]:
            name = _attribute(path, element, "ANNOTATION_ID")
            if element.tag == "REF_ANNOTATION":
                families.setdefault((tier.name, _attribute(path, element, "ANNOTATION_REF")), []).append(element)
                continue
            refs = [_attribute(path, element, ref) for ref in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
            if lacking := [ref for ref in refs if slots.get(ref) is None]:
                raise DataError(
                    f"{path}, tier {tier.name!r}: annotation {name} has no time ({lacking[0]}); give it one in ELAN"
                )
            begin, end = (slots[ref] or 0.0 for ref in refs)
            if end < begin:
                raise DataError(f"{path}, tier {tier.name!r}: annotation {name} ends before it begins; mend it in ELAN")
            intervals[name] = begin, end
    constraints = {
        element.get("LINGUISTIC_TYPE_ID"): element.get("CONSTRAINTS") or ""
        for element in root.iterfind("LINGUISTIC_TYPE")
    }
    associated = {tier.name for tier in tiers if constraints.get(tier.kind) == "Symbolic_Association"}
    while ready := [key for key in families if key[1] in intervals]:
        for key in ready:
            family = _in_order(families.pop(key))
            begin, end = intervals[key[1]]
            parts = 1 if key[0] in associated else len(family)
            for place, element in enumerate(family):
                part = min(place, parts - 1)
                intervals[_attribute(path, element, "ANNOTATION_ID")] = (
                    begin + (end - begin) * part / parts,
                    begin + (end - begin) * (part + 1) / parts,
                )
    if families:
        tier_name, parent = next(iter(families))
        raise DataError(
            f"{path}, tier {tier_name!r}: its annotations refer to {parent}, which is not in the file; save it from ELAN"
        )
    for tier in tiers:
        for element in elements[tier.name]:
            name = element.get("ANNOTATION_ID") or ""
            value = (element.findtext("ANNOTATION_VALUE") or "").strip()
            tier.annotations.append(Annotation(name, value, *intervals[name], element.get("ANNOTATION_REF") or ""))
    return tiers


def _spread(tiers: Iterable[Sequence[ElementTree.Element]], slots: dict[str, float | None]) -> int:
    """Gives slots without a time one, and says how many.

    Annotations of a tier that follow each other share the time between two known slots in equal parts.
    """
    lacking = {name for name, time in slots.items() if time is None}
    if not lacking:
        return 0
    for elements in tiers:
        after = {element.get("TIME_SLOT_REF1") or "": element.get("TIME_SLOT_REF2") or "" for element in elements}
        for first in [
            slot for slot, following in after.items() if slots.get(slot) is not None and following in lacking
        ]:
            chain = [first]
            while (following := after.get(chain[-1], "")) and following not in chain:
                chain.append(following)
                if slots.get(following) is not None:
                    break
            begin, end = slots[first], slots.get(chain[-1])
            if begin is not None and end is not None:
                for place, slot in enumerate(chain[1:-1], start=1):
                    slots[slot] = begin + (end - begin) * place / (len(chain) - 1)
    # Others lie between their neighbours in the file's order of time.
    names = list(slots)
    known = [place for place, name in enumerate(names) if slots[name] is not None]
    for left, right in itertools.pairwise(known):
        begin, end = slots[names[left]], slots[names[right]]
        for place in range(left + 1, right):
            if begin is not None and end is not None:
                slots[names[place]] = begin + (end - begin) * (place - left) / (right - left)
    return sum(slots[name] is not None for name in lacking)


def _in_order(family: Sequence[ElementTree.Element]) -> list[ElementTree.Element]:
    """Children of one annotation, each behind the one that it names as previous."""
    following = {element.get("PREVIOUS_ANNOTATION"): element for element in family}
    ordered, element = [], following.get(None)
    while element is not None and len(ordered) < len(family):
        ordered.append(element)
        element = following.get(element.get("ANNOTATION_ID"))
    return ordered if len(ordered) == len(family) else list(family)


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
