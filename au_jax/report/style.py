"""How the report's pictures look: colours that colour-blind readers can tell apart, markers beside every colour."""

import contextlib
import io
import warnings
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
