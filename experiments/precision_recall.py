"""Precision against recall, per AU, of all systems of a run.

    python -m experiments.precision_recall --run=runs/demo

Writes precision_recall.png, .svg, .csv (the curves) and precision_recall_summary.csv into the run's figures/; the picture is
that of the run's report. The same is `au-jax figures precision_recall`.
"""

from au_jax.figures import precision_recall

if __name__ == "__main__":
    precision_recall()
