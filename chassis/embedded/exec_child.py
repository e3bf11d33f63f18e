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

# This interpreter needs what the caller's needs; a server gets none of the caller's secrets and PG* settings.
_CLEAN = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def main(arguments: list[str]) -> None:
    """Replace this process by a program.

    Arguments: the parent's process id, the death signal, user and group id (negative: as they are), `given`
    or `clean` for the program's environment, and the program with its arguments.
    """
    parent_pid, death_signal, uid, gid = map(int, arguments[:4])
    environment = dict(os.environ) if arguments[4] == "given" else _CLEAN
    command = arguments[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before the line above: nobody would tell us
            sys.exit("the process that started this server is gone")
    os.execve(command[0], command, environment)  # noqa: S606  # the command is the launcher's own


if __name__ == "__main__":
    main(sys.argv[1:])
