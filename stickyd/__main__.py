"""``python -m stickyd``, and the console command ``stickyd``."""

import sys


def main() -> int:
    """Run a command; its exit status."""
    if sys.argv[1:2] == ["status"]:
        # Health checks run it every few seconds: it does without the modules of the others.
        from stickyd.cli.closed_pipe import status_of
        from stickyd.cli.status.command import status

        return status_of(lambda: status(sys.argv[2:]))
    from stickyd.cli.main import main as any_command

    return any_command()


if __name__ == "__main__":
    sys.exit(main())
