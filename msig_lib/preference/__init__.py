"""Learning from which answer is better: pairs, DPO, selected answers, verifiers, credit (chapters 6 and 7).

The room knows no texts and no images. It works on log-probabilities [B, L] with masks, on outcomes or scores
[S] of samples, and on groups [S], the questions that the samples answer. Rooms in the order that data flows:
`pairs` and `selection` (what to train on), `dpo` (the loss, token rewards, truncation) and `train` (its loop),
`verifiers` (which of N samples to answer with) and `credit` (where a trace went wrong).
"""
