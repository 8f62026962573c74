"""A comparison with the paper's tables as files: Markdown, CSV, LaTeX, and a figure with our metrics and the paper's."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from au_jax import files
from au_jax.errors import CommandError
from au_jax.evaluation.paper import TABLE_I, TABLE_II, Table
from au_jax.evaluation.tables import aligned
from au_jax.report import style
from au_jax.report.paper_tables import (
    ALWAYS,
    PAPER_METRICS,
    PRINTED,
    PROTOCOL_NAMES,
    ROWS,
    ComparedCell,
    ComparedColumn,
    Comparison,
    compare,
    read_run,
    read_runs,
)
from au_jax.systems import display

# A gap sets the average apart.
_PLACES = np.arange(len(ROWS)) + 0.4 * np.array([row == "average" for row in ROWS])


@style.context()
def draw_comparison(comparison: Comparison) -> style.Drawing:
    """Draws a panel per protocol: ours filled with its interval, the paper's hollow beside it, crossed where doubtful.

    Args:
      comparison: of a table with runs (`paper_tables.compare`).

    Example:
      >>> from au_jax.evaluation.paper import TABLE_II
      >>> draw_comparison(compare(TABLE_II, {}, "f1_frame")).alt[:46]
      'F1-frame on BP4D (Table II of the paper): HOG+'
    """
    protocols = comparison.protocols
    systems = list(dict.fromkeys(column.system for column in comparison.columns if column.system != ALWAYS))
    series = style.system_series(systems)
    figure = Figure(figsize=(13.0, 1.5 + 3.3 * len(protocols)))
    panels = figure.subplots(len(protocols), 1, squeeze=False)[:, 0]
    for axes, (protocol, columns) in zip(panels, protocols.items(), strict=True):
        _draw_panel(axes, columns, series)
        axes.set_title(PROTOCOL_NAMES[protocol], loc="left")
        axes.set_ylabel(f"{PAPER_METRICS[comparison.metric]} (%)")
    figure.suptitle("\n".join([comparison.title, *comparison.warnings]))
    figure.legend(handles=_legend(comparison.columns, series), loc="outside lower center", ncols=6)
    return style.Drawing(
        figure,
        alt=f"{comparison.title}: {', '.join(display.label(system) for system in systems)} under "
        f"{', '.join(PROTOCOL_NAMES[protocol] for protocol in protocols)}. {' '.join(comparison.warnings)}".strip(),
        caption=comparison.explanation,
    )


def _draw_panel(axes: Axes, columns: list[ComparedColumn], series: dict[str, style.Series]) -> None:
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


def _draw_ours(axes: Axes, places: np.ndarray, column: ComparedColumn, series: style.Series) -> None:
    for x, cell in zip(places, column.cells, strict=True):
        if cell.ours is None:
            continue
        low, high = (cell.ours if bound is None else bound for bound in (cell.low, cell.high))
        axes.plot([x, x], [low, high], color=series.colour, linewidth=1.4)
        axes.plot([x], [cell.ours], series.marker, color=series.colour, markersize=5)


def _draw_papers(axes: Axes, places: np.ndarray, column: ComparedColumn, series: style.Series) -> None:
    for x, cell in zip(places, column.cells, strict=True):
        if cell.paper is None:
            continue
        hollow = {"markeredgecolor": series.colour, "markerfacecolor": "white", "markersize": 6}
        axes.plot([x], [cell.paper], series.marker, **hollow)
        if cell.doubts:
            axes.plot([x], [cell.paper], "x", color=style.BLACK, markersize=3.5, markeredgewidth=0.8)


def _legend(columns: tuple[ComparedColumn, ...], series: dict[str, style.Series]) -> list[Line2D]:
    def entry(label: str, marker: str, colour: str = style.BLACK, face: str | None = None) -> Line2D:
        return Line2D(
            [], [], linestyle="none", marker=marker, label=label, color=colour, markerfacecolor=face or colour
        )

    entries = [entry(display.label(system), one.marker, one.colour) for system, one in series.items()]
    if any(column.has_ours for column in columns):
        entries.append(Line2D([], [], color=style.GREY, linewidth=2, label=display.label(ALWAYS)))
        entries.append(Line2D([], [], color=style.BLACK, marker="o", label="filled: ours, with its interval"))
    if any(column.has_paper for column in columns):
        entries.append(entry("hollow: the paper's", "o", face="white"))
        entries.append(entry("crossed: the paper's, doubtful", "x"))
    return entries


CSV_FIELDS: tuple[str, ...] = (
    "protocol",
    "system",
    "au",
    "ours",
    "low",
    "high",
    "paper",
    "difference",
    "doubts",
)

NO_VALUE = "-"


def write_tables(table: Table, folders: Sequence[str | Path], out: str | Path, *, any_dataset: bool = False) -> None:
    """Writes table_<number>_<metric>.md, .csv, .tex, .png and .svg for all metrics, and prints F1-frame.

    Args:
      table: of the paper.
      folders: of finished runs, one per protocol at most.
      out: folder of the files; made where it is not there.
      any_dataset: take runs of other datasets too.

    Raises:
      UserError: a run that cannot be shown (`paper_tables.read_runs`).
      OSError: the folder is not writable.

    Example:
      >>> from au_jax.evaluation.paper import TABLE_I
      >>> write_tables(TABLE_I, ["runs/none"], "tables")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.DataError: runs/none is not a run (it has no config.json); ...
    """
    runs = read_runs(table, folders, any_dataset=any_dataset)
    for metric in PAPER_METRICS:
        comparison = compare(table, runs, metric)
        stem = Path(out) / f"table_{table.number}_{metric}"
        files.write_text(stem.with_suffix(".md"), paper_table_markdown(comparison))
        files.write_text(stem.with_suffix(".csv"), paper_table_csv(comparison))
        files.write_text(stem.with_suffix(".tex"), latex(comparison))
        drawing = draw_comparison(comparison)
        with style.context():
            files.write_bytes(stem.with_suffix(".png"), style.to_png(drawing))
            files.write_bytes(stem.with_suffix(".svg"), style.to_svg(drawing))
        if metric == PRINTED:
            print(paper_table_markdown(comparison))
    others = " and ".join(title for metric, title in PAPER_METRICS.items() if metric != PRINTED)
    print(
        f"{Path(out) / f'table_{table.number}_*'} hold it as Markdown, CSV, LaTeX and picture, and {others} likewise."
    )


def write_paper_tables(
    table: str, folders: Sequence[str | Path], out: str | Path, *, any_dataset: bool = False
) -> None:
    """Writes one table of the paper's or both (`write_tables`).

    Args:
      table: "1", "2", or "both": each run then goes to the table of its dataset; with `any_dataset`, to both.
      folders: of finished runs.
      out: folder of the files.
      any_dataset: take runs of other datasets too.

    Raises:
      CommandError: no run, or none for any table.
      UserError: as `write_tables`.

    Example:
      >>> write_paper_tables("both", [], "tables")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.CommandError: --runs names no run; ...
    """
    tables = {"1": [TABLE_I], "2": [TABLE_II], "both": [TABLE_I, TABLE_II]}[table]
    of_table = {one.number: list(folders) for one in tables}
    if table == "both" and folders and not any_dataset:
        for one in tables:
            of_table[one.number] = [folder for folder in folders if read_run(folder).dataset == one.dataset.lower()]
        tables = [one for one in tables if of_table[one.number]]
        if not tables:
            raise CommandError("--runs: no run is on GFT or BP4D; show them all the same with --any_dataset")
    for one in tables:
        write_tables(one, of_table[one.number], out, any_dataset=any_dataset)


def paper_table_csv(comparison: Comparison) -> str:
    """A row per protocol, system and AU or average; three decimals as in results.json, nothing where there is no number.

    Args:
      comparison: of a table with runs.

    Example:
      >>> from au_jax.evaluation.paper import TABLE_II
      >>> paper_table_csv(compare(TABLE_II, {}, "f1_frame")).splitlines()[1]
      '3fold,hog_svm,1,,,,21.1,,'
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for column in comparison.columns:
        for row, cell in zip(ROWS, column.cells, strict=True):
            doubts = "; ".join(comparison.remarks[letter] for letter in cell.doubts + cell.remarks)
            numbers = (cell.ours, cell.low, cell.high, cell.paper, cell.difference)
            writer.writerow([column.protocol, column.system, row, *numbers, doubts])
    return stream.getvalue()


