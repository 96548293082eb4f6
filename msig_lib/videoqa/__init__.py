"""Chapter 6: video question answering with captions as the evidence of the reward (LLaVA-Hound).

Rooms of the world, in the order that data flows: `render` (pictures), `scenes` and `drawing` (what happens, exactly),
`data` (clips and their splits), `facts` (what can be said of them), `captions`, `questions` and `reading` (what is said
and understood), `sight` (a tower that sees single frames), `judges`; then `signal`, `model`, `train`, `evaluate`.
`study` and `study_pairs` put these together; `display` and `browse` show clips and judged answers.
"""
