"""Events written as ELAN annotation files (.eaf): a tier per person, AU and side with the intensity as its value.

Child tiers hold apex and comment, and the video is linked. Times are whole milliseconds, as ELAN knows no others.
"""

import datetime
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from au_jax import files
from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.notation import LETTERS
from au_jax.data.annotations.tiers import CODED, child_name, tiers_of_events, value_of
from au_jax.errors import DataError

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MIME = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".mov": "video/quicktime",
}

_Row = tuple[int, int, Event | None]
"""Begin and end in milliseconds, and the event."""


def write_elan(
    path: Path,
    codes: EventCodes,
    *,
    media: str | Path = "",
    duration: int | float | None = None,
    author: str = "au_jax",
    date: str = "",
) -> None:
    """Writes an .eaf file that ELAN opens with its video.

    Args:
      path: replaced if it exists.
      codes: in seconds; times are rounded to milliseconds, and events last at least one.
      media: the video, as it is linked; beside the file where only a name is given.
      duration: seconds of the video; where events with an open end stop.
      author, date: of the document; date in ISO 8601, now if empty.

    Raises:
      DataError: events in frame numbers, times before 0, or an open end without a duration.

    Example:
      >>> codes = EventCodes((Event(12, 0.5, 2.0, side="L", intensity="C"),), aus=(12,))
      >>> write_elan(folder / "clip.eaf", codes, media="clip.mp4")
      >>> from au_jax.data.annotations.elan import read_elan
      >>> [(event.au, event.onset, event.offset, event.side, event.intensity) for event in read_elan(folder / "clip.eaf").events]
      [(12, 0.5, 2.0, 'L', 'C')]
    """
    if codes.unit != "seconds":
        raise DataError(f"{path}: ELAN files hold times; give events in seconds, by the video's frame times")
    stop = duration if duration is not None else max((end for _, end in codes.spans), default=None)

    def span(begin: int | float, end: int | float | None) -> tuple[int, int]:
        end = stop if end is None else end
        if end is None:
            raise DataError(f"{path}: an event has an open end, which ELAN does not know; say how long the video is")
        if begin < 0:
            raise DataError(
                f"{path}: an event begins {-begin:g} s before the video, which ELAN does not allow; shift or cut it"
            )
        first = round(begin * 1000)
        return first, max(first + 1, round(end * 1000))

    tiers: dict[str, tuple[str, str, Sequence[_Row]]] = {}  # name -> person, kind, annotations
    if codes.spans:
        tiers[CODED] = "", "coded", [(*span(*borders), None) for borders in codes.spans]
    for name, (person, events) in tiers_of_events(codes).items():
        tiers[name] = person, "AU", [(*span(event.onset, event.offset), event) for event in events]
    _write_document(
        path, tiers, str(media), author, date or datetime.datetime.now(datetime.UTC).isoformat("T", "seconds")
    )


