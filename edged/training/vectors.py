"""Word vectors from raw text: positive pointwise mutual information, factorized.

O. Levy, Y. Goldberg, I. Dagan, "Improving Distributional Similarity with
Lessons Learned from Word Embeddings", TACL 2015: contexts smoothed by 0.75,
singular values to the power of one half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.linalg import svds

if TYPE_CHECKING:
    from collections.abc import Sequence

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

SMOOTHING = 0.75


def word_vectors(
    streams: Sequence[tuple[Ids, npt.NDArray[np.int64]]],
    words: int,
    dimensions: int,
    *,
    window: int = 4,
    contexts: int = 15000,
    seed: int = 0,
) -> Floats:
    """Vectors of word ids 2 to `words` + 1, float32[words + 2, dimensions]; ids 0 and 1 stay zero.

    Each stream is (ids of all texts, flat; offsets, one more than texts). Ids
    below `contexts` + 2 serve as contexts. Rows are scaled to a mean square of one.
    """
    size = words + 2
    counts = sp.csr_matrix((size, contexts + 2), dtype=np.float32)
    for ids, offsets in streams:
        text = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
        for distance in range(1, window + 1):
            together = text[distance:] == text[:-distance]
            left, right = ids[:-distance][together], ids[distance:][together]
            weight = np.float32(1 / distance)
            for one, other in ((left, right), (right, left)):
                used = (one > 1) & (other > 1) & (other < contexts + 2)
                values = np.full(int(used.sum()), weight, np.float32)
                counts = counts + sp.csr_matrix((values, (one[used], other[used])), counts.shape, np.float32)
    return _factors(_ppmi(counts), dimensions, seed)


def _ppmi(counts: sp.csr_matrix) -> sp.csr_matrix:
    rows = np.asarray(counts.sum(1)).ravel()
    columns = np.asarray(counts.sum(0)).ravel() ** SMOOTHING
    pairs = counts.tocoo()
    expected = rows[pairs.row] * columns[pairs.col] / columns.sum()
    values = np.log(pairs.data / np.maximum(expected, 1e-12))
    kept = values > 0
    return sp.csr_matrix((values[kept], (pairs.row[kept], pairs.col[kept])), counts.shape, np.float32)


def _factors(matrix: sp.csr_matrix, dimensions: int, seed: int) -> Floats:
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape)).astype(np.float32)
    left, values, _ = svds(matrix, dimensions, v0=start, tol=1e-2)
    vectors = left[:, ::-1] * np.sqrt(values[::-1])
    scaled: Floats = (vectors / np.sqrt(np.mean(vectors[2:] ** 2))).astype(np.float32)
    return scaled
