"""The files of a comparison with the paper: Markdown, CSV, LaTeX and pictures."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from au_jax import files
from au_jax.evaluation.paper import Table
from au_jax.evaluation.tables import aligned
from au_jax.report import style
from au_jax.report.finished import display_name
from au_jax.report.paper_picture import draw_comparison
from au_jax.report.paper_runs import PROTOCOL_NAMES, read_runs
from au_jax.report.paper_table import METRICS, PRINTED, ROWS, Cell, Column, Comparison, compare

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

DASH = "-"


def write_tables(table: Table, folders: Sequence[str | Path], out: str | Path, *, any_dataset: bool = False) -> None:
    """Writes table_<number>_<metric>.md, .csv, .tex, .png and .svg for all metrics, and prints that of F1-frame.

    Args:
      table: of the paper.
      folders: of finished runs, one per protocol at most.
      out: folder of the files; made where it is not there.
      any_dataset: take runs of other datasets too.

    Raises:
      UserError: a run that cannot be shown (`paper_runs.read_runs`).
      OSError: the folder is not writable.
    """
    runs = read_runs(table, folders, any_dataset=any_dataset)
    for metric in METRICS:
        comparison = compare(table, runs, metric)
        stem = Path(out) / f"table_{table.number}_{metric}"
        files.write_text(stem.with_suffix(".md"), markdown(comparison))
        files.write_text(stem.with_suffix(".csv"), long_csv(comparison))
        files.write_text(stem.with_suffix(".tex"), latex(comparison))
        with style.look():
            drawing = draw_comparison(comparison)
            files.write_bytes(stem.with_suffix(".png"), style.to_png(drawing))
            files.write_bytes(stem.with_suffix(".svg"), style.to_svg(drawing))
        if metric == PRINTED:
            print(markdown(comparison))
    print(
        f"{Path(out) / f'table_{table.number}_*'} hold it as Markdown, CSV, LaTeX and picture, and {_others()} likewise."
    )


def _others() -> str:
    return " and ".join(title for metric, title in METRICS.items() if metric != PRINTED)


def long_csv(comparison: Comparison) -> str:
    """A row per protocol, system and AU or average; three decimals as in results.json, nothing where there is no figure."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for column in comparison.columns:
        for row, cell in zip(ROWS, column.cells, strict=True):
            doubts = "; ".join(comparison.remarks[letter] for letter in cell.doubts + cell.remarks)
            figures = (cell.ours, cell.low, cell.high, cell.paper, cell.difference)
            writer.writerow([column.protocol, column.system, row, *figures, doubts])
    return stream.getvalue()


def markdown(comparison: Comparison) -> str:
    """The comparison as text: a table per protocol, then the remarks and where our figures come from."""
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


def _markdown_cells(column: Column) -> list[list[str]]:
    """Head and cells of a column, which may be up to three columns of text."""
    name = display_name(column.system)
    heads = [name] * column.has_ours + ["paper" if column.has_ours else f"{name}, paper"] * column.has_paper
    heads += ["difference"] * (column.has_ours and column.has_paper)
    rows = [heads]
    for cell in column.cells:
        paper, difference = _figure(cell.paper), _signed(cell.difference)
        texts = [_with_interval(cell)] * column.has_ours
        texts += [paper + _bracketed(cell.doubts)] * column.has_paper
        texts += [difference + _bracketed(cell.remarks)] * (column.has_ours and column.has_paper)
        rows.append(texts)
    return rows


def _figure(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}"


def _signed(value: float | None) -> str:
    # Adding 0 makes minus zero zero.
    return DASH if value is None else f"{round(value, 1) + 0.0:+.1f}"


def _with_interval(cell: Cell) -> str:
    if cell.low is None or cell.high is None:
        return _figure(cell.ours)
    return f"{_figure(cell.ours)} ({cell.low:.1f} to {cell.high:.1f})"


def _bracketed(letters: str) -> str:
    return f" [{', '.join(letters)}]" if letters else ""


def latex(comparison: Comparison) -> str:
    r"""The comparison as a float for \input: a tabular per protocol; bounds of intervals are sub- and superscripts."""
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


def _tabular(columns: Sequence[Column]) -> str:
    systems, heads, rules, rows = [""], ["AU"], [], [[str(row)] for row in ROWS]
    for column in columns:
        parts = ["ours"] * column.has_ours + ["paper"] * column.has_paper
        parts += ["diff."] * (column.has_ours and column.has_paper)
        first = len(heads) + 1
        rules.append(f"\\cmidrule(lr){{{first}-{first + len(parts) - 1}}}")
        systems.append(f"\\multicolumn{{{len(parts)}}}{{c}}{{{_escaped(display_name(column.system))}}}")
        heads += parts
        for cell, row in zip(column.cells, rows, strict=True):
            texts = {
                "ours": _latex_interval(cell),
                "paper": _latex_figure(_figure(cell.paper)) + _superscript(cell.doubts),
                "diff.": _latex_figure(_signed(cell.difference)) + _superscript(cell.remarks),
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


def _latex_figure(text: str) -> str:
    return "--" if text == DASH else f"${text}$"


def _latex_interval(cell: Cell) -> str:
    if cell.ours is None or cell.low is None or cell.high is None:
        return _latex_figure(_figure(cell.ours))
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
