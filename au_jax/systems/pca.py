"""Principal component analysis of frame features, for HOG+SVM, ANet-T, CPM and the hybrid (paper sections III-B and IV-D)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA


@dataclass(frozen=True)
class Components:
    """Principal components.

    Attributes:
      mean: [D] float32 of the rows.
      directions: [K, D] float32, orthonormal.
      variances: [K] float32 of the rows along them.
      energy: share of the rows' variance that they hold.

    Example:
      >>> axis = Components(np.zeros(2), np.array([[1.0, 0.0]]), np.array([4.0]), energy=0.8)
      >>> len(axis.directions)
      1
    """

    mean: Float[np.ndarray, " D"]
    directions: Float[np.ndarray, "K D"]
    variances: Float[np.ndarray, " K"]
    energy: float


def fit_components(rows: Float[np.ndarray, "N D"], energy: float, most: int) -> Components:
    """Fits as few components as hold a share of the variance.

    Args:
      rows: [N, D] float32.
      energy: share of the variance to keep, 0 to 1.
      most: components at most.

    Returns:
      As few components as hold that share, or `most`.

    Example:
      >>> rows = np.array([[2, 0], [-2, 0], [0, 0.1], [0, -0.1]], np.float32)
      >>> fit_components(rows, energy=0.9, most=2).directions.shape
      (1, 2)
    """
    most = min(most, *rows.shape)
    pca = PCA(most, svd_solver="auto", random_state=0).fit(rows)
    assert pca.components_ is not None
    shares = np.cumsum(pca.explained_variance_ratio_)
    kept = min(int(np.searchsorted(shares, energy)) + 1, most)
    return Components(pca.mean_, pca.components_[:kept], pca.explained_variance_[:kept], float(shares[kept - 1]))


def fit_number_of_components(rows: Float[np.ndarray, "N D"], number: int) -> Components:
    """Fits a fixed number of components, exactly: by the covariance matrix where there are more rows than columns.

    Args:
      rows: [N, D] float32.
      number: of components; as many as there can be where that is fewer.

    Example:
      >>> rows = np.array([[2, 0], [-2, 0], [0, 0.1], [0, -0.1]], np.float32)
      >>> fit_number_of_components(rows, 5).variances.round(3).tolist()
      [2.6670000553131104, 0.007000000216066837]
    """
    pca = PCA(min(number, *rows.shape), svd_solver="covariance_eigh" if rows.shape[0] > rows.shape[1] else "full")
    pca.fit(rows)
    assert pca.components_ is not None
    return Components(pca.mean_, pca.components_, pca.explained_variance_, float(pca.explained_variance_ratio_.sum()))
