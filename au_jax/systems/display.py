"""How systems appear to readers: label, colour, marker and line of every system and trivial predictor.

Tables, figures and the report ask here. Neither TensorFlow nor scikit-learn is imported for a built-in system; the class of
another package's system is loaded when its name is asked for.
"""

from au_jax.errors import ConfigError
from au_jax.systems import BUILT_IN, GREY, PREDICTORS, Look, get_system


def look(name: str) -> Look:
    """Label, colour, marker and line of a system or trivial predictor.

    Args:
      name: as in results.json.

    Returns:
      Of a name that is not known, such as a system of a package that is not installed here: the name itself, in grey.

    Example:
      >>> look("anet")
      Look(label='ANet', colour='#D55E00', marker='^', line='--')
      >>> look("nobodys").label
      'nobodys'
    """
    if name in BUILT_IN:
        return BUILT_IN[name].look
    if name in PREDICTORS:
        return PREDICTORS[name]
    try:
        system = get_system(name)
    except ConfigError:
        return Look(name, GREY, "X", "-.")
    return Look(system.label or name, system.colour, system.marker, system.line)


def label(name: str) -> str:
    """The name for readers.

    Example:
      >>> label("hog_svm"), label("always_present")
      ('HOG+SVM', 'always present')
    """
    return look(name).label


def colour(name: str) -> str:
    """The colour, "#RRGGBB".

    Example:
      >>> colour("hybrid")
      '#0072B2'
    """
    return look(name).colour


def marker(name: str) -> str:
    """The marker of points, as matplotlib names it.

    Example:
      >>> marker("hog_svm")
      's'
    """
    return look(name).marker


def line(name: str) -> str:
    """The line style, as matplotlib names it.

    Example:
      >>> line("jpml")
      '--'
    """
    return look(name).line
