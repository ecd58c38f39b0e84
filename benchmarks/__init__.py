"""How fast stickyd is, beside real peers."""
