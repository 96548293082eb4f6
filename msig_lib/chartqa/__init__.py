"""Chapter 7: visual reasoning from generated traces (LLaVA-Reasoner).

Rooms of the world, in the order that data flows: `render` (pictures), `data` (charts with their exact
tables), `traces` (reasoning that is checked step by step), `questions`, `display` (what a page shows of
them); `real` loads the sample of ChartQA and `metrics` has its accuracy.
"""
