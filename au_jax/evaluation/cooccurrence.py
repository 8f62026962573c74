"""Which AUs come together: shares of frames, for labels and predictions alike."""

import numpy as np


def cooccurrence(present: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How often an AU is there while another one is.

    Args:
      present: [N, A] bool, the AU is labelled or predicted present.
      known: [N, A] bool, the AU has a label; others are left out, for each pair by itself.

    Returns:
      [A, A] float64: row i, column j is the share of the frames with AU i that have AU j too; the diagonal is the share
      of all frames that have AU i. NaN where there is no such frame.
    """
    known_rows = np.asarray(known, np.float64)
    there = np.asarray(present, np.float64) * known_rows
    both, of_row = there.T @ there, there.T @ known_rows
    np.fill_diagonal(of_row, known_rows.sum(0))
    return np.divide(both, of_row, out=np.full_like(both, np.nan), where=of_row > 0)
