"""The process that accepts connections and decides where they go."""
