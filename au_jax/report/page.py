"""The report of a run: figures/*.png and report.html, which holds everything and needs no network."""

import base64
import csv
import functools
import hashlib
import importlib.metadata
import importlib.resources
import io
import json
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jinja2
import numpy as np
from absl import logging
from PIL import Image

from au_jax import files
from au_jax.config import Config, fields, to_dict, with_defaults
from au_jax.data.dataset import FaceDataset
from au_jax.errors import CommandError, UserError
from au_jax.labels import AU_NAMES
from au_jax.report import style, tabulate
from au_jax.report.explorer import draw_contact_sheet, explorer_data
from au_jax.report.score_figures import (
    cooccurrence_rows,
    draw_cooccurrence,
    draw_precision_recall,
    precision_recall_rows,
    summary_rows,
)
from au_jax.report.tabulate import draw_au_scores
from au_jax.report.timeline import draw_timeline
from au_jax.report.training_figures import draw_curves, draw_patches, trained_stages
from au_jax.run_dir import FinishedRun, load_run
from au_jax.systems import display

PAPER_FIGURES = re.compile(r"fig\d+(_\w+)?")
"""Names of the files that `au_jax.figures` leaves in the run's figures/: the paper's figures."""

CHARTS = re.compile(r"f1_frame|precision_recall|curves_.*|timeline")
"""Drawings of lines and points: they stand on the page as SVG, in the reader's light or dark scheme."""

PHOTOGRAPHS = 1_000_000
"""Bytes of a PNG from which on it holds photographs, which JPEG keeps in a fraction of the room."""

VIEWER = "viewer"
"""What the viewer of test videos shows lies in figures/viewer.json."""


@dataclass(frozen=True)
class ReportImage:
    """A figure on the page: its pixels as a data URL, or `svg`.

    Neither is there where it could not be drawn, and `caption` then says why.

    Example:
      >>> ReportImage("training", "loss", alt="", caption="not drawn: the disk is full").svg
      ''
    """

    section: str
    name: str
    alt: str
    caption: str
    source: str = ""
    width: int = 0
    height: int = 0
    svg: str = ""


def write_report(workdir: Path, config: Config, dataset: FaceDataset, results: dict[str, Any]) -> None:
    """Writes figures/ and report.html of the folds and systems that are finished.

    Args:
      workdir: folder of the run; scores, logs, split and costs are read from it.
      config: what the run was started with.
      dataset: the faces, which some figures show.
      results: content of results.json.

    Raises:
      UserError, RuntimeError: a figure could not be drawn. The page is written all the same, with all metrics and the other
        figures.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> run = load_run(run_folder)
      >>> write_report(run_folder, run.config, load_dataset(run.config.data), run.results)
      >>> (run_folder / "report.html").exists()
      True
    """
    run = FinishedRun(Path(workdir), config, dataset, results)
    failures: dict[str, Exception] = {}
    for _, name, draw in _drawings(run):
        try:
            drawing = draw()
            with style.context():
                files.write_bytes(_path(run, name), style.to_png(drawing))
                if CHARTS.fullmatch(name):
                    files.write_bytes(_path(run, name, "svg"), style.to_svg(drawing, as_text=True))
        except Exception as error:
            logging.error("report: %s could not be drawn: %s", name, error)
            failures[name] = error
    try:
        files.write_text(_path(run, VIEWER, "json"), json.dumps(explorer_data(run), separators=(",", ":")))
    except Exception as error:
        logging.error("report: the viewer of test videos could not be filled: %s", error)
        failures[VIEWER] = error
    _write_page(run, failures)
    if failures:
        error = next(iter(failures.values()))
        kind = UserError if isinstance(error, UserError) else RuntimeError
        raise kind(
            f"report: {', '.join(failures)} could not be drawn ({error}); the figures in numbers "
            f"are complete in {run.workdir / 'results.json'} and {run.workdir / 'report.html'}"
        ) from error


def renew_page(workdir: Path) -> None:
    """Writes report.html of a finished run again, with the figures that lie in its figures/ by now.

    Args:
      workdir: folder of the run.

    Example:
      >>> renew_page(run_folder)
    """
    _write_page(load_run(workdir), {})


