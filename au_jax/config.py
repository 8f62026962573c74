"""The configuration of a run: every field once, with its meaning, unit, the paper's value, and its range or choices.

`Config` is the typed view that the library reads. `get_config` gives the same fields as an `ml_collections.ConfigDict`, which
config files and the command line change: `--config.cnn.epochs=3`. A system of another package brings its own section through
the entry points `au_jax.systems`.

"Paper" is Chu, De la Torre & Cohn, FG 2017; `au_jax.paper_config` says of every value of it where it comes from.
"""

import functools
import runpy
import textwrap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from au_jax import options
from au_jax.errors import ConfigError, DataError
from au_jax.faces.person import is_persons
from au_jax.labels import AU_NAMES, PAPER_AUS
from au_jax.options import Block, Choices, Each, Interval, Where, option
from au_jax.options import replace as replace
from au_jax.options import to_dict as to_dict

COUNT = Interval(1)
COUNT_OR_0 = Interval(0)
WINDOW = Interval(0, 10_000)
POSITIVE = Interval(0, closed="neither")
NOT_NEGATIVE = Interval(0)
SHARE = Interval(0, 1, closed="neither")
RATE = Interval(0, 1, closed="low")
SOURCES = Choices("synthfacs", "bp4d", "gft", "disfa", "folder")
SYNTHFACS_PRESETS = Choices("tiny", "demo", "bp4d_like", "gft_like", "long", "long_no_rest", "long_hard")
LEVEL = Where(lambda level: level.upper() in ("", *"ABCDE"), "A, B, C, D or E, or '' for the source's own")
# Recordings of synthfacs are listed before any is rendered.
SUBJECTS, VIDEOS, FRAMES = Interval(0, 10_000), Interval(0, 1000), Interval(0, 1_000_000)
# What NumPy and JAX both take as a seed.
SEED = Interval(0, 2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class DataConfig(Block):
    """Where the faces come from, and how they are prepared and fed.

    Example:
      >>> data = DataConfig(source="disfa", aus=(6, 12))
      >>> data.source, data.aus, data.image_size, data.crop_size
      ('disfa', (6, 12), 200, 176)
    """

    source: str = option(
        "synthfacs",
        "Where the faces come from: synthfacs (rendered, needs no files); the recordings of bp4d, gft or disfa; "
        "folder (your own "
        "videos or folders of frames, with a label file each).",
        SOURCES,
    )
    stands_for: str = option(
        "",
        "synthfacs: the real source that these faces stand in for. `au_jax.prepare --raw` then reads that source, and "
        "`au_jax.main` asks which of the two is meant once it has been prepared.",
        Choices("", *SOURCES.values[1:]),
    )
    raw: str = option("", "Recordings: their folder. `au_jax.prepare` needs it (or its flag --raw), training does not.")
    name: str = option(
        "", "Recordings: name of the prepared dataset; '' is the source's. Two copies or selections need two names."
    )
    aus: tuple[int, ...] = option(
        PAPER_AUS,
        "Numbers of the AUs that are trained, scored and reported, in this order (paper: these twelve).",
        Each(Where(lambda au: au in AU_NAMES, f"an AU of {', '.join(map(str, AU_NAMES))}"), least=1, unique=True),
    )
    level: str = option(
        "",
        "Recordings: intensity from which an AU counts as present; '' is the source's own (bp4d A, gft B, disfa B, "
        "folder A).",
        LEVEL,
    )
    codes: str = option(
        "auto",
        "gft, folder: what AU columns hold that do not say it: occurrence (0, 1), intensity (0 to 5, A to E), or "
        "auto: intensity "
        "if any file has a code above 1.",
        Choices("auto", "occurrence", "intensity"),
    )
    columns: str = option(
        "",
        "gft, folder: AU columns of other names, as '1=brow_in, 12=smile'; the column of frame numbers as "
        "'frame=index', or that of times as 'time=clock'.",
    )
    first_frame: int = option(
        -1,
        "gft, folder: number that label files give to the first frame. -1: that of the frame itself (1 in a video, the number "
        "in the name of a picture), and 0 where a file of a video counts from 0.",
        Interval(-1, 2**31 - 1),
    )
    label_unit: str = option(
        "",
        "gft, folder: what whole numbers of times in label files count, where a file does not say it.",
        Choices("", "seconds", "milliseconds", "frames", "timecode"),
    )
    label_offset: float = option(0.0, "gft, folder: seconds that are added to the times of label files.")
    coded_aus: tuple[int, ...] = option(
        (),
        "gft, folder: AUs that were coded in files of events, those that never occurred included: where such a file has no "
        "event of one, it is absent and not missing.",
        Each(Where(lambda au: au in AU_NAMES, "an AU of FACS"), unique=True),
    )
    fps: float = option(25.0, "Frames per second in folders of frames.", POSITIVE)
    rotate: int = option(
        0,
        "Recordings: degrees by which pictures that lie on their side are turned clockwise.",
        Where(lambda turn: turn in (0, 90, 180, 270), "0, 90, 180 or 270"),
    )
    person: str = option(
        "largest",
        "Recordings of several people: whom the labels mean. largest, left or right: of the first frame with a face; or a box "
        "around the face, x,y,width,height in pixels. That person is followed, and frames with others alone have no labels. "
        "anyone: faces are not compared. For single recordings 'subject=left; subject/video=right'.",
        Where(
            is_persons, "largest, left, right, anyone, a box x,y,width,height, or 'subject=left; subject/video=right'"
        ),
    )
    landmarks: str = option(
        "dlib",
        "Landmarks by which faces of recordings are registered, in `prepare` and, by what is trained on them, in `predict`: dlib "
        "(its 68; the model is for non-commercial use) or mesh (MediaPipe's face mesh, under Apache-2.0; `make mesh`).",
        Choices("dlib", "mesh"),
    )
    skip_unusable: bool = option(
        False,
        "Leave out recordings that cannot be used (no video, no codes, damaged). By default they stop the preparation.",
    )
    preset: str = option("demo", "synthfacs: preset of subjects, videos and difficulty.", SYNTHFACS_PRESETS)
    render_seed: int = option(
        0,
        "synthfacs: seed of identities, expressions and images. It is separate from `seed`, so that runs with "
        "several seeds use the "
        "same faces.",
        SEED,
    )
    subjects: int = option(0, "synthfacs: number of subjects; 0 is the preset's.", SUBJECTS)
    videos: int = option(0, "synthfacs: number of videos per subject; 0 is the preset's.", VIDEOS)
    frames: int = option(0, "synthfacs: mean number of frames per video; 0 is the preset's.", FRAMES)
    directory: str = option("data", "Folder of prepared datasets; relative to the current folder.")
    image_size: int = option(200, "Side of a registered face, pixels (paper: 200).", Interval(1, 4096))
    crop_size: int = option(176, "Side of the crop that the CNN sees, pixels (paper: 176).", COUNT)
    jpeg_quality: int = option(95, "JPEG quality of stored faces.", Interval(1, 100))
    workers: int = option(0, "Recordings that are prepared at the same time; 0 is one per core.", COUNT_OR_0)
    shuffle_buffer: int = option(
        20_000, "Frames in the shuffle buffer, as encoded records. A whole fold of the demo fits.", COUNT
    )
    cache: str = option(
        "none",
        "Where the CNN's training frames are kept decoded. none: they are decoded anew in every epoch. host: in main "
        "memory, 3 "
        "bytes a pixel (9 GB for a fold of BP4D); same batches as none. device: the same on every accelerator, which "
        "crops and "
        "flips by itself, with other random numbers.",
        Choices("none", "host", "device"),
    )


@dataclass(frozen=True, kw_only=True)
class TransferConfig(Block):
    """The other dataset of the cross-dataset protocol: system anet_transfer trains its CNN there, on all subjects.

    Its fields mean what those of `data` mean; the other fields of `data`, such as image_size, hold for it too.

    Example:
      >>> config = Config(data=DataConfig(preset="bp4d_like"))
      >>> config.data.preset, config.transfer.preset
      ('bp4d_like', 'gft_like')
    """

    source: str = option("synthfacs", "As data.source, for the other dataset.", SOURCES)
    name: str = option("", "As data.name.")
    raw: str = option("", "As data.raw.")
    level: str = option("", "As data.level.", LEVEL)
    preset: str = option("gft_like", "As data.preset.", SYNTHFACS_PRESETS)
    render_seed: int = option(0, "As data.render_seed.", SEED)
    subjects: int = option(0, "As data.subjects.", SUBJECTS)
    videos: int = option(0, "As data.videos.", VIDEOS)
    frames: int = option(0, "As data.frames.", FRAMES)


@dataclass(frozen=True, kw_only=True)
class ProtocolConfig(Block):
    """Who trains, who validates, who is tested (paper, IV-B).

    Example:
      >>> protocol = ProtocolConfig(folds=10)
      >>> protocol.folds, protocol.split, protocol.validation, protocol.threshold
      (10, 'random', 0.2, 'zero')
    """

    folds: int = option(3, "Number of folds; a subject is tested in one only (paper: 3 and 10).", Interval(2))
    split: str = option(
        "random",
        "Who is in which fold: random (drawn from the seed), or a published list by its name, such as bp4d_3fold or "
        "disfa_3fold.",
    )
    subjects_file: str = option(
        "", "JSON file with a list of lists of subjects, one list per fold; it replaces `split`. '' is none."
    )
    validation: float = option(
        0.2, "Share of a fold's training subjects that is kept for validation (paper: about 0.2).", SHARE
    )
    threshold: str = option(
        "zero",
        "Decision threshold of every AU. zero (paper). validation: of the highest F1-frame on the validation "
        "subjects. calibrated: of "
        "the highest expected F1-frame there after a logistic calibration, which rounding and chance move much less.",
        Choices("zero", "validation", "calibrated"),
    )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Block):
    """A learning-rate schedule.

    Example:
      >>> ScheduleConfig(name="per_epoch", arguments="factor=0.5")
      ScheduleConfig(name='per_epoch', arguments='factor=0.5')
    """

    name: str = option("constant", "constant, per_epoch (a factor per epoch) or any optax schedule by its name.")
    arguments: str = option("", "Arguments of the schedule, such as 'factor=0.97'.")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Block):
    """An optimizer with its schedule; names and arguments are checked by au_jax.training.optimizers.

    Example:
      >>> optimizer = OptimizerConfig(name="adamw", arguments="weight_decay=0.01")
      >>> optimizer.learning_rate, optimizer.schedule.name
      (0.001, 'constant')
    """

    name: str = option("adam", "caffe_sgd, torch_rmsprop or any optax optimizer by its name (adamw, lion, ...).")
    learning_rate: float = option(
        1e-3, "Learning rate, before the schedule and `plateau` change it.", Interval(0, 1000, closed="high")
    )
    arguments: str = option(
        "", "Further arguments of the named optimizer, such as 'b1=0.8, nesterov=True'. They win over its own section."
    )
    clip: float = option(0.0, "Largest absolute value of a gradient element; 0 is no clipping.", NOT_NEGATIVE)
    schedule: ScheduleConfig = ScheduleConfig()


