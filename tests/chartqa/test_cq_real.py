import gzip
import json
import os

import numpy as np
import pytest
from PIL import Image

from msig_lib import datasets
from msig_lib.chartqa import real
from msig_lib.chartqa.metrics import relaxed_accuracy
from msig_lib.chartqa.real import FormatError, RealQuestion

FILES = {
    "simple_test_human_simple.json.gz": [
        {"imgname": "12.png", "query": " How high is blue? ", "label": "4 "},
        {"imgname": "A_B,_C_1.png", "query": "Which is highest?", "label": "Blue"},
    ],
    "complex_test_augmented_complex.json.gz": [
        {"imgname": "multi_3.png", "query": "What share?", "label": "8"},
        {"imgname": "multi_3.png", "query": "What share?", "label": "8"},
    ],
}


def write(folder, name, rows):
    (folder / "qa").mkdir(exist_ok=True)
    with gzip.open(folder / "qa" / name, "wt", encoding="utf-8") as stream:
        stream.write(rows if isinstance(rows, str) else json.dumps(rows))


@pytest.fixture
def folder(tmp_path):
    for part in ("png", "tables"):
        (tmp_path / part).mkdir()
    for name, rows in FILES.items():
        write(tmp_path, name, rows)
    picture = np.zeros((5, 7, 4), dtype=np.uint8)
    picture[..., 0], picture[:2, :, 3] = 200, 255  # red where it is opaque
    Image.fromarray(picture).save(tmp_path / "png" / "12.png")
    (tmp_path / "tables" / "12.csv").write_text(
        'Country,"Share, 2006",2007\nSpain,1.5,nan\n"Chad, east",-2,\n'
    )
    return tmp_path


def test_a_folder_in_the_format_is_read(folder):
    sample = real.read(folder)
    assert sample.questions == (
        RealQuestion("multi_3.png", "What share?", "8", "complex", "augmented", "complex"),
        RealQuestion("12.png", "How high is blue?", "4", "simple", "human", "simple"),
        RealQuestion("A_B,_C_1.png", "Which is highest?", "Blue", "simple", "human", "simple"),
    )
    assert len(sample) == 3 and sample.with_image == [1]
    image = sample.image("12.png")
    assert image.dtype == np.uint8 and image.shape == (5, 7, 3)
    assert (image[:2] == [200, 0, 0]).all() and (image[2:] == 255).all()  # transparent is white
    table = sample.table("12.png")
    assert table.header == ("Country", "Share, 2006", "2007") and table.rows == ("Spain", "Chad, east")
    np.testing.assert_array_equal(table.values, [[1.5, np.nan], [-2, np.nan]])
    assert sample.table("multi_3.png") is None


def test_what_is_not_in_the_sample_is_told(folder):
    sample = real.read(folder)
    with pytest.raises(KeyError, match=r"multi_3\.png is not in png of the sample"):
        sample.image("multi_3.png")
    for name in ("../12.png", "a/12.png", "..", ".png", "12.csv", "a\\12.png"):
        with pytest.raises(KeyError, match="is no name of a picture"):
            sample.image(name)
        assert sample.table(name) is None


@pytest.mark.parametrize(
    ("name", "rows", "says"),
    [
        ("other.json.gz", [], "other.json.gz: expected a name such as"),
        ("simple_test_human_complex.json.gz", "{", "no gzipped JSON"),
        ("simple_test_human_complex.json.gz", {"a": 1}, "expected a list of questions, got dict"),
        ("simple_test_human_complex.json.gz", [{"imgname": "1.png", "query": "x"}], "entry 0 is"),
        ("simple_test_human_complex.json.gz", [{"imgname": "1.png", "query": "x", "label": 3}], "entry 0 is"),
        (
            "simple_test_human_complex.json.gz",
            [{"imgname": "1.png", "query": " ", "label": "3"}],
            "entry 0 is",
        ),
        ("simple_test_human_complex.json.gz", ["x"], "entry 0 is x, expected texts imgname, query, label"),
        (
            "simple_test_human_complex.json.gz",
            [{"imgname": "../1.png", "query": "x", "label": "3"}],
            r"entry 0 names the picture '\.\./1\.png'",
        ),
    ],
)
def test_malformed_questions_are_refused_with_their_file(folder, name, rows, says):
    write(folder, name, rows)
    with pytest.raises(FormatError, match=says) as raised:
        real.read(folder)
    assert name in str(raised.value)


def test_files_that_are_cut_off_are_refused(folder, tmp_path):
    path = folder / "qa" / "simple_test_human_simple.json.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(FormatError, match="no gzipped JSON"):
        real.read(folder)
    picture = folder / "png" / "12.png"
    picture.write_bytes(picture.read_bytes()[:40])
    sample = real.ChartQASample(folder, ())
    with pytest.raises(FormatError, match="no readable PNG"):
        sample.image("12.png")
    with pytest.raises(FormatError, match="no files, expected names such as"):
        real.read(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "a\n", "a,b\n1\n", "a,b\nx,y\n", "a,b\nx,inf\n"])
def test_malformed_tables_are_refused(folder, text):
    (folder / "tables" / "12.csv").write_text(text)
    with pytest.raises(FormatError, match=r"12\.csv"):
        real.read(folder).table("12.png")


def test_without_a_mirror_the_sample_is_not_available(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path))
    monkeypatch.delenv("MSIG_DATA_MIRROR", raising=False)
    with pytest.raises(datasets.DataNotAvailable, match="chartqa_sample"):
        real.load()


@pytest.mark.skipif(not datasets.available(real.NAME)[0], reason="the sample is not here (MSIG_DATA_MIRROR)")
def test_the_real_sample(monkeypatch):
    monkeypatch.delenv("MSIG_RUN_DIR", raising=False)
    sample = real.load()
    assert len(sample) == 2372  # of 2,373, one is listed twice
    assert len(sample.with_image) == 308 and {sample.questions[i].source for i in sample.with_image} == {
        "human"
    }
    names = sorted({sample.questions[i].image for i in sample.with_image})
    assert len(names) == 154 and sample.image(names[0]).shape[2] == 3
    assert sum(sample.table(q) is not None for q in names) == len(os.listdir(sample.folder / "tables")) == 12
    answers = [question.answer for question in sample.questions]
    assert relaxed_accuracy(answers, answers) == 1
