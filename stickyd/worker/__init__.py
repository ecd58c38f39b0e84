"""A worker process: serves the connections of a slot, and moves the others to theirs."""
