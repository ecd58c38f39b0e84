"""What makes an app of each kind from its name; a worker imports only that of its kind."""
