"""The life of workers under load, against a real daemon.

    python -m tests.slow.life [SCENARIO...] [--rounds N] [-- DAEMON OPTIONS]

Two clients load it while workers are replaced, scaled, killed and stopped: wrk
(apt-get install wrk) on a hello page, and one of our own (`load`) that checks
every answer and never sends anything twice. One line is printed for each
result; the exit status is 1 if one that must hold does not.
"""
