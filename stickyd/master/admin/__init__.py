"""The listener of ``--admin``: metrics, health, status."""
