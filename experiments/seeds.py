"""Runs of one configuration with several seeds: mean, standard deviation, interval, and differences paired by seed.

    python -m experiments.seeds --runs=runs/demo,runs/seed1,runs/seed2

With `--beside`, the same seeds run elsewhere (another machine, other versions) are compared with them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.config import differing, with_defaults
from au_jax.errors import UserError
from au_jax.evaluation.comparison import average, over_seeds, seeds_markdown
from au_jax.report.tabulate import METRICS
from au_jax.run import MAY_DIFFER
from au_jax.run_dir import read_finished

_SEEDS = ("seed", "data.render_seed")


def main(folders: Sequence[str], beside: Sequence[str], metric: str, out: str) -> None:
    """Prints the table and writes seeds.md and seeds.json to `out`.

    Raises:
      UserError: a run is missing, unfinished, of another config than the others, or twice there.
    """
    here, elsewhere = _figures(folders, metric), _figures(beside, metric) if beside else None
    if elsewhere is not None:
        _same_config(Path(folders[0]), Path(beside[0]))
        if set(here) != set(elsewhere):
            raise UserError(
                f"--runs has the seeds {sorted(here)}, --beside {sorted(elsewhere)}; give the same on both sides"
            )
    document = over_seeds(here, elsewhere)
    text = seeds_markdown(document, METRICS[metric], display.label)
    files.write_text(Path(out) / "seeds.md", text)
    files.write_json(Path(out) / "seeds.json", {"metric": metric, **document})
    print(text)


def _figures(folders: Sequence[str], metric: str) -> dict[int, dict[str, float]]:
    """Seed -> system -> average, of the systems that all runs have."""
    found: dict[int, tuple[Path, dict[str, Any]]] = {}
    for folder in map(Path, folders):
        _, results = read_finished(folder)
        seed = int(results["seed"])
        if seed in found:
            raise UserError(f"{folder} and {found[seed][0]} both have seed {seed}; name one of them only")
        found[seed] = folder, results["systems"]
        _same_config(Path(folders[0]), folder)
    first = next(iter(found.values()))[1]
    names = [name for name in first if all(name in systems for _, systems in found.values())]
    if not names:
        raise UserError("these runs have no system in common; train one with all of them: --config.systems")
    return {seed: {name: average(systems[name][metric]) for name in names} for seed, (_, systems) in found.items()}


def _same_config(one: Path, other: Path) -> None:
    before, now = (with_defaults(read_finished(folder)[0]) for folder in (one, other))
    told = differing(before, now, but=(*MAY_DIFFER, *_SEEDS))
    if told:
        raise UserError(f"{one} and {other} differ in more than their seed: {'; '.join(told)}; leave one out")


if __name__ == "__main__":
    RUNS = flags.DEFINE_list("runs", None, "Folders of finished runs that differ in their seed only.", required=True)
    BESIDE = flags.DEFINE_list("beside", [], "The same seeds run elsewhere, to be compared with.")
    METRIC = flags.DEFINE_enum("metric", "f1_frame", list(METRICS), "Whose average over AUs is shown.")
    OUT = flags.DEFINE_string("out", "tables", "Folder of the table.")
    run_command(lambda: main(RUNS.value, BESIDE.value, METRIC.value, OUT.value))
