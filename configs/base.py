"""Every field of a configuration, with its meaning, unit and the paper's value where that is known.

A configuration file is Python and is executed: use only files that you trust. The other files of this folder start from
`get_config()` here and change few fields. Any field can be set on the command line: `--config.cnn.epochs=3`.
"""

import dataclasses

import ml_collections

from au_jax.labels import AUS
from au_jax.systems import plugin_blocks


def get_config() -> ml_collections.ConfigDict:
    """Returns the configuration with the paper's settings (FG 2017, section IV-B) and the notes' choices elsewhere."""
    config = ml_collections.ConfigDict()

    # Every random number of a run follows from this one: folds, initial weights, sampling, dropout, bootstrap.
    config.seed = 0
    # Which folds to run; empty = all. Several jobs may run other folds of one workdir at the same time; `main` once more,
    # with all of them, then makes the table of all.
    config.folds = ()
    # Rows of the table, in this order: any of hog_svm, cpm, jpml, anet_transfer, anet, hybrid.
    config.systems = ("hog_svm", "anet", "hybrid")
    # AUs of this run, kept for those who read it: always those of au_jax/labels.py, where others are written.
    config.aus = AUS

    # Folder of compiled programs, which make the next start quick; "" = `compiled` in data.directory.
    config.compiled = ""

    config.data = data = ml_collections.ConfigDict()
    # Where the faces come from: synthfacs (rendered, needs no files); bp4d, gft, disfa; folder (videos or folders of frames
    # with a CSV each: README).
    data.source = "synthfacs"
    # synthfacs: the real source that these faces stand in for. `au_jax.prepare --raw` then reads that one, and
    # `au_jax.main` asks which is meant once it has been prepared.
    data.stands_for = ""
    # Recordings: their folder; needed by `au_jax.prepare` (or its flag --raw), not afterwards.
    data.raw = ""
    # Recordings: name of the prepared dataset; "" = the source's. Two copies or selections need two names.
    data.name = ""
    # Recordings: intensity from which an AU counts as present, A to E; "" = the source's own (bp4d A, gft B, disfa B, folder A).
    data.level = ""
    # gft, folder: what AU columns hold that do not say it: occurrence (0, 1), intensity (0 to 5, A to E), or auto: intensity
    # if any file has a code above 1.
    data.codes = "auto"
    # gft, folder: AU columns of other names, as "1=brow_in, 12=smile"; that of the frame number as "frame=index".
    data.columns = ""
    # Frames a second in folders of frames.
    data.fps = 25.0
    # Recordings that cannot be used (no video, no codes, damaged) stop the preparation; True leaves them out.
    data.skip_unusable = False
    # synthfacs: preset of subjects, videos and difficulty: demo, bp4d_like, gft_like or tiny.
    data.preset = "demo"
    # synthfacs: seed of identities, expressions and pictures. Apart from `seed`, so that runs with several seeds share faces.
    data.render_seed = 0
    # synthfacs: other numbers of subjects, of videos per subject and of frames per video than the preset's; 0 = the preset's.
    data.subjects = 0
    data.videos = 0
    data.frames = 0
    # Folder of prepared datasets; relative to the current folder.
    data.directory = "data"
    # Side of a registered face in pixels (paper: 200) and of the crop that the CNN sees (paper: 176).
    data.image_size = 200
    data.crop_size = 176
    # JPEG quality of stored faces, 1 to 100.
    data.jpeg_quality = 95
    # Recordings prepared at the same time; 0 = one per core.
    data.workers = 0
    # Frames held for shuffling, as encoded records; a whole demo fold fits.
    data.shuffle_buffer = 20_000
    # Where the CNN's training frames are kept, decoded: none (decoded anew in every epoch); host (3 bytes a pixel: 9 GB for a
    # fold of BP4D; same batches as none); device (as much on every accelerator, which crops and flips by itself: other draws).
    data.cache = "none"

    # The other dataset of the cross-dataset protocol: system anet_transfer trains its CNN there, on all subjects. Its faces
    # are prepared at data.image_size; the other fields of `data` hold for it too.
    config.transfer = transfer = ml_collections.ConfigDict()
    # These mean what the fields of `data` with their names mean.
    transfer.source = "synthfacs"
    transfer.name = ""
    transfer.raw = ""
    transfer.level = ""
    transfer.preset = "gft_like"
    transfer.render_seed = 0
    transfer.subjects = 0
    transfer.videos = 0
    transfer.frames = 0

    config.protocol = protocol = ml_collections.ConfigDict()
    # Subject-exclusive folds (paper: 3 and 10).
    protocol.folds = 3
    # Who is in which fold: random (drawn from the seed), or a published list: bp4d_3fold, disfa_3fold.
    protocol.split = "random"
    # Share of a fold's training subjects that is kept for validation (paper: about 0.2).
    protocol.validation = 0.2
    # Decision threshold per AU: 'zero' (paper); by the fold's validation subjects, the highest F1-frame, 'validation', or the
    # highest expected one after a logistic calibration, 'calibrated', which rounding and chance move much less.
    protocol.threshold = "zero"

    config.cnn = cnn = ml_collections.ConfigDict()
    # drml_alexnet (our reading of Fig. 2b), bvlc_alexnet, demo (small, for 64-pixel crops).
    cnn.variant = "drml_alexnet"
    # Factor on the channels of every layer.
    cnn.width = 1.0
    # Caffe rounds the size of pooled maps up: ceil; floor is the other reading.
    cnn.pool_rounding = "ceil"
    # Groups of conv2, conv4 and conv5: 2 (AlexNet) or 1.
    cnn.groups = 2
    # Dropout after fc6 and fc7.
    cnn.dropout = 0.5
    # Precision of the computation: float32, or bfloat16 (faster on accelerators). Parameters are float32 in both.
    cnn.dtype = "float32"
    # What is subtracted from 0..255 pixels: 'image' (mean picture of the training subjects, as Caffe) or 'channel'.
    cnn.mean = "image"
    # Frames per update (paper: 196) and passes over the training frames.
    cnn.batch_size = 196
    cnn.epochs = 15
    # Use every n-th training frame of a video, with another offset at every epoch; 1 = all (paper).
    cnn.frame_step = 1
    # Masked cross-entropy: 'sum' over labels (the group's Caffe layer), 'mean_L' (the paper's 1/12), 'mean_labelled'.
    cnn.label_reduction = "sum"
    # Order of the frames: 'shuffle' (each once per epoch), or 'momu' (multi-label balanced batches: the AU that a batch has
    # least of is drawn next, `momu_draw` frames at a time).
    cnn.sampling = "shuffle"
    cnn.momu_draw = 4
    # The epoch that is kept: of the lowest validation 'loss', or of the highest validation 'f1' (F1-frame at threshold 0).
    cnn.monitor = "loss"
    # Stop after this many epochs without a better one; 0 = never.
    cnn.patience = 6
    cnn.optimizer = optimizer = ml_collections.ConfigDict()
    # caffe_sgd, torch_rmsprop or any optax optimizer by its name (adamw, lion, ...), and its learning rate.
    optimizer.name = "caffe_sgd"
    optimizer.learning_rate = 1e-3
    # Further arguments of the named optimizer: "b1=0.8, nesterov=True". They win over the block of its name.
    optimizer.arguments = ""
    # Element-wise clipping of gradients; 0 = none.
    optimizer.clip = 0.0
    # Arguments of caffe_sgd, used under that name only (paper: momentum 0.9, weight decay 5e-4; biases learn twice as fast).
    optimizer.caffe_sgd = ml_collections.ConfigDict({"momentum": 0.9, "weight_decay": 5e-4, "bias_multiplier": 2.0})
    # constant, per_epoch or any optax schedule by its name, with its arguments.
    optimizer.schedule = ml_collections.ConfigDict({"name": "constant", "arguments": ""})
    # "reduced manually whenever the validation loss stopped decreasing": x factor after `patience` epochs without gain.
    cnn.plateau = ml_collections.ConfigDict({"factor": 0.1, "patience": 3, "min_scale": 1e-3})

    config.hog_svm = hog_svm = ml_collections.ConfigDict()
    # PCA on the 6272-D descriptor: share of energy to keep, and at most this many components.
    hog_svm.pca_energy = 0.98
    hog_svm.pca_components = 1000
    # Use every n-th frame of a video for PCA and SVM; neighbours are nearly the same.
    hog_svm.frame_step = 2
    # Costs tried on the validation subjects, per AU.
    hog_svm.costs = (1e-3, 1e-2, 1e-1, 1.0, 10.0)

    # The SVMs of anet_transfer on fc7, as those of HOG+SVM.
    config.anet_transfer = hog_svm.copy_and_resolve_references()

    config.cpm = cpm = ml_collections.ConfigDict()
    # PCA on the 6272-D descriptor as in hog_svm; each frame's components are then brought to unit length. The authors' own
    # features and the share that they keep are not known; conjugate gradients want few components.
    cpm.pca_energy = 0.98
    cpm.pca_components = 300
    # Use every n-th frame of a training video, and to learn a test subject's own classifier every n-th of its videos; all
    # are scored. Time and memory grow with the square of the training frames: keep to about 4000.
    cpm.frame_step = 20
    cpm.adaptation_step = 4
    # Weights of the confident pair's lengths and distance, of the own classifier's length, of its smoothness over time, and
    # of its distance from the pair (the authors' code).
    cpm.gamma_s = 0.08
    cpm.gamma_d = 0.08
    cpm.gamma_t = 0.08
    cpm.gamma_i = 0.08
    cpm.gamma_tpn = 1e-4
    # What hard training frames are told: 'localized' (the other label only within tau of hard frames that have it) or
    # 'holistic' (always).
    cpm.relabelling = "localized"
    # Squared distance between unit vectors (the authors' code: 0.14, for its own features). 0 = per AU the one at which
    # pairs within the rarer class are 1.9 times as many as pairs across (the authors' rule).
    cpm.tau = 0.14
    # Half width in frames of the Gaussian over which scores are to be smooth; unknown, ours.
    cpm.window = 5
    # Rounds of iterative CPM at most, and the relative change of both objectives at which it ends.
    cpm.iterations = 20
    cpm.tolerance = 1e-5

    config.jpml = jpml = ml_collections.ConfigDict()
    # Use every n-th frame of a video of training and validation subjects.
    jpml.frame_step = 20
    # Tried on the validation subjects, each with each: weight of the group lasso over patches (patch learning's own range),
    # and of the relations' two terms (unknown, ours).
    jpml.alphas = (1e-3, 1e-4, 1e-5, 1e-6)
    jpml.betas_together = (1e-4, 1e-3, 1e-2)
    jpml.betas_compete = (1e-4, 1e-3, 1e-2)
    # Phi coefficients of training labels from which two AUs go together, and down to which they compete; unknown, ours.
    jpml.together = 0.30
    jpml.compete = -0.10
    # Steps of FISTA at most, and the relative change of the weights at which it ends (patch learning: 500; its 1e-3 is a
    # duality gap).
    jpml.iterations = 500
    jpml.tolerance = 1e-3

    config.lstm = lstm = ml_collections.ConfigDict()
    # PCA on L2-normalised fc7 of the training subjects (paper: 1024 components, 98 % of the energy).
    lstm.pca_components = 1024
    # Divide all components by one number, so that their mean variance is 1; False leaves the scale of unit-norm fc7 (paper).
    lstm.standardise = False
    # LSTM layers, units of each, and dropout on every connection that is not recurrent (paper: 3, 256, 0.5).
    lstm.layers = 3
    lstm.hidden = 256
    lstm.dropout = 0.5
    # One dropout mask for all steps of a sequence instead of a fresh one per step.
    lstm.variational = False
    # A second LSTM per layer runs from the last frame to the first; such a run cannot predict on a stream.
    lstm.bidirectional = False
    # fused (a gradient written by hand, faster) or scan (the plain reference). Same parameters, same results but for rounding.
    lstm.kernel = "fused"
    # Weights start uniform in +-init_range (paper: 0.08).
    lstm.init_range = 0.08
    # Initial bias of the forget gates; below 0 the memory starts short.
    lstm.forget_bias = 0.0
    # Steps whose inner values are computed again in the backward pass, at a time, to save memory; 0 = none, all are kept.
    lstm.remat = 0
    # Frames in a subsequence, subsequences in an update (paper: 1300 and 10).
    lstm.sequence_length = 1300
    lstm.batch_size = 10
    # First frames of a subsequence without loss and without gradient (paper: 10).
    lstm.burn_in = 10
    # Subsequences with fewer active AUs per frame are drawn again (paper: 1.5).
    lstm.min_active = 1.5
    # A subject's videos make one training video, with the carry reset between them (BP4D's are shorter than 1300 frames).
    lstm.concatenate = True
    # Passes over the training frames (paper: about 10), and updates in a pass; 0 = frames / (batch x length).
    lstm.epochs = 10
    lstm.steps_per_epoch = 0
    # Margin of the loss, and the threshold below which its gradient passes: 1.0 (as the paper writes) or -1 (the margin).
    lstm.margin = 0.5
    lstm.grad_threshold = 1.0
    # Stop after this many passes without a better validation F1-frame; 0 = never.
    lstm.patience = 0
    lstm.optimizer = optimizer = ml_collections.ConfigDict()
    # As cnn.optimizer.name, .learning_rate, .arguments and .clip (paper: RMSProp, 1e-3, clipped to +-5).
    optimizer.name = "torch_rmsprop"
    optimizer.learning_rate = 1e-3
    optimizer.arguments = ""
    optimizer.clip = 5.0
    # Arguments of torch_rmsprop, used under that name only.
    optimizer.torch_rmsprop = ml_collections.ConfigDict({"decay": 0.95, "momentum": 0.9, "eps": 1e-8})
    # The paper's "weight decay 0.97" read as the learning rate's factor per pass.
    optimizer.schedule = ml_collections.ConfigDict({"name": "per_epoch", "arguments": "factor=0.97"})
    # As cnn.plateau; factor 1 turns it off.
    lstm.plateau = ml_collections.ConfigDict({"factor": 1.0, "patience": 1000, "min_scale": 1.0})

    config.fusion = fusion = ml_collections.ConfigDict()
    # stacked (default reading), siamese, features, mean: see au_jax/models/fusion.py.
    fusion.variant = "stacked"
    # Whose scores it learns from: 'validation' subjects; 'out_of_fold' (training subjects, each scored by networks trained
    # without them: trains CNN and LSTM `inner_folds` times more); 'train' (over-fitted scores, to show the difference).
    fusion.train_on = "validation"
    fusion.inner_folds = 3
    # Units of the first layer, and the dropout after it (unknown, ours).
    fusion.hidden = 64
    fusion.dropout = 0.5
    # L2-normalise each stream's 12 scores (paper).
    fusion.normalise = True
    # Frames per update, and passes over the frames at most.
    fusion.batch_size = 256
    fusion.epochs = 20
    # train_on 'validation': share of these subjects that fusion does not learn from, and that tells its best epoch.
    fusion.holdout = 0.5
    # As cnn.label_reduction and cnn.patience.
    fusion.label_reduction = "sum"
    fusion.patience = 0
    fusion.optimizer = optimizer = ml_collections.ConfigDict()
    # As cnn.optimizer.name, .learning_rate, .arguments and .clip.
    optimizer.name = "adam"
    optimizer.learning_rate = 1e-3
    optimizer.arguments = ""
    optimizer.clip = 0.0
    # As cnn.optimizer.schedule.
    optimizer.schedule = ml_collections.ConfigDict({"name": "constant", "arguments": ""})
    # As cnn.plateau; factor 1 turns it off.
    fusion.plateau = ml_collections.ConfigDict({"factor": 1.0, "patience": 1000, "min_scale": 1.0})

    config.evaluation = evaluation = ml_collections.ConfigDict()
    # Resamplings of subjects behind every interval, and its level.
    evaluation.bootstrap = 1000
    evaluation.level = 0.95
    # F1-norm: jeni, paper_literal or author_code.
    evaluation.f1_norm = "jeni"

    # The sections of systems that other packages add.
    for name, block in plugin_blocks().items():
        config[name] = ml_collections.ConfigDict(dataclasses.asdict(block()))
    return config
