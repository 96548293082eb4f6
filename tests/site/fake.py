"""A small book: one executed chapter with every kind of output, and claims with every verdict."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from msig_lib import display
from msig_lib.claims import Claim, Verdict
from msig_lib.project import Project, project

CHAPTER = "ch02_extreme_classification"
REPOSITORY = "https://github.com/somebody/book"


def _lines():
    with display.style():
        left, axes = plt.subplots()
        for number, name in enumerate(display.PALETTE):
            axes.plot(np.arange(8), np.sqrt(np.arange(8) + 3 * number), "o-", label=name)
        axes.set(xlabel="words in the description", ylabel="macro-F1@5", title="Growth")
        axes.legend(ncol=2)
        right, axes = plt.subplots()
        axes.bar(["SVM", "DEPL", "DE-ret"], [0.3, 0.4, 0.2], yerr=[0.02, 0.03, 0.01])
        axes.set_ylabel("P@1")
    return [left, right]


def _power(exponent: float, colour: str):
    with display.style():
        figure, axes = plt.subplots()
        axes.plot(np.linspace(0, 1, 30), np.linspace(0, 1, 30) ** exponent, color=display.PALETTE[colour])
        axes.set(xlabel="x", ylabel="y", ylim=(0, 1))
    return figure


def outputs() -> dict[str, dict[str, str]]:
    """Return the outputs (mime bundles) of the fake chapter's cells by cell tag."""
    wide = pd.DataFrame(np.arange(36).reshape(2, 18) / 7, columns=[f"metric {k}" for k in range(18)])
    wide.insert(0, "method", ["SVM", "DEPL"])
    return {
        "cover": display.figure(
            _lines(),
            name="fake-growth",
            caption=r"More words help **all** methods: $\sqrt{x + 3k}$ on the left.",
            alt="Six rising curves, and three bars of which the middle one is highest.",
            data=wide,
        )._repr_mimebundle_(),
        "scores": display.table(
            wide, caption="Scores of two methods, $k = 5$", highlight="max", notes="Bold: the better one."
        )._repr_mimebundle_(),
        "explore": display.explorer(
            _power,
            {
                "exponent": {"values": [0.5, 1.0, 2.0, 3.0], "start": 1.0},
                "colour": {"values": ["blue", "green"]},
            },
            name="fake-power",
            caption="How the exponent bends $x^p$.",
            alt=lambda exponent, colour: f"A {colour} curve of exponent {exponent:g}.",
        )._repr_mimebundle_(),
    }


def notebook() -> dict:
    """Return an executed notebook as papermill leaves it."""
    new = nbformat.v4
    cells = [
        new.new_markdown_cell("# Extreme multi-label text classification\n\nKeywords as label descriptions."),
        new.new_code_cell("seeds = [0]\nn_words = 8\nepochs = 3", metadata={"tags": ["parameters"]}),
        new.new_markdown_cell(
            "## The problem\n\nInline $a^2 + b^2$ and {cite:t}`zhang2023depl`, drawn by {py:mod}`msig_lib.display`.\n\n"
            "$$\ny = Wx\n$$"
        ),
        new.new_markdown_cell("## Results\n\n### Where it breaks"),
    ]
    for tag, bundle in outputs().items():
        result = new.new_output("execute_result", data=bundle, execution_count=1)
        cells.append(
            new.new_code_cell(
                f"{tag} = show()\n{tag}", metadata={"tags": [tag]}, outputs=[result], execution_count=1
            )
        )
    said = new.new_output(
        "display_data", data={"text/markdown": "The gap is **0.12**, $p < .05$.", "text/plain": "x"}
    )
    cells.append(
        new.new_code_cell("say(...)", metadata={"tags": ["remove-input"]}, outputs=[said], execution_count=2)
    )
    document = new.new_notebook(cells=cells)
    document.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document.metadata.language_info = {"name": "python"}
    return json.loads(nbformat.writes(document))


