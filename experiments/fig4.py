"""The paper's Figure 4: how far apart people are by shape, Gabor, HOG and fc7.

    python -m experiments.fig4 --run=runs/demo [--other=runs/gft]

With --other, both datasets are shown, each with fc7 of the CNN that was trained on the other one (the paper's way); without,
the fold's own CNN describes the fold's test subjects. Writes fig4.png, fig4.svg, fig4.csv, fig4_order.csv (the order tested
by bootstrap over subjects) and fig4_subjects.csv (raw sums) into the run's figures/. The same is `au-jax figures fig4`.
"""

from au_jax.figures import fig4

if __name__ == "__main__":
    fig4()
