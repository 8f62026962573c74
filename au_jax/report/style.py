"""How the report's figures look: colours that colour-blind readers can tell apart, markers beside every colour, PNG and SVG."""

import contextlib
import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType

from au_jax.labels import AU_NAMES
from au_jax.systems import display

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
GREY = "#767676"  # still readable as text on white; what au_jax.systems.display gives to unknown systems
PALE = "#D9D9D9"

DOTS_PER_INCH = 150


@dataclass(frozen=True)
class Drawing:
    """A finished figure and its words.

    Attributes:
      figure: to be saved by `to_png` or `to_svg`.
      alt: what it shows, for those who do not see it.
      caption: how to read it.

    Example:
      >>> with context():
      ...     drawing = Drawing(Figure(figsize=(2, 1)), "An empty figure.", "There is nothing to read.")
      ...     png, svg = to_png(drawing), to_svg(drawing)
      >>> png[1:4], svg[:5]
      (b'PNG', b'<?xml')
    """

    figure: Figure
    alt: str
    caption: str


@dataclass(frozen=True)
class Series:
    """How one system or fold is drawn everywhere.

    Example:
      >>> Series(BLUE, "o").line
      '-'
    """

    colour: str
    marker: str
    line: LineStyleType = "-"


_OTHERS = (Series(SKY, "P", ":"), Series(BLACK, "X", "-."), Series(GREEN, "*"), Series(PURPLE, "p", "--"))
_FOLDS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")


def system_series(names: Sequence[str]) -> dict[str, Series]:
    """Colour, marker and line of every system: those of `au_jax.systems.display`.

    Args:
      names: of systems; unknown ones, all of which are grey there, get looks that tell them apart here.

    Example:
      >>> series = system_series(["hybrid", "mine"])
      >>> series["hybrid"].marker, series["mine"].colour == SKY
      ('o', True)
    """
    series = {name: Series(display.colour(name), display.marker(name), cast(Any, display.line(name))) for name in names}
    unknown = [name for name in names if series[name].colour == GREY and name not in ("always_present", "persistence")]
    return series | {name: _OTHERS[index % len(_OTHERS)] for index, name in enumerate(unknown)}


def fold_series(count: int) -> list[Series]:
    """Colour and marker of every fold; beyond seven, colours return with another marker.

    Args:
      count: number of folds.

    Example:
      >>> len({(series.colour, series.marker) for series in fold_series(10)})
      10
    """
    size = len(_FOLDS)
    return [Series(_FOLDS[index % size], _MARKERS[(index + index // size) % size]) for index in range(count)]


def au_title(au: int) -> str:
    """An AU's number and name, as it stands beside or above what is drawn of it.

    Args:
      au: its number; one without a name in `labels.AU_NAMES` is its number alone.

    Example:
      >>> au_title(12), au_title(99)
      ('AU 12  lip corner puller', 'AU 99')
    """
    return f"AU {au}  {AU_NAMES.get(au, '')}".rstrip()


def the_aus(aus: Sequence[int]) -> str:
    """What is drawn, in words.

    Args:
      aus: AU numbers.

    Example:
      >>> the_aus((1, 2)), the_aus((12,))
      ('the 2 AUs', 'AU 12')
    """
    return f"AU {aus[0]}" if len(aus) == 1 else f"the {len(aus)} AUs"


def au_panels(
    aus: Sequence[int], height: float, margin: float, columns: int = 4, **options: bool
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel per AU, in rows.

    Args:
      aus: AU numbers.
      height: of a row, in inches.
      margin: further height of the figure, in inches.
      columns: panels in a row, at most.
      options: of `Figure.subplots`, such as sharex.

    Returns:
      The figure, and as many axes as AUs; places that are left over are empty.

    Example:
      >>> figure, panels = au_panels((1, 2, 4, 6, 12), height=2.0, margin=1.0)
      >>> len(panels), figure.get_size_inches().tolist()
      (5, [10.0, 5.0])
    """
    # One AU alone is drawn half a row wide, not over a whole one.
    columns = max(min(columns, len(aus)), 2)
    rows = -(-len(aus) // columns)
    figure = Figure(figsize=(10.0, round(rows * height + margin, 3)))
    panels = list(cast(Any, figure).subplots(rows, columns, squeeze=False, **options).flat)
    for index in range(len(aus), len(panels)):
        panels[index].remove()
        # The panel above an empty place is the last of its column, which has the numbers of a shared axis.
        panels[index - columns].tick_params(labelbottom=True)
    return figure, panels[: len(aus)]


@contextlib.contextmanager
def context() -> Iterator[None]:
    """Sets the look of figures that are made and saved in the block, whatever the user's own settings are.

    Also a decorator. Every `draw_..` of this room has it; saving needs it once more.

    Example:
      >>> with context():
      ...     matplotlib.rcParams["font.size"]
      10.0
    """
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
    """Draws a figure as PNG with its words inside; the same figure gives the same bytes.

    Example:
      >>> to_png(Drawing(Figure(figsize=(2, 1)), "An empty figure.", "There is nothing to read."))[1:4]
      b'PNG'
    """
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
      drawing: what is saved.
      as_text: letters as text, in a font of the reader's; else as outlines, which look the same everywhere.

    Example:
      >>> to_svg(Drawing(Figure(figsize=(2, 1)), "An empty figure.", "There is nothing to read."))[:5]
      b'<?xml'
    """
    fonts = "none" if as_text else "path"
    stream = io.BytesIO()
    words = {"Title": drawing.alt, "Description": drawing.caption, "Creator": None, "Date": None}
    with matplotlib.rc_context({"svg.hashsalt": "au_jax", "svg.fonttype": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        FigureCanvasSVG(drawing.figure).print_svg(stream, metadata=words)
    return stream.getvalue()


LARGEST_SVG = 400_000
"""Bytes of an SVG from which on a page shows pixels instead, which need less."""

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
    """A colour as the page's style sheet knows it; one that it does not know stays as it is.

    Args:
      colour: such as "#0072B2".

    Example:
      >>> page_colour(BLUE), page_colour("#123456")
      ('var(--c-blue)', '#123456')
    """
    return _BY_HEX.get(colour.lower(), colour)


def inline_svg(svg: bytes, name: str) -> str:
    """A drawing's SVG as an element of an HTML page, whose colours follow the reader's light or dark scheme.

    Args:
      svg: of matplotlib.
      name: of the figure; makes ids unique among several on one page.

    Example:
      >>> inline_svg(b'<svg width="9"><g id="a" style="fill: #0072B2"/></svg>', "one")
      '<svg class="drawing" aria-hidden="true"><g id="one-a" style="fill: var(--c-blue)" /></svg>'
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
        value = re.sub(r"#[0-9a-fA-F]{6}\b", lambda match: page_colour(match[0]), value)
    return value
