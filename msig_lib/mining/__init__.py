"""Chapter 5: a model that mines questions and answers from documents, and the chatbot that learns them (LLMiner)."""
