"""How the report's pictures look: colours that colour-blind readers can tell apart, markers beside every colour.

The files of a figure: PNG, SVG, and the numbers behind it as CSV.
"""

import contextlib
import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib
import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType

# The palette of Okabe and Ito (2008), without the yellow that is lost on white.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#767676"  # still readable as text on white
PALE = "#D9D9D9"

DOTS_PER_INCH = 150


@dataclass(frozen=True)
class Drawing:
    """A finished figure and its words.

    Attributes:
      figure: to be saved by `to_png` or `to_svg`.
      alt: what the picture shows, for those who do not see it.
      caption: how to read it.
    """

    figure: Figure
    alt: str
    caption: str


@dataclass(frozen=True)
class Series:
    """How one system or fold is drawn everywhere."""

    colour: str
    marker: str
    line: LineStyleType = "-"


_SYSTEMS = {
    "always_present": Series(GREY, "_"),
    "hog_svm": Series(ORANGE, "s", ":"),
    "cpm": Series(GREEN, "D", "-."),
    "jpml": Series(PURPLE, "v", "--"),
    "anet": Series(VERMILLION, "^", "--"),
    "hybrid": Series(BLUE, "o"),
}
_OTHERS = (Series(SKY, "P", ":"), Series(BLACK, "X", "-."), Series(GREEN, "*"), Series(PURPLE, "p", "--"))
_FOLDS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")


def system_series(names: Sequence[str]) -> dict[str, Series]:
    """Colour, marker and line of every system; a known one always has the same."""
    unknown = [name for name in names if name not in _SYSTEMS]
    others = {name: _OTHERS[index % len(_OTHERS)] for index, name in enumerate(unknown)}
    return {name: _SYSTEMS.get(name) or others[name] for name in names}


def fold_series(count: int) -> list[Series]:
    """Colour and marker of every fold; beyond seven, colours return with another marker."""
    size = len(_FOLDS)
    return [Series(_FOLDS[index % size], _MARKERS[(index + index // size) % size]) for index in range(count)]


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Sets the look of figures that are made and saved in the block, whatever the user's own settings are."""
    settings = {
        "font.family": "DejaVu Sans",
        "font.size": 10.0,
        "axes.titlesize": 11.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "grid.color": "#E4E4E4",
        "legend.frameon": False,
        "figure.dpi": DOTS_PER_INCH,
        "figure.constrained_layout.use": True,
        "figure.constrained_layout.h_pad": 0.08,
        "figure.constrained_layout.w_pad": 0.08,
        # Names of subjects are no formulas.
        "text.parse_math": False,
        "hatch.linewidth": 0.7,
    }
    with matplotlib.style.context(["default", settings]):
        yield


def to_png(drawing: Drawing) -> bytes:
    """Draws a figure as PNG with its words inside; the same figure gives the same bytes."""
    stream = io.BytesIO()
    # No Software entry: it would change with the version and says nothing to a reader.
    words = {"Title": drawing.alt, "Description": drawing.caption, "Software": None}
    with warnings.catch_warnings():
        # A subject named in another script becomes boxes in the picture; the page spells it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        FigureCanvasAgg(drawing.figure).print_png(stream, metadata=words)
    return stream.getvalue()


def to_svg(drawing: Drawing, *, as_text: bool = False) -> bytes:
    """Draws a figure as SVG with its words inside; the same figure gives the same bytes.

    Args:
      as_text: letters as text, in a font of the reader's; else as outlines, which look the same everywhere.
    """
    fonts = "none" if as_text else "path"
    stream = io.BytesIO()
    words = {"Title": drawing.alt, "Description": drawing.caption, "Creator": None, "Date": None}
    with matplotlib.rc_context({"svg.hashsalt": "au_jax", "svg.fonttype": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        FigureCanvasSVG(drawing.figure).print_svg(stream, metadata=words)
    return stream.getvalue()


LARGEST = 400_000
"""Bytes from which on a drawing is shown as pixels, which need less."""

COLOURS: dict[str, str] = {
    BLACK: "ink",
    "#FFFFFF": "paper",
    GREY: "grey",
    ORANGE: "orange",
    SKY: "sky",
    GREEN: "green",
    BLUE: "blue",
    VERMILLION: "vermillion",
    PURPLE: "purple",
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
