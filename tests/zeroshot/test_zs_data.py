from dataclasses import replace

import numpy as np
import pytest

from msig_lib.datasets import LabelledText
from msig_lib.zeroshot.data import TEMPLATES, Task, from_labelled_text, label_prompts

SPLITS = ["train"] * 8 + ["dev"] * 2 + ["test"] * 2
CLASSES = [0, 0, 0, 0, 0, 1, 1, 2, 0, 1, 2, 2]


def corpus(**changes):
    n = len(SPLITS)
    made = LabelledText(
        name="toy",
        texts=[f"text {i} " + "word " * i for i in range(n)],
        labels=[[c] for c in CLASSES],
        label_names=["politics", "sports", "art"],
        split=np.array(SPLITS),
        groups=np.arange(n),
        fingerprint="0" * 64,
    )
    return replace(made, **changes)


def test_a_task_keeps_every_document_with_its_class():
    task = from_labelled_text(corpus())
    assert task.class_names == ["politics", "sports", "art"]
    assert [len(task.texts[s]) for s in ("train", "dev", "test")] == [8, 2, 2]
    assert task.labels["train"].dtype == np.int64
    assert [*task.labels["train"], *task.labels["dev"], *task.labels["test"]] == CLASSES
    assert task.texts["test"][0].startswith("text 10")
    assert task.continuations["train"] == [""] * 8


@pytest.mark.parametrize("labels", [[], [0, 1]])
def test_documents_without_exactly_one_label_are_refused(labels):
    wrong = [[c] for c in CLASSES]
    wrong[3] = labels
    with pytest.raises(ValueError, match="document 3 has"):
        from_labelled_text(corpus(labels=wrong))


def test_prompts_follow_the_templates_and_take_names_as_they_are():
    assert TEMPLATES == ("Category: {label}.", "It is about {label}.")
    assert label_prompts(["art"]) == [["Category: art.", "It is about art."]]
    assert label_prompts(["{odd} 100%"], ["{label}: {label}"]) == [["{odd} 100%: {odd} 100%"]]
    assert from_labelled_text(corpus(), ["About {label}"]).prompts()[1] == ["About sports"]


def test_bad_names_and_templates_say_what_to_do():
    with pytest.raises(ValueError, match="no place for the class name"):
        label_prompts(["art"], ["It is about it."])
    with pytest.raises(ValueError, match="0 class names"):
        label_prompts([])
    with pytest.raises(TypeError, match="lists of strings"):
        label_prompts("art")


def test_a_pool_is_drawn_from_train_by_seed():
    task = from_labelled_text(corpus())
    assert task.pool(None, 0).tolist() == list(range(8))
    drawn = task.pool(5, 3)
    assert drawn.dtype == np.int64 and len(set(drawn)) == 5 and (np.diff(drawn) > 0).all()
    assert drawn.tolist() == task.pool(5, 3).tolist()
    assert any(task.pool(5, s).tolist() != drawn.tolist() for s in range(4, 9))


def test_the_balanced_pool_uses_true_labels():
    task = from_labelled_text(corpus())
    rows = task.pool(3, 1, balanced=True)
    assert np.bincount(task.labels["train"][rows]).tolist() == [1, 1, 1]
    assert len(task.pool(None, 1, balanced=True)) == 3
    with pytest.raises(ValueError, match="balanced pool of 6 texts"):
        task.pool(6, 1, balanced=True)
    for size in (0, 9):
        with pytest.raises(ValueError, match="was asked for, expected 1"):
            task.pool(size, 1)


def test_labels_that_do_not_fit_are_refused():
    task = from_labelled_text(corpus())
    with pytest.raises(ValueError, match="for 2 class names"):
        replace(task, class_names=["a", "b"])
    with pytest.raises(ValueError, match="8 texts and 7 labels in 'train'"):
        replace(task, labels={**task.labels, "train": task.labels["train"][:7]})


def test_statistics_are_those_of_table_3_1():
    found = from_labelled_text(corpus()).statistics()
    assert (found["classes"], found["train"], found["dev"], found["test"]) == (3, 8, 2, 2)
    assert found["words"] == pytest.approx(np.mean([2 + i for i in range(12)]))
    assert found["largest class"] == pytest.approx(6 / 12)
    assert found["smallest class"] == pytest.approx(3 / 12)


def test_a_task_without_labels_for_a_split_is_only_refused_when_it_has_texts():
    names = ["a", "b"]
    empty = np.zeros(0, dtype=np.int64)
    task = Task("own", names, {"train": ["x"], "dev": []}, {"train": np.array([1]), "dev": empty})
    assert task.statistics()["train"] == 1
