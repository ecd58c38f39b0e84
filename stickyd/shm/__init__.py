"""Memory that the master and its workers share."""
