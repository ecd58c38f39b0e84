"""``stickyd replay``: where the clients of an access log would be placed."""
