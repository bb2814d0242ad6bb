"""One run, from its row to its folder."""
