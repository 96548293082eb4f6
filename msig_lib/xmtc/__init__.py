"""Chapter 2: extreme multi-label text classification with generated label descriptions (DEPL)."""
