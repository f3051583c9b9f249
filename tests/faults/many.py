# SPDX-License-Identifier: Apache-2.0
"""burrow-many as the tests run it, and users of its clients' bridges."""
import asyncio
import os
import resource
import time

from harness.burrow import clean_environment, split_address
from harness.process import Process, parse_logfmt


def raise_descriptors():
    """Of this process, and of those that it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class Many(Process):
    """`count` clients many-0, many-1, … in one process. Its log is a file: thousands that say something at
    once fill a pipe, and burrow loses lines rather than wait."""

    def __init__(self, burrow, server, target, count, *flags, name="many"):
        self.count, self.path = count, os.path.join(burrow.folder, f"{name}-{id(self)}.log")
        super().__init__(name, ["sh", "-c", 'exec "$@" 2>"$0"', self.path, os.path.join(burrow.build, "tests", "faults", "burrow-many"), "--plugin-dir",
                                os.path.join(burrow.build, "lib", "burrow", "plugins"), "--server-url", server.url, "--client-id", name,
                                "--local-target", str(target), "--drain-timeout", "0s", *flags],
                         env=clean_environment(MANY_CLIENTS=str(count)))

    def mark(self):
        return os.path.getsize(self.path)

    def told(self, after=0):
        """The bridges that were told since."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, "rb") as log:
            log.seek(after)
            return [parse_logfmt(line.decode()) for line in log if b" event=service_ready " in line and b"\n" in line]

    def bridges(self, after=0):
        """Service name to bridge, of those that were told since."""
        return {e["service"]: split_address(e["bridge"]) for e in self.told(after)}

    def ready(self, seconds, after=0):
        """Waits until each has its bridge; returns them all."""
        deadline = time.monotonic() + seconds
        while len(bridges := self.bridges(after)) < self.count:
            assert self.running() and time.monotonic() < deadline, \
                f"{len(bridges)} of {self.count} clients are there; see {self.path}"
            time.sleep(0.5)
        return bridges


class EchoUsers:
    """Streams to the bridges, all open at once; the other end is an echo."""

    def __init__(self):
        self.open = []

    async def connect(self, bridges, count, at_once=100):
        gate = asyncio.Semaphore(at_once)

        async def one(number):
            async with gate:
                return await asyncio.wait_for(asyncio.open_connection(*bridges[number % len(bridges)]), 60)
        self.open = await asyncio.gather(*map(one, range(count)))

    async def exchange(self, size):
        """Each sends bytes that no other has and gets them back; returns how many bytes were compared."""
        async def one(number, reader, writer):
            data = (b"%015d " % number) * (size // 16)
            writer.write(data)
            assert await asyncio.wait_for(reader.readexactly(len(data)), 120) == data, f"stream {number}"
            return len(data)
        return sum(await asyncio.gather(*(one(i, *ends) for i, ends in enumerate(self.open))))

    async def ended(self, seconds):
        """Waits until all of them are closed from the other side."""
        async def one(reader, writer):
            try:
                assert await asyncio.wait_for(reader.read(1), seconds) == b""
            except ConnectionError:
                pass
            writer.close()
        await asyncio.gather(*(one(*ends) for ends in self.open))
        self.open = []


async def echo(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
