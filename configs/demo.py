"""The demo: synthetic faces at 72 pixels and small networks, end to end in about a quarter of an hour on two busy cores.

    au-jax train --config=demo --workdir=runs/demo

`demo:smoke` is the same on a handful of tiny videos, in about a minute: it shows that everything runs, not that it
learns.
"""

import ml_collections

import au_jax


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the demo's configuration; variant "" or "smoke"."""
    if variant not in ("", "smoke"):
        raise ValueError(f"configs/demo.py has no variant {variant!r}; choose smoke or none")
    config = au_jax.get_config()
    config.data.preset = "demo"
    config.data.image_size = 72
    config.data.crop_size = 68

    # Few subjects and few AUs of low base rate: a threshold of 0 would mostly measure calibration.
    config.protocol.threshold = "calibrated"

    config.cnn.variant = "demo"
    config.cnn.batch_size = 64
    config.cnn.epochs = 4
    config.cnn.dropout = 0.2
    config.cnn.patience = 0
    # So small a set makes the CNN sure of itself early: its loss rises from the second epoch on while it still learns to
    # rank frames.
    config.cnn.monitor = "f1"
    config.cnn.optimizer.name = "adamw"
    config.cnn.optimizer.learning_rate = 1.5e-3
    config.cnn.optimizer.arguments = "weight_decay=1e-3"
    config.cnn.optimizer.schedule.name = "cosine_decay_schedule"

    config.hog_svm.pca_components = 300
    config.hog_svm.frame_step = 4
    config.hog_svm.costs = (1e-2, 1e-1, 1.0)

    config.cpm.pca_components = 100
    config.cpm.frame_step = 8
    config.cpm.adaptation_step = 1
    # Noisy faces lie far apart: nothing is within the authors' 0.14.
    config.cpm.tau = 0.0

    config.jpml.frame_step = 8
    # Smaller ones drop no patch here.
    config.jpml.alphas = (1e-2, 1e-3)
    config.jpml.betas_together = (1e-3, 1e-2)
    config.jpml.betas_compete = (1e-2,)
    # These faces' AUs compete little: 12 and 24, for one, at -0.05.
    config.jpml.compete = -0.03

    config.lstm.pca_components = 64
    config.lstm.standardise = True
    # One layer: three hundred clips teach a deeper stack mostly themselves by heart.
    config.lstm.layers = 1
    config.lstm.hidden = 128
    config.lstm.dropout = 0.5
    config.lstm.init_range = 0.1
    # Few and large updates, and a memory that starts short: both keep the stack from learning the clips by heart.
    config.lstm.forget_bias = -1.0
    # A readout without tanh ranks frames better here than the margin loss; see "What time gives" in docs/results/demo.md.
    config.lstm.loss = "cross_entropy"
    # People look as if they showed AUs that they do not: clips begin at rest, and their first frames tell.
    config.lstm.level = 0.5
    config.lstm.noise = 0.5
    # A clip is 29 to 39 frames long, and every frame of it is scored: none is left out of training.
    config.lstm.sequence_length = 40
    config.lstm.batch_size = 40
    config.lstm.burn_in = 0
    config.lstm.sampling = "even"
    config.lstm.epochs = 8
    config.lstm.steps_per_epoch = 10
    config.lstm.optimizer.name = "adam"
    config.lstm.optimizer.learning_rate = 1e-2
    config.lstm.optimizer.schedule.name = "cosine_decay_schedule"
    config.lstm.optimizer.schedule.arguments = ""
    config.lstm.optimizer.clip = 1.0

    # Two calibrated branches and a filter each, 68 numbers: what two dozen validation subjects can teach.
    config.fusion.variant = "temporal"
    config.fusion.lookahead = 2
    config.fusion.level_frames = 4
    config.fusion.holdout = 0.3
    config.fusion.batch_size = 64
    config.fusion.epochs = 10
    config.fusion.optimizer.learning_rate = 4e-3
    config.fusion.optimizer.schedule.name = "cosine_decay_schedule"

    if variant == "smoke":
        config.data.preset = "tiny"
        config.data.image_size = 40
        config.data.crop_size = 36
        config.cnn.batch_size = 16
        config.cnn.epochs = 2
        config.hog_svm.costs = (0.1,)
        config.cpm.pca_components = 16
        config.cpm.frame_step = 4
        config.cpm.iterations = 3
        config.jpml.iterations = 20
        config.lstm.sequence_length = 24
        config.lstm.pca_components = 16
        config.lstm.epochs = 2
        config.lstm.steps_per_epoch = 2
        config.fusion.epochs = 2
        config.evaluation.bootstrap = 100
    return config
