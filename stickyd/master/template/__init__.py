"""``--preload``: the processes that import the app, and from which workers are forked."""
