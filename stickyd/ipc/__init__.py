"""How a connection changes hands: the frame that describes it, and the inbox it travels through."""
