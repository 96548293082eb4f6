"""Chapter 3: zero-shot classification by self-training on generated text (GENCo).

Rooms, in the order that data flows: `data` (a task), `signal` and the generators `ngram`, `retrieval`,
`prompted`, `corpus_lm` (text that a model writes), `model` (what learns, and from what it reads), `train`
(self-training), `evaluate` and the baselines, `figures`; `classifier` is the whole as one estimator.
"""
