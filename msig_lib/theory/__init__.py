"""The thesis's two theory sections as functions: random projections (2.4) and margins (3.4.1, 3.6)."""
