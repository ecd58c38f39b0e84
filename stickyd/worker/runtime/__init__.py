"""The worker process itself: event loop, standard output, garbage collector."""
