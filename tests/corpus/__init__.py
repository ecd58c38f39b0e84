"""Requests, each in a file with the answers it must get; ``make_corpus`` writes them."""
