"""The configuration file: ``--config``, or stickyd.toml in the working directory."""

from pathlib import Path

from stickyd.cli.option_table import DAEMON
from stickyd.cli.start.layers import Layer, of_file

CONFIGURATION = "stickyd.toml"
"""The file that is read without ``--config``, if it is in the working directory."""


def layer_of_file(given: str | None) -> Layer:
    """The options that the file gives.

    :param given: the value of ``--config``.
    :raise ValueError: with one line that names the file.
    """
    path = Path(given or CONFIGURATION)
    try:
        content = path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not given:
            return {}
        raise ValueError(f"--config: {path}: {error.strerror}") from None
    options = [option for option in DAEMON if option.name != "config"]
    return of_file(options, content, str(path))
