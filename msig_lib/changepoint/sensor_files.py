"""Read the files of ActRecTut, KL-CPD's series and PAMAP2 as continuous recordings.

Every reader takes the path of one verified file (`msig_lib.datasets.load`) and raises ValueError that names it
when its content is not what the format says.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from msig_lib.changepoint.sensor_windows import Dating, Recording, bridged
from msig_lib.datasets import archive

# Names of the labels 1, 2, ... and the sensors' places, as the authors' settings.m lists them.
NO_ACTIVITY = 1
ACTIVITIES = {
    "walk": ("no activity", "sitting", "standing", "walking", "walking down", "walking up"),
    "gesture": (
        "no activity",
        *("opening a window", "drinking", "watering a plant", "closing a window", "cutting", "chopping"),
        *("stirring", "reading a book", "forehand", "backhand", "smash"),
    ),
}
PLACES = {
    "walk": ("right hip", "right lower arm", "right ankle", "right upper leg"),
    "gesture": ("right hand", "right lower arm", "right upper arm"),
}
# Columns of one sensor in the file. In `walk` a third gyroscope axis is listed that nothing is connected to:
# it stays within 409..422 counts (standard deviation 2) whatever is done, and settings.m does not name it.
COLUMNS = {"walk": 6, "gesture": 5}
FEATURES = ("acceleration x", "acceleration y", "acceleration z", "rotation x", "rotation y")

PAMAP2_ACTIVITIES = {
    **{0: "transient", 1: "lying", 2: "sitting", 3: "standing", 4: "walking", 5: "running", 6: "cycling"},
    **{7: "Nordic walking", 9: "watching TV", 10: "computer work", 11: "car driving"},
    **{12: "ascending stairs", 13: "descending stairs", 16: "vacuum cleaning", 17: "ironing"},
    **{18: "folding laundry", 19: "house cleaning", 20: "playing soccer", 24: "rope jumping"},
}
PAMAP2_PLACES = ("hand", "chest", "ankle")
PAMAP2_COLUMNS = 54
INNER = "PAMAP2_Dataset.zip"  # what the repository's zip holds, beside a PDF
# Of an IMU's 17 columns: temperature, acceleration in the 16 g range (the 6 g one saturates in running, say the
# authors, and is not calibrated as well), gyroscope, magnetometer. Left out: 6 g range, orientation (invalid).
_OF_IMU = (0, 1, 2, 3, 7, 8, 9, 10, 11, 12)
_PAMAP2_SIGNAL = [3 + 17 * imu + column for imu in range(3) for column in _OF_IMU]
_MOST = 50_000_000  # numbers of a matrix: far above every file here, below what fills the memory


def actrectut_recording(path: Path, part: str, person: str, *, bridge: int, dated: Dating) -> Recording:
    """Return one file of ActRecTut, signal (T, 4, 5) for part "walk" and (T, 3, 5) for "gesture", at 32 Hz.

    Features as in `FEATURES`: acceleration in thousandths of g, rotation in counts of the converter.
    `bridge` and `dated` say what becomes of short stretches without activity (`sensor_windows.bridged`).
    """
    width = COLUMNS[part]
    data, labels = _matrices(path, "data", "labels")
    if data.shape[1] != width * len(PLACES[part]) or labels.shape != (len(data), 1):
        raise ValueError(
            f"{path}: data has shape {data.shape} and labels {labels.shape}, expected (frames, "
            f"{width * len(PLACES[part])}) and (frames, 1) for part {part!r}"
        )
    activities = dict(enumerate(ACTIVITIES[part], start=1))
    if strange := sorted(set(np.unique(labels).tolist()) - set(activities)):
        raise ValueError(f"{path}: labels {strange} are none of 1..{len(activities)} of part {part!r}")
    signal = data.reshape(len(data), len(PLACES[part]), width)[:, :, : len(FEATURES)]
    steps = bridged(labels[:, 0], NO_ACTIVITY, bridge, dated)
    return Recording(signal.astype(np.float32), steps, activities, person)


def klcpd_recording(path: Path) -> Recording:
    """Return one file of KL-CPD's series, signal (T, N, 1) with the channels as variables.

    A 1 in L is taken as the first frame after the change (the file does not say on which side it lies).
    """
    signal, marks = _matrices(path, "Y", "L")
    if marks.shape != (len(signal), 1) or not np.isin(marks, (0, 1)).all():
        raise ValueError(
            f"{path}: L has shape {marks.shape}, expected ({len(signal)}, 1), of 0 and 1 (a change)"
        )
    labels = np.cumsum(marks[:, 0]).astype(np.int64)
    return Recording(signal[:, :, None].astype(np.float32), labels, None, path.stem)


def _matrices(path: Path, *names: str) -> list[np.ndarray]:
    """Return real numeric matrices float64 (rows, columns) of a MATLAB 5 file.

    What the file declares is looked at before anything is read: cells, structures, objects, functions and
    characters are refused.
    """
    try:
        declared = {name: (shape, kind) for name, shape, kind in whosmat(path)}
        for name in names:
            shape, kind = declared.get(name, ((), "missing"))
            if not re.fullmatch(r"double|single|logical|u?int(8|16|32|64)", kind):
                raise ValueError(f"variable {name!r} is {kind}, expected a matrix of numbers")
            if len(shape) != 2 or not 0 < np.prod(shape, dtype=float) <= _MOST:
                raise ValueError(f"variable {name!r} has shape {shape}, expected (frames, channels)")
        found = loadmat(path, variable_names=names)
    except (ValueError, TypeError, NotImplementedError, MatReadError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read as a MATLAB 5 file of numbers ({error})") from error
    matrices = [found[name] for name in names]
    for name, matrix in zip(names, matrices):
        if np.iscomplexobj(matrix) or not np.isfinite(matrix).all():
            raise ValueError(
                f"{path}: {name} holds complex numbers, NaN or infinity, expected finite numbers"
            )
    return [matrix.astype(np.float64) for matrix in matrices]


def pamap2_recordings(
    path: Path, *, bridge: int, dated: Dating, longest_gap: int
) -> dict[str, list[Recording]]:
    """Return the recordings of PAMAP2's zip, signal (T, 3, 10) at 100 Hz, as lists by person ("101", ...).

    The zip holds the .dat files, or the zip of them (as the repository serves it). Missing values are
    interpolated linearly; where more than `longest_gap` frames are missing in any column, or in time, the
    recording is divided into two and the gap left out.
    """
    if longest_gap < 0:
        raise ValueError(f"longest_gap is {longest_gap}, expected 0 frames or more")
    found: dict[str, list[Recording]] = {}
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / INNER
        with archive.opened(path, INNER) as stream:
            if stream is not None:
                with inner.open("wb") as out:
                    shutil.copyfileobj(stream, out)
        for member, content in archive.contents(inner if inner.exists() else path):
            if named := re.fullmatch(r"subject(\d+)\.dat", member.name):
                table = _table(content, f"{path}, {member}")
                labels = bridged(table[:, 1].astype(np.int64), 0, bridge, dated)
                pieces = _pieces(table[:, 0], labels, table[:, 2:], longest_gap, named[1])
                found.setdefault(named[1], []).extend(pieces)
    if not found:
        raise ValueError(
            f"{path}: holds no subject<number>.dat, expected PAMAP2's Protocol and Optional files"
        )
    return dict(sorted(found.items()))


def _table(content: bytes, where: str) -> np.ndarray:
    """Return time, label and the 30 columns of the signal of one .dat file, float64 (T, 32), NaN where missing."""
    width = len(content[: content.find(b"\n")].split())
    if width != PAMAP2_COLUMNS:
        raise ValueError(f"{where}: {width} columns in the first line, expected {PAMAP2_COLUMNS}")
    wanted = [0, 1, *_PAMAP2_SIGNAL]
    try:
        frame = pd.read_csv(io.BytesIO(content), sep=r"\s+", header=None, usecols=wanted, dtype=np.float64)
    except ValueError as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{where}: not a table of numbers ({error})") from error
    table = frame.to_numpy()
    if not np.isfinite(table[:, :2]).all() or (table[:, 1] % 1).any() or (np.diff(table[:, 0]) <= 0).any():
        raise ValueError(
            f"{where}: expected a time that increases and a whole activity number in columns 1 and 2"
        )
    return table


def _pieces(
    time: np.ndarray, labels: np.ndarray, signal: np.ndarray, longest_gap: int, person: str
) -> Iterator[Recording]:
    """Yield the stretches between long gaps, with short gaps interpolated over time."""
    lost = np.zeros(len(time), dtype=bool)
    signal = signal.copy()
    for column in signal.T:  # views: filled in place
        missing = np.isnan(column)
        borders = [0, *(np.flatnonzero(np.diff(missing)) + 1).tolist(), len(time)]
        for a, b in pairwise(borders):
            lost[a:b] |= missing[a] and (b - a > longest_gap or missing.all())
        if missing.any() and not missing.all():
            column[missing] = np.interp(time[missing], time[~missing], column[~missing])
    step = np.diff(time)
    jump = step > (longest_gap + 1.5) * np.median(step) if len(step) else np.zeros(0, dtype=bool)
    ends = np.flatnonzero((np.diff(lost) != 0) | jump) + 1
    for a, b in pairwise([0, *ends.tolist(), len(time)]):
        if not lost[a]:
            cube = signal[a:b].reshape(b - a, len(PAMAP2_PLACES), len(_OF_IMU)).astype(np.float32)
            yield Recording(cube, labels[a:b], PAMAP2_ACTIVITIES, person)
