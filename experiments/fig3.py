"""The paper's Figure 3: t-SNE of frames by HOG, VGG-Face and fc7, coloured by AU 12 and by subject.

    python -m experiments.fig3 --run=runs/demo [--vgg_face=vgg_face.mat] [--other=runs/gft]

With --other, fc7 is that of the other run's CNN, which has seen nobody of this dataset (the paper's way); without, it is that
of the fold's own CNN on the fold's test subjects. Writes fig3.png, fig3.svg, fig3.csv (accuracies of neighbours, in the
descriptor's space and in the picture) and fig3_points.csv into the run's figures/. The same is `au-jax figures fig3`.
"""

from au_jax.figures import fig3

if __name__ == "__main__":
    fig3()
