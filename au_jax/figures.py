"""Figures of finished runs: the paper's Figs. 2 to 5, precision against recall, and AU co-occurrence.

    au-jax figures fig2 --run=runs/demo [--other=runs/gft]
    au-jax figures fig3|fig4|fig5|precision_recall|cooccurrence --run=runs/demo

The same command is `python -m au_jax.figures`; --help after a figure's name lists its options. The files go into the run's
figures/, where its report shows them: a PNG, an SVG, and the numbers behind them as CSV.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from absl import flags

from au_jax.command_line import run_command
from au_jax.explain import activation
from au_jax.outputs import check_outputs
from au_jax.report import cnn_figures, divergence_figure, embedding_figure, page
from au_jax.run_dir import RunDir


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _run_checked(
    run: flags.FlagHolder, out: flags.FlagHolder, figure: Callable[[Path, Path | None], None], *read: flags.FlagHolder
) -> None:
    """Runs a figure with the folders of its run and its files, once it is sure that none of the files is read as well."""

    def command() -> None:
        folders = [flag.value for flag in (run, *read) if flag.value]
        check_outputs({"--out": out.value}, {"--run": RunDir.parts_of(folders)}, folders=True)
        figure(Path(run.value), _path(out.value))

    run_command(command)


def _run_and_out() -> tuple[flags.FlagHolder, flags.FlagHolder]:
    run = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    return run, flags.DEFINE_string("out", None, "Folder of the files; the run's figures/ unless given.")


def fig2() -> None:
    """Runs the command line of Fig. 2: the filters of a CNN's first layer, and how much of them is colour.

    Example:
      >>> sys.argv = ["figures", "--run=runs/demo", "--fold=1"]  # doctest: +SKIP
      >>> fig2()  # writes runs/demo/figures/fig2.png, .svg and .csv  # doctest: +SKIP
    """
    run, out = _run_and_out()
    other = flags.DEFINE_string("other", None, "A run on another dataset, shown beside it.")
    fold = flags.DEFINE_integer("fold", 0, "Fold of --run.")
    _run_checked(run, out, lambda of, to: cnn_figures.save_fig2(of, _path(other.value), fold.value, to), other)


def fig3() -> None:
    """Runs the command line of Fig. 3: t-SNE of frames by HOG, VGG-Face and fc7, by AU 12 and by subject.

    Example:
      >>> sys.argv = ["figures", "--run=runs/demo", "--people=10", "--au=6"]  # doctest: +SKIP
      >>> fig3()  # writes runs/demo/figures/fig3.png, .svg and .csv  # doctest: +SKIP
    """
    run, out = _run_and_out()
    other = flags.DEFINE_string("other", None, "A run on another dataset, whose CNN gives fc7.")
    vgg_face = flags.DEFINE_string("vgg_face", None, f"The file vgg_face.mat, from {embedding_figure.SOURCE}.")
    fold = flags.DEFINE_integer("fold", 0, "Fold of --run.")
    people = flags.DEFINE_integer("people", 40, "At most so many people; 0 = all.")
    frames = flags.DEFINE_integer("frames", 200, "At most so many frames of each.")
    au = flags.DEFINE_integer("au", 0, "The AU that is coloured; 0 = AU 12, or the first where the run has no AU 12.")
    _run_checked(
        run,
        out,
        lambda of, to: embedding_figure.save_fig3(
            of,
            _path(other.value),
            _path(vgg_face.value),
            fold.value,
            people.value,
            frames.value,
            to,
            au.value,
        ),
        other,
    )


def fig4() -> None:
    """Runs the command line of Fig. 4: how far apart people are by shape, Gabor, HOG and fc7.

    Example:
      >>> fig4()  # au-jax figures fig4 --run=runs/demo  # doctest: +SKIP
    """
    run, out = _run_and_out()
    other = flags.DEFINE_string("other", None, "A run on another dataset; each CNN then describes the other's faces.")
    fold = flags.DEFINE_integer("fold", 0, "Fold of --run.")
    people = flags.DEFINE_integer("people", 100, "At most so many people; 0 = all.")
    frames = flags.DEFINE_integer("frames", 200, "At most so many frames of each.")
    median_of = flags.DEFINE_string("median_of", "values", "Median of the logistic squeeze: of the values, or abs.")
    _run_checked(
        run,
        out,
        lambda of, to: divergence_figure.save_fig4(
            of,
            _path(other.value),
            fold.value,
            people.value,
            frames.value,
            median_of.value,
            to,
        ),
        other,
    )


def fig5() -> None:
    """Runs the command line of Fig. 5: the optimal input of each AU of a CNN.

    Example:
      >>> fig5()  # au-jax figures fig5 --run=runs/demo  # doctest: +SKIP
    """
    run, out = _run_and_out()
    preset = flags.DEFINE_string("preset", "paper", f"Settings of the ascent: {', '.join(activation.ASCENT_PRESETS)}.")
    iterations = flags.DEFINE_integer("iterations", 0, "Another number of iterations than the preset's; 0 = its own.")
    fold = flags.DEFINE_integer("fold", 0, "Fold whose CNN it is.")
    seed = flags.DEFINE_integer("seed", 0, "Seed of the random start.")
    _run_checked(
        run, out, lambda of, to: cnn_figures.save_fig5(of, preset.value, iterations.value, fold.value, seed.value, to)
    )


def precision_recall() -> None:
    """Runs the command line of precision against recall, per AU, of all systems of a run.

    Example:
      >>> precision_recall()  # au-jax figures precision_recall --run=runs/demo  # doctest: +SKIP
    """
    run, out = _run_and_out()
    _run_checked(run, out, page.save_precision_recall)


def cooccurrence() -> None:
    """Runs the command line of AU co-occurrence, by labels and by predictions.

    Example:
      >>> sys.argv = ["figures", "--run=runs/demo", "--system=anet"]  # doctest: +SKIP
      >>> cooccurrence()  # writes runs/demo/figures/cooccurrence.png, .svg and .csv  # doctest: +SKIP
    """
    run, out = _run_and_out()
    system = flags.DEFINE_string("system", None, "System whose predictions are shown; the best unless given.")
    _run_checked(run, out, lambda of, to: page.save_cooccurrence(of, system.value, to))


FIGURES: dict[str, Callable[[], None]] = {
    "fig2": fig2,
    "fig3": fig3,
    "fig4": fig4,
    "fig5": fig5,
    "precision_recall": precision_recall,
    "cooccurrence": cooccurrence,
}
"""The first argument -> the command line of that figure."""


def main() -> None:
    """Runs the command line of the figure that the first argument names."""
    name, *rest = sys.argv[1:] or [""]
    if name in ("--help", "-h", "help"):
        print((__doc__ or "").strip())
        sys.exit(0)
    if name not in FIGURES:
        found = f"there is no figure {name!r}" if name else "a figure is missing"
        sys.exit(f"error: {found}; name one of {', '.join(FIGURES)} first, as in au-jax figures fig2 --run=runs/demo")
    sys.argv = [f"{sys.argv[0]} {name}", *rest]
    FIGURES[name]()


if __name__ == "__main__":
    main()
