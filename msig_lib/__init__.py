"""Methods, runner and ledger of the book on model-generated training signals."""