@dataclass(frozen=True, kw_only=True)
class CaffeSGDConfig(Block):
    """Arguments of the optimizer caffe_sgd; used under that name only.

    Example:
      >>> CaffeSGDConfig(momentum=0.5)
      CaffeSGDConfig(momentum=0.5, weight_decay=0.0005, bias_multiplier=2.0)
    """

    momentum: float = option(0.9, "caffe_sgd: momentum (paper: 0.9).", RATE)
    weight_decay: float = option(5e-4, "caffe_sgd: weight decay (paper: 5e-4).", NOT_NEGATIVE)
    bias_multiplier: float = option(2.0, "caffe_sgd: factor on the learning rate of biases.", NOT_NEGATIVE)


@dataclass(frozen=True, kw_only=True)
class CNNOptimizerConfig(OptimizerConfig):
    """The CNN's optimizer (paper, IV-B).

    Example:
      >>> optimizer = CNNOptimizerConfig()
      >>> optimizer.name, optimizer.caffe_sgd.momentum
      ('caffe_sgd', 0.9)
    """

    name: str = option(
        "caffe_sgd", "caffe_sgd (paper), torch_rmsprop or any optax optimizer by its name (adamw, lion, ...)."
    )
    caffe_sgd: CaffeSGDConfig = CaffeSGDConfig()


