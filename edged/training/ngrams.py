"""Documents as sparse rows of n-grams, and the choice of the n-grams worth keeping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from edged.features import Keys, ngram_keys

if TYPE_CHECKING:
    from edged.tokens import Tokens

Floats = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]

LEAST_DOCUMENTS = 3


@dataclass
class Grams:
    """The n-grams found in a training set: ascending 64-bit keys, column by column."""

    keys: U64
    negation_span: int

    def matrix(self, tokens: Tokens) -> sp.csr_matrix:
        """Binary float32 rows of texts: which of the n-grams they contain."""
        found = ngram_keys(tokens, self.negation_span)
        at = np.searchsorted(self.keys, found.keys)
        at[at == len(self.keys)] = 0
        hit = self.keys[at] == found.keys
        return _binary(found.texts[hit], at[hit], (len(tokens.offsets) - 1, len(self.keys)))


def collect(tokens: Tokens, negation_span: int) -> tuple[Grams, sp.csr_matrix]:
    """All n-grams of at least `LEAST_DOCUMENTS` texts, and the texts' rows."""
    found: Keys = ngram_keys(tokens, negation_span)
    keys, column = np.unique(found.keys, return_inverse=True)
    texts = len(tokens.offsets) - 1
    matrix = _binary(found.texts, column, (texts, len(keys))).tocsc()
    kept = np.diff(matrix.indptr) >= LEAST_DOCUMENTS
    return Grams(keys[kept], negation_span), matrix[:, kept].tocsr()


def _binary(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], shape: tuple[int, int]
) -> sp.csr_matrix:
    pairs = np.unique(rows * shape[1] + columns)
    ones = np.ones(len(pairs), np.float32)
    return sp.csr_matrix((ones, (pairs // shape[1], pairs % shape[1])), shape)


def log_ratios(matrix: sp.csr_matrix, labels: Floats, weights: Floats) -> Floats:
    """How unevenly each n-gram falls on the two labels: the magnitude of its naive-Bayes log-count ratio.

    S. Wang, C. Manning, "Baselines and Bigrams", ACL 2012.
    """
    positive = np.asarray(matrix.T @ (weights * labels)).ravel() + 0.5
    negative = np.asarray(matrix.T @ (weights * (1 - labels))).ravel() + 0.5
    ratio: Floats = np.abs(np.log(positive / positive.sum() * negative.sum() / negative)).astype(np.float32)
    return ratio
