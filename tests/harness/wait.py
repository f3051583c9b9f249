# SPDX-License-Identifier: Apache-2.0
"""How long the tests wait, and waiting for what nobody announces."""
import os
import time

# Seconds until what must happen is given up: far more than it takes, since a busy machine is slow and may pause, and
# less than the default --heartbeat-timeout, so that what nothing but that one ends has failed.
PATIENCE = 25


def until(check, why="it never came", seconds=PATIENCE):
    """Asks again and again until check() is true, and returns what it gave. why: a text, or what makes one."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, why() if callable(why) else why
        time.sleep(0.05)
    return found


def descriptors(process):
    """How many the process has open."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))
