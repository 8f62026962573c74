"""How systems are named and drawn everywhere: labels, colours, markers and lines of the systems and trivial predictors."""

from matplotlib.typing import LineStyleType

GREY = "#767676"  # still readable as text on white

# Label, colour (of Okabe and Ito, 2008), marker, line.
_LOOKS: dict[str, tuple[str, str, str, LineStyleType]] = {
    "always_present": ("always present", GREY, "_", "-"),
    "persistence": ("persistence", GREY, "|", "-"),
    "hog_svm": ("HOG+SVM", "#E69F00", "s", ":"),
    "cpm": ("CPM", "#009E73", "D", "-."),
    "jpml": ("JPML", "#CC79A7", "v", "--"),
    "anet_transfer": ("ANet-T", "#56B4E9", "P", ":"),
    "anet": ("ANet", "#D55E00", "^", "--"),
    "hybrid": ("Hybrid", "#0072B2", "o", "-"),
}


def label(name: str) -> str:
    """A system's or trivial predictor's name for readers; an unknown name is its own."""
    return _LOOKS[name][0] if name in _LOOKS else name


def colour(name: str) -> str:
    """Its colour; an unknown one is grey."""
    return _LOOKS[name][1] if name in _LOOKS else GREY


def marker(name: str) -> str:
    """Its marker in plots."""
    return _LOOKS[name][2] if name in _LOOKS else "X"


def line(name: str) -> LineStyleType:
    """Its line in plots."""
    return _LOOKS[name][3] if name in _LOOKS else "-"
