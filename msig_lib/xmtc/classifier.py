"""DEPL as a scikit-learn classifier that takes raw strings and label names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from msig_lib.lm.encoder import SentenceEncoder, check_texts
from msig_lib.xmtc import ranking, saving
from msig_lib.xmtc.features import Features, TfidfSettings
from msig_lib.xmtc.model import score
from msig_lib.xmtc.signal import describe_labels
from msig_lib.xmtc.svm import SVMSettings, fit_one_vs_all
from msig_lib.xmtc.train import TrainSettings, train_dual_encoder

MODES = ("fusion", "depl", "svm")
LABEL_TOKENS = 64  # ours: a name and 16 words are about 26 tokens


@dataclass(frozen=True)
class LabelDescription:
    """What the model knows of a label: `keywords` are (word, SVM weight), `example` is a training text."""

    name: str
    keywords: list[tuple[str, float]]
    text: str
    example: str | None
    n_positives: int


class DEPLClassifier(ClassifierMixin, BaseEstimator):
    """Multi-label text classifier that writes label descriptions with an SVM and retrieves with them (DEPL).

    Parameters
    ----------
    mode : "fusion" (SVM score + `dense_weight` x DEPL logit, the default), "depl" or "svm".
    encoder : "minilm", "hf:<name or folder>" or a loaded SentenceEncoder.
    n_words : generated words per label (thesis: 16).
    dense_weight : weight of the DEPL logit beside the SVM score.
    top_k : labels per text that `predict` returns.
    C, min_df : the SVM's regularisation and the least documents of a word.
    train_settings : TrainSettings of the dual encoder; None takes its defaults.
    max_tokens, random_state, threads : tokens read per document, seed, threads used.

    Attributes: `classes_` (label names [L]), `n_positives_` [L], `features_`, `svm_`, `descriptions_`,
    `examples_`, and unless mode is "svm" `encoder_`, `model_`, `label_embeddings_`.

    Defined corners: an empty text is ranked by the biases; a label of `label_names` without a training text
    is never predicted by "svm", and by "fusion" and "depl" through its name alone; a label named twice for
    one text counts once.

    >>> model = DEPLClassifier(min_df=1).fit(["red apple", "fast train"], [["fruit"], ["vehicle"]])
    >>> model.predict(["an apple"])  # doctest: +SKIP
    [['fruit', 'vehicle']]
    """

    def __init__(
        self,
        *,
        mode: str = "fusion",
        encoder: str | SentenceEncoder = "minilm",
        n_words: int = 16,  # thesis 2.5.5: enough on every data set
        dense_weight: float = 0.1,  # ours: chosen on the docstring corpus's development set
        top_k: int = 5,  # ours: the deepest rank that the thesis reports
        C: float = 1.0,  # scikit-learn's default
        min_df: int = 2,  # ours: a word of one text cannot help another
        train_settings: TrainSettings | None = None,
        max_tokens: int = 128,  # ours
        random_state: int = 0,
        threads: int = 1,
    ) -> None:
        self.mode = mode
        self.encoder = encoder
        self.n_words = n_words
        self.dense_weight = dense_weight
        self.top_k = top_k
        self.C = C
        self.min_df = min_df
        self.train_settings = train_settings
        self.max_tokens = max_tokens
        self.random_state = random_state
        self.threads = threads

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Sequence[str]] | np.ndarray | sparse.sparray | sparse.spmatrix,
        *,
        label_names: Sequence[str] | None = None,
    ) -> DEPLClassifier:
        """Learn from `texts` (n) and, for each, a list of label names, or an indicator matrix [n, L].

        `label_names` (L) fixes the labels and their order, and may hold labels without a training text; an
        indicator needs it. Raises TypeError or ValueError that name the offending argument.
        """
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, expected one of {', '.join(MODES)}")
        texts = check_texts(texts)
        names, targets = as_indicator(labels, label_names)
        if len(texts) != targets.shape[0]:
            raise ValueError(f"{len(texts)} texts but {targets.shape[0]} rows of labels: give one row a text")
        self.classes_ = np.array(names, dtype=object)
        self.n_positives_ = np.asarray(targets.sum(axis=0)).ravel().astype(np.int64)
        self.features_ = Features.fit(texts, TfidfSettings(min_df=self.min_df))
        X = self.features_.transform(texts)
        self.svm_ = fit_one_vs_all(X, targets, settings=SVMSettings(C=self.C), threads=self.threads)
        self.descriptions_ = describe_labels(self.svm_, self.features_.words, names, n_words=self.n_words)
        self.examples_ = _examples(texts, X, targets, self.svm_.weights)
        if self.mode != "svm":
            self._fit_dense(texts, X, targets)
        return self

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return the score of every label, float32 [n, L]; its scale depends on `mode`, its order counts."""
        check_is_fitted(self, "classes_")
        texts = check_texts(texts)
        if not texts:
            return np.empty((0, len(self.classes_)), dtype=np.float32)
        dense = 0.0
        if self.mode != "svm":
            documents = self.encoder_.encode(texts, max_tokens=self.max_tokens, cache=False)
            dense = score(self.model_, documents, self.label_embeddings_)
        if self.mode == "depl":
            return dense
        scores = np.asarray(self.svm_.decision_function(self.features_.transform(texts)), dtype=np.float32)
        if self.mode == "fusion":
            # a label without positives has no SVM: give it the margin of a clear negative, so its name decides
            scores[:, self.n_positives_ == 0] = -1.0
            scores = scores + np.float32(self.dense_weight) * dense
        return scores

    def predict(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the names of the `top_k` best labels of every text, best first.

        Lists, not an indicator: with thousands of labels a ranking is what is read, and the scores of rare
        labels have no common threshold.
        """
        return [[name for name, _ in row] for row in self.predict_topk(texts)]

    def predict_topk(self, texts: Sequence[str], k: int | None = None) -> list[list[tuple[str, float]]]:
        """Return (label name, score) of the `k` best labels of every text (default `top_k`), best first."""
        k = self.top_k if k is None else k
        if k < 1:
            raise ValueError(f"k is {k}, expected at least 1")
        found = []
        for scores in self._blocks(texts):
            for row, best in zip(scores, ranking.top_k(scores, min(k, scores.shape[1]))):
                found.append([(str(self.classes_[i]), float(row[i])) for i in best if i >= 0])
        return found

    def score(self, texts: Sequence[str], labels, *, unseen: str = "error") -> float:
        """Return P@1, the share of texts whose best label is right.

        `labels` as in `fit`. A label that the model does not know raises ValueError naming it, unless
        `unseen="ignore"`, which counts it as one that cannot be found.
        """
        if unseen not in ("error", "ignore"):
            raise ValueError(f"unseen is {unseen!r}, expected 'error' or 'ignore'")
        check_is_fitted(self, "classes_")
        names = [str(name) for name in self.classes_]
        _, targets = as_indicator(labels, names, unknown=unseen)
        texts = check_texts(texts)
        if len(texts) != targets.shape[0]:
            raise ValueError(f"{len(texts)} texts but {targets.shape[0]} rows of labels: give one row a text")
        if not texts:
            raise ValueError("there are no texts to score")
        best = np.concatenate([ranking.top_k(scores, 1)[:, 0] for scores in self._blocks(texts)])
        right = np.asarray(targets[np.arange(len(best)), np.maximum(best, 0)]).ravel() > 0
        return float(np.mean(right & (best >= 0)))

    def describe(self, label: str) -> LabelDescription:
        """Return name, generated words with their weights, and a training text of `label`."""
        check_is_fitted(self, "classes_")
        found = np.flatnonzero(self.classes_ == label)
        if not len(found):
            raise ValueError(f"label {label!r} is unknown{_near(label, self.classes_)}")
        i, known = int(found[0]), self.descriptions_
        keywords = [(word, float(weight)) for word, weight in zip(known.words[i], known.weights[i])]
        return LabelDescription(
            known.names[i], keywords, known.texts[i], self.examples_[i], int(self.n_positives_[i])
        )

    def save(self, folder: Path | str) -> None:
        """Write the fitted model to a new folder: safetensors and JSON, no pickle, with hashes."""
        check_is_fitted(self, "classes_")
        saving.save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str, *, encoder: SentenceEncoder | None = None) -> DEPLClassifier:
        """Read a model written by `save`; format version, file hashes and the encoder's hash are checked.

        `encoder` saves loading one that is at hand. Raises saving.SavedModelError with what does not fit.
        """
        return saving.load(cls, Path(folder), encoder)

    def _fit_dense(self, texts: list[str], X: sparse.csr_matrix, targets: sparse.csr_array) -> None:
        given = self.encoder
        self.encoder_ = given if isinstance(given, SentenceEncoder) else SentenceEncoder.load(given)
        settings = self.train_settings or TrainSettings()
        documents = self.encoder_.encode(texts, max_tokens=self.max_tokens)
        self.label_embeddings_ = self.encoder_.encode(self.descriptions_.texts, max_tokens=LABEL_TOKENS)
        hard = ranking.hard_negatives(X, self.svm_, targets, k=settings.hard_per_document)
        trained = train_dual_encoder(
            documents,
            self.label_embeddings_,
            targets,
            seed=self.random_state,
            hard=hard,
            settings=settings,
            threads=self.threads,
        )
        self.model_, self.history_ = trained.model, trained.history

    def _blocks(self, texts: Sequence[str], size: int = 1024) -> Iterator[np.ndarray]:
        texts = check_texts(texts)
        for start in range(0, len(texts), size):
            yield self.decision_function(texts[start : start + size])


def as_indicator(
    labels, label_names: Sequence[str] | None = None, *, unknown: str = "error"
) -> tuple[list[str], sparse.csr_array]:
    """Return label names (L) and the indicator csr float32 0/1 [n, L] of lists of names or of a matrix.

    Without `label_names` they are the sorted names that occur. Raises TypeError for bare strings, ValueError
    for names that occur twice in `label_names` or, with `unknown="error"`, for labels that are not in it.
    """
    names = None if label_names is None else [str(name) for name in check_texts(label_names)]
    if names is not None and len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"label_names holds {twice[:3]} more than once")
    if sparse.issparse(labels) or (isinstance(labels, np.ndarray) and labels.ndim == 2):
        targets = _checked_matrix(labels, names)
        return names or [], targets
    rows = _label_rows(labels)
    if names is None:
        names = sorted({label for row in rows for label in row})
    if not names:
        raise ValueError("no text has a label: there is nothing to learn")
    index = {name: i for i, name in enumerate(names)}
    missing = sorted({label for row in rows for label in row if label not in index})
    if missing and unknown == "error":
        raise ValueError(
            f"{len(missing)} unknown labels, among them {missing[:5]}: they are not in the {len(names)} labels "
            "of the model. Add them to label_names when fitting; score(..., unseen='ignore') counts them as missed"
        )
    columns = [sorted({index[label] for label in row if label in index}) for row in rows]
    indptr = np.cumsum([0, *map(len, columns)])
    indices = np.array([column for row in columns for column in row], dtype=np.int64)
    data = np.ones(len(indices), dtype=np.float32)
    return names, sparse.csr_array((data, indices, indptr), shape=(len(rows), len(names)))


def _label_rows(labels: Iterable) -> list[list[str]]:
    if isinstance(labels, str):
        raise TypeError("labels is one string, expected a list with a list of label names for every text")
    rows = list(labels)
    for i, row in enumerate(rows):
        if isinstance(row, str):
            raise TypeError(f"labels[{i}] is the string {row!r}, expected a list of names: [{row!r}]")
        if not isinstance(row, Iterable) or not all(isinstance(label, str) for label in row):
            raise TypeError(f"labels[{i}] is {row!r}, expected a list of label names (strings)")
    return [list(row) for row in rows]


def _checked_matrix(matrix, names: list[str] | None) -> sparse.csr_array:
    if names is None:
        raise ValueError("labels is an indicator matrix, whose columns have no names: pass label_names")
    targets = sparse.csr_array(matrix).astype(np.float32)
    targets.sum_duplicates()
    targets.eliminate_zeros()
    if targets.shape[1] != len(names):
        raise ValueError(f"labels has {targets.shape[1]} columns, label_names {len(names)} names: one each")
    if len(targets.data) and not np.all(targets.data == 1):
        raise ValueError(f"labels holds {targets.data[targets.data != 1][0]:g}, expected 0 and 1 only")
    return targets


def _examples(
    texts: list[str], X: sparse.csr_matrix, targets: sparse.csr_array, weights: sparse.csr_array
) -> list[str | None]:
    """Return for every label the training text that its SVM finds most typical, None without a positive."""
    best: list[tuple[float, int]] = [(-np.inf, -1)] * targets.shape[1]
    rows, columns = targets.nonzero()
    for start in range(0, len(rows), 4096):
        r, c = rows[start : start + 4096], columns[start : start + 4096]
        values = np.asarray(sparse.csr_array(X)[r].multiply(weights[c]).sum(axis=1)).ravel()
        for row, column, value in zip(r.tolist(), c.tolist(), values.tolist()):
            if value > best[column][0]:
                best[column] = (value, row)
    return [texts[row] if row >= 0 else None for _, row in best]


def _near(label: str, names: np.ndarray) -> str:
    import difflib

    close = difflib.get_close_matches(str(label), [str(name) for name in names[:20000]], n=3)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else f" among {len(names)} labels"