@dataclass(frozen=True, kw_only=True)
class TorchRMSPropConfig(Block):
    """Arguments of the optimizer torch_rmsprop; used under that name only.

    Example:
      >>> TorchRMSPropConfig(decay=0.99)
      TorchRMSPropConfig(decay=0.99, momentum=0.9, eps=1e-08)
    """

    decay: float = option(0.95, "torch_rmsprop: decay of the mean squared gradient.", RATE)
    momentum: float = option(0.9, "torch_rmsprop: momentum (paper: 0.9).", RATE)
    eps: float = option(1e-8, "torch_rmsprop: added to the root of the mean squared gradient.", POSITIVE)


@dataclass(frozen=True, kw_only=True)
class LSTMOptimizerConfig(OptimizerConfig):
    """The LSTM's optimizer (paper, IV-B: RMSProp, 1e-3). Its "weight decay 0.97" is read as the rate's factor per "
    "epoch.

    Example:
      >>> optimizer = LSTMOptimizerConfig()
      >>> optimizer.name, optimizer.clip, optimizer.schedule.arguments
      ('torch_rmsprop', 5.0, 'factor=0.97')
    """

    name: str = option(
        "torch_rmsprop", "torch_rmsprop (paper), caffe_sgd or any optax optimizer by its name (adamw, lion, ...)."
    )
    clip: float = option(5.0, "Largest absolute value of a gradient element; 0 is no clipping.", NOT_NEGATIVE)
    torch_rmsprop: TorchRMSPropConfig = TorchRMSPropConfig()
    schedule: ScheduleConfig = ScheduleConfig(name="per_epoch", arguments="factor=0.97")


@dataclass(frozen=True, kw_only=True)
class PlateauConfig(Block):
    """Reduces the learning rate where the monitored value stops improving; factor 1 turns it off.

    Example:
      >>> PlateauConfig(factor=0.1, patience=3, min_scale=0.01)  # after 3 epochs without gain a tenth, then a hundredth
      PlateauConfig(factor=0.1, patience=3, min_scale=0.01)
    """

    factor: float = option(
        1.0,
        "Factor on the learning rate after `patience` epochs without gain; 1 is off.",
        Interval(0, 1, closed="high"),
    )
    patience: int = option(1000, "Epochs without gain before the learning rate is reduced.", COUNT_OR_0)
    min_scale: float = option(
        1.0, "The learning rate is not reduced below this share of the schedule's.", Interval(0, 1)
    )


LABEL_REDUCTION = Choices("sum", "mean_L", "mean_labelled")
PATIENCE = "Stop after this many epochs without a better one; 0 is never."


@dataclass(frozen=True, kw_only=True)
class CNNConfig(Block):
    """The spatial branch (paper, III-A) and its training.

    Example:
      >>> cnn = CNNConfig(variant="demo", epochs=3)
      >>> cnn.batch_size, cnn.epochs, cnn.optimizer.name
      (196, 3, 'caffe_sgd')
    """

    variant: str = option(
        "drml_alexnet",
        "Network: drml_alexnet (our reading of Fig. 2(b)), bvlc_alexnet, or demo (small, for 64-pixel crops).",
        Choices("drml_alexnet", "bvlc_alexnet", "demo"),
    )
    width: float = option(1.0, "Factor on the channels of every layer.", POSITIVE)
    pool_rounding: str = option(
        "ceil", "How the size of pooled maps is rounded; Caffe rounds up.", Choices("ceil", "floor")
    )
    groups: int = option(2, "Groups of conv2, conv4 and conv5; AlexNet has 2.", COUNT)
    dropout: float = option(0.5, "Dropout rate after fc6 and fc7.", RATE)
    dtype: str = option(
        "float32",
        "Precision of the computation. bfloat16 is faster on accelerators; parameters are float32 in both.",
        Choices("float32", "bfloat16"),
    )
    mean: str = option(
        "image",
        "What is subtracted from pixels of 0..255: the mean image of the training subjects (as Caffe), or the mean "
        "of each channel.",
        Choices("image", "channel"),
    )
    batch_size: int = option(196, "Frames per update (paper: 196).", COUNT)
    epochs: int = option(15, "Epochs over the training frames.", COUNT)
    frame_step: int = option(
        1, "Use every n-th training frame of a video, with another offset in every epoch; 1 is all (paper).", COUNT
    )
    label_reduction: str = option(
        "sum",
        "Masked cross-entropy of a frame: sum over labels (the group's Caffe layer), mean_L (the paper's 1/L), or "
        "mean_labelled.",
        LABEL_REDUCTION,
    )
    sampling: str = option(
        "shuffle",
        "Order of the training frames: shuffle (each once per epoch), or momu (multi-label balanced batches: frames "
        "of the AU that a "
        "batch has least of come next, `momu_draw` at a time).",
        Choices("shuffle", "momu"),
    )
    momu_draw: int = option(4, "Sampling momu: frames of one AU that are taken at a time.", COUNT)
    monitor: str = option(
        "loss",
        "Which epoch is kept: that of the lowest validation loss, or of the highest validation f1 (F1-frame at "
        "threshold 0).",
        Choices("loss", "f1"),
    )
    patience: int = option(6, PATIENCE, COUNT_OR_0)
    optimizer: CNNOptimizerConfig = CNNOptimizerConfig()
    # Paper: the rate is "reduced manually whenever the validation loss stopped decreasing".
    plateau: PlateauConfig = PlateauConfig(factor=0.1, patience=3, min_scale=1e-3)


