"""What a feature tells of subjects and of AUs (paper section IV-C): its divergence between subjects, and frames' neighbours.

Fig. 4: how far apart subjects are, by Jensen-Shannon divergence (Eq. 5). Fig. 3: t-SNE of frames, and how well a frame's
neighbours tell its subject and its AUs.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Shaped
from scipy.special import expit, rel_entr
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

MEDIANS: tuple[str, ...] = ("values", "abs")
COMPONENTS = 50
"""Principal components that t-SNE and the search for neighbours are given."""
NEIGHBOURS = 10

_BLOCK = 1024  # rows of distances in memory at once


def distributions(means: Float[np.ndarray, "S D"], median_of: str = "values") -> Float64[np.ndarray, "S D"]:
    """Squeezes subjects' mean vectors into distributions: logistic(mu / m), then unit sum; m is the median of mu.

    The paper leaves open what happens where m is 0 or negative: its magnitude is used, and at least 1e-8.

    Args:
      means: [S, D] float, the mean feature vector of each subject.
      median_of: "values" (the paper), or "abs": of the magnitudes, for features of both signs.

    Returns:
      [S, D] float64, rows that sum to 1.

    Raises:
      ValueError: an unknown `median_of`.

    Example:
      >>> distributions(np.array([[2.0, 2.0]])).tolist()
      [[0.5, 0.5]]
    """
    means = np.asarray(means, np.float64)
    if median_of not in MEDIANS:
        raise ValueError(f"median_of is {median_of!r}; choose one of {', '.join(MEDIANS)}")
    median = np.median(np.abs(means) if median_of == "abs" else means, axis=1, keepdims=True)
    squeezed = expit(means / np.maximum(np.abs(median), 1e-8))
    return squeezed / squeezed.sum(1, keepdims=True)


def js_divergence(
    p: Float[np.ndarray, "*#rows D"], q: Float[np.ndarray, "*#rows D"]
) -> Float64[np.ndarray, "..."] | np.floating:
    """Jensen-Shannon divergence over the last axis, natural logarithm (Eq. 5). Tested against SciPy's distance.

    Args:
      p, q: [.., D] float, distributions along the last axis; the other axes are broadcast.

    Returns:
      [..] float64, from 0 (equal) to log 2 (disjoint).

    Example:
      >>> round(float(js_divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0]))), 4)
      0.6931
    """
    middle = 0.5 * (p + q)
    return 0.5 * (rel_entr(p, middle) + rel_entr(q, middle)).sum(-1)


def js_matrix(rows: Float[np.ndarray, "S D"]) -> Float64[np.ndarray, "S S"]:
    """Divergence of every pair of distributions, symmetric with zeros on the diagonal.

    Example:
      >>> js_matrix(np.array([[1.0, 0.0], [0.0, 1.0]])).round(4).tolist()
      [[0.0, 0.6931], [0.6931, 0.0]]
    """
    matrix = np.zeros((len(rows), len(rows)))
    for index, row in enumerate(rows):
        matrix[index, index + 1 :] = js_divergence(row, rows[index + 1 :])
    return matrix + matrix.T


def readings(sums: Float[np.ndarray, "*subjects"], dimensions: int) -> dict[str, Float[np.ndarray, "*subjects"]]:
    """The readings of Fig. 4's "d normalized by log(d) x 1e6" for subjects' sums S of divergences.

    Args:
      sums: [..] S of each subject.
      dimensions: of the feature.

    Returns:
      "sum": S; "by_log_dimensions": S / log(dimensions); "log_of_millionths": log10(1e6 S), the reading whose values are
      of the size that the paper prints.

    Example:
      >>> {name: round(float(value[0]), 3) for name, value in readings(np.array([0.01]), dimensions=4096).items()}
      {'sum': 0.01, 'by_log_dimensions': 0.001, 'log_of_millionths': 4.0}
    """
    return {
        "sum": sums,
        "by_log_dimensions": sums / np.log(dimensions),
        "log_of_millionths": np.log10(1e6 * sums),
    }


def bootstrap_divergences(
    matrices: Mapping[str, Float[np.ndarray, "S S"]], replicates: int, seed: int
) -> dict[str, Float64[np.ndarray, " R"]]:
    """Means over subjects of log10(1e6 S) when subjects are drawn anew, with replacement, the same for every feature.

    Args:
      matrices: feature -> divergences [S, S] of the same subjects in the same order.
      replicates: number of replicates R.
      seed: of the draws.

    Returns:
      feature -> [R] float64. Two draws of the same subject have no divergence; S / (S - 1) makes up for those pairs.

    Raises:
      ValueError: fewer than three subjects.

    Example:
      >>> matrix = js_matrix(distributions(np.random.default_rng(0).normal(size=(5, 8))))
      >>> bootstrap_divergences({"fc7": matrix}, replicates=100, seed=0)["fc7"].shape
      (100,)
    """
    number = len(next(iter(matrices.values())))
    if number < 3:
        raise ValueError(f"the order of features cannot be tested on {number} subjects; it needs at least 3")
    generator = np.random.default_rng(seed)
    weights = np.zeros((0, number))
    while len(weights) < replicates:
        counts = generator.multinomial(number, np.full(number, 1.0 / number), size=replicates)
        # One subject drawn every time is no group: nothing diverges.
        weights = np.concatenate([weights, counts[(counts > 0).sum(1) > 1]])[:replicates]
    values = {}
    for name, matrix in matrices.items():
        sums = weights @ matrix * number / (number - 1)
        # A sum of zero belongs to a subject that was not drawn, or to one whose features equal all others'.
        logarithms = np.log10(np.maximum(1e6 * sums, np.finfo(float).tiny))
        values[name] = (weights * logarithms).sum(1) / number
    return values


def order_shares(values: Mapping[str, Float[np.ndarray, " R"]]) -> dict[str, float]:
    """How often the replicates have the features in the given order, from low to high divergence.

    Returns:
      "a < b" for neighbours -> share of replicates, then "a < b < .." for the whole order.

    Example:
      >>> order_shares({"fc7": np.array([1.0, 3.0]), "hog": np.array([2.0, 2.0])})
      {'fc7 < hog': 0.5}
    """
    names = list(values)
    below = {
        f"{first} < {second}": values[first] < values[second] for first, second in zip(names, names[1:], strict=False)
    }
    shares = {pair: float(share.mean()) for pair, share in below.items()}
    if len(below) > 1:
        shares[" < ".join(names)] = float(np.logical_and.reduce(list(below.values())).mean())
    return shares


def reduced(features: Float[np.ndarray, "N D"]) -> Float32[np.ndarray, "N K"]:
    """The first 50 principal components of features [N, D], or as many as there are, [N, K] float32.

    Example:
      >>> reduced(np.random.default_rng(0).normal(size=(20, 8))).shape
      (20, 8)
    """
    components = min(COMPONENTS, *features.shape)
    return PCA(components, svd_solver="full", random_state=0).fit_transform(features).astype(np.float32)


def tsne(components: Float[np.ndarray, "N D"], seed: int, perplexity: float = 30.0) -> Float32[np.ndarray, "N 2"]:
    """Barnes-Hut t-SNE in two dimensions: angle 0.5, 1000 iterations, PCA start (scikit-learn).

    Args:
      components: [N, D] from `reduced`.
      seed: of t-SNE.
      perplexity: lowered where there are fewer than three times as many frames.

    Returns:
      [N, 2] float32.

    Reference: van der Maaten, "Accelerating t-SNE using tree-based algorithms", JMLR 2014.

    Example:
      >>> tsne(np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32), seed=0).shape
      (12, 2)
    """
    embedding = TSNE(
        perplexity=min(perplexity, (len(components) - 1) / 3),
        angle=0.5,
        max_iter=1000,
        init="pca",
        random_state=seed,
    )
    # Thousands of short parallel loops: on a busy machine, threads mostly wait for each other.
    with threadpool_limits(1, user_api="openmp"):
        return embedding.fit_transform(components).astype(np.float32)


def neighbour_accuracy(
    features: Float[np.ndarray, "N D"],
    targets: Shaped[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"],
    neighbours: int = NEIGHBOURS,
) -> float:
    """Share of frames whose nearest neighbours' majority is of their own class; of a tie the nearest class wins.

    Neighbours are sought among the frames of other groups: frames of one moment are next to each other whatever the
    feature, and would tell any class that they share.

    Args:
      features: [N, D] float.
      targets: [N] int, the class of each frame.
      groups: [N] int; frames of a group are no neighbours of each other.
      neighbours: how many vote.

    Returns:
      Accuracy in 0..1.

    Raises:
      ValueError: a frame has fewer than `neighbours` frames of other groups.

    Example:
      >>> features = np.array([[0.0], [0.1], [5.0], [5.1]])
      >>> targets, groups = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])
      >>> neighbour_accuracy(features, targets, groups, neighbours=1)
      1.0
    """
    targets, groups = np.asarray(targets), np.asarray(groups)
    _, counts = np.unique(groups, return_counts=True)
    if len(targets) - counts.max() < neighbours:
        raise ValueError(
            f"{neighbours} neighbours are asked for, but a group leaves {len(targets) - counts.max()} frames"
        )
    features = np.asarray(features, np.float64)
    squares = np.square(features).sum(1)
    right = 0
    for start in range(0, len(features), _BLOCK):
        part = slice(start, start + _BLOCK)
        distances = squares[part, None] - 2.0 * features[part] @ features.T + squares[None]
        distances[groups[part, None] == groups[None]] = np.inf
        nearest = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
        order = np.argsort(np.take_along_axis(distances, nearest, 1), axis=1, kind="stable")
        votes = targets[np.take_along_axis(nearest, order, 1)]
        right += int((_majority(votes) == targets[part]).sum())
    return right / len(features)


def _majority(votes: np.ndarray) -> np.ndarray:
    """The most frequent class of every row [N, k], nearest first; the first of equals."""
    frequency = (votes[:, :, None] == votes[:, None, :]).sum(2)
    return np.take_along_axis(votes, frequency.argmax(1)[:, None], 1)[:, 0]


def chance(targets: Shaped[np.ndarray, " N"]) -> float:
    """Share of the most frequent class: the accuracy of a feature that says nothing about the class.

    Example:
      >>> chance(np.array([0, 0, 0, 1]))
      0.75
    """
    _, counts = np.unique(targets, return_counts=True)
    return float(counts.max() / counts.sum())
