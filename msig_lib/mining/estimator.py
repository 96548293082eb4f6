"""LLMiner as a scikit-learn estimator: documents in, questions and answers with their provenance out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from msig_lib.lm.decoder import parameters
from msig_lib.lm.generate import Sampling, TextModel
from msig_lib.lm.local import LocalModel
from msig_lib.lm.training import TrainSettings
from msig_lib.mining import saving
from msig_lib.mining.documents import Document, Mined, Teacher
from msig_lib.mining.model import fine_tune
from msig_lib.mining.signal import ASKING, ModelTeacher, seed_instances
from msig_lib.mining.streaming import Finding, findings, sentences

Instances = Sequence[tuple[Document, Mined]]
COLUMNS = (
    "document", "title", "sentence", "text", "kept", "fails", "question", "answer", "analysis", "malformed", "agreed",
    "miner", "fingerprint", "seed",
)  # fmt: skip
EPOCHS = 3  # ours: usual for full fine-tuning; the prototype's miner saw its 600 instances about so often
LARGE = 10**8  # ours: parameters from which on a model is taken for a pretrained one


class KnowledgeMiner(BaseEstimator):
    """Mines questions and answers from documents, one sentence after the other (chapter 5).

    Parameters
    ----------
    teacher : who says what a good finding is: any `Teacher` (`signal`), or a language model (a local one, a server),
        which is then asked as `signal.ModelTeacher` does.
    model : what learns to do it from a short prompt: an `lm.local.LocalModel`, or "hf:<name or folder>". It is copied,
        not changed. None: nothing is learned, and the teacher itself mines.
    analysis : whether an analysis comes before question and answer.
    seed_instances : sentences that the teacher is asked about for learning.
    batch : sentences that are asked about at a time when mining.
    training : TrainSettings; None takes 3 passes over the instances in batches of 16, at a learning rate of 2e-5,
        or of 1e-3 for a model of fewer than 1e8 parameters.
    filter : ask twice, and keep a pair only where both answers agree in a share of `agreement` of their words.
    temperature : of the miner's sampling; None is greedy (0), and 1 with `filter`, which needs different samples.
    random_state : seed of everything.

    Attributes: `miner_` (a Teacher: a `model.Miner`, or the teacher), `teacher_` (None: none was needed), `seed_` (the
    list of documents with findings, refused and malformed ones included), `trained_` (`lm.training.Trained`, None where
    nothing was learned) and `facts_` (what was learned from what, as JSON values).

    >>> miner = KnowledgeMiner(teacher, model="hf:my-model").fit(documents)  # doctest: +SKIP
    >>> pairs = miner.mine(more).query("kept")  # doctest: +SKIP
    """

    def __init__(
        self,
        teacher: Teacher | TextModel | None = None,
        *,
        model: LocalModel | str | None = None,
        analysis: bool = True,
        seed_instances: int = 600,  # thesis 5.3.1
        batch: int = 1024,  # ours: enough for batches of like length
        training: TrainSettings | None = None,
        filter: bool = False,
        agreement: float = 1.0,
        temperature: float | None = None,
        random_state: int = 0,
    ) -> None:
        self.teacher = teacher
        self.model = model
        self.analysis = analysis
        self.seed_instances = seed_instances
        self.batch = batch
        self.training = training
        self.filter = filter
        self.agreement = agreement
        self.temperature = temperature
        self.random_state = random_state

    def fit(self, seed: Iterable[Document] | Instances = (), y: object = None) -> KnowledgeMiner:
        """Learn from what the teacher says about sentences of the documents `seed`; `y` is ignored.

        `seed` may be the teacher's findings themselves, as (document, finding) pairs; no teacher is needed then.
        Malformed findings are left out of learning and counted in `facts_`. Without a model there is nothing to learn,
        and `seed` is not looked at. ValueError for what is missing, or for findings that cannot be learned from.
        """
        temperature = (1.0 if self.filter else 0.0) if self.temperature is None else self.temperature
        teacher = self._teacher(temperature)
        if self.model is None:
            if teacher is None:
                raise ValueError(
                    "there is neither a teacher nor a model: give KnowledgeMiner one of them, or both"
                )
            self.teacher_ = self.miner_ = teacher
            self.seed_, self.trained_, self.facts_ = [], None, {}
            return self
        model = LocalModel.load(self.model) if isinstance(self.model, str) else self.model
        instances = self._instances(list(seed), teacher)
        learned = [(document, mined) for document, mined in instances if not mined.malformed]
        if not learned:
            raise ValueError(f"none of the {len(instances)} findings can be learned from: all are malformed")
        if self.analysis and any(mined.kept and not mined.analysis.strip() for _, mined in learned):
            raise ValueError("some findings have no analysis: the teacher gives none, so set analysis=False")
        training = self.training or default_training(len(learned), parameters(model.model))
        miner, self.trained_ = fine_tune(
            model,
            learned,
            analysis=self.analysis,
            settings=training,
            seed=self.random_state,
            temperature=temperature,
        )
        self.teacher_, self.miner_, self.seed_ = teacher, miner, instances
        outcomes = Counter(Finding(document, mined).outcome for document, mined in instances)
        facts = {
            "teacher": None
            if teacher is None
            else {"name": teacher.name, "fingerprint": teacher.fingerprint},
            "model": {"name": model.name, "fingerprint": model.fingerprint},
            "instances": dict(sorted(outcomes.items())),
            "training": asdict(training),
            "random_state": int(self.random_state),
        }
        self.facts_ = json.loads(json.dumps(facts))  # as it is after loading
        return self

    def mine(self, documents: Iterable[Document]) -> pd.DataFrame:
        """Return a row for every sentence of every document, in order, whatever came of it.

        Columns: `document` and `title`, `sentence` (its number, from 0) and `text`; `kept`, else `fails` (the
        criterion), or `malformed` (what the miner wrote), or `agreed` is False (None: not asked twice); `question`,
        `answer`, `analysis`; `miner`, its `fingerprint` and the `seed`. ValueError for two documents with one id.
        """
        rows = [
            row(finding, self.miner_, self.random_state)
            for found in self.findings(documents)
            for finding in found
        ]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        for name in ("fails", "agreed"):  # None stays None
            table[name] = pd.Series([one[name] for one in rows], index=table.index, dtype=object)
        return table

    def findings(self, documents: Iterable[Document]) -> Iterator[list[Finding]]:
        """Yield the findings of `mine` in batches, for more documents than fit in memory."""
        check_is_fitted(self, "miner_")
        return findings(
            self.miner_,
            sentences(_checked(documents)),
            batch=self.batch,
            seed=self.random_state,
            filter=self.filter,
            agreement=self.agreement,
        )

    def save(self, folder: Path | str) -> None:
        """Write what was learned to a new folder: safetensors and JSON, no pickle, with hashes.

        The seed findings and their documents are in it; the teacher and the model before learning are not. The part
        `model` is a checkpoint like any other ("hf:<folder>/model"). ValueError where nothing was learned.
        """
        check_is_fitted(self, "miner_")
        saving.save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "cpu") -> KnowledgeMiner:
        """Read a miner written by `save`; it mines as before. Format version and all hashes are checked.

        Raises lm.saved.SavedModelError with what does not fit.
        """
        return saving.load(cls, Path(folder), device)

    def _teacher(self, temperature: float) -> Teacher | None:
        if self.teacher is None or hasattr(self.teacher, "ask"):
            return self.teacher
        if not hasattr(self.teacher, "complete"):
            raise TypeError(
                f"teacher is a {type(self.teacher).__name__}, expected one of mining.signal, a trained miner, or a "
                "language model (lm.local.LocalModel, lm.server.OpenAIServer)"
            )
        asking = ASKING if self.model is not None else Sampling(temperature, max_tokens=ASKING.max_tokens)
        return ModelTeacher(self.teacher, analysis=self.analysis, sampling=asking)

    def _instances(
        self, seed: list[Document] | list[tuple[Document, Mined]], teacher: Teacher | None
    ) -> list[tuple[Document, Mined]]:
        if not seed:
            raise ValueError("seed is empty, expected documents for the teacher to speak about")
        if all(isinstance(one, tuple) for one in seed):
            return seed  # type: ignore[return-value]
        if teacher is None:
            raise ValueError(
                "there is no teacher to ask about the documents: give one, or (document, finding) pairs"
            )
        return seed_instances(teacher, list(_checked(seed)), self.seed_instances, self.random_state)


def default_training(instances: int, size: int) -> TrainSettings:
    """Return the TrainSettings for so many instances and a model of `size` parameters."""
    batch = 16  # ours: few instances need many steps
    rate = 2e-5 if size >= LARGE else 1e-3  # usual for pretrained models; prototype of chapter 5
    return TrainSettings(math.ceil(EPOCHS * instances / batch), batch=batch, learning_rate=rate)


def row(finding: Finding, miner: Teacher, seed: int) -> dict[str, Any]:
    """Return a finding as a row of `KnowledgeMiner.mine`."""
    document, mined = finding.document, finding.mined
    found = asdict(mined) | {"title": document.title, "text": document.sentences[mined.sentence]}
    found |= {"kept": finding.kept, "agreed": finding.agreed}
    return found | {"miner": miner.name, "fingerprint": miner.fingerprint, "seed": seed}


def _checked(documents: Iterable[Any]) -> Iterator[Document]:
    """Yield the documents; TypeError for anything else, ValueError for an id that comes twice."""
    seen = set()
    for document in documents:
        if not isinstance(document, Document):
            raise TypeError(
                f"a document is a {type(document).__name__}, expected mining.documents.Document: "
                "make_document(text, id) makes one"
            )
        if document.id in seen:
            raise ValueError(f"two documents have the id {document.id!r}: give each its own")
        seen.add(document.id)
        yield document