def paper_table_markdown(comparison: Comparison) -> str:
    """The comparison as text: a table per protocol, then the remarks and where our metrics come from.

    Args:
      comparison: of a table with runs.

    Example:
      >>> from au_jax.evaluation.paper import TABLE_II
      >>> paper_table_markdown(compare(TABLE_II, {}, "f1_frame")).splitlines()[0]
      '# F1-frame on BP4D (Table II of the paper)'
    """
    parts = [f"# {comparison.title}", comparison.explanation, *(f"**{text}**" for text in comparison.warnings)]
    for protocol, columns in comparison.protocols.items():
        rows = [["AU"], *([str(row)] for row in ROWS)]
        for column in columns:
            for cells, line in zip(_markdown_cells(column), rows, strict=True):
                line.extend(cells)
        parts += [f"## {PROTOCOL_NAMES[protocol]}", aligned(rows)]
    if comparison.remarks:
        lines = [f"- [{letter}] {text}" for letter, text in comparison.remarks.items()]
        parts += ["Remarks:", "\n".join(lines)]
    parts += ["Our figures:", "\n".join(f"- {note}" for note in comparison.notes)]
    return "\n\n".join(parts) + "\n"


def _markdown_cells(column: ComparedColumn) -> list[list[str]]:
    """Head and cells of a column, which may be up to three columns of text."""
    name = display.label(column.system)
    heads = [name] * column.has_ours + ["paper" if column.has_ours else f"{name}, paper"] * column.has_paper
    heads += ["difference"] * (column.has_ours and column.has_paper)
    rows = [heads]
    for cell in column.cells:
        paper, difference = _number(cell.paper), _signed(cell.difference)
        texts = [_with_interval(cell)] * column.has_ours
        texts += [paper + _bracketed(cell.doubts)] * column.has_paper
        texts += [difference + _bracketed(cell.remarks)] * (column.has_ours and column.has_paper)
        rows.append(texts)
    return rows


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.1f}"


