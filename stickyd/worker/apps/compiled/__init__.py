"""What the compiled engine is told of apps, by their kind."""
