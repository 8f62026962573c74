"""The paper's Figure 5: the optimal input of each AU's unit of a trained CNN.

    python -m experiments.fig5 --run=runs/demo [--preset=yosinski1] [--iterations=1000]

Presets: paper, and Yosinski's four (yosinski1 to yosinski4). Writes fig5.png, fig5.svg, fig5.csv (score of every image under
every AU) and fig5_energy.csv (how much of it lies where the AU moves a face) into the run's figures/. The same is
`au-jax figures fig5`.
"""

from au_jax.figures import fig5

if __name__ == "__main__":
    fig5()
