"""What ``stickyd run`` is started with: layers of options, and the kind of its app."""