@dataclass(frozen=True, kw_only=True)
class HogSvmConfig(Block):
    """Linear SVMs after PCA: on HOG (6272 dimensions), and on fc7 in anet_transfer.

    Example:
      >>> HogSvmConfig(costs=(0.1, 1.0))
      HogSvmConfig(pca_energy=0.98, pca_components=1000, frame_step=2, costs=(0.1, 1.0))
    """

    pca_energy: float = option(0.98, "Share of the energy that PCA keeps.", Interval(0, 1, closed="high"))
    pca_components: int = option(1000, "Largest number of components that PCA keeps.", COUNT)
    frame_step: int = option(
        2, "Use every n-th frame of a video for PCA and SVM; neighbours are nearly the same.", COUNT
    )
    costs: tuple[float, ...] = option(
        (1e-3, 1e-2, 1e-1, 1.0, 10.0),
        "Costs C that are tried on the validation subjects, for each AU.",
        Each(POSITIVE, least=1),
    )


@dataclass(frozen=True, kw_only=True)
class IntensityConfig(Block):
    """Ordinal heads for intensities on the CNN's PCA-reduced fc7. Not in the paper.

    Example:
      >>> IntensityConfig(penalties=(1e-3,)).penalties
      (0.001,)
    """

    pca_energy: float = option(0.99, "Share of the energy that PCA keeps.", Interval(0, 1, closed="high"))
    pca_components: int = option(300, "Largest number of components that PCA keeps.", COUNT)
    frame_step: int = option(2, "Use every n-th frame of a video to fit; neighbours are nearly the same.", COUNT)
    penalties: tuple[float, ...] = option(
        (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        "Ridge penalties that are tried on the validation subjects, for each AU.",
        Each(POSITIVE, least=1),
    )


@dataclass(frozen=True, kw_only=True)
class CPMConfig(Block):
    """Confidence Preserving Machine. "The authors" are its own; see au_jax.systems.cpm.

    Example:
      >>> cpm = CPMConfig(relabelling="holistic")
      >>> cpm.relabelling, cpm.gamma_s, cpm.iterations
      ('holistic', 0.08, 20)
    """

    pca_energy: float = option(
        0.98,
        "Share of the energy that PCA keeps of HOG; each frame's components are then scaled to unit length. The "
        "authors' features are "
        "not known.",
        Interval(0, 1, closed="high"),
    )
    pca_components: int = option(
        300, "Largest number of components that PCA keeps; conjugate gradients want few.", COUNT
    )
    frame_step: int = option(
        20,
        "Use every n-th frame of a training video. Time and memory grow with the square of the training frames: keep "
        "to about 4000.",
        COUNT,
    )
    adaptation_step: int = option(
        4,
        "Use every n-th frame of a test subject's videos to learn that subject's classifier; all frames are scored.",
        COUNT,
    )
    gamma_s: float = option(
        0.08, "Weight of the confident classifiers' lengths (the authors' code: 0.08).", NOT_NEGATIVE
    )
    gamma_d: float = option(
        0.08, "Weight of the distance between the confident classifiers (the authors' code: 0.08).", NOT_NEGATIVE
    )
    gamma_t: float = option(
        0.08, "Weight of the length of a test subject's classifier (the authors' code: 0.08).", NOT_NEGATIVE
    )
    gamma_i: float = option(0.08, "Weight of its smoothness over time (the authors' code: 0.08).", NOT_NEGATIVE)
    gamma_tpn: float = option(
        1e-4, "Weight of its distance from the confident classifiers (the authors' code: 1e-4).", NOT_NEGATIVE
    )
    relabelling: str = option(
        "localized",
        "Which label a hard training frame gets: localized (the other label only within tau of hard frames that have "
        "it) or holistic "
        "(always the other).",
        Choices("localized", "holistic"),
    )
    tau: float = option(
        0.14,
        "Squared distance between unit vectors (the authors' code: 0.14, for its own features). 0: for each AU the "
        "distance at which "
        "pairs within the rarer class are 1.9 times as many as pairs across classes (the authors' rule).",
        NOT_NEGATIVE,
    )
    window: int = option(5, "Half width, in frames, of the Gaussian over which scores are to be smooth (ours).", COUNT)
    iterations: int = option(20, "Largest number of rounds of iterative CPM.", COUNT)
    tolerance: float = option(1e-5, "Relative change of both objectives at which the rounds end.", NOT_NEGATIVE)


WEIGHTS = Each(NOT_NEGATIVE, least=1)


@dataclass(frozen=True, kw_only=True)
class JPMLConfig(Block):
    """Joint Patch and Multi-label Learning; see au_jax.systems.jpml.

    Example:
      >>> jpml = JPMLConfig(alphas=(1e-3, 1e-4))
      >>> len(jpml.alphas) * len(jpml.betas_together) * len(jpml.betas_compete)  # combinations that are tried
      18
    """

    frame_step: int = option(20, "Use every n-th frame of a video of training and validation subjects.", COUNT)
    alphas: tuple[float, ...] = option(
        (1e-3, 1e-4, 1e-5, 1e-6),
        "Weights of the group lasso over patches that are tried on the validation subjects (the authors' range).",
        WEIGHTS,
    )
    betas_together: tuple[float, ...] = option(
        (1e-4, 1e-3, 1e-2), "Weights of AUs that go together, tried with every other weight (ours).", WEIGHTS
    )
    betas_compete: tuple[float, ...] = option(
        (1e-4, 1e-3, 1e-2), "Weights of AUs that compete, tried with every other weight (ours).", WEIGHTS
    )
    together: float = option(
        0.30, "Phi coefficient of training labels from which two AUs go together (ours).", Interval(-1, 1)
    )
    compete: float = option(
        -0.10, "Phi coefficient of training labels down to which two AUs compete (ours).", Interval(-1, 1)
    )
    iterations: int = option(500, "Largest number of steps of FISTA (the authors: 500).", COUNT)
    tolerance: float = option(
        1e-3, "Relative change of the weights at which FISTA ends (the authors' 1e-3 is a duality gap).", NOT_NEGATIVE
    )


@dataclass(frozen=True, kw_only=True)
class LSTMConfig(Block):
    """The temporal branch (paper, III-B) and its training.

    Example:
      >>> lstm = LSTMConfig(hidden=32)
      >>> lstm.layers, lstm.hidden, lstm.sequence_length - lstm.burn_in
      (3, 32, 1290)
    """

    pca_components: int = option(
        1024,
        "Components of PCA on L2-normalised fc7 of the training subjects (paper: 1024, 98 % of the energy).",
        COUNT,
    )
    standardise: bool = option(
        False,
        "Divide all components by one number, so that their mean variance is 1. False keeps the scale of unit-norm "
        "fc7 (paper).",
    )
    layers: int = option(3, "LSTM layers (paper: 3).", Interval(1, 100))
    hidden: int = option(256, "Units of each layer (paper: 256).", COUNT)
    dropout: float = option(0.5, "Dropout rate of every connection that is not recurrent (paper: 0.5).", RATE)
    variational: bool = option(False, "Use one dropout mask for all steps of a sequence instead of a new one per step.")
    bidirectional: bool = option(
        False,
        "Add a second LSTM per layer that runs from the last frame to the first; such a run cannot predict on a "
        "stream.",
    )
    kernel: str = option(
        "fused",
        "fused (a gradient written by hand, faster) or scan (the plain reference). Same parameters, same results up "
        "to rounding.",
        Choices("fused", "scan"),
    )
    init_range: float = option(0.08, "Weights start uniform in +-init_range (paper: 0.08).", POSITIVE)
    forget_bias: float = option(0.0, "Initial bias of the forget gates; below 0 the memory starts short.")
    remat: int = option(
        0,
        "Steps that are computed again together in the backward pass, to save memory; 0 keeps all inner values.",
        COUNT_OR_0,
    )
    sequence_length: int = option(1300, "Frames in a subsequence (paper: 1300).", COUNT)
    batch_size: int = option(10, "Subsequences per update (paper: 10).", COUNT)
    burn_in: int = option(
        10, "First frames of a subsequence, which give no loss and no gradient (paper: 10).", COUNT_OR_0
    )
    min_active: float = option(
        1.5, "Subsequences with fewer active AUs per frame are sampled again (paper: 1.5).", NOT_NEGATIVE
    )
    sampling: str = option(
        "active",
        "Which subsequences are drawn: active (a random video and start, again while fewer than `min_active` AUs are active; "
        "paper) or even (every video once before any comes again, at a random start).",
        Choices("active", "even"),
    )
    noise: float = option(
        0.0,
        "Noise on the training features, the same in all frames of a subsequence, in units of their standard deviation; 0 "
        "is none (paper). It keeps the stack from knowing people by heart.",
        NOT_NEGATIVE,
    )
    level: float = option(
        0.0,
        "Share of a video's level that is subtracted from its features; the level is the mean of the first `level_frames` "
        "frames, as far as they have been seen. 0 is none (paper).",
        Interval(0, 1),
    )
    level_frames: int = option(4, "level above 0: frames at a video's beginning that make its level.", COUNT)
    concatenate: bool = option(
        True,
        "Join a subject's videos to one training video, with the carry reset between them (BP4D's are shorter than "
        "1300 frames).",
    )
    epochs: int = option(10, "Epochs over the training frames (paper: about 10).", COUNT)
    steps_per_epoch: int = option(0, "Updates per epoch; 0 is frames / (batch_size x sequence_length).", COUNT_OR_0)
    loss: str = option(
        "margin",
        "Loss: margin (the max-margin loss on scores in [-1, 1]; paper) or cross_entropy (of the readout, without the tanh).",
        Choices("margin", "cross_entropy"),
    )
    margin: float = option(0.5, "Margin of the loss (paper: 0.5).", NOT_NEGATIVE)
    grad_threshold: float = option(
        1.0,
        "The loss passes its gradient where label x score is below this: 1.0 (as the paper writes). A negative value "
        "stands for the "
        "margin: the gradient of the loss itself.",
    )
    patience: int = option(
        0, "Stop after this many epochs without a better validation F1-frame; 0 is never.", COUNT_OR_0
    )
    optimizer: LSTMOptimizerConfig = LSTMOptimizerConfig()
    plateau: PlateauConfig = PlateauConfig()


@dataclass(frozen=True, kw_only=True)
class FusionConfig(Block):
    """The fusion network (paper, III-C) and its training.

    Example:
      >>> fusion = FusionConfig(train_on="out_of_fold")
      >>> fusion.variant, fusion.train_on, fusion.inner_folds
      ('stacked', 'out_of_fold', 3)
    """

    variant: str = option(
        "stacked",
        "Network: stacked (our reading of the paper), siamese, features, mean, or temporal (ours: a learned filter over a "
        "window of frames); see au_jax.models.fusion.",
        Choices("stacked", "siamese", "features", "mean", "temporal"),
    )
    lookback: int = option(6, "temporal: frames before the present one in the window.", WINDOW)
    lookahead: int = option(
        0,
        "temporal: frames after the present one in the window. Scores of a stream come so many frames late; 0 is causal.",
        WINDOW,
    )
    level_frames: int = option(
        0,
        "temporal: frames at a video's beginning whose mean, as far as they have been seen, the network knows beside the "
        "window; 0 is none.",
        WINDOW,
    )
    hysteresis: float = option(
        0.0,
        "By how much a frame's score must be beyond the threshold to change the decision of the frame before, of hybrid and "
        "anet_filter; 0 is none. Where no frame to come is waited for (temporal with lookahead 0), 0.1 gives back about "
        "a quarter of the F1-event that this costs.",
        NOT_NEGATIVE,
    )
    train_on: str = option(
        "validation",
        "Whose scores it learns from: validation (the validation subjects); out_of_fold (training subjects, each "
        "scored by networks that "
        "were trained without them: CNN and LSTM are trained `inner_folds` times more); train (over-fitted scores, "
        "for comparison).",
        Choices("validation", "out_of_fold", "train"),
    )
    inner_folds: int = option(3, "train_on out_of_fold: number of inner folds.", Interval(2))
    hidden: int = option(64, "Units of the first layer (ours).", COUNT)
    dropout: float = option(0.5, "Dropout rate after the first layer (ours).", RATE)
    normalise: bool = option(True, "L2-normalise each branch's scores of a frame (paper).")
    batch_size: int = option(256, "Frames per update.", COUNT)
    epochs: int = option(20, "Largest number of epochs over the frames.", COUNT)
    holdout: float = option(
        0.5,
        "train_on validation: share of these subjects that fusion does not learn from and that selects its best epoch.",
        SHARE,
    )
    label_reduction: str = option("sum", "As cnn.label_reduction.", LABEL_REDUCTION)
    patience: int = option(0, PATIENCE, COUNT_OR_0)
    optimizer: OptimizerConfig = OptimizerConfig()
    plateau: PlateauConfig = PlateauConfig()


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(Block):
    """Metrics and their intervals (paper, IV-B).

    Example:
      >>> EvaluationConfig(bootstrap=20)
      EvaluationConfig(bootstrap=20, level=0.95, f1_norm='jeni')
    """

    bootstrap: int = option(1000, "Resamplings of subjects behind every confidence interval.", Interval(1, 1_000_000))
    level: float = option(0.95, "Level of the confidence intervals.", SHARE)
    f1_norm: str = option(
        "jeni", "Definition of F1-norm; see au_jax.evaluation.metrics.", Choices("jeni", "paper_literal", "author_code")
    )


@dataclass(frozen=True, kw_only=True)
class Config(Block):
    """The whole configuration of a run.

    Example:
      >>> config = Config(systems=("hog_svm",))
      >>> config.systems, config.protocol.folds, replace(config, **{"protocol.folds": 10}).protocol.folds
      (('hog_svm',), 3, 10)
    """

    seed: int = option(
        0, "Every random number of a run follows from it: folds, initial weights, sampling, dropout, bootstrap.", SEED
    )
    folds: tuple[int, ...] = option(
        (),
        "Which folds to run; () is all. Several jobs may run other folds of one workdir at the same time; `main` "
        "once more, with "
        "all of them, then makes the table.",
        Each(COUNT_OR_0, unique=True),
    )
    systems: tuple[str, ...] = option(
        ("hog_svm", "anet", "hybrid"),
        "Systems to run: the columns of the tables, in this order.",
        Each(unique=True),
    )
    compiled: str = option(
        "", "Folder of compiled programs, which make the next start quick; '' is `compiled` in data.directory."
    )
    data: DataConfig = DataConfig()
    transfer: TransferConfig = TransferConfig()
    protocol: ProtocolConfig = ProtocolConfig()
    cnn: CNNConfig = CNNConfig()
    hog_svm: HogSvmConfig = HogSvmConfig()
    anet_transfer: HogSvmConfig = HogSvmConfig()
    anet_intensity: IntensityConfig = IntensityConfig()
    cpm: CPMConfig = CPMConfig()
    jpml: JPMLConfig = JPMLConfig()
    lstm: LSTMConfig = LSTMConfig()
    fusion: FusionConfig = FusionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


RENAMED: dict[str, str] = {
    "aus": "data.aus",
    "cnn.compute": "cnn.dtype",
    "lstm.passes": "lstm.epochs",
    "lstm.updates_per_pass": "lstm.steps_per_epoch",
}
"""Former names of fields.

A former name is never given to another field and never leaves this table: runs that were made under it are read for ever. On the
command line and in config files it is refused, with a line that says the new name.
"""

_STEPS = 1_000_000
"""Updates that a check of optimizers assumes where the run's number is not known yet."""


def defaults() -> Config:
    """The default configuration, with a section for every system of other packages that declares one.

    Raises:
      ConfigError: a system of another package cannot be loaded.

    Example:
      >>> defaults().systems
      ('hog_svm', 'anet', 'hybrid')
    """
    return _defaults()


@functools.cache
def _defaults() -> Config:
    # The registry knows the systems of other packages; it imports none of this package's.
    from au_jax.systems import plugin_blocks

    blocks = plugin_blocks()
    if not blocks:
        return Config()
    if taken := [name for name in blocks if hasattr(Config, name)]:
        raise ConfigError(f"a system of another package is called {taken[0]}, as a section of the config; uninstall it")
    fields_ = [(name, block, block()) for name, block in blocks.items()]
    return make_dataclass("Config", fields_, bases=(Config,), frozen=True, kw_only=True)()


def get_config() -> Any:
    """The default configuration, to be changed by a config file or the command line.

    Returns:
      A ConfigDict, whose fields are of any type to a type checker; `typed` gives it types.

    Example:
      >>> config = get_config()
      >>> config.cnn.epochs = 3
      >>> typed(config).cnn.epochs
      3
    """
    return options.mutable(defaults())


def typed(config: Config | ConfigDict | Mapping[str, Any]) -> Config:
    """The configuration as the library reads it, with types; lists become tuples. Ranges are checked by `check_fields`.

    Raises:
      ConfigError: a field is missing, unknown or of another type.

    Example:
      >>> typed(get_config()) == Config()
      True
    """
    return options.build(defaults(), config)


def load(name_or_path: str) -> Any:
    """The configuration of a config file; the file is Python and is executed, so use only files that you trust.

    Args:
      name_or_path: a path such as "configs/demo.py" or the name of a file of this package such as "demo", and after a colon the
        argument of its `get_config`: "bp4d:10fold".

    Returns:
      A ConfigDict, to be changed or passed to `typed`.

    Raises:
      ConfigError: there is no such file, or it fails.

    Example:
      >>> load("demo:smoke").data.preset
      'tiny'
    """
    path, _, variant = find_file(name_or_path).partition(":")
    try:
        content = runpy.run_path(path)
        if "get_config" not in content:
            raise ConfigError("it has no function get_config; define one that returns the config")
        return content["get_config"](*[variant] * bool(variant))
    except ValueError as error:  # UserErrors, and a variant that there is not
        raise ConfigError(f"{name_or_path}: {error}") from error
    except Exception as error:  # a config file is the user's own program
        raise ConfigError(f"{name_or_path} fails ({type(error).__name__}: {error}); mend its get_config") from error


def find_file(name_or_path: str) -> str:
    """The path of a config file, with the argument after the colon kept; a file that exists wins over a name.

    Raises:
      ConfigError: there is no such file.

    Example:
      >>> Path(find_file("demo:smoke")).name
      'demo.py:smoke'
    """
    name, colon, variant = name_or_path.partition(":")
    if Path(name).is_file():
        return name_or_path
    names = config_names()
    if name in names:
        return f"{_folder() / name}.py{colon}{variant}"
    place = "" if Path(name).is_absolute() else f" in {Path.cwd()}"
    raise ConfigError(f"there is no config file {name}{place}; give a path, or one of {', '.join(names)}")


def config_names() -> tuple[str, ...]:
    """Names of the config files that come with the package.

    Example:
      >>> "demo" in config_names()
      True
    """
    return tuple(sorted(path.stem for path in _folder().glob("*.py") if not path.stem.startswith("_")))


def _folder() -> Path:
    # A wheel has them in the package; a checkout has them beside it.
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "configs"


@dataclass(frozen=True)
class Field:
    """A field as the command line names it, such as "cnn.epochs"; `allowed` is its range or its choices in words, or "".

    Example:
      >>> field = next(field for field in fields({**to_dict(Config()), "seed": 3}) if field.name == "seed")
      >>> field.value, field.default, field.changed
      (3, 0, True)
    """

    name: str
    value: Any
    default: Any
    meaning: str
    allowed: str

    @property
    def changed(self) -> bool:
        """Whether the value is not the default; a config that was read from JSON has lists for tuples."""
        return (tuple(self.value) if isinstance(self.value, list) else self.value) != self.default


def fields(config: Config | ConfigDict | Mapping[str, Any]) -> Iterator[Field]:
    """The fields of a config in the order of their declaration.

    Raises:
      ConfigError: a field is missing or unknown.

    Example:
      >>> next(fields(get_config())).name
      'seed'
    """
    declared = options.declared(defaults())
    for name, value in options.leaves(defaults(), config):
        one = declared[name]
        yield Field(name, value, one.default, one.meaning, one.constraint.words if one.constraint else "")


def describe(config: Config | ConfigDict | Mapping[str, Any]) -> str:
    """The fields as text: meaning and range, then the field with its value, as the command line takes it.

    Example:
      >>> print(describe(replace(Config(), **{"cnn.epochs": 3})).partition("cnn.epochs=")[2].splitlines()[0])
      3    (default: 15)
    """
    lines = []
    for field in fields(config):
        text = f"{field.meaning} ({field.allowed})" if field.allowed else field.meaning
        lines += ["", *textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"--config.{field.name}={field.value!r}" + f"    (default: {field.default!r})" * field.changed)
    return "\n".join(lines).strip()


def with_defaults(resolved: Any) -> dict[str, Any]:
    """The content of a run's config.json, as this version would have written it.

    Former names of fields are replaced, and fields that have come since then are at their defaults.

    Raises:
      DataError: it holds no fields, or one that is not known.

    Example:
      >>> with_defaults({"lstm": {"passes": 7}})["lstm"]["epochs"]
      7
    """
    if not isinstance(resolved, Mapping):
        raise DataError(
            f"a run's config.json holds {type(resolved).__name__} and no fields; it is no run of au_jax, name another"
        )
    document = options.to_dict(defaults())
    for name, value in options.flat(resolved).items():
        *sections, last = RENAMED.get(name, name).split(".")
        block: Any = document
        for section in sections:
            block = block.get(section) if isinstance(block, dict) else None
        if not isinstance(block, dict) or last not in block:
            raise DataError(
                f"the run's config.json has a field {name}, which this version does not know; open the run with the version (or "
                "the package of the system) that wrote it"
            )
        block[last] = value
    return document


def differing(before: Mapping[str, Any], now: Mapping[str, Any], but: Collection[str] = ()) -> list[str]:
    """The fields of two resolved configs that differ, those of `but` left out.

    Example:
      >>> differing({"seed": 0, "cnn": {"epochs": 2}}, {"seed": 1, "cnn": {"epochs": 2}})
      ['seed: 0 there, 1 now']
    """
    there, here = options.flat(before), options.flat(now)
    return [
        f"{name}: {there.get(name)!r} there, {here.get(name)!r} now"
        for name in sorted({*there, *here})
        if name not in but and there.get(name) != here.get(name)
    ]


def check_fields(config: Config | ConfigDict) -> None:
    """Checks type, range and choices of every field, and what fields must have in common.

    Names that the run looks up (protocol.split, the raw recordings) are checked there, and optimizers once more with the
    run's own number of steps (`check_optimizer`).

    Raises:
      ConfigError: names the field, its value, and its range or choices.

    Example:
      >>> check_fields(replace(get_config(), **{"cnn.epochs": 0}))
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.cnn.epochs is 0; give a whole number, at least 1
    """
    _refuse_former_names(config)
    declared = options.declared(defaults())
    for name, value in options.leaves(defaults(), config):
        declared[name].check(value)
    view = typed(config)
    from au_jax.systems import system_names

    # Looking for the systems of other packages takes a while.
    known = system_names()
    unknown = [name for name in view.systems if name not in known]
    if unknown or not view.systems:
        what = ", ".join(map(repr, unknown)) or "nothing"
        raise ConfigError(f"config.systems names {what}; choose among {', '.join(known)}")
    if absent := [index for index in view.folds if index >= view.protocol.folds]:
        raise ConfigError(f"config.folds names {absent}; choose among the folds 0 to {view.protocol.folds - 1}")
    if view.data.crop_size > view.data.image_size:
        raise ConfigError(
            f"config.data.crop_size is {view.data.crop_size}, which does not fit into config.data.image_size "
            f"{view.data.image_size}; give at most that"
        )
    if view.lstm.burn_in >= view.lstm.sequence_length:
        raise ConfigError(
            f"config.lstm.burn_in is {view.lstm.burn_in}, which leaves no loss in config.lstm.sequence_length "
            f"{view.lstm.sequence_length}; give less than that"
        )
    if view.jpml.compete > view.jpml.together:
        raise ConfigError(
            f"config.jpml.compete is {view.jpml.compete}; give at most config.jpml.together, {view.jpml.together}"
        )
    for stage in ("cnn", "lstm", "fusion"):
        _check_optimizer(stage, getattr(view, stage).optimizer, 1000, _STEPS)


def check_optimizer(config: Config | ConfigDict, stage: str, steps_per_epoch: int, epochs: int) -> None:
    """Checks the optimizer and the schedule of a stage with the number of steps that a run will take.

    Args:
      config: of the run.
      stage: section that has an `optimizer`: cnn, lstm or fusion.
      steps_per_epoch: updates per epoch.
      epochs: largest number of epochs.

    Raises:
      ConfigError: names the section, and says what make_optimizer says.

    Example:
      >>> check_optimizer(Config(), "cnn", steps_per_epoch=10, epochs=2)
      >>> wrong = replace(Config(), **{"cnn.optimizer.name": "adamm"})
      >>> check_optimizer(wrong, "cnn", steps_per_epoch=10, epochs=2)  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.cnn.optimizer: ...
    """
    view = typed(config) if isinstance(config, ConfigDict) else config
    _check_optimizer(stage, getattr(view, stage).optimizer, steps_per_epoch, steps_per_epoch * epochs)


@functools.lru_cache
def _check_optimizer(stage: str, optimizer: OptimizerConfig, steps_per_epoch: int, steps: int) -> None:
    # With JAX and optax, which most users of a config do not need.
    from au_jax.training.optimizers import check_rates, make_optimizer

    try:
        made = make_optimizer(optimizer, steps_per_epoch, steps)
        if steps != _STEPS:
            check_rates(made, steps, f"schedule {optimizer.schedule.name}")
    except Exception as error:  # arguments are the user's, and optax raises what it likes
        text = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"config.{stage}.optimizer: {text}") from error


def _refuse_former_names(config: Config | ConfigDict) -> None:
    for name in options.flat(config):
        if name in RENAMED:
            raise ConfigError(f"config.{name} is called config.{RENAMED[name]} now")