def run(folder: Path) -> Path:
    """Write a run directory of the fake chapter and return it."""
    folder.mkdir(parents=True)
    (folder / f"{CHAPTER}.ipynb").write_text(json.dumps(notebook()), encoding="utf-8")
    (folder / "results.jsonl").write_text("", encoding="utf-8")
    told = {
        "chapter": CHAPTER,
        "tier": "quick",
        "key": "0123456789abcdef" * 4,
        "commit": {"id": "c0ffee" * 6 + "abcd", "dirty": False},
        "parameters": {"seeds": [0, 1], "n_words": 16, "epochs": 3},
        "seeds": [0, 1],
        "data": {"docstrings": "ab" * 32},
        "python": "3.11.9",
        "packages": {"numpy": "2.3.5", "torch": "2.13.0"},
        "hardware": {
            "processor": "A processor",
            "cores": 2,
            "memory_gib": 8.0,
            "amx": False,
            "system": "Linux",
        },
        "threads": 2,
        "seconds": 83.2,
        "cpu_seconds": 71.4,
        "peak_memory_mib": 912.5,
        "cells": [{"cell": 2, "seconds": 0.1}, {"cell": 5, "seconds": 61.0}],
    }
    (folder / "provenance.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def _claim(name: str, **more) -> Claim:
    given = {
        "id": f"ch02-{name}",
        "chapter": CHAPTER,
        "where": "2.5.4, table 2.3",
        "statement": f"A statement about {name}.",
        "anchor": "results",
    }
    if "needs" not in more:
        given["test"] = {
            "metric": "tail_f1@5",
            "a": {"method": "depl"},
            "b": {"method": "de_ret"},
            "direction": "greater",
            "smallest_effect": 0.01,
        }
    return Claim(**{**given, **more})


def verdicts() -> list[Verdict]:
    """Return one verdict of each kind."""
    paper = {"metric": "PSP@1 (%)", "a": 45.6, "b": 39.18, "data": "EURLex-4K"}
    shared = {"n_seeds": 3, "n_items": 1834, "tier": "quick", "source": "measured"}
    check = _claim("bound", kind="erratum", test={"check": "bound"}, anchor="scores")
    return [
        Verdict(
            _claim("words", paper=paper),
            "reproduced",
            "",
            0.031,
            0.022,
            0.04,
            a_mean=0.26,
            b_mean=0.229,
            **shared,
        ),
        Verdict(
            _claim("svm", anchor="explore"),
            "contradicted",
            "",
            -0.02,
            -0.03,
            -0.01,
            a_mean=0.2,
            b_mean=0.22,
            **shared,
        ),
        Verdict(_claim("psp"), "inconclusive", "", 0.004, -0.008, 0.016, a_mean=0.3, b_mean=0.296, **shared),
        Verdict(
            _claim("wiki", needs="Wiki-500K and a GPU", anchor=None, tier="full"),
            "not attempted",
            "needs a GPU",
        ),
        Verdict(check, "erratum", "check bound: shown", tier="quick", source="measured"),
    ]


def checkout(root: Path) -> Project:
    """Return a copy of this checkout's book in `root`, without claims, errata and notebooks of its own."""
    here = project()
    shutil.copytree(
        here.book, root / "book", ignore=shutil.ignore_patterns("claims", "recorded", "errata.yml")
    )
    for name in ("CITATION.cff", "requirements.lock", "environment.yml", "pyproject.toml"):
        shutil.copyfile(here.root / name, root / name)
    (root / "notebooks" / "tiers").mkdir(parents=True)
    (root / "msig_lib").mkdir()
    cards = root / "book" / "chapters.yml"  # the real cards name claims that the small ledger lacks
    told = re.sub(r"^  (finding|surprise): .*\n", "", cards.read_text(encoding="utf-8"), flags=re.MULTILINE)
    told = told.replace(f"{CHAPTER}\n", f"{CHAPTER}\n  finding: ch02-svm\n", 1)
    cards.write_text(told, encoding="utf-8")
    settings = root / "book" / "_config.yml"
    told = settings.read_text(encoding="utf-8").replace('url: ""', f"url: {REPOSITORY}")
    settings.write_text(told, encoding="utf-8")
    (root / "book" / "errata.yml").write_text(ERRATA, encoding="utf-8")
    tiers = f"{CHAPTER}: {{data: [docstrings], parameters: {{seeds: [0, 1]}}}}\n"
    (root / "notebooks" / "tiers" / "quick.yml").write_text(tiers, encoding="utf-8")
    return Project(root)


ERRATA = f"""
- id: ch02-e01
  chapter: {CHAPTER}
  where: "2.4, theorem 3"
  says: "The bound $1/M$ holds from $10\\\\sqrt{{\\\\ln M / d}}$ on."
  right: "It gives $4/M$."
  shown_by: [{CHAPTER}#scores, "tests/theory/test_bound.py::test_value"]
  claim: ch02-bound
"""
