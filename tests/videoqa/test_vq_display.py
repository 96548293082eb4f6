import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from msig_lib.display.words import DisplayError
from msig_lib.videoqa.captions import Captioner, caption, check_caption, read_caption, write_caption
from msig_lib.videoqa.data import ClipSettings, Event, Scene, Thing, make_clips
from msig_lib.videoqa.display import (
    answers_html,
    caption_html,
    clip_html,
    describe,
    judged_html,
    marked,
    readable,
    shown_clip,
    strip_uri,
)

CLIPS = make_clips(60, ClipSettings(things=(1, 3)), seed=1)
BALL = Thing("circle", "red", "small", "right", 3.0, 2, 10, (-4.0, 9.0), "blue", 6)
ROCK = Thing("square", "green", "large", "still", 0.0, 0, 10, (20.0, 9.0))
SCENE = Scene(
    (BALL, ROCK),
    (Event(2, "enter", 0, "left"), Event(6, "change", 0, "blue"), Event(7, "behind", 0, "green square")),
    "black",
)


class Text(HTMLParser):
    """All text of some HTML, every tag closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.found, self.labels = [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.labels += [value for name, value in attrs if name == "aria-label"]
        if tag not in ("input", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.found.append(data)

    @property
    def whole(self):
        return " ".join("".join(self.found).split())


def test_the_alternative_text_has_every_thing_and_event_with_frames_from_one():
    assert describe(SCENE) == (
        "Clip of 10 frames, black background, 2 things. Small red circle: moves right, fast; in frame 3 enters from "
        "the left; in frame 7 becomes blue; in frame 8 goes behind the green square. Large green square: still."
    )
    for scene in CLIPS.scenes:
        told = describe(scene)
        assert all(thing.name in told and thing.size.capitalize() in told for thing in scene.things)
        assert told.count("in frame") == len(scene.events)


def picture_of(uri):
    assert uri.startswith("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_strip_has_the_frames_side_by_side_and_its_colours_hardly_change():
    for clip in CLIPS.frames[:12]:
        whole = np.concatenate(list(clip), axis=1)
        assert (picture_of(strip_uri(clip, None)) == whole).all()
        few = strip_uri(clip)
        off = abs(picture_of(few).astype(int) - whole).max(axis=-1)
        assert off.max() <= 25 and np.quantile(off, 0.999) <= 15
        assert len(few) < 12_000 < len(strip_uri(clip, None))


@pytest.mark.parametrize("clip", [CLIPS.frames[0] / 255, CLIPS.frames[0][0], CLIPS.frames[0][:0]])
def test_what_is_no_clip_is_refused(clip):
    with pytest.raises(ValueError, match="expected uint8"):
        strip_uri(clip)


def test_a_clip_shows_each_frame_once_and_its_pixels_are_there_once():
    html = clip_html(CLIPS.frames[0], CLIPS.scenes[0])
    places = [float(x) for x in re.findall(r"<i style=\"background-position:([\d.]+)% 0\"", html)]
    np.testing.assert_allclose(places, np.arange(10) * 100 / 9, atol=0.01)
    assert html.count("base64,") == 1 and not re.search(r"\bid=", html)
    read = Text(html)
    assert describe(CLIPS.scenes[0]) in read.labels and read.whole == "12345678910 play"
    # Nothing moves by itself, and nothing at all where motion is not wanted.
    assert "infinite paused" in html and "prefers-reduced-motion:reduce" in html


def test_every_claim_of_a_caption_is_marked_as_the_checker_has_it():
    for rate in (0.0, 0.3):
        for scene, text in zip(CLIPS.scenes, Captioner(rate, 0.2, seed=3).write(CLIPS.scenes)):
            found, checked = marked(text, scene), check_caption(text, scene)
            assert {claim for clause, _ in found for claim in read_caption(f"{clause} .")} == read_caption(
                text
            )
            kinds = [kind for _, kind in found]
            assert kinds.count("right") == len(checked.right) and kinds.count("wrong") == len(
                checked.invented
            )
            assert kinds.count("open") == len(read_caption(text)) - len(checked.right) - len(checked.invented)
            if not rate:
                assert set(kinds) <= {"right", "open"}


def test_what_cannot_be_read_is_marked_as_open():
    found = marked(
        "The red circle is small , dances . A dog barks . the red circle enters before noon .", SCENE
    )
    assert found == [
        ("the red circle is small", "right"),
        ("the red circle dances", "open"),
        ("a dog barks", "open"),
        ("the red circle enters before noon", "open"),
    ]


def test_a_caption_is_shown_with_its_marks_and_what_it_leaves_out():
    whole = caption_html(caption(SCENE), SCENE)
    assert (
        "Left out" not in whole and "✗" not in whole and whole.count("✓") == len(read_caption(caption(SCENE)))
    )
    html = caption_html("the clip shows 3 things . the red circle is <b> , moves right .", SCENE)
    read = Text(html)
    assert read.whole.startswith(
        "The clip ✗ shows 3 things. The red circle ? is < b >; ✓ moves right.Left out:"
    )
    assert "The green square is large, stays still." in read.whole
    assert read.labels == ["wrong", "open", "right"]
    assert "<b>" not in html


def test_texts_are_made_readable_without_changing_their_claims():
    for scene in CLIPS.scenes[:20]:
        text = caption(scene)
        shown = readable(text)
        assert read_caption(shown) == read_caption(text)
        assert " ." not in shown and " ," not in shown and shown[0].isupper()
    assert readable("which is first , red circle enters or blue square leaves ?") == (
        "Which is first, red circle enters or blue square leaves?"
    )
    assert readable(write_caption(())) == ""


JUDGED = [(5, "right"), (2, "wrong, it is left")]


def test_answers_have_both_scores_the_pair_and_where_the_judges_differ():
    html = answers_html(["left", "<i>"], JUDGED, [(5, "right"), (3, "right & short")], (0, 1))
    read = Text(html)
    assert (
        read.whole.split("by the clip")[1]
        == "Left5 right5 rightchosen< i >2 wrong, it is left3 right & shortrejected ≠"
    )
    assert "overflow-x:auto" in html and "<i>" not in html
    assert "chosen" not in answers_html(["a", "b"], JUDGED, JUDGED) and "(nothing)" in answers_html(
        ["", "b"], JUDGED, JUDGED
    )
    with pytest.raises(ValueError, match="one judgement of each judge"):
        answers_html(["a"], JUDGED, JUDGED)
    with pytest.raises(ValueError, match=r"pair \(0, 2\)"):
        answers_html(["a", "b"], JUDGED, JUDGED, (0, 2))


def test_a_figure_of_a_clip_and_one_frame_of_the_explorer_are_whole():
    frames, scene = CLIPS.frames[2], CLIPS.scenes[2]
    made = shown_clip(
        frames, scene, [("without errors", caption(scene))], name="one-clip", caption="A *clip*."
    )
    assert 'id="fig-one-clip"' in made.html and "<em>clip</em>" in made.html and "without errors" in made.html
    Text(made.html)
    other = shown_clip(
        frames, scene, [("x", "the clip shows 1 thing .")], name="one-clip", caption="A *clip*."
    )
    assert other.fingerprint != made.fingerprint
    with pytest.raises(DisplayError, match="caption of figure"):
        shown_clip(frames, scene, [], name="one-clip", caption=" ")
    html = judged_html(
        frames, scene, caption(scene), ("is the red circle small ?", "yes"), ["a", "b"], JUDGED, JUDGED, None
    )
    read = Text(html)
    assert "Is the red circle small? (expected: yes)" in read.whole and len(html) < 20_000
