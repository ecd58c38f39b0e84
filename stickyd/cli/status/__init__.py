"""``stickyd status`` and ``stickyd top``: the figures of ``--control`` in a terminal."""
