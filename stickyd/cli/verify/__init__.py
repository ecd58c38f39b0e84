"""Black-box check of any HTTP server: does every request reach its client's own worker?

``statistics``, ``scenarios``, ``response``, ``verdict`` and ``report`` are pure;
``connection`` and ``tls`` do I/O, ``runner`` sends the requests, ``command`` and
``options`` are the command line.
"""
