"""The options of the daemon by subject, joined in `stickyd.cli.option_table`."""
