# SPDX-License-Identifier: Apache-2.0
"""Thousands of clients on one server: their streams are byte-exact, and when the server dies all come back,
each in its own time."""
import asyncio
import datetime
import time

from many import EchoUsers, Many, echo, raise_descriptors

OPEN_TO_ALL = ("--plugin", "transport-ws", "--plugin", "auth-none", "--bridge-port-range", "10000-30000")
BACK = 60.0


def seconds_since(start, event):
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp() - start


def spread(times):
    """A line of what came back in each second."""
    return " ".join(str(sum(i <= t < i + 1 for t in times)) for i in range(int(max(times)) + 1))


async def life(world, clients, streams, slack, say):
    service = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=4096)
    port = service.sockets[0].getsockname()[1]
    server = world.server("ws", *OPEN_TO_ALL, auth=False)
    before = server.memory_kib("VmRSS")
    start = time.monotonic()
    many = Many(world.burrow, server, f"127.0.0.1:{port}", clients)
    world.processes.append(many)
    bridges = await asyncio.to_thread(many.ready, 300)
    say(f"{clients} clients connected in {time.monotonic() - start:.1f} s; "
        f"{(server.memory_kib('VmRSS') - before) / clients:.1f} KiB of the server and "
        f"{many.memory_kib('VmRSS') / clients:.1f} KiB of the clients each")

    users = EchoUsers()
    await users.connect(list(bridges.values()), streams)
    total = await users.exchange(16384)
    say(f"{streams} streams open at once, {total >> 20} MiB there and back byte-exact")

    address, after, killed = server.main, many.mark(), time.time()
    server.kill()
    world.processes.remove(server)
    server = world.server("ws", *OPEN_TO_ALL, auth=False, main="%s:%d" % address)
    await users.ended(60)
    again = await asyncio.to_thread(many.ready, BACK + 60 * slack, after)
    times = sorted(seconds_since(killed, e) for e in many.told(after))
    say(f"back after the server's death: {times[0]:.1f} s, {times[len(times) // 2]:.1f} s, "
        f"{times[-1]:.1f} s (first, half, last); in each second: {spread(times)}")
    assert times[-1] <= BACK + slack
    assert times[len(times) * 9 // 10] - times[len(times) // 10] > 0.25, "all came at the same moment"
    # Those whose places in the range are the same may change them, as operations.md says: of 5,000 in
    # 20,001 ports 659 on average when all come in another order.
    moved = sum(again[name] != bridges[name] for name in bridges)
    say(f"{moved} bridges moved")
    assert moved <= max(10, clients * clients // 30000), "more bridges moved than can have met"
    await users.connect(list(again.values()), streams)
    await users.exchange(4096)
    for _, writer in users.open:
        writer.close()
    service.close()


def test_thousands_of_clients_are_byte_exact_and_come_back_with_jitter(world, sized, slack, say):
    clients, streams = sized(5000, 300), sized(4000, 240)
    assert raise_descriptors() >= 2 * clients + streams + 200, "too few descriptors: ulimit -Hn"
    asyncio.run(life(world, clients, streams, slack, say))
