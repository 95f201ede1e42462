"""Labelled reviews of a folder, by split and domain."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edged.errors import DataError
from edged.reviews import ReviewFile

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = re.compile(r"\.(jsonl|ndjson|csv|tsv)(\.gz)?$")
# As commonly listed for these sets; the rest of a run's domains are the user's own.
SOURCES = {
    "imdb": ("Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011", "none stated"),
    "sst2": ("Socher et al., EMNLP 2013; Wang et al., GLUE, 2019", "none stated"),
    "mr": ("Pang and Lee, Seeing Stars, ACL 2005", "none stated"),
    "sentences": ("Kotzias et al., KDD 2015 (UCI)", "CC BY 4.0"),
    "cr": ("Hu and Liu, KDD 2004", "none stated"),
    "amazon": ("Blitzer et al., ACL 2007; Liu et al., ACL 2017", "none stated"),
    "yelp": ("Shen et al., NeurIPS 2017 (Yelp Dataset Challenge)", "academic, non-commercial"),
    "tweets": ("Rosenthal et al., SemEval-2017; Barbieri et al., TweetEval, 2020", "task terms"),
    "airline": ("CrowdFlower, Twitter US Airline Sentiment", "CC BY-NC-SA 4.0"),
    "wine": ("Thoutt, Wine Reviews (Wine Enthusiast)", "CC BY-NC-SA 4.0"),
}
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
LEAST_SENTENCE = 20  # characters; shorter ones say little, or are no sentences
NAMED = {"negative": 0.0, "positive": 1.0}
# Wine points without a label lie between the labels: a soft one follows them, even odds at the median.
MIDDLE_POINTS = 87.5


@dataclass
class Reviews:
    """Texts with what is known about them, index for index."""

    texts: list[str] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)  # probability of "positive"; NaN where there is none
    domains: list[str] = field(default_factory=list)

    @property
    def label(self) -> npt.NDArray[np.float32]:
        """Labels as an array, n."""
        return np.array(self.labels, np.float32)

    @property
    def domain(self) -> npt.NDArray[np.str_]:
        """Domains as an array, n."""
        return np.array(self.domains)

    def pick(self, mask: npt.NDArray[np.bool_]) -> Reviews:
        """The reviews where `mask` holds."""
        at = np.flatnonzero(mask)
        return Reviews(*([part[i] for i in at] for part in (self.texts, self.labels, self.domains)))

    def extend(self, other: Reviews) -> None:
        """Add the reviews of `other`."""
        self.texts += other.texts
        self.labels += other.labels
        self.domains += other.domains

    @property
    def labelled(self) -> Reviews:
        """The reviews with a label, soft ones too."""
        return self.pick(~np.isnan(self.label))

    @property
    def sentences(self) -> Reviews:
        """The sentences of these reviews, unlabelled, of domains of their own."""
        found = Reviews()
        for text, domain in zip(self.texts, self.domains):
            sentences = SENTENCE_END.split(text)
            for sentence in sentences if len(sentences) > 1 else ():
                if len(sentence) >= LEAST_SENTENCE:
                    found.texts.append(sentence)
                    found.labels.append(math.nan)
                    found.domains.append(f"{domain} in sentences")
        return found

    @property
    def polar(self) -> Reviews:
        """The reviews whose label is 0 or 1."""
        return self.pick(np.isin(self.label, (0, 1)))


def read_folder(folder: Path, split: str) -> Reviews:
    """All reviews of the files ``*-<split>.jsonl|csv[.gz]`` in `folder`; none where there are no such files.

    Columns: text, label (0 or negative, 1 or positive, a probability between, or nothing), and domain;
    without the last, the file's name up to its first dash.

    Raises:
        DataError: A row cannot be used; the text names file, row and remedy.
    """
    reviews = Reviews()
    for path in sorted(folder.iterdir()):
        if not SUFFIX.search(path.name) or not SUFFIX.sub("", path.name).endswith(f"-{split}"):
            continue
        with ReviewFile(path) as file:
            for row in file:
                if row.text is None:
                    raise DataError(f"{path}: review {row.number}: {row.error}")
                reviews.texts.append(row.text)
                reviews.labels.append(_label(row.fields, f"{path}: review {row.number}"))
                reviews.domains.append(str(row.fields.get("domain") or path.name.split("-")[0]))
    return reviews


def _label(fields: Any, where: str) -> float:
    label = fields.get("label")
    if label in (None, ""):
        points = fields.get("points")
        return math.nan if points in (None, "") else 1 / (1 + math.exp(MIDDLE_POINTS - float(points)))
    if label in NAMED:
        return NAMED[label]
    try:
        value = float(label)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= 1:
        raise DataError(f"{where}: label {label!r}; expected 0, 1, negative, positive, or nothing")
    return value


def domain_weights(domains: npt.NDArray[np.str_]) -> npt.NDArray[np.float32]:
    """Weights of reviews, mean 1: a domain counts with the root of its size, so that none drowns another."""
    _, which, counts = np.unique(domains, return_inverse=True, return_counts=True)
    weights = counts[which] ** -0.5
    scaled: npt.NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return scaled
