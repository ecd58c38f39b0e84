"""The process that serves: takes connections from its slot's inbox, and gives some away."""
