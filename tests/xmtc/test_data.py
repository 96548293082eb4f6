"""Matrices of chapter 2 from labelled text."""

import numpy as np
import pytest

from msig_lib.datasets import LabelledText
from msig_lib.xmtc.data import from_labelled_text


def corpus(split=("train", "train", "dev", "test"), labels=((0, 1), (1, 1), (2,), (1, 3))) -> LabelledText:
    return LabelledText(
        name="four",
        texts=["one text", "two", "three", "four"],
        labels=[list(row) for row in labels],
        label_names=["a", "b", "c", "d"],
        split=np.array(split),
        groups=np.arange(4),
        fingerprint="0" * 64,
    )


def test_only_labels_with_a_training_positive_remain():
    data = from_labelled_text(corpus())
    assert data.label_names == ["a", "b"]
    assert data.train.labels.toarray().tolist() == [[1, 1], [0, 1]]
    assert data.n_positives.tolist() == [1, 2]


def test_documents_without_a_known_label_stay_in_dev_and_test():
    data = from_labelled_text(corpus())
    assert data.dev.labels.toarray().tolist() == [[0, 0]]
    assert data.test.labels.toarray().tolist() == [[0, 1]]


def test_statistics_follow_table_2_1():
    stats = from_labelled_text(corpus()).statistics()
    assert stats["N_train"] == 2 and stats["L"] == 2 and stats["tail labels"] == 2
    assert stats["labels a document"] == pytest.approx(1.5)


def test_a_missing_split_is_named():
    with pytest.raises(ValueError, match="no document in split 'dev'"):
        from_labelled_text(corpus(split=("train", "train", "test", "test")))


def test_with_labels_keeps_the_documents():
    data = from_labelled_text(corpus()).with_labels([1])
    assert data.label_names == ["b"] and data.train.labels.shape == (2, 1) and len(data.test) == 1
