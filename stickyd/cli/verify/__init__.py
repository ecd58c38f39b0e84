"""Black-box check of any HTTP server: does every request reach its client's own worker?

``confidence``, ``plan``, ``answer``, ``judging`` and ``table`` are pure;
``connection`` and ``tls`` are the network, ``run`` asks, ``command`` is the
command line.
"""
