"""t-SNE of frames, and how well a frame's neighbours tell its subject and its AUs (paper section IV-C, Fig. 3)."""

import numpy as np
from jaxtyping import Float, Float32
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

COMPONENTS = 50
"""Principal components that t-SNE and the search for neighbours are given."""
NEIGHBOURS = 10

_BLOCK = 1024  # rows of distances in memory at once


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
      >>> tsne(np.random.default_rng(0).normal(size=(12, 3)), seed=0).shape
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
    features: np.ndarray, targets: np.ndarray, groups: np.ndarray, neighbours: int = NEIGHBOURS
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


def chance(targets: np.ndarray) -> float:
    """Share of the most frequent class: the accuracy of a feature that says nothing about the class.

    Example:
      >>> chance(np.array([0, 0, 0, 1]))
      0.75
    """
    _, counts = np.unique(targets, return_counts=True)
    return float(counts.max() / counts.sum())
