"""PCA on the descriptors of training subjects, for HOG+SVM and ANet-T (linear_svm.py) and for CPM."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA


@dataclass(frozen=True)
class Components:
    """Principal components.

    Attributes:
      mean: [D] float32 of the rows.
      directions: [K, D] float32, orthonormal.
      variances: [K] float32 of the rows along them.
      energy: share of the rows' variance that they hold.
    """

    mean: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    energy: float


def fit_components(rows: np.ndarray, energy: float, most: int) -> Components:
    """Fits PCA.

    Args:
      rows: [N, D] float32.
      energy: share of the variance to keep.
      most: components at most.

    Returns:
      As few components as hold that share, or `most`.
    """
    most = min(most, *rows.shape)
    pca = PCA(most, svd_solver="auto", random_state=0).fit(rows)
    assert pca.components_ is not None
    shares = np.cumsum(pca.explained_variance_ratio_)
    kept = min(int(np.searchsorted(shares, energy)) + 1, most)
    return Components(pca.mean_, pca.components_[:kept], pca.explained_variance_[:kept], float(shares[kept - 1]))


def project(rows: np.ndarray, mean: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Rows [N, D] along directions [K, D] after subtracting the mean, [N, K] float32."""
    return ((rows - mean) @ directions.T).astype(np.float32)
