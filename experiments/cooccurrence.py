"""Which AUs come together, by labels and by predictions.

    python -m experiments.cooccurrence --run=runs/demo [--system=anet]

Writes cooccurrence.png and .svg of the system (the best unless named) and cooccurrence.csv of all systems into the run's
figures/; without --system the picture is that of the run's report. The same is `au-jax figures cooccurrence`.
"""

from au_jax.figures import cooccurrence

if __name__ == "__main__":
    cooccurrence()
