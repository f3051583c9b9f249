# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces with a cable between them that can be cut: one for the server and its users, one
for the client and its targets."""
import contextlib
import ctypes
import os
import subprocess

SERVER, CLIENT = "10.77.0.1", "10.77.0.2"
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def command(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}"
    return done.stdout


class Network:
    def __init__(self):
        assert os.geteuid() == 0, "network namespaces need root"
        self.names = {side: f"burrow-{os.getpid()}-{side}" for side in ("server", "client")}
        try:
            for name in self.names.values():
                command("ip", "netns", "add", name)
            self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self):
        server, client = self.names["server"], self.names["client"]
        command("ip", "-n", server, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", client)
        for name, address in ((server, SERVER), (client, CLIENT)):
            command("ip", "-n", name, "address", "add", address + "/24", "dev", "cable")
            command("ip", "-n", name, "link", "set", "lo", "up")
            command("ip", "-n", name, "link", "set", "cable", "up")
        with self.inside("server"):
            command("nft", "add table inet cut")
            for hook in ("input", "output"):
                command("nft", f"add chain inet cut {hook} {{ type filter hook {hook} priority 0; }}")

    @contextlib.contextmanager
    def inside(self, side):
        """Sockets and processes that this thread makes meanwhile belong to that side."""
        with open("/proc/thread-self/ns/net") as own, open(f"/run/netns/{self.names[side]}") as other:
            self._enter(other)
            try:
                yield
            finally:
                self._enter(own)

    @staticmethod
    def _enter(namespace):
        if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def drop(self, *ways):
        """Loses all packets; ways: "up" is to the server, "down" is from it."""
        with self.inside("server"):
            if "up" in ways:
                command("nft", 'add rule inet cut input iifname "cable" drop')
            if "down" in ways:
                command("nft", 'add rule inet cut output oifname "cable" drop')

    def link(self, state):
        command("ip", "-n", self.names["client"], "link", "set", "cable", state)

    def heal(self):
        with self.inside("server"):
            command("nft", "flush table inet cut")
        self.link("up")

    def connections(self, side):
        """What the kernel holds of TCP: lines of ss, without listeners and TIME-WAIT."""
        lines = command("ip", "netns", "exec", self.names[side], "ss", "-Htan").splitlines()
        return [line for line in lines if line.split()[0] not in ("LISTEN", "TIME-WAIT")]

    def close(self):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)
