# SPDX-License-Identifier: Apache-2.0
"""Waiting for what nobody announces, with a generous deadline."""
import os
import time


def until(check, why="it never came", seconds=20):
    """Asks again and again until check() is true, and returns what it gave. why: a text, or what makes one."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, why() if callable(why) else why
        time.sleep(0.05)
    return found


def descriptors(process):
    """How many the process has open."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))
