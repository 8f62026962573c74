"""The paper's settings (FG 2017, IV-B), each with where it comes from; the config files of datasets start from here.

Paper: it says so. Inferred: it does not, and the reason stands beside the value. Unknown: no source says; ours.
"""

from typing import Any

from au_jax.config import get_config as get_defaults
from au_jax.errors import ConfigError


def get_config() -> Any:
    """The paper's networks and training; the caller chooses dataset and protocol (`set_protocol`).

    Example:
      >>> get_config().cnn.batch_size
      196
    """
    config = get_defaults()

    # Paper: faces registered to 200 x 200, random crops of 176 x 176 and mirror images.
    config.data.image_size, config.data.crop_size = 200, 176
    # Unknown; 60,000 encoded faces are about 1 GB and mix some twenty of BP4D's subjects.
    config.data.shuffle_buffer = 60_000
    # Paper: about 20 % of the training subjects. Inferred: that a positive score means present; no tuned threshold is told.
    config.protocol.validation = 0.2
    config.protocol.threshold = "zero"

    cnn = config.cnn
    # Inferred: Fig. 2(b) is the AlexNet that the same group published for this task in the same months, cut to 176 pixels:
    # the kernels, groups and channels of that network; normalisation after pooling; biases of 1 (fc7 has few zeros).
    cnn.variant = "drml_alexnet"
    cnn.groups = 2
    # Inferred: Caffe, which the paper used, rounds pooled sizes up.
    cnn.pool_rounding = "ceil"
    # Paper: dropout. Inferred: its rate and place are AlexNet's.
    cnn.dropout = 0.5
    # Inferred: the group's Caffe data layer subtracts the training set's mean image from 0..255.
    cnn.mean = "image"
    # Paper.
    cnn.batch_size = 196
    cnn.optimizer.name = "caffe_sgd"
    cnn.optimizer.learning_rate = 1e-3
    cnn.optimizer.caffe_sgd.momentum = 0.9
    cnn.optimizer.caffe_sgd.weight_decay = 5e-4
    # Inferred: as in that network's solver, biases learn twice as fast and do not decay.
    cnn.optimizer.caffe_sgd.bias_multiplier = 2.0
    # Inferred: the paper's formula divides by 12 labels, the group's Caffe layer does not, and 1e-3 was tuned with the layer.
    cnn.label_reduction = "sum"
    # Paper: "reduced manually whenever the validation loss stopped decreasing". Inferred: by 10, as usual with Caffe.
    # Unknown: how long that was waited for, and how many epochs.
    cnn.plateau.factor, cnn.plateau.patience, cnn.plateau.min_scale = 0.1, 3, 1e-3
    cnn.epochs, cnn.patience = 15, 6
    cnn.monitor = "loss"

    # Established by the group's other work: SVMs on HOG after PCA. Unknown: the costs; LIBLINEAR's usual range.
    config.hog_svm.pca_energy = 0.98
    config.hog_svm.costs = (1e-3, 1e-2, 1e-1, 1.0, 10.0)

    cpm = config.cpm
    # Paper: "settings were determined following the descriptions in the original papers". Established: the constants of CPM's
    # authors' code. Unknown: the features' dimension, the frames used, and the width of the temporal window.
    cpm.gamma_s = cpm.gamma_d = cpm.gamma_t = cpm.gamma_i = 0.08
    cpm.gamma_tpn, cpm.tau, cpm.relabelling, cpm.iterations = 1e-4, 0.14, "localized", 20
    cpm.pca_components, cpm.window = 300, 5

    jpml = config.jpml
    # Established: the range of the group lasso and FISTA's steps, of the same authors' patch learning. Unknown: the weights of
    # the relations and the pairs; ours.
    jpml.alphas, jpml.iterations = (1e-3, 1e-4, 1e-5, 1e-6), 500
    jpml.betas_together = jpml.betas_compete = (1e-4, 1e-3, 1e-2)
    jpml.together, jpml.compete = 0.30, -0.10

    lstm = config.lstm
    # Paper: 1024 components of L2-normalised fc7, 98 % of the energy. Inferred: no whitening.
    lstm.pca_components, lstm.standardise = 1024, False
    # Paper: three layers of 256 units. Its "0.2 million parameters" cannot be these; they are 2,365,452.
    lstm.layers, lstm.hidden = 3, 256
    # Paper: 0.5 on input and hidden layers. Inferred: never on the recurrent path, fresh at every step (char-rnn).
    lstm.dropout, lstm.variational = 0.5, False
    # Paper: weights within +-0.08. Inferred: biases start at 0.
    lstm.init_range, lstm.forget_bias = 0.08, 0.0
    # Paper: 10 subsequences of 1300 frames, 10 frames of burn-in, about 10 epochs, 1.5 active AUs.
    lstm.batch_size, lstm.sequence_length, lstm.burn_in, lstm.epochs, lstm.min_active = 10, 1300, 10, 10, 1.5
    # Inferred: an epoch is as many subsequences as cover the training frames.
    lstm.steps_per_epoch = 0
    # Inferred: no recording of BP4D has 1300 frames (768 at most), so a subject's recordings stand end to end.
    lstm.concatenate = True
    # Paper: margin 0.5, and a gradient that stops at 1, which tanh outputs never reach. -1 in `grad_threshold` is the
    # gradient of the loss as it is written.
    lstm.margin, lstm.grad_threshold = 0.5, 1.0
    # Paper: RMSProp, rate 1e-3, momentum 0.9, "weight decay 0.97". Inferred: that is the rate's factor per epoch, as in
    # char-rnn, whose smoothing 0.95 and clipping at 5 we take.
    lstm.optimizer.name = "torch_rmsprop"
    lstm.optimizer.learning_rate = 1e-3
    lstm.optimizer.torch_rmsprop.decay, lstm.optimizer.torch_rmsprop.momentum = 0.95, 0.9
    lstm.optimizer.clip = 5.0
    lstm.optimizer.schedule.name, lstm.optimizer.schedule.arguments = "per_epoch", "factor=0.97"

    fusion = config.fusion
    # Paper: two fully connected layers on the stacked L2-normalised scores of a frame. Inferred: "shared" means shared by
    # all frames. Unknown: their width, optimizer and training subjects.
    fusion.variant, fusion.normalise, fusion.hidden = "stacked", True, 64
    fusion.train_on = "validation"
    fusion.optimizer.name, fusion.optimizer.learning_rate, fusion.epochs = "adam", 1e-3, 20
    return config


def set_protocol(config: Any, variant: str, *, published: str = "random") -> None:
    """Sets one of the paper's protocols.

    Args:
      config: ConfigDict, changed in place.
      variant: "3fold"; "10fold"; or "cross": a CNN trained on `config.transfer`, linear SVMs on its fc7 in three folds,
        beside HOG+SVM.
      published: name of a published 3-fold list (`config.protocol.split`).

    Raises:
      ConfigError: another variant.

    Example:
      >>> config = get_config()
      >>> set_protocol(config, "10fold")
      >>> config.protocol.folds
      10
    """
    if variant not in ("3fold", "10fold", "cross"):
        raise ConfigError(f"there is no protocol {variant!r}; choose 3fold, 10fold or cross")
    config.protocol.folds = 10 if variant == "10fold" else 3
    config.protocol.split = "random" if variant == "10fold" else published
    config.systems = (
        ("hog_svm", "anet_transfer") if variant == "cross" else ("hog_svm", "cpm", "jpml", "anet", "hybrid")
    )
