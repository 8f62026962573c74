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
from au_jax.errors import CommandError
from au_jax.evaluation.comparison import average_in_results, over_seeds, seeds_markdown
from au_jax.evaluation.tables import METRICS
from au_jax.run_dir import MAY_DIFFER, RunDir
from au_jax.systems import display

_SEEDS = ("seed", "data.render_seed")


def seeds(folders: Sequence[str], beside: Sequence[str], metric: str, out: str) -> None:
    """Prints the table and writes seeds.md and seeds.json to `out`.

    Raises:
      CommandError: a run of another config than the others, or twice there.
      DataError: a run is missing or unfinished.
    """
    here, elsewhere = _averages(folders, metric), _averages(beside, metric) if beside else None
    if elsewhere is not None:
        _check_same_config(Path(folders[0]), Path(beside[0]))
        if set(here) != set(elsewhere):
            raise CommandError(
                f"--runs has the seeds {sorted(here)}, --beside {sorted(elsewhere)}; give the same on both sides"
            )
    document = over_seeds(here, elsewhere)
    text = seeds_markdown(document, METRICS[metric], display.label)
    files.write_text(Path(out) / "seeds.md", text)
    files.write_json(Path(out) / "seeds.json", {"metric": metric, **document})
    print(text)


def _averages(folders: Sequence[str], metric: str) -> dict[int, dict[str, float]]:
    """Seed -> system -> average, of the systems that all runs have."""
    by_seed: dict[int, tuple[Path, dict[str, Any]]] = {}
    for folder in map(Path, folders):
        results = RunDir(folder).results(all_folds=True)
        seed = int(results["seed"])
        if seed in by_seed:
            raise CommandError(f"{folder} and {by_seed[seed][0]} both have seed {seed}; name one of them only")
        by_seed[seed] = folder, results["systems"]
        _check_same_config(Path(folders[0]), folder)
    first = next(iter(by_seed.values()))[1]
    if old := [
        str(folder) for folder, systems in by_seed.values() if any(metric not in one for one in systems.values())
    ]:
        raise CommandError(
            f"{old[0]} is of an older version and has no {METRICS[metric]}; `au-jax tables --runs={','.join(old)} --any_dataset` "
            "computes it from the saved scores"
        )
    names = [name for name in first if all(name in systems for _, systems in by_seed.values())]
    if not names:
        raise CommandError("these runs have no system in common; train one with all of them: --config.systems")
    return {
        seed: {name: average_in_results(systems[name][metric]) for name in names}
        for seed, (_, systems) in by_seed.items()
    }


def _check_same_config(one: Path, other: Path) -> None:
    before, now = (with_defaults(RunDir(folder).resolved_config()) for folder in (one, other))
    if different := differing(before, now, but=(*MAY_DIFFER, *_SEEDS)):
        raise CommandError(f"{one} and {other} differ in more than their seed: {'; '.join(different)}; leave one out")


def main() -> None:
    """Runs the command line."""
    runs = flags.DEFINE_list("runs", None, "Folders of finished runs that differ in their seed only.", required=True)
    beside = flags.DEFINE_list("beside", [], "The same seeds run elsewhere, to be compared with.")
    metric = flags.DEFINE_enum("metric", "f1_frame", list(METRICS), "Whose average over AUs is shown.")
    out = flags.DEFINE_string("out", "tables", "Folder of the table.")
    run_command(lambda: seeds(runs.value, beside.value, metric.value, out.value))


if __name__ == "__main__":
    main()
