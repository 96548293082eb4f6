"""Chapter 6: video question answering with captions as the evidence of the reward (LLaVA-Hound)."""
