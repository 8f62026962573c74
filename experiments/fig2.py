"""The paper's Figure 2 (d, e): the filters of a trained CNN's first layer, and how much of them is colour.

    python -m experiments.fig2 --run=runs/demo [--other=runs/gft]

Writes fig2.png, fig2.svg and fig2.csv into the run's figures/. The same is `au-jax figures fig2`.
"""

from au_jax.figures import fig2

if __name__ == "__main__":
    fig2()
