"""What notebooks show: figures, tables, sentences and explorers that follow the page's theme."""

from msig_lib.display.colours import COLOURS, MUTED, NEUTRAL, PALETTE, PAPER, style
from msig_lib.display.explorers import Explorer, explorer
from msig_lib.display.figures import FigureOutput, figure
from msig_lib.display.tables import TableOutput, table
from msig_lib.display.words import DisplayError, inline, say

__all__ = [
    "COLOURS",
    "MUTED",
    "NEUTRAL",
    "PALETTE",
    "PAPER",
    "DisplayError",
    "Explorer",
    "FigureOutput",
    "TableOutput",
    "explorer",
    "figure",
    "inline",
    "say",
    "style",
    "table",
]
