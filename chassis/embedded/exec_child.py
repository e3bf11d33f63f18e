"""Turns itself into a server: drops to an account, ties its life to its parent's, executes the program.

Run as a script by `chassis.embedded.children`. It is a program of its own, and no `preexec_fn`, because
changing the user clears the death signal, so both must happen in this order inside the child, and Python
code between fork and exec can deadlock in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

# What the interpreter needs to start it gets from the caller; no PG* variable of theirs reaches a server.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def main(parent_pid: int, death_signal: int, uid: int, gid: int, command: list[str]) -> None:
    """Replace this process by `command`; a negative `uid` keeps the user."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before the line above: nobody would tell us
            sys.exit("the process that started this server is gone")
    os.execve(command[0], command, _ENVIRONMENT)  # noqa: S606  # the command is the launcher's own


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
