"""Files of a run: its folder, parameters, checkpoints."""
