"""A zero-shot classification task: class names, their prompts, and texts whose labels only measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from msig_lib.datasets import LabelledText

TEMPLATES = ("Category: {label}.", "It is about {label}.")  # thesis table 3.3
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Task:
    """Class names, and for each split texts with one class each, int64 (n,).

    Learners see `class_names` and the training texts; labels serve to measure, and for `pool(balanced=True)`.
    `continuations[split]` says what the source wrote after each text, "" where that is not known.
    """

    name: str
    class_names: list[str]
    texts: dict[str, list[str]]
    labels: dict[str, np.ndarray]
    templates: tuple[str, ...] = TEMPLATES
    continuations: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        label_prompts(self.class_names, self.templates)
        for split, texts in self.texts.items():
            labels = self.labels.get(split, np.zeros(0, dtype=np.int64))
            if len(labels) != len(texts):
                raise ValueError(f"{self.name}: {len(texts)} texts and {len(labels)} labels in {split!r}")
            if len(labels) and not (0 <= labels.min() and labels.max() < len(self.class_names)):
                raise ValueError(
                    f"{self.name}: labels in {split!r} run from {labels.min()} to {labels.max()}, expected "
                    f"0..{len(self.class_names) - 1} for {len(self.class_names)} class names"
                )

    def prompts(self) -> list[list[str]]:
        """Return one list of prompts per class, one prompt per template (thesis table 3.3)."""
        return label_prompts(self.class_names, self.templates)

    def pool(self, size: int | None, seed: int, balanced: bool = False) -> np.ndarray:
        """Return the rows of `texts["train"]` that make the unlabelled pool, int64, ascending.

        `size=None` takes all. `balanced=True` draws `size // classes` rows of every class by their true
        labels, as the official code does and the thesis does not say. ValueError when there are too few rows.
        """
        labels = self.labels["train"]
        rng = np.random.default_rng(seed)
        if size is None and not balanced:
            return np.arange(len(labels))
        n_labels = len(self.class_names)
        counts = np.bincount(labels, minlength=n_labels)
        size = int(counts.min()) * n_labels if size is None else size
        most = int(counts.min()) * n_labels if balanced else len(labels)
        least = n_labels if balanced else 1
        if not least <= size <= most:
            kind = "a balanced pool" if balanced else "a pool"
            raise ValueError(f"{self.name}: {kind} of {size} texts was asked for, expected {least}..{most}")
        if not balanced:
            return np.sort(rng.choice(len(labels), size, replace=False))
        each = size // n_labels
        drawn = [rng.choice(np.flatnonzero(labels == c), each, replace=False) for c in range(n_labels)]
        return np.sort(np.concatenate(drawn))

    def statistics(self) -> dict[str, float]:
        """Return the columns of the thesis's table 3.1 for this task; `words` is the mean length."""
        counts = np.bincount(np.concatenate(list(self.labels.values())), minlength=len(self.class_names))
        words = [len(text.split()) for texts in self.texts.values() for text in texts]
        sizes = {split: len(self.texts[split]) for split in SPLITS if split in self.texts}
        return {
            "classes": len(self.class_names),
            **sizes,
            "words": float(np.mean(words)) if words else 0.0,
            "largest class": float(counts.max() / max(counts.sum(), 1)),
            "smallest class": float(counts.min() / max(counts.sum(), 1)),
        }


def label_prompts(class_names: Sequence[str], templates: Sequence[str] = TEMPLATES) -> list[list[str]]:
    """Return `[[template filled with the name, ...], ...]`, one list per class.

    Raises ValueError for no classes, no templates or a template without "{label}".
    """
    if isinstance(class_names, str) or isinstance(templates, str):
        raise TypeError("class_names and templates are lists of strings, but one was a single string")
    if not class_names or not templates:
        raise ValueError(f"{len(class_names)} class names and {len(templates)} templates, expected 1 or more")
    wrong = [template for template in templates if "{label}" not in template]
    if wrong:
        raise ValueError(f"the template {wrong[0]!r} has no place for the class name: write {{label}} in it")
    return [[template.replace("{label}", name) for template in templates] for name in class_names]


def from_labelled_text(source: LabelledText, templates: Sequence[str] = TEMPLATES) -> Task:
    """Return a data set whose documents have exactly one label each as a Task; ValueError for any other."""
    several = next((i for i, labels in enumerate(source.labels) if len(labels) != 1), None)
    if several is not None:
        raise ValueError(
            f"{source.name}: document {several} has {len(source.labels[several])} labels, expected exactly 1 "
            "(chapter 3 classifies into one class; chapter 2 is for several)"
        )
    split = np.asarray(source.split)
    rows = {name: np.flatnonzero(split == name) for name in SPLITS}
    after = getattr(source, "continuations", None) or []
    return Task(
        name=source.name,
        class_names=list(source.label_names),
        texts={name: [source.texts[i] for i in index] for name, index in rows.items()},
        labels={
            name: np.array([source.labels[i][0] for i in index], dtype=np.int64)
            for name, index in rows.items()
        },
        templates=tuple(templates),
        continuations={name: [after[i] if after else "" for i in index] for name, index in rows.items()},
    )
