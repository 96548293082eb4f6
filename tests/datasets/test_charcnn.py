"""The format of Zhang, Zhao and LeCun: quoting, escapes, bad rows, archives, and memory with a limit."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
import tracemalloc

import pytest

from msig_lib import datasets
from msig_lib.datasets import charcnn, classified
from msig_lib.datasets.archive import UnsafeArchive
from msig_lib.datasets.xc import FormatError


def blob(rows) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def pack(path, members: dict[str, bytes], link: str | None = None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
    return path


ARCHIVES = {
    "dbpedia14": "dbpedia_csv.tgz",
    "yahoo_answers": "yahoo_answers_csv.tgz",
    "amazon_polarity": "amazon_review_polarity_csv.tgz",
}


@pytest.fixture
def mirror(cache, tmp_path, monkeypatch):
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(folder))
    return folder


def put(mirror, name: str, test, train, classes: bytes | None = None, **more):
    members = {
        f"{name}_csv/train.csv": train if isinstance(train, bytes) else blob(train)
    }  # train comes first
    members[f"{name}_csv/test.csv"] = test if isinstance(test, bytes) else blob(test)
    if classes is not None:
        members[f"{name}_csv/classes.txt"] = classes
    return pack(mirror / name / ARCHIVES[name], members, **more)


def test_dbpedia_joins_title_and_text_and_names_its_classes(mirror, capsys):
    form = charcnn.FORMATS["dbpedia14"]
    train = [(1 + i % 14, f"Thing {i}", f'It is "number" {i}, it says.') for i in range(40)]
    test = [(14, "Book", "A written work."), (1, "Thing 0", 'It is "number" 0, it says.')]
    put(mirror, "dbpedia14", test, train, "\n".join(form.published).encode() + b"\n")
    data = datasets.load("dbpedia14")
    assert "no hash of this file is known" in capsys.readouterr().err
    assert data.label_names[13] == "written work" and data.label_names[1] == "educational institution"
    assert data.texts[data.names.index("train.csv:2")] == 'Thing 1 It is "number" 1, it says.'
    assert data.labels[data.names.index("test.csv:1")] == [13]
    assert data.notes["train documents that are in test"] == 1 and "train.csv:1" not in data.names
    assert data.notes["train documents read"] == 40 and (data.split == "dev").sum() == 4


def test_yahoo_escapes_and_empty_fields(mirror):
    test = [(10, "Who wins?", "", "Nobody\\nknows  yet.")]
    put(
        mirror,
        "yahoo_answers",
        test,
        [(6, "Why?", "", "")],
        "\n".join(charcnn.FORMATS["yahoo_answers"].published).encode(),
    )
    data = datasets.load("yahoo_answers")
    assert data.texts == ["Why?", "Who wins? Nobody knows yet."]
    assert [data.label_names[found[0]] for found in data.labels] == ["sports", "politics and government"]


def test_amazon_needs_no_list_of_classes_and_real_line_ends_in_quotes_are_read(mirror):
    put(mirror, "amazon_polarity", b'"1","Bad","It broke.\nTwice, ""really""."\n', [(2, "Good", "It works.")])
    data = datasets.load("amazon_polarity")
    assert data.texts == ["Good It works.", 'Bad It broke. Twice, "really".']
    assert data.label_names == ["negative", "positive"] and data.labels == [[1], [0]]


def test_a_slice_is_the_first_by_hash_and_slices_nest(mirror):
    train = [(1 + i % 2, f"t{i}", f"text number {i} of many") for i in range(3_000)]
    train += train[:50]
    put(mirror, "amazon_polarity", [(1, f"q{i}", f"held out {i}") for i in range(80)], train)
    small = datasets.load("amazon_polarity", limit=20)
    assert [(small.split == s).sum() for s in ("train", "dev", "test")] == [20, 20, 20]
    texts = {f"t{i} text number {i} of many" for i in range(3_000)}
    order = sorted(texts, key=lambda t: hashlib.sha256(classified.key(t).encode()).digest())
    reserved = 305  # a tenth of the rows
    assert set(small.subset("dev").texts) == set(order[:20])
    assert set(small.subset("train").texts) == set(order[reserved : reserved + 20])
    whole = datasets.load("amazon_polarity")
    assert set(whole.subset("dev").texts) == set(order[:reserved])
    assert set(small.names) < set(datasets.load("amazon_polarity", limit=60).names)
    assert whole.notes["copies within train"] == 50 and len(whole.subset("train")) == 3_000 - reserved


def test_memory_does_not_grow_with_the_file(mirror, monkeypatch):
    peaks = []
    for count in (1_500, 6_000):
        train = blob([(1, f"t{i}", f"{i} {'filler ' * 100}") for i in range(count)])
        put(mirror, "amazon_polarity", [(1, "a", "b")], train)
        monkeypatch.setenv("MSIG_CACHE", str(mirror.parent / f"cache{count}"))  # no hash is known there yet
        tracemalloc.start()
        datasets.load("amazon_polarity", limit=5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


GOOD = b'"1","a","b"\n'


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (b'"1","only one"\n', r"train\.csv:2: 2 columns; expected a class and 2 of text"),
        (b'"1","a","b","c"\n', r"train\.csv:2: 4 columns"),
        (b'"3","a","b"\n', r"train\.csv:2: class '3'; expected a whole number from 1 to 2"),
        (b'"one","a","b"\n', r"train\.csv:2: class 'one'"),
        (b'"1","",""\n', r"train\.csv:2: no text"),
        (b'"1","a"x,"b"\n', r"train\.csv:2: .*expected fields in double quotes"),
        (b'"1","na\xefve","b"\n', r"train\.csv:2: .*expected UTF-8"),
        (b'"1","never closed,"b"\n', r"train\.csv:2: "),
        (b'"1","never closed\n' + GOOD.replace(b'"', b"") * 20_000, r"train\.csv:2: "),
        (b"\n", r"train\.csv:2: 0 columns"),
    ],
)
def test_a_bad_row_is_told_with_file_and_line(mirror, bad, told):
    put(mirror, "amazon_polarity", GOOD, GOOD + bad)
    with pytest.raises(FormatError, match=told):
        datasets.load("amazon_polarity")


def test_other_classes_a_missing_file_and_a_dangerous_archive(mirror):
    put(mirror, "dbpedia14", [(1, "a", "b")], [(1, "c", "d")], b"World\nSports\n")
    with pytest.raises(FormatError, match=r"classes\.txt has World, Sports; expected Company"):
        datasets.load("dbpedia14")
    pack(mirror / "amazon_polarity" / ARCHIVES["amazon_polarity"], {"x/test.csv": GOOD})
    with pytest.raises(FormatError, match=r"has no train\.csv"):
        datasets.load("amazon_polarity")
    pack(mirror / "yahoo_answers" / ARCHIVES["yahoo_answers"], {"../train.csv": GOOD})
    with pytest.raises(UnsafeArchive, match="points out of the folder"):
        datasets.load("yahoo_answers")


def test_a_link_and_a_cut_archive_are_refused(mirror):
    put(mirror, "amazon_polarity", GOOD, [], link="x/link")
    with pytest.raises(UnsafeArchive, match="link"):
        datasets.load("amazon_polarity")
    path = put(mirror, "yahoo_answers", blob([(1, str(i) * 40, "b", "c") for i in range(3_000)]), b"")
    path.write_bytes(path.read_bytes()[:-4_000])
    with pytest.raises(UnsafeArchive, match="damaged"):
        datasets.load("yahoo_answers")