def _signed(value: float | None) -> str:
    # Adding 0 makes minus zero zero.
    return NO_VALUE if value is None else f"{round(value, 1) + 0.0:+.1f}"


def _with_interval(cell: ComparedCell) -> str:
    if cell.low is None or cell.high is None:
        return _number(cell.ours)
    return f"{_number(cell.ours)} ({cell.low:.1f} to {cell.high:.1f})"


def _bracketed(letters: str) -> str:
    return f" [{', '.join(letters)}]" if letters else ""


def latex(comparison: Comparison) -> str:
    r"""The comparison as a float for \input: a tabular per protocol; bounds of intervals are sub- and superscripts.

    Args:
      comparison: of a table with runs.

    Example:
      >>> from au_jax.evaluation.paper import TABLE_II
      >>> latex(compare(TABLE_II, {}, "f1_frame")).splitlines()[1]
      '\\begin{table*}'
    """
    bounds = "The bounds of an interval are a sub- and a superscript."
    caption = " ".join([f"{comparison.title}.", comparison.explanation, bounds, *comparison.warnings])
    label = f"tab:{comparison.table.dataset.lower()}-{comparison.metric.replace('_', '-')}"
    tabulars = [
        f"\\textbf{{{PROTOCOL_NAMES[protocol]}}}\\\\[2pt]\n{_tabular(columns)}"
        for protocol, columns in comparison.protocols.items()
    ]
    remarks = [f"\\textsuperscript{{{letter}}}~{_escaped(text)}." for letter, text in comparison.remarks.items()]
    notes = "\\par\n".join([*remarks, *(_escaped(note) for note in comparison.notes)])
    return (
        "% Needs \\usepackage{booktabs}.\n"
        "\\begin{table*}\n\\centering\\scriptsize\n\\setlength{\\tabcolsep}{2pt}\n"
        f"\\caption{{{_escaped(caption)}}}\n\\label{{{label}}}\n"
        + "\\\\[6pt]\n".join(tabulars)
        + f"\\par\\medskip\n\\raggedright\n{notes}\\par\n\\end{{table*}}\n"
    )


def _tabular(columns: Sequence[ComparedColumn]) -> str:
    systems, heads, rules, rows = [""], ["AU"], [], [[str(row)] for row in ROWS]
    for column in columns:
        parts = ["ours"] * column.has_ours + ["paper"] * column.has_paper
        parts += ["diff."] * (column.has_ours and column.has_paper)
        first = len(heads) + 1
        rules.append(f"\\cmidrule(lr){{{first}-{first + len(parts) - 1}}}")
        systems.append(f"\\multicolumn{{{len(parts)}}}{{c}}{{{_escaped(display.label(column.system))}}}")
        heads += parts
        for cell, row in zip(column.cells, rows, strict=True):
            texts = {
                "ours": _latex_interval(cell),
                "paper": _latex_number(_number(cell.paper)) + _superscript(cell.doubts),
                "diff.": _latex_number(_signed(cell.difference)) + _superscript(cell.remarks),
            }
            row.extend(texts[part] for part in parts)
    lines = [" & ".join(row) + r" \\" for row in rows]
    return "\n".join(
        [
            f"\\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"\toprule",
            " & ".join(systems) + r" \\",
            "".join(rules),
            " & ".join(heads) + r" \\",
            r"\midrule",
            *lines[:-1],
            r"\midrule",
            lines[-1],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _latex_number(text: str) -> str:
    return "--" if text == NO_VALUE else f"${text}$"


def _latex_interval(cell: ComparedCell) -> str:
    if cell.ours is None or cell.low is None or cell.high is None:
        return _latex_number(_number(cell.ours))
    return f"${cell.ours:.1f}_{{{cell.low:.1f}}}^{{{cell.high:.1f}}}$"


def _superscript(letters: str) -> str:
    return f"\\textsuperscript{{{','.join(letters)}}}" if letters else ""


_SPECIAL = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)
