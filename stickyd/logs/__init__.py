"""Where log lines go: never waiting for whoever reads them, and with a level for each."""