def _write_document(
    path: Path, tiers: Mapping[str, tuple[str, str, Sequence[_Row]]], media: str, author: str, date: str
) -> None:
    schema = {
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
    }
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT", {"AUTHOR": author, "DATE": date, "FORMAT": "3.0", "VERSION": "3.0", **schema}
    )
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if media:
        place = Path(media)
        link = {
            "MEDIA_URL": place.absolute().as_uri()
            if place.is_absolute() or place.exists()
            else f"file:./{place.as_posix()}",
            "MIME_TYPE": _MIME.get(place.suffix.lower(), "unknown"),
            "RELATIVE_MEDIA_URL": f"./{place.name}",
        }
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", link)
    last = ElementTree.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"})
    order = ElementTree.SubElement(root, "TIME_ORDER")
    times: list[tuple[int, ElementTree.Element, str]] = []
    number = 0

    def tier(name: str, kind: str, person: str, parent: str = "") -> ElementTree.Element:
        attributes = {"LINGUISTIC_TYPE_REF": kind, "TIER_ID": name}
        attributes |= {"PARENT_REF": parent} if parent else {}
        return ElementTree.SubElement(root, "TIER", attributes | ({"PARTICIPANT": person} if person else {}))

    def annotate(place: ElementTree.Element, value: str, begin: int = -1, end: int = -1, parent: str = "") -> str:
        nonlocal number
        number += 1
        kind = "REF_ANNOTATION" if parent else "ALIGNABLE_ANNOTATION"
        attributes = {"ANNOTATION_ID": f"a{number}"} | ({"ANNOTATION_REF": parent} if parent else {})
        element = ElementTree.SubElement(ElementTree.SubElement(place, "ANNOTATION"), kind, attributes)
        ElementTree.SubElement(element, "ANNOTATION_VALUE").text = _NOT_XML.sub("\ufffd", value)
        if not parent:
            times.extend([(begin, element, "TIME_SLOT_REF1"), (end, element, "TIME_SLOT_REF2")])
        return f"a{number}"

    for name, (person, kind, rows) in tiers.items():
        place, names = tier(name, kind, person), []
        for begin, end, event in rows:
            names.append(annotate(place, "" if event is None else value_of(event), begin, end))
        if any(event is not None and event.apex is not None for *_, event in rows):
            child = tier(child_name(name, "apex"), "apex", person, name)
            for begin, end, event in rows:
                if event is not None and event.apex is not None:
                    apex = min(max(round(event.apex * 1000), begin), end - 1)
                    annotate(child, "apex", apex, end)
        if any(event is not None and event.comment for *_, event in rows):
            child = tier(child_name(name, "comment"), "comment", person, name)
            for (*_, event), parent in zip(rows, names, strict=True):
                if event is not None and event.comment:
                    annotate(child, event.comment, parent=parent)
    last.text = str(number)
    # Slots in order of time, each border with its own: ELAN moves all that share one.
    for index, (time, element, end) in enumerate(sorted(times, key=lambda slot: slot[0]), start=1):
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{index}", "TIME_VALUE": str(time)})
        element.set(end, f"ts{index}")
    for kind, constraint, vocabulary in (
        ("AU", "", "FACS intensity"), ("coded", "", ""), ("apex", "Included_In", ""), ("comment", "Symbolic_Association", "")
    ):  # fmt: skip
        attributes = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": kind}
        attributes["TIME_ALIGNABLE"] = "false" if constraint.startswith("Symbolic") else "true"
        attributes |= {"CONSTRAINTS": constraint} if constraint else {}
        ElementTree.SubElement(
            root, "LINGUISTIC_TYPE", attributes | ({"CONTROLLED_VOCABULARY_REF": vocabulary} if vocabulary else {})
        )
    undetermined = {
        "LANG_ID": "und",
        "LANG_DEF": "http://cdb.iso.org/lg/CDB-00130975-001",
        "LANG_LABEL": "undetermined (und)",
    }
    ElementTree.SubElement(root, "LANGUAGE", undetermined)
    for stereotype, text in (
        ("Included_In", "Time alignable annotations within the parent annotation's time interval, gaps are allowed"),
        ("Symbolic_Association", "1-1 association with a parent annotation"),
    ):
        ElementTree.SubElement(root, "CONSTRAINT", {"DESCRIPTION": text, "STEREOTYPE": stereotype})
    vocabulary = ElementTree.SubElement(root, "CONTROLLED_VOCABULARY", {"CV_ID": "FACS intensity"})
    ElementTree.SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": "und"})
    grades = ("trace", "slight", "marked or pronounced", "severe or extreme", "maximum")
    for value, text in (*zip(LETTERS, grades, strict=True), ("0", "absent"), ("?", "cannot be coded")):
        entry = ElementTree.SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": f"cveid_{len(vocabulary)}"})
        ElementTree.SubElement(entry, "CVE_VALUE", {"LANG_REF": "und", "DESCRIPTION": text}).text = value
    ElementTree.indent(root, "    ")
    files.write_bytes(path, ElementTree.tostring(root, "UTF-8", xml_declaration=True))
