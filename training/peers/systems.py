"""The peers: what a data scientist would try first, with its usual settings, tuned to no set."""

import random
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import fasttext
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

from .answers import Answers


class Peer(Protocol):
    """A system to compare with. `settings` changes whenever its answers may."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> str: ...

    def answer(self, texts: list[str], labels: list[str], asked: list[str]) -> Answers:
        """Learns from texts and their labels, and answers what it is asked."""
        ...


@dataclass(frozen=True)
class Learned:
    """A scikit-learn pipeline from texts to labels."""

    name: str
    pipeline: Pipeline

    @property
    def settings(self) -> str:
        return repr(self.pipeline)

    def answer(self, texts: list[str], labels: list[str], asked: list[str]) -> Answers:
        start = time.perf_counter()
        self.pipeline.fit(texts, labels)
        seconds = time.perf_counter() - start
        probability = hasattr(self.pipeline, "predict_proba")
        if probability:
            scores = self.pipeline.predict_proba(asked)
            confidence = scores.max(axis=1)
        else:
            scores = self.pipeline.decision_function(asked)
            # The margin tells right from wrong better, the best score known from unknown.
            first_two = np.partition(scores, -2, axis=1)[:, -2:]
            confidence = first_two[:, 1] - first_two[:, 0]
        given = self.pipeline.classes_[scores.argmax(axis=1)].tolist()
        return Answers(given, confidence, scores.max(axis=1), probability, seconds)


@dataclass(frozen=True)
class FastText:
    """fastText (Joulin et al. 2016) on words and word pairs, one thread, a fixed seed."""

    rate: float
    word_ngrams: int = 2
    epochs: int = 25
    seed: int = 0

    @property
    def name(self) -> str:
        return f"fastText, rate {self.rate}"

    @property
    def settings(self) -> str:
        return repr(self)

    def answer(self, texts: list[str], labels: list[str], asked: list[str]) -> Answers:
        known = sorted(set(labels))
        start = time.perf_counter()
        model = self.train(texts, labels)
        seconds = time.perf_counter() - start
        best, probabilities = model.predict([words(text) for text in asked], k=1)
        answers = [known[int(label[0].removeprefix("__label__"))] for label in best]
        # Its softmax can be a trifle above 1.
        confidence = np.array([p[0] for p in probabilities], dtype=float).clip(0, 1)
        return Answers(answers, confidence, confidence, True, seconds)

    def train(self, texts: list[str], labels: list[str]) -> "fasttext.FastText._FastText":
        """A model that knows labels by their places in their order, as it cuts them at blanks."""
        number = {label: i for i, label in enumerate(sorted(set(labels)))}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "train.txt")
            lines = [f"__label__{number[a]} {words(t)}\n" for t, a in zip(texts, labels)]
            # It learns line by line as they stand; rows sorted by label would mislead it.
            random.Random(self.seed).shuffle(lines)
            file.write_text("".join(lines), encoding="utf-8")
            return fasttext.train_supervised(
                str(file),
                wordNgrams=self.word_ngrams,
                epoch=self.epochs,
                lr=self.rate,
                thread=1,
                seed=self.seed,
                verbose=0,
            )


def words(text: str) -> str:
    """As its manual prepares texts: lower case, punctuation apart, one line."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


class _Folds:
    """Five random folds. Stratified ones are refused where a label has fewer rows than folds."""

    def split(
        self, rows: ArrayLike, labels: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        yield from KFold(5, shuffle=True, random_state=0).split(rows)

    def get_n_splits(self, *_: object) -> int:
        return 5

    def __repr__(self) -> str:
        return "KFold(5, shuffle=True, random_state=0)"


def words_tfidf() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)


def _characters_tfidf() -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)


def both_tfidf() -> FeatureUnion:
    return make_union(words_tfidf(), _characters_tfidf())


def svm() -> LinearSVC:
    return LinearSVC(random_state=0)


PEERS: list[Peer] = [
    Learned("SVM, words", make_pipeline(words_tfidf(), svm())),
    Learned("SVM, characters", make_pipeline(_characters_tfidf(), svm())),
    Learned("SVM, both", make_pipeline(both_tfidf(), svm())),
    Learned(
        "SVM, both, calibrated",
        make_pipeline(both_tfidf(), CalibratedClassifierCV(svm(), cv=_Folds())),
    ),
    Learned(
        "logistic regression, words",
        make_pipeline(words_tfidf(), LogisticRegression(max_iter=1000)),
    ),
    Learned(
        "multinomial NB, words",
        make_pipeline(CountVectorizer(ngram_range=(1, 2)), MultinomialNB()),
    ),
    Learned("complement NB, words", make_pipeline(words_tfidf(), ComplementNB())),
    Learned("complement NB, characters", make_pipeline(_characters_tfidf(), ComplementNB())),
    # A rate for short texts with many labels, and the one that it has by itself.
    FastText(rate=0.5),
    FastText(rate=0.1),
]
