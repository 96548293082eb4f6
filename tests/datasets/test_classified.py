"""AG News and the DBpedia subset from small files in the form of the public ones; copies, splits, sizes."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os

import numpy as np
import pytest

from msig_lib import datasets
from msig_lib.datasets import classified, news
from msig_lib.datasets.classified import Options, Row, assemble
from msig_lib.datasets.xc import FormatError

NOUNS = "bank match rocket treaty coach market server minister goal merger phone vote".split()


def story(i: int) -> str:
    """A description of about twelve words that shares no phrase of five words with another one."""
    rng = np.random.default_rng(i)
    return " ".join(f"{NOUNS[k]}{i}{j}" for j, k in enumerate(rng.integers(0, len(NOUNS), 12))) + "."


def write(path, rows) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    blob = (
        gzip.compress(out.getvalue().encode(), mtime=0) if path.suffix == ".gz" else out.getvalue().encode()
    )
    path.write_bytes(blob)
    return hashlib.sha256(blob).hexdigest()


def repinned(name: str, folder, sums: dict[str, str]):
    """The real manifest with the hashes of the toy files; the files that no test needs stay away."""
    entry = datasets.manifest(name)
    files = tuple(
        f.model_copy(update={"sha256": sums[f.path.split("/")[1]], "content_sha256": None, "bytes": None})
        for f in entry.files
        if f.path.split("/")[1] in sums
    )
    files += tuple(f for f in entry.files if f.optional)
    return entry.model_copy(update={"files": files})


@pytest.fixture
def ag(cache, tmp_path, monkeypatch):
    """A mirror with 30 test rows, 60 rows with titles and two tokenised files of 40."""
    folder = tmp_path / "mirror" / "ag_news"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(folder.parent))
    test = [(1 + i % 4, f"Title {i}", story(i)) for i in range(28)]
    test += [
        (1, "Title 0", story(0).upper()),
        (2, "Oil  #39;tops #36;50", "A\\b of &lt;b&gt;India #39;s&lt;/b&gt; team."),
    ]
    raw = [(f"Head {i} {story(i)}", i % 4) for i in range(100, 158)]
    raw += [(f"Title 3 {story(3)}", 3), (f"Head 100 {story(100)}", 0)]  # one in test, one twice
    first = [(i % 4, story(i).replace(".", " .")) for i in range(200, 238)]
    first += [(3, story(3).replace(".", " .")), (0, story(100).replace(".", " ."))]  # without their titles
    second = [(0, story(i)) for i in range(300, 338)]
    second += [(0, " ".join(story(5).split()[:11]) + " so ."), (0, story(300))]  # near a test document
    sums = {
        "charcnn_test.csv.gz": write(folder / "charcnn_test.csv.gz", test),
        "lst11111_train.csv.gz": write(folder / "lst11111_train.csv.gz", raw),
        "keaml_train.csv.gz": write(folder / "keaml_train.csv.gz", first),
        "keaml_ub_train.csv.gz": write(folder / "keaml_ub_train.csv.gz", second),
    }
    return repinned("ag_news", folder, sums)


def test_copies_are_found_across_forms_and_counted(ag):
    data = news.ag_news(ag)
    assert data.label_names == ["politics", "sports", "business", "technology"]
    assert data.notes == {
        "test documents read": 30,
        "train documents read": 140,
        "copies within test": 1,
        "copies within train": 3,
        "train documents that are in test": 2,
        "copies with another class than the one kept": 0,
        "near-duplicates of test documents dropped from train": 1,
        "documents with a near-duplicate": 0,
        "near-duplicates looked for": 1,
    }
    assert (data.split == "test").sum() == 29 and len(data) == 29 + 140 - 3 - 2 - 1
    assert (data.split == "dev").sum() == 14  # a tenth of train
    assert len({classified.key(t) for t in data.texts}) == len(data)
    i = data.names.index("charcnn_test.csv:30")
    assert data.texts[i] == "Oil 'tops $50 A b of India's team." and data.labels[i] == [1]
    i = data.names.index("lst11111_train.csv:2")
    assert data.texts[i] == f"Head 101 {story(101)}" and data.labels[i] == [1]


def test_the_whole_train_file_takes_the_place_of_its_parts_and_changes_the_fingerprint(ag, monkeypatch):
    monkeypatch.setattr(datasets, "manifest", lambda name: ag)
    parts = datasets.fingerprint("ag_news")
    folder = datasets.files.mirror() / "ag_news"
    write(folder / "train.csv", [(1 + i % 4, f"T {i}", story(i)) for i in range(400, 450)])
    whole = datasets.fingerprint("ag_news")  # the file's hash is not published, and is noted here
    data = datasets.load("ag_news")
    assert whole != parts and datasets.fingerprint("ag_news") == whole
    assert data.notes["train documents read"] == 50
    assert {name.split(":")[0] for name in data.names} == {"train.csv", "charcnn_test.csv"}
    (folder / "train.csv").write_text('"1","other","words"\n')
    with pytest.raises(datasets.DataMismatch, match=r"train\.csv"):
        datasets.load("ag_news")


def test_slices_nest_and_dev_stays_what_it_is(ag):
    whole = news.ag_news(ag)
    of = {s: set(whole.subset(s).names) for s in ("train", "dev", "test")}
    small, large = news.ag_news(ag, pool=10, dev=3, test=5), news.ag_news(ag, limit=20)
    for split, sizes in {"train": (10, 20), "dev": (3, 14), "test": (5, 20)}.items():
        a, b = set(small.subset(split).names), set(large.subset(split).names)
        assert (len(a), len(b)) == sizes and a < b <= of[split]
    assert small.fingerprint == news.ag_news(ag, pool=10, dev=3, test=5).fingerprint
    assert (news.ag_news(ag, dev=0).split != "dev").all()


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"pool": -1}, {"dev": 2.5}, {"test": True}])
def test_sizes_that_make_no_sense(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"{name}=.*whole number"):
        Options(**wrong)


def test_the_dbpedia_subset_is_split_by_groups(cache, tmp_path, monkeypatch):
    folder = tmp_path / "dbpedia14_subset"
    folder.mkdir()
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(tmp_path))
    rows = [(i % 14, f"{story(i)}\tthey 're in .") for i in range(400)]
    pairs = [(0, f"{story(i)} It is known for something else entirely , they say .") for i in range(60)]
    sums = {"keaml_dbpedia_train.csv.gz": write(folder / "keaml_dbpedia_train.csv.gz", rows + pairs)}
    data = news.dbpedia14_subset(repinned("dbpedia14_subset", folder, sums))
    assert len(data) == 460 and data.label_names[5] == "means of transportation"
    assert data.notes["documents with a near-duplicate"] == 120
    shares = [np.mean(data.split == s) for s in ("train", "dev", "test")]
    assert np.allclose(shares, classified.SHARES, atol=0.06)
    for g in np.unique(data.groups):
        assert len(set(data.split[data.groups == g].tolist())) == 1
    first = data.texts[data.names.index("keaml_dbpedia_train.csv:1")]
    assert first == f"{story(0)} they're in."


def test_dev_takes_whole_groups():
    rows = [Row(f"{story(i // 2)} tail{i}", 0, str(i)) for i in range(200)]  # pairs of near-duplicates
    data = assemble("x", ["a"], rows, [Row(story(999), 0, "t")], Options())
    for g in np.unique(data.groups):
        assert len(set(data.split[data.groups == g].tolist())) == 1
    assert (data.split == "dev").sum() == 20 and data.notes["documents with a near-duplicate"] == 200


def test_copies_with_another_class_are_told():
    rows = [Row("One and the same text.", 0, "a"), Row("one, and the same: TEXT", 1, "b")]
    data = assemble("x", ["a", "b"], rows, [], Options())
    assert data.names == ["a"] and data.notes["copies with another class than the one kept"] == 1
    assert len(assemble("x", ["a"], [], [], Options())) == 0


@pytest.mark.parametrize(
    ("tokenised", "plain"),
    [
        ("CAIRO , EGYPT -- A man ( AP ) said .", "CAIRO, EGYPT -- A man (AP) said."),
        ("Iraq s government does n't say it 's `` over ''", "Iraq's government doesn't say it's \"over\""),
        ("H amp ; R costs $ 5 ; they d pay 10 %", "H & R costs $5; they d pay 10%"),
        ("U. S. in the 1960 s", "U. S. in the 1960 s"),
    ],
)
def test_detokenise(tokenised, plain):
    assert classified.detokenise(tokenised) == plain


@pytest.mark.parametrize(
    ("web", "plain"),
    [
        ("a second\\team for  #36;10 million", "a second team for $10 million"),
        ('&lt;A HREF="http://x.y/?a=b"&gt;L.N&lt;/A&gt; rose', "L.N rose"),
        ("Yahoo #39;s and the Employees #39; plan, #39;so #39;", "Yahoo's and the Employees' plan, 'so'"),
        ("AT&amp;T and R&D; 3 < 4 > 2", "AT&T and R&D; 3 < 4 > 2"),
        ("U.S. and  won #39;t", "U.S. and won't"),
    ],
)
def test_clean(web, plain):
    assert classified.clean(web) == plain


def test_a_bad_row_of_a_plain_file_is_named(ag):
    folder = datasets.files.mirror() / "ag_news"
    entry = ag.file("ag_news/keaml_train.csv.gz")
    total = write(folder / "keaml_train.csv.gz", [(0, story(1)), (4, story(2))])
    files = tuple(f.model_copy(update={"sha256": total}) if f is entry else f for f in ag.files)
    with pytest.raises(FormatError, match=r"keaml_train\.csv\.gz:2: class '4'; expected .* from 0 to 3"):
        news.ag_news(ag.model_copy(update={"files": files}))


@pytest.mark.skipif(not os.environ.get("MSIG_DATA_MIRROR"), reason="MSIG_DATA_MIRROR is not set: no files")
@pytest.mark.parametrize(("name", "classes"), [("ag_news", 4), ("dbpedia14_subset", 14)])
def test_the_real_files(name, classes):
    here, why = datasets.available(name)
    if not here:
        pytest.skip(why)
    data = datasets.load(name)
    assert len(data.label_names) == classes and {len(found) for found in data.labels} == {1}
    assert len({classified.key(t) for t in data.texts}) == len(data)
    if name == "ag_news" and any(n.startswith("keaml") for n in data.names):
        assert len(data.subset("test")) == 7_599 and len(data.subset("dev")) == 1_000
        assert 12_000 < len(data.subset("train")) < 12_500
    assert not any("#39;" in t or " n't" in t or "``" in t for t in data.texts)
