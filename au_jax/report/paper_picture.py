"""The picture of a comparison with the paper: per protocol, AU and system our figure and the paper's."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from au_jax.report import style
from au_jax.report.finished import display_name
from au_jax.report.paper_runs import PROTOCOL_NAMES
from au_jax.report.paper_table import ALWAYS, METRICS, ROWS, Column, Comparison

# A gap sets the average apart.
_PLACES = np.arange(len(ROWS)) + 0.4 * np.array([row == "average" for row in ROWS])


def draw_comparison(comparison: Comparison) -> style.Drawing:
    """Draws a panel per protocol: ours filled with its interval, the paper's hollow beside it, crossed where doubtful."""
    protocols = comparison.protocols
    systems = list(dict.fromkeys(column.system for column in comparison.columns if column.system != ALWAYS))
    series = style.system_series(systems)
    figure = Figure(figsize=(13.0, 1.5 + 3.3 * len(protocols)))
    panels = figure.subplots(len(protocols), 1, squeeze=False)[:, 0]
    for axes, (protocol, columns) in zip(panels, protocols.items(), strict=True):
        _draw_panel(axes, columns, series)
        axes.set_title(PROTOCOL_NAMES[protocol], loc="left")
        axes.set_ylabel(f"{METRICS[comparison.metric]} (%)")
    figure.suptitle("\n".join([comparison.title, *comparison.warnings]))
    figure.legend(handles=_legend(comparison.columns, series), loc="outside lower center", ncols=6)
    return style.Drawing(
        figure,
        alt=f"{comparison.title}: {', '.join(display_name(system) for system in systems)} under "
        f"{', '.join(PROTOCOL_NAMES[protocol] for protocol in protocols)}. {' '.join(comparison.warnings)}".strip(),
        caption=comparison.explanation,
    )


def _draw_panel(axes: Axes, columns: list[Column], series: dict[str, style.Series]) -> None:
    axes.axvspan(_PLACES[-1] - 0.5, _PLACES[-1] + 0.5, color="#F2F2F2", linewidth=0)
    systems = [column for column in columns if column.system != ALWAYS]
    for column in columns:
        if column.system == ALWAYS:
            known = [(x, cell.ours) for x, cell in zip(_PLACES, column.cells, strict=True) if cell.ours is not None]
            x, y = np.array(known).reshape(-1, 2).T
            axes.hlines(y, x - 0.44, x + 0.44, color=style.GREY, linewidth=2)
    # As many places as in the largest panel of the paper's, lest a single system spread over the whole group.
    step = 0.84 / max(len(systems), 5)
    for number, column in enumerate(systems):
        centre = _PLACES + (number - (len(systems) - 1) / 2) * step
        shift = step / 5 if column.has_ours and column.has_paper else 0.0
        _draw_ours(axes, centre - shift, column, series[column.system])
        _draw_papers(axes, centre + shift, column, series[column.system])
    axes.set_xticks(_PLACES, [str(row) if row == "average" else f"AU {row}" for row in ROWS])
    axes.set_xlim(_PLACES[0] - 0.6, _PLACES[-1] + 0.6)
    # The paper's highest figures are at 99.
    axes.set_ylim(0, 103)
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def _draw_ours(axes: Axes, places: np.ndarray, column: Column, series: style.Series) -> None:
    for x, cell in zip(places, column.cells, strict=True):
        if cell.ours is None:
            continue
        low, high = (cell.ours if bound is None else bound for bound in (cell.low, cell.high))
        axes.plot([x, x], [low, high], color=series.colour, linewidth=1.4)
        axes.plot([x], [cell.ours], series.marker, color=series.colour, markersize=5)


def _draw_papers(axes: Axes, places: np.ndarray, column: Column, series: style.Series) -> None:
    for x, cell in zip(places, column.cells, strict=True):
        if cell.paper is None:
            continue
        hollow = {"markeredgecolor": series.colour, "markerfacecolor": "white", "markersize": 6}
        axes.plot([x], [cell.paper], series.marker, **hollow)
        if cell.doubts:
            axes.plot([x], [cell.paper], "x", color=style.BLACK, markersize=3.5, markeredgewidth=0.8)


def _legend(columns: tuple[Column, ...], series: dict[str, style.Series]) -> list[Line2D]:
    def entry(label: str, marker: str, colour: str = style.BLACK, face: str | None = None) -> Line2D:
        return Line2D(
            [], [], linestyle="none", marker=marker, label=label, color=colour, markerfacecolor=face or colour
        )

    entries = [entry(display_name(system), one.marker, one.colour) for system, one in series.items()]
    if any(column.has_ours for column in columns):
        entries.append(Line2D([], [], color=style.GREY, linewidth=2, label=display_name(ALWAYS)))
        entries.append(Line2D([], [], color=style.BLACK, marker="o", label="filled: ours, with its interval"))
    if any(column.has_paper for column in columns):
        entries.append(entry("hollow: the paper's", "o", face="white"))
        entries.append(entry("crossed: the paper's, doubtful", "x"))
    return entries
