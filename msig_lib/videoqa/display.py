"""What a page shows of the world: clips as strips and short films, captions with marked claims, judged answers."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt
from PIL import Image

from msig_lib.display import FigureOutput, inline
from msig_lib.display.colours import FOREGROUND
from msig_lib.display.words import checked_name, checked_text, digest
from msig_lib.videoqa.captions import check_caption, normal, read_caption, write_caption
from msig_lib.videoqa.data import Scene
from msig_lib.videoqa.facts import CLIP, Claim, claims_of, contradicts

SHADES = 48  # ours: colours that a strip is reduced to on the page: a fifth of the bytes, no shade off by more than 15
EDGE = 60  # px of a frame, five of which fit beside each other on a phone
FILM = 2.4  # seconds that the film takes, .24 a frame
MARKS = {"right": "✓", "wrong": "✗", "open": "?"}
# A film is still until somebody asks for it, and stays so where motion is not wanted: the strip says the same.
STYLE = (
    f"<style>.msig-frames{{display:flex;flex-wrap:wrap;gap:.25rem;margin:0;padding:0;justify-content:center}}"
    f".msig-frames span{{display:block;width:{EDGE}px;font-size:.75rem;text-align:center}}"
    ".msig-frames i,.msig-film{display:block;background-image:var(--clip);background-size:1000% 100%;"
    f"background-size:var(--whole) 100%;width:{EDGE}px;height:{EDGE}px;image-rendering:pixelated}}"
    f".msig-film{{width:{2 * EDGE}px;height:{2 * EDGE}px;animation:msig-film {FILM}s "
    "steps(var(--frames),jump-none) infinite paused}"
    ".msig-clip:has(input:checked) .msig-film{animation-play-state:running}"
    "@keyframes msig-film{from{background-position:0 0}to{background-position:100% 0}}"
    "@media (prefers-reduced-motion:reduce){.msig-film{animation:none}.msig-play{display:none}}</style>"
)


def readable(text: str) -> str:
    """Return a caption, question or answer with a capital and with its marks at the words before them."""
    words = normal(text)
    for mark in ",.?":
        words = words.replace(f" {mark}", mark)
    return ". ".join(part[:1].upper() + part[1:] for part in words.split(". "))


def describe(scene: Scene, frames: int = 10) -> str:
    """Return the alternative text of a clip: its background, every thing, and what happens in which frame (from 1)."""
    count = len(scene.things)
    parts = [f"Clip of {frames} frames, {scene.background} background, {count} thing{'s' * (count > 1)}."]
    for k, thing in enumerate(scene.things):
        moves = "still" if thing.path == "still" else f"moves {thing.path}, {thing.pace}"
        told = {
            "enter": "enters from the {}",
            "leave": "leaves by the {}",
            "bounce": "bounces off the {}",
            "change": "becomes {}",
            "behind": "goes behind the {}",
        }
        happens = "".join(
            f"; in frame {event.frame + 1} {told[event.kind].format(event.detail)}"
            for event in scene.events
            if event.thing == k
        )
        parts.append(f"{thing.size.capitalize()} {thing.name}: {moves}{happens}.")
    return " ".join(parts)


def strip_uri(frames: npt.NDArray[np.uint8], shades: int | None = SHADES) -> str:
    """Return frames uint8 (F, H, W, 3) side by side as a PNG data URI, in so many colours (None: in all of theirs).

    Raises ValueError for another shape or type.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not len(frames):
        raise ValueError(f"the clip is {frames.dtype} {frames.shape}, expected uint8 (frames, H, W, 3)")
    picture = Image.fromarray(np.concatenate(list(frames), axis=1))
    if shades is not None:
        picture = picture.quantize(shades, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def clip_html(frames: npt.NDArray[np.uint8], scene: Scene) -> str:
    """Return a clip as HTML: its frames with numbers, and a film that plays when its box is ticked.

    The pixels are there once, as a background that each frame shows a part of. Errors are those of `strip_uri`.
    """
    uri, count = strip_uri(frames), len(frames)
    shown = "".join(
        f'<span><i style="background-position:{100 * k / max(1, count - 1):.4g}% 0"></i>{k + 1}</span>'
        for k in range(count)
    )
    alt = escape(describe(scene, count))
    return (
        f'{STYLE}<div class="msig-clip" style="--clip:url(\'{uri}\');--whole:{100 * count}%;--frames:{count};'
        'display:flex;flex-wrap:wrap;gap:.75rem;justify-content:center;align-items:center">'
        f'<div class="msig-frames" role="img" aria-label="{alt}" '
        f'style="max-width:{5 * (EDGE + 4)}px">{shown}</div>'
        '<div style="text-align:center"><div class="msig-film" aria-hidden="true"></div>'
        '<label class="msig-play"><input type="checkbox"> play</label></div></div>'
    )


def marked(text: str, scene: Scene) -> list[tuple[str, str]]:
    """Return the clauses of a caption in order, each with "right", "wrong" or "open" by the scene.

    Open is what cannot be read, and what is neither right nor contradicted (one event before another of its frame).
    """
    right, out = claims_of(scene), []
    for sentence in filter(None, (part.strip() for part in normal(text).split("."))):
        subject, clauses = _clauses(sentence)
        for clause in clauses:
            whole = f"{subject} {clause}".strip()
            said: frozenset[Claim] = read_caption(f"{whole} .")
            kinds = {
                "right" if one in right else "wrong" if contradicts(one, scene) else "open" for one in said
            }
            out.append((whole, kinds.pop() if len(kinds) == 1 else "open"))
    return out


def _clauses(sentence: str) -> tuple[str, list[str]]:
    """Return what a sentence is about ("the red circle") and what it says of that, clause by clause."""
    words = sentence.split()
    event, before, later = sentence.partition(" before ")
    size = 1 + (1 if words[1:2] == [CLIP] else 2) if words[:1] == ["the"] else 0
    subject, rest = (
        (f"{event}{before}".strip(), later) if before else (" ".join(words[:size]), " ".join(words[size:]))
    )
    return subject, [part.strip() for part in rest.split(",") if part.strip()] or [""]


def caption_html(text: str, scene: Scene) -> str:
    """Return a caption as HTML: every claim with a tick or a cross by the scene, and what it leaves out.

    Clauses that only continue a sentence are shown without its subject.
    """
    parts, last = [], ""
    for sentence in filter(None, (part.strip() for part in normal(text).split("."))):
        subject, clauses = _clauses(sentence)
        if subject != last:
            parts.append(f"<strong>{escape(subject[:1].upper() + subject[1:])}</strong> ")
        last = subject
        said = [(clause, kind) for clause, (_, kind) in zip(clauses, marked(f"{sentence} .", scene))]
        parts.append("; ".join(f"{_sign(kind)} {escape(clause)}" for clause, kind in said) + ". ")
    missing = check_caption(text, scene).missing
    told = f"<p><em>Left out:</em> {escape(readable(write_caption(missing)))}</p>" if missing else ""
    return f"<p>{''.join(parts).strip()}</p>{told}"


def _sign(kind: str) -> str:
    colour = {"right": "var(--msig-good, inherit)", "wrong": "var(--msig-bad, inherit)"}.get(kind, "inherit")
    return f'<span role="img" aria-label="{kind}" style="color:{colour}">{MARKS[kind]}</span>'


def answers_html(
    answers: Sequence[str],
    by_caption: Sequence[tuple[int, str]],
    by_frames: Sequence[tuple[int, str]],
    pair: tuple[int, int] | None = None,
    *,
    right_from: int = 3,
) -> str:
    """Return a table of sampled answers with the score and explanation of both judges, and the pair that was drawn.

    `pair` has the places of the chosen and the rejected answer, None where all or none count as right. Answers that
    the two judges put on different sides of `right_from` are marked. ValueError for lists of different lengths.
    """
    sizes = {len(answers), len(by_caption), len(by_frames)}
    if len(sizes) > 1 or (pair is not None and not {*pair} <= {*range(len(answers))}):
        raise ValueError(
            f"{len(answers)} answers, {len(by_caption)} and {len(by_frames)} judgements and the pair {pair}: "
            "expected one judgement of each judge for every answer, and places of answers"
        )
    names = {} if pair is None else {pair[0]: "chosen", pair[1]: "rejected"}
    rows = []
    for place, (answer, (own, why), (true, because)) in enumerate(zip(answers, by_caption, by_frames)):
        apart = (own >= right_from) != (true >= right_from)
        cells = [
            f'<th scope="row">{escape(readable(answer)) or "(nothing)"}</th>',
            f"<td>{own} <small>{escape(why)}</small></td>",
            f"<td>{true} <small>{escape(because)}</small></td>",
            f"<td>{names.get(place, '')}{' ≠' * apart}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in ("answer", "by the caption", "by the clip", ""))
    return (
        '<div class="msig-scroll" role="region" tabindex="0" aria-label="Sampled answers and their scores" '
        'style="overflow-x:auto;max-width:100%"><table class="msig">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def shown_clip(
    frames: npt.NDArray[np.uint8], scene: Scene, texts: Sequence[tuple[str, str]], *, name: str, caption: str
) -> FigureOutput:
    """Return a figure: a clip with captions of it, each of `texts` (what it is, its text) with its claims marked.

    `name` and `caption` are those of `msig_lib.display.figure`, and so are the errors.
    """
    checked_name(name, "figure")
    checked_text(caption, f"the caption of figure {name!r}")
    told = "".join(
        f"<div><p><em>{escape(what)}</em></p>{caption_html(text, scene)}</div>" for what, text in texts
    )
    html = (
        f'<figure class="msig-figure" id="fig-{name}" style="margin:1em 0;color:{FOREGROUND}">'
        f"{clip_html(frames, scene)}{told}"
        f'<figcaption class="mathjax_process" style="margin-top:.5em">{inline(caption)}</figcaption></figure>'
    )
    return FigureOutput(
        name, html, digest({"frames": frames, "texts": [list(one) for one in texts]}), caption
    )


def judged_html(
    frames: npt.NDArray[np.uint8],
    scene: Scene,
    caption: str,
    question: tuple[str, str],
    answers: Sequence[str],
    by_caption: Sequence[tuple[int, str]],
    by_frames: Sequence[tuple[int, str]],
    pair: tuple[int, int] | None,
) -> str:
    """Return one clip with everything that a preference pair comes from: a frame of the page's explorer.

    `question` has its text and the expected answer; the others are those of `clip_html`, `caption_html` and
    `answers_html`.
    """
    text, reference = question
    return (
        f'<div style="max-width:100%;min-width:0">{clip_html(frames, scene)}{caption_html(caption, scene)}'
        f"<p><strong>{escape(readable(text))}</strong> (expected: {escape(reference)})</p>"
        f"{answers_html(answers, by_caption, by_frames, pair)}</div>"
    )
