# SPDX-License-Identifier: Apache-2.0
"""Real programs as targets, each with a folder of its own and no trace left behind."""
import glob
import os
import shutil
import subprocess
import tempfile

from harness.wait import PATIENCE, until

NGINX = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    log_format source '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr '
                      '$proxy_protocol_server_port $request_uri';
    access_log {access};
    sendfile on;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port}{listen};
        root {folder}/root;
        location /up/ {{ dav_methods PUT DELETE; }}
    }}
}}
"""
USER = "postgres" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root


class Nginx:
    def __init__(self, folder, port, proxy_protocol=False):
        """proxy_protocol: demands its header and logs what that tells, line by line."""
        self.folder, self.port = str(folder), port
        os.chmod(self.folder, 0o755)
        for name in ("root", "root/up", "body"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        self.access = os.path.join(self.folder, "access.log")
        conf = os.path.join(self.folder, "nginx.conf")
        with open(conf, "w") as file:
            # Workers of a root's nginx run as another user, who could not write here.
            file.write(("user root;" if os.getuid() == 0 else "") +
                       NGINX.format(folder=self.folder, port=self.port,
                                    listen=" proxy_protocol" if proxy_protocol else "",
                                    access=f"{self.access} source" if proxy_protocol else "off"))
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(["nginx", "-c", conf, "-p", self.folder, "-e", "stderr"],
                                        stdin=subprocess.DEVNULL, stderr=self.log)
        subprocess.run(["curl", "-sS", "--retry", "50", "--retry-connrefused", "--retry-delay", "0",
                        "--retry-max-time", str(PATIENCE), "-o", os.devnull, f"http://127.0.0.1:{self.port}/ready"] +
                       (["--haproxy-protocol"] if proxy_protocol else []), check=True)

    def __str__(self):
        return f"127.0.0.1:{self.port}"

    def path(self, name):
        return os.path.join(self.folder, "root", name)

    def sources(self, uri, count):
        """The fields that are logged for requests of this URI, once there are that many."""
        def logged():
            with open(self.access) as log:
                return [line.split() for line in log if line.split()[-1:] == [uri]]
        until(lambda: len(logged()) >= count, lambda: f"nginx has logged {logged()} of {uri}")
        return logged()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()
        shutil.rmtree(self.folder)  # gigabytes that pytest would keep


class Redis:
    """Reachable at `port` of the loopback, or with port 0 only by the socket `path`."""

    def __init__(self, folder, port):
        self.port, self.path = port, os.path.join(str(folder), "redis.sock")
        self.process = subprocess.Popen(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "",
                                         "--unixsocket", self.path, "--appendonly", "no", "--dir", str(folder)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if "eady to accept connections" in line and (port == 0 or "unix" not in line):
                break
        else:
            raise AssertionError("redis-server did not start")

    def __str__(self):
        return f"127.0.0.1:{self.port}" if self.port else f"unix:{self.path}"

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


def as_user(*argv):
    return ["runuser", "-u", USER, "--", *argv] if USER else list(argv)


class Cluster:
    """A PostgreSQL cluster, reachable by TCP alone."""

    def __init__(self, free_port):
        self.folder = tempfile.mkdtemp(prefix="burrow-pg-")
        self.port = free_port
        if USER:
            shutil.chown(self.folder, USER)
        folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
        self.bin = folders[-1]
        self.data = os.path.join(self.folder, "data")
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync")
        options = (f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories= "
                   "-c fsync=off -c max_wal_size=2GB")
        self.run("pg_ctl", "-D", self.data, "-w", "-l", os.path.join(self.folder, "log"), "-o", options, "start")

    def __str__(self):
        return f"127.0.0.1:{self.port}"

    def run(self, tool, *argv):
        done = subprocess.run(as_user(os.path.join(self.bin, tool), *argv), cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"{tool}: {done.stdout}"

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")
        shutil.rmtree(self.folder)


def psql(address, *argv, **options):
    host, port = address
    return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", str(port), "-U",
                           "postgres", "-d", "postgres", *argv], check=True, **options)
