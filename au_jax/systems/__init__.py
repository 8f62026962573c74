"""The systems of the tables: one registry of the built-in ones, and of those that other packages add.

A system is a class in a file of its own (`au_jax.systems.base.System`) and one line here. Another package adds a system by an
entry point of the group `au_jax.systems`, without a change of this one:

    [project.entry-points."au_jax.systems"]
    my_system = "my_package.my_module:MySystem"

This module imports neither TensorFlow nor scikit-learn: a system's module is imported when the system is asked for.
"""

import functools
import importlib
import importlib.metadata
import re
from typing import TYPE_CHECKING, NamedTuple

from absl import logging

from au_jax.errors import ConfigError

if TYPE_CHECKING:
    from au_jax.systems.base import System

ENTRY_POINTS = "au_jax.systems"
"""Group of entry points by which other packages add systems."""

# The palette of Okabe and Ito (2008), which colour-blind readers can tell apart.
BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION = (
    "#000000", "#0072B2", "#009E73", "#767676", "#E69F00", "#CC79A7", "#56B4E9", "#D55E00",
)  # fmt: skip


class Look(NamedTuple):
    """How a system appears to readers: its name, and colour (#RRGGBB), marker and line of its curves (as in matplotlib).

    Example:
      >>> BUILT_IN["hybrid"].look.label
      'Hybrid'
    """

    label: str
    colour: str
    marker: str
    line: str


class Entry(NamedTuple):
    """A line of the registry: "module:Class", and how the system appears to readers.

    Example:
      >>> BUILT_IN["anet"].target
      'au_jax.systems.anet:ANet'
    """

    target: str
    look: Look


BUILT_IN: dict[str, Entry] = {
    "hog_svm": Entry("au_jax.systems.hog_svm:HogSvm", Look("HOG+SVM", ORANGE, "s", ":")),
    "cpm": Entry("au_jax.systems.cpm:Cpm", Look("CPM", GREEN, "D", "-.")),
    "jpml": Entry("au_jax.systems.jpml:Jpml", Look("JPML", PURPLE, "v", "--")),
    "anet_transfer": Entry("au_jax.systems.anet_transfer:AnetTransfer", Look("ANet-T", SKY, "P", ":")),
    "anet": Entry("au_jax.systems.anet:ANet", Look("ANet", VERMILLION, "^", "--")),
    "anet_filter": Entry("au_jax.systems.anet_filter:AnetFilter", Look("ANet + filter", BLACK, "d", "-.")),
    "anet_intensity": Entry(
        "au_jax.systems.anet_intensity:AnetIntensity", Look("ANet intensity", VERMILLION, "*", ":")
    ),
    "hybrid": Entry("au_jax.systems.hybrid:Hybrid", Look("Hybrid", BLUE, "o", "-")),
}
"""The built-in systems, in the order of the tables."""

PREDICTORS: dict[str, Look] = {
    "always_present": Look("always present", GREY, "_", "-"),
    "persistence": Look("persistence", GREY, ".", ":"),
}
"""Trivial predictors, which stand beside the systems in the tables."""


def system_names() -> tuple[str, ...]:
    """The names of all systems that `config.systems` may hold, in the order of the tables.

    Returns:
      The built-in ones, then those of other packages in order of name.

    Raises:
      ConfigError: another package's system has the name of another one, or no name that a file can have.

    Example:
      >>> system_names()[:8]
      ('hog_svm', 'cpm', 'jpml', 'anet_transfer', 'anet', 'anet_filter', 'anet_intensity', 'hybrid')
    """
    return (*BUILT_IN, *sorted(_plugins()))


@functools.cache
def get_system(name: str) -> "type[System]":
    """The class of a system; its module is imported now.

    Args:
      name: as in `config.systems`.

    Raises:
      ConfigError: there is no system of this name, or another package's system cannot be loaded.

    Example:
      >>> get_system("hog_svm").label
      'HOG+SVM'
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].target.partition(":")
        return getattr(importlib.import_module(module), attribute)
    point = _plugins().get(name)
    if point is None:
        raise ConfigError(f"config.systems names {name!r}; choose among {', '.join(system_names())}")
    where = f"the system {name} of {_package(point)} ({point.value})"
    try:
        system = point.load()
    # Whatever a module of somebody else raises when it is imported.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"{where} cannot be loaded ({type(error).__name__}: {reason}); mend or uninstall that package"
        ) from error
    from au_jax.systems.base import System

    if not (isinstance(system, type) and issubclass(system, System)) or getattr(system, "name", None) != name:
        raise ConfigError(f"{where} is no class that extends au_jax.systems.base.System with name = {name!r}")
    return system


def plugin_blocks() -> dict[str, type]:
    """The config sections that systems of other packages bring along.

    Returns:
      System name -> dataclass of `config.<name>`, every field of which has a default. A system that cannot be loaded is left
      out, with a warning; it is refused where a run asks for it.

    Raises:
      ConfigError: as `system_names`.

    Example:
      >>> sorted(plugin_blocks())  # of the packages that are installed beside this one
      []
    """
    blocks = {}
    for name in sorted(_plugins()):
        try:
            block = get_system(name).config_block
        except ConfigError as error:
            logging.warning("%s", error)
            continue
        if isinstance(block, type):
            blocks[name] = block
    return blocks


def _plugins() -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points of other packages by name."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", point.name):
            raise ConfigError(
                f"{_package(point)} adds a system called {point.name!r}; names hold small letters, digits and underscores"
            )
        if point.name in (*BUILT_IN, *PREDICTORS, *found):
            other = f"by {_package(found[point.name])} too" if point.name in found else "which au_jax has itself"
            raise ConfigError(f"{_package(point)} adds a system called {point.name}, {other}; uninstall one of them")
        found[point.name] = point
    return found


def _package(point: importlib.metadata.EntryPoint) -> str:
    return f"package {point.dist.name}" if point.dist else f"entry point {point.name}"
