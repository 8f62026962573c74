"""How long CPM takes, and how that grows with frames, features and people.

    python -m experiments.cpm_cost [--out=runs/cpm_cost] [--full]

Times `confidence.adapt` of one AU on made-up descriptors (people differ, one AU, noise), from a middling size on which one
size after another is raised, and tells the exponents: seconds grow as size ** exponent. `--full` also times sizes of BP4D
(4,900 training frames, 900 frames a person, 300 components) and tells what 41 people x 12 AUs take.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.config import CPMConfig
from au_jax.labels import PAPER_AUS
from au_jax.systems.cpm import model
from au_jax.systems.cpm.classifiers import CPMSettings, Subject

PEOPLE_OF_BP4D = 41
_ROUNDS = 2


@dataclass(frozen=True)
class Size:
    """What CPM's time depends on.

    Attributes:
      training: training frames of all people.
      frames: frames of each test person.
      features: components of a descriptor.
      people: test people who are adapted to at once.
    """

    training: int = 1000
    frames: int = 240
    features: int = 100
    people: int = 8


BP4D = Size(training=4900, frames=900, features=300, people=8)
"""98,000 training frames, every 20th; 3,600 frames a person, every fourth (au_jax.config.CPMConfig)."""
GROWTH: dict[str, tuple[int, ...]] = {
    "training": (500, 1000, 2000, 4000),
    "frames": (120, 240, 480, 960),
    "features": (50, 100, 200, 300),
    "people": (2, 4, 8, 16),
}
"""What is raised, one at a time, from `Size()`."""


def cpm_cost(out: Path | None, full: bool) -> None:
    """Prints the times, and writes cpm_cost.json into `out`."""
    measured = []
    for name, sizes in GROWTH.items():
        seconds = []
        for value in sizes:
            size = replace(Size(), **{name: value})
            times, rounds = measure(size)
            seconds.append(times)
            measured.append({**asdict(size), "seconds": times, "rounds": rounds})
            print(f"{name} {value}: {times:.2f} s for {size.people} people, {rounds:.1f} rounds", flush=True)
        print(f"grows as {name} ** {exponent(sizes, seconds):.2f}", flush=True)
    if full:
        times, rounds = measure(BP4D)
        measured.append({**asdict(BP4D), "seconds": times, "rounds": rounds})
        hours = times * PEOPLE_OF_BP4D / BP4D.people * len(PAPER_AUS) / 3600
        print(
            f"BP4D's size: {times:.1f} s for {BP4D.people} people and one AU, {rounds:.1f} rounds: "
            f"{hours:.1f} hours for {PEOPLE_OF_BP4D} people and {len(PAPER_AUS)} AUs on {jax.devices()[0].device_kind}"
        )
    if out:
        files.write_json(out / "cpm_cost.json", measured)


def measure(size: Size) -> tuple[float, float]:
    """Seconds to adapt to all people of a size, the fastest of a few rounds, and their mean number of CPM's own rounds."""
    # Made-up descriptors have distances of their own: tau as the authors' rule has it.
    config = CPMConfig(tau=0.0)
    settings = CPMSettings.from_config(config)
    rows, labels, subjects = random_descriptors(size)
    known = model.examples(rows, labels, settings)
    pair = model.initial_pair(known, settings)
    seconds, rounds = [], 0.0
    for _ in range(_ROUNDS + 1):
        start = time.monotonic()
        adapted = jax.block_until_ready(model.adapt(known, pair, subjects, settings))
        seconds.append(time.monotonic() - start)
        rounds = float(adapted.rounds.mean())
    # The first compiles.
    return min(seconds[1:]), rounds


def random_descriptors(size: Size, seed: int = 0) -> tuple[jax.Array, jax.Array, Subject]:
    """Made-up training rows [n, D] and labels [n], and test people, the rows as `systems.cpm` makes them.

    A row is its person's own mean, the AU along one direction where it is present (three frames of ten, in bouts), and
    noise; then of unit length with a one behind.
    """
    rng = np.random.default_rng(seed)
    au = rng.normal(size=size.features)
    au /= np.linalg.norm(au)

    def person(frames: int) -> tuple[np.ndarray, np.ndarray]:
        bouts = -(-frames // 10)
        present = np.repeat(rng.random(bouts) < 0.3, 10)[:frames]
        noise = rng.normal(size=(frames, size.features)) / np.sqrt(size.features)
        # Two standard deviations of the noise apart: one frame of six is on the wrong side.
        separation = 2.0 / np.sqrt(size.features)
        rows = (
            0.7 * rng.normal(size=size.features) / np.sqrt(size.features) + separation * np.outer(present, au) + noise
        )
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return np.concatenate([rows, np.ones((frames, 1))], 1), np.where(present, 1.0, -1.0)

    trained = [person(50) for _ in range(-(-size.training // 50))]
    rows, labels = (np.concatenate(part)[: size.training].astype(np.float32) for part in zip(*trained, strict=True))
    tested = np.stack([person(size.frames)[0] for _ in range(size.people)]).astype(np.float32)
    video = jnp.zeros(tested.shape[:2], jnp.int32)
    return jnp.asarray(rows), jnp.asarray(labels), Subject(jnp.asarray(tested), video)


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """The slope of log seconds over log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


if __name__ == "__main__":
    OUT = flags.DEFINE_string("out", None, "Folder for cpm_cost.json.")
    FULL = flags.DEFINE_bool("full", False, "Also at BP4D's size.")
    run_command(lambda: cpm_cost(Path(OUT.value) if OUT.value else None, FULL.value))
