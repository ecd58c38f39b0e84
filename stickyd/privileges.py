"""Whose rights a process has: credentials(7)."""

import os


def give_up_the_rest() -> None:
    """Make real and saved user and group what the effective ones are.

    ``twistd --euid`` keeps root's for the master to come back to; an app must
    not find them. Needs no privilege (setresuid(2)), and ends what capabilities
    are left (capabilities(7)).
    """
    gid, uid = os.getegid(), os.geteuid()
    # Only where it matters: a system call filter may forbid even the attempt.
    if os.getresgid() != (gid, gid, gid):
        os.setresgid(gid, gid, gid)
    if os.getresuid() != (uid, uid, uid):
        os.setresuid(uid, uid, uid)


def is_root() -> bool:
    """Whether this process may do everything."""
    return os.geteuid() == 0
