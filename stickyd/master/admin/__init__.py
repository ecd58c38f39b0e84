"""The listener of ``--admin``: metrics, health, status."""

MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: where the processes of an app keep their values.

Here, since the master imports that library only if it needs it.
"""
