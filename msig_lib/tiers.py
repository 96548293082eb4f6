"""The tiers at which a notebook runs."""

from __future__ import annotations

from typing import Literal, get_args

Tier = Literal["smoke", "quick", "full", "paper"]
TIERS: tuple[Tier, ...] = get_args(Tier)  # from fast to slow
