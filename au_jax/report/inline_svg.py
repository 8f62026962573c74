"""Drawings as part of the page: SVG whose colours follow the reader's light or dark scheme."""

import re
import xml.etree.ElementTree as ElementTree

from au_jax.report import style

LARGEST = 400_000
"""Bytes from which on a drawing is shown as pixels, which need less."""

COLOURS: dict[str, str] = {
    style.BLACK: "ink",
    "#FFFFFF": "paper",
    style.GREY: "grey",
    style.ORANGE: "orange",
    style.SKY: "sky",
    style.GREEN: "green",
    style.BLUE: "blue",
    style.VERMILLION: "vermillion",
    style.PURPLE: "purple",
    "#E4E4E4": "grid",
    "#F2F2F2": "band",
    "#C4C4C4": "truth",
    "#A0A0A0": "missing",
}
"""Colours of drawings and the names of the page's own, which page.css defines for both schemes: "blue" is --c-blue."""

_BY_HEX = {colour.lower(): f"var(--c-{name})" for colour, name in COLOURS.items()}
_NAMESPACE = re.compile(r"\{[^}]*\}")


def page_colour(colour: str) -> str:
    """A colour as the page's style sheet knows it; one that it does not know stays as it is."""
    return _BY_HEX.get(colour.lower(), colour)


def inline_svg(svg: bytes, name: str) -> str:
    """A drawing's SVG as an element of an HTML page.

    Args:
      svg: of matplotlib.
      name: of the picture; makes ids unique among several on one page.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            # The page has words of its own, and matplotlib's style sheet would hold for the whole page.
            if _local(child.tag) in ("title", "metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(key): _attribute(_local(key), value, name) for key, value in element.attrib.items()}
        if element.text:
            element.text = " ".join(element.text.split())
        element.tail = None
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"class": "drawing", "aria-hidden": "true"}
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return _NAMESPACE.sub("", name)


def _attribute(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    value = " ".join(value.split()).replace("url(#", f"url(#{name}-")
    if key == "style":
        value = re.sub(r"#[0-9a-fA-F]{6}\b", lambda found: page_colour(found[0]), value)
    return value
