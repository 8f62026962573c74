"""The files of a figure: PNG, SVG, and the numbers behind it as CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from au_jax import files
from au_jax.report import style
from au_jax.report.page import renew_page

Row = Mapping[str, object]


def publish(
    folder: Path, name: str, draw: Callable[[], style.Drawing], tables: Mapping[str, Iterable[Row]], run: Path
) -> style.Drawing:
    """Draws a figure and writes its files; a run's report page shows what is written into its figures/.

    Args:
      folder: where the files go; made if missing.
      name: of the picture, such as "fig2": fig2.png, fig2.svg.
      draw: makes the figure.
      tables: name -> rows of fig2.csv ("") or fig2_<name>.csv; the first row's keys are the header.
      run: folder of the run that the figure is of.
    """
    with style.look():
        drawing = draw()
        files.write_bytes(folder / f"{name}.png", style.to_png(drawing))
        files.write_bytes(folder / f"{name}.svg", style.to_svg(drawing))
    written = [folder / f"{name}.png", folder / f"{name}.svg"]
    for table, rows in tables.items():
        path = folder / (f"{name}_{table}.csv" if table else f"{name}.csv")
        files.write_text(path, to_csv(rows))
        written.append(path)
    shown = ""
    if folder.resolve() == (run / "figures").resolve() and (run / "results.json").exists():
        renew_page(run)
        shown = f"; {run / 'report.html'} shows it"
    print(f"{drawing.alt}\n{', '.join(map(str, written))}{shown}")
    return drawing


def to_csv(rows: Iterable[Row]) -> str:
    """Rows as CSV: six significant digits, nothing where a number is undefined."""
    stream = io.StringIO()
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return stream.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}" if np.isfinite(value) else ""
    return value