def _drawings(run: FinishedRun) -> Iterator[tuple[str, str, Callable[[], style.Drawing]]]:
    """All pictures: section of the page, name of the file, and what draws it."""
    yield "scores", "f1_frame", functools.partial(draw_au_scores, run)
    yield "scores", "precision_recall", lambda: draw_precision_recall(run.folded_scores(), run.aus)
    best = run.best_system
    yield "scores", "cooccurrence", lambda: draw_cooccurrence(best, run.scores(best), run.aus)
    for stage, folds in trained_stages(run.workdir).items():
        name = "curves_" + stage.replace("/", "_")
        yield "curves", name, functools.partial(draw_curves, run.workdir, stage, folds)
    if "jpml" in run.systems:
        yield "patches", "patches", functools.partial(draw_patches, run.workdir, run.folds, run.aus)
    yield "timeline", "timeline", functools.partial(draw_timeline, run)
    yield "contact", "contact_sheet", functools.partial(draw_contact_sheet, run)


def _write_page(run: FinishedRun, failures: Mapping[str, Exception]) -> None:
    images = []
    for section, name, _ in _drawings(run):
        if name in failures:
            images.append(ReportImage(section, name, "", f"This picture could not be drawn: {failures[name]}"))
        elif _path(run, name).exists():
            images.append(_image(section, _path(run, name)))
    if VIEWER in failures:
        images.insert(0, ReportImage("timeline", VIEWER, "", f"The viewer could not be filled: {failures[VIEWER]}"))
    kept = sorted((run.workdir / "figures").glob("*.png"))
    images += [_image("paper", path) for path in kept if PAPER_FIGURES.fullmatch(path.stem)]
    path = _path(run, VIEWER, "json")
    viewer = files.read_json(path) if path.exists() and VIEWER not in failures else None
    files.write_text(run.workdir / "report.html", _render(run, images, viewer))


def _path(run: FinishedRun, name: str, ending: str = "png") -> Path:
    return run.workdir / "figures" / f"{name}.{ending}"


def _image(section: str, path: Path) -> ReportImage:
    png, svg, kind = path.read_bytes(), path.with_suffix(".svg"), "png"
    with Image.open(io.BytesIO(png)) as image:
        # Written by `style.to_png`. Width and height keep the page from jumping while it is laid out.
        words, (width, height) = (image.info.get("Title", ""), image.info.get("Description", "")), image.size
        if section != "paper" and svg.exists() and svg.stat().st_size <= style.LARGEST_SVG:
            return ReportImage(section, path.stem, *words, svg=style.inline_svg(svg.read_bytes(), path.stem))
        if len(png) > PHOTOGRAPHS:
            stream = io.BytesIO()
            image.convert("RGB").save(stream, "JPEG", quality=85, subsampling=0)
            png, kind = stream.getvalue(), "jpeg"
    source = f"data:image/{kind};base64," + base64.b64encode(png).decode()
    return ReportImage(section, path.stem, *words, source, width, height)


def _render(run: FinishedRun, images: list[ReportImage], viewer: dict[str, Any] | None) -> str:
    source, look, script = (
        importlib.resources.files("au_jax.report").joinpath(name).read_text("utf-8")
        for name in ("page.html.jinja", "page.css", "page.js")
    )
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    split, costs = _read(run.workdir / "split.json"), _read(run.workdir / "costs.json")
    return environment.from_string(source).render(
        style=look,
        script=script,
        # The page allows this script and no other.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        viewer=viewer,
        aus=[(au, AU_NAMES.get(au, "")) for au in run.aus],
        config=run.config,
        columns=[display.label(name) for name in run.columns],
        systems=[(display.label(name), tabulate.DESCRIPTIONS.get(name, "")) for name in run.systems],
        rows=tabulate.headline_rows(run),
        averages=tabulate.average_rows(run),
        intensities=tabulate.intensity_rows(run),
        confusion=tabulate.confusion_rows(run),
        verdict=tabulate.verdict(run),
        pictures={
            section: [image for image in images if image.section == section]
            for section in ("scores", "paper", "curves", "patches", "timeline", "contact")
        },
        folds=tabulate.fold_rows(split, run.folds),
        finished=len(run.folds),
        all_folds=run.results["folds"]["all"],
        subjects=tabulate.tested_subjects(split, run.folds),
        split=run.results["split"],
        seed=run.results["seed"],
        costs=tabulate.cost_rows(costs),
        cost_details=costs,
        # As JSON has it, so that a page that is written again from config.json is the same.
        fields=fields(with_defaults(to_dict(run.config))),
        environment=_environment(),
    )


