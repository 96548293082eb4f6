"""Windows of recordings found by a plain search."""

from __future__ import annotations


def frames_of(series):
    return set(series.X.astype(int).ravel().tolist())


def brute_force(labels, window):
    """Every window with exactly one change, in the asked range: {change: set of positions}."""
    found = {}
    for start in range(len(labels) - window.frames + 1):
        piece = labels[start : start + window.frames]
        changed = [t for t in range(1, window.frames) if piece[t] != piece[t - 1]]
        if len(changed) == 1 and window.low <= changed[0] <= window.high:
            found.setdefault(start + changed[0], set()).add(changed[0])
    return found
