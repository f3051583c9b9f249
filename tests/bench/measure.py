# SPDX-License-Identifier: Apache-2.0
"""What the bench reads of processes from /proc: CPU, memory, and whether others disturb."""
import os
import re
import time

TICK = os.sysconf("SC_CLK_TCK")


def descendants(pid):
    """pid and all of its living descendants."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as children:
                for child in children.read().split():
                    found += descendants(int(child))
    except OSError:
        pass
    return found


def cpu_seconds(pids):
    """Used so far by these processes, their living descendants and the dead ones waited for."""
    ticks = 0
    for pid in {d for p in pids for d in descendants(p)}:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                ticks += sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:15]))
        except OSError:
            pass
    return ticks / TICK


def others_cpu_seconds(mine):
    """Used so far by every process but these, their descendants and this one."""
    skip = {d for p in mine for d in descendants(p)} | {os.getpid()}
    ticks = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in skip:
            try:
                with open(f"/proc/{name}/stat") as stat:
                    ticks += sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:15]))
            except OSError:
                pass
    return ticks / TICK


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"^VmRSS:\s+(\d+)", status.read(), re.M).group(1))


def wait_until_quiet(mine, below=0.08, limit=30):
    """Waits until others use less than this share of a core; returns their last share."""
    end = time.monotonic() + limit
    while True:
        before, t = others_cpu_seconds(mine), time.monotonic()
        time.sleep(0.5)
        share = (others_cpu_seconds(mine) - before) / (time.monotonic() - t)
        if share < below or time.monotonic() > end:
            return share


def machine():
    """One line that says what the figures were made on."""
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as control:
        congestion = control.read().strip()
    with open("/proc/cpuinfo") as info:
        model = re.search(r"^model name\s*:\s*(.*)$", info.read(), re.M)
    return (f"{os.cpu_count()} cores ({model.group(1) if model else os.uname().machine}), Linux "
            f"{os.uname().release}, TCP congestion control {congestion}, all on loopback")