def _read(path: Path) -> dict[str, Any]:
    return files.read_json(path) if path.exists() else {}


def _environment() -> dict[str, str]:
    """Versions and the device that the results were computed with."""
    devices = jax.devices()
    versions = {name: importlib.metadata.version(name) for name in ("jax", "flax", "optax", "numpy")}
    return {
        "Python": platform.python_version(),
        **versions,
        "device": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "system": f"{platform.system()} {platform.machine()}",
    }


FigureRow = Mapping[str, object]


def save_figure(
    folder: Path, name: str, drawing: style.Drawing, tables: Mapping[str, Iterable[FigureRow]], run: Path
) -> None:
    """Writes a figure's files and prints what it shows; a run's report page shows what is written into its figures/.

    Args:
      folder: where the files go; made if missing.
      name: of the figure, such as "fig2": fig2.png, fig2.svg.
      drawing: what is saved.
      tables: the numbers behind it, name -> rows of fig2.csv ("") or fig2_<name>.csv; the first row's keys are the header.
      run: folder of the run that the figure is of.

    Raises:
      OSError: a file cannot be written.

    Example:
      >>> import tempfile
      >>> from matplotlib.figure import Figure
      >>> folder = Path(tempfile.mkdtemp())
      >>> drawing = style.Drawing(Figure(figsize=(2, 1)), "Nothing.", "It says nothing.")
      >>> save_figure(folder, "fig9", drawing, {"": [{"x": 1, "y": 0.5}]}, run=folder)  # doctest: +ELLIPSIS
      Nothing.
      ...fig9.png, ...fig9.svg, ...fig9.csv
    """
    with style.context():
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


def to_csv(rows: Iterable[FigureRow]) -> str:
    """Rows as CSV: six significant digits, nothing where a number is undefined.

    Args:
      rows: with the same keys, which are the header.

    Example:
      >>> to_csv([{"au": 12, "f1": 0.123456789}, {"au": 15, "f1": float("nan")}])
      'au,f1\\n12,0.123457\\n15,\\n'
    """
    stream = io.StringIO()
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: _csv_cell(value) for key, value in row.items()})
    return stream.getvalue()


def _csv_cell(value: object) -> object:
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}" if np.isfinite(value) else ""
    return value


def save_precision_recall(run: Path, out: Path | None = None) -> None:
    """Writes precision_recall.png, .svg, .csv (the curves) and precision_recall_summary.csv: the report's figure again.

    Args:
      run: folder of a finished run.
      out: folder of the files; the run's figures/ if None.

    Raises:
      UserError: no finished run, or a damaged score file.

    Example:
      >>> save_precision_recall(run_folder)  # doctest: +ELLIPSIS
      Precision against recall of every AU; mean average precision: ...
    """
    finished = load_run(run)
    systems = finished.folded_scores()
    tables = {
        "": precision_recall_rows(systems, finished.aus),
        "summary": summary_rows(systems, finished.aus),
    }
    save_figure(out or run / "figures", "precision_recall", draw_precision_recall(systems, finished.aus), tables, run)


def save_cooccurrence(run: Path, system: str | None = None, out: Path | None = None) -> None:
    """Writes cooccurrence.png and .svg of a system, and cooccurrence.csv of all.

    Args:
      run: folder of a finished run.
      system: whose predictions are drawn; the best if None, as in the report.
      out: folder of the files; the run's figures/ if None.

    Raises:
      CommandError: the run has no such system.
      UserError: no finished run, or a damaged score file.

    Example:
      >>> save_cooccurrence(run_folder, system="anet")  # doctest: +ELLIPSIS
      How often AUs come together, by labels and by ANet: mean difference ...
    """
    finished = load_run(run)
    shown = system or finished.best_system
    if shown not in finished.systems:
        raise CommandError(f"{run} has no system {shown!r}; choose one of {', '.join(finished.systems)}")
    scores = {name: finished.scores(name) for name in finished.systems}
    drawing = draw_cooccurrence(shown, scores[shown], finished.aus)
    save_figure(out or run / "figures", "cooccurrence", drawing, {"": cooccurrence_rows(scores, finished.aus)}, run)
