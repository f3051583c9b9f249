# SPDX-License-Identifier: Apache-2.0
"""Rows of test_every_option.py: the server's options that belong to auth plugins which ask somebody or read
a file, and to the registry for Kubernetes."""
import json
import threading

from every_option import ping, row
from harness.authority import Authority
from harness.provider import Key, Provider, knock
from harness.tokens import TokenFile
from harness.wait import descriptors, until
from test_auth_http import Service, allow
from test_kubernetes_answers import Api, Cluster

NO_JWT = {"jwt_hmac_secret": False, "jwt_issuer": False, "jwt_audience": False}
ANY_ADDRESS = "0.0.0.0"  # is this machine, and no loopback address by its name


# ---- auth-jwks ----

class KeySet:
    """A provider with one key, and what a server needs to ask it."""

    def __init__(self, t, **options):
        self.key = Key("k1")
        self.provider = Provider(self.key, **options)
        t.world.closing.append(self.provider)
        self.url = f"{self.provider.url}/jwks"
        self.settings = {"jwt_hmac_secret": False, "jwt_alg": "ES256", "jwks_url": self.url}
        self.token = self.key.token("c")


def by_key_set(t, keys, server):
    server.wait_event("jwks_loaded")
    assert ping(t.client(server, bearer_token=keys.token).bridge)


@row("server", "jwks-url")
def jwks_url(t):
    keys = KeySet(t)
    by_key_set(t, keys, t.server(keys.url, **{**keys.settings, "jwks_url": False}))


@row("server", "jwks-refresh")
def jwks_refresh(t):
    keys = KeySet(t)
    t.server("100ms", **keys.settings)
    keys.provider.wait_requests(4)  # by default it is one in five minutes


@row("server", "jwks-keep")
def jwks_keep(t):
    keys = KeySet(t)
    server = t.server("2s", jwks_refresh="100ms", **keys.settings)
    server.wait_event("jwks_loaded")
    until(lambda: knock(server, keys.token)[0] == 101)
    keys.provider.manner = lambda _, request: request.reply(500)
    until(lambda: knock(server, keys.token)[0] != 101)  # by default it is let in for a day
    server.wait_event("jwks_expired")


@row("server", "jwks-ca")
def jwks_ca(t):
    keys = KeySet(t, certificate=t.burrow.certificate)
    t.server(**keys.settings).wait_event("jwks_failed")
    by_key_set(t, keys, t.server(t.burrow.certificate[0], **keys.settings))


@row("server", "jwks-allow-http")
def jwks_allow_http(t):
    keys = KeySet(t)
    settings = {**keys.settings, "jwks_url": keys.url.replace("127.0.0.1", ANY_ADDRESS)}
    assert "--jwks-allow-http" in t.refused("server", False, **settings)
    by_key_set(t, keys, t.server(None, **settings))


# ---- auth-http ----

class Judge(Service):
    """A service that knows some tokens, and what a server needs to ask it."""

    def __init__(self, t, **options):
        super().__init__({token: allow("c") for token in ("t1", "t2")}, **options)
        t.world.closing.append(self)
        self.place = f"{self.url}/judge"
        self.settings = {**NO_JWT, "auth_http_url": self.place}

    def knocks(self, server, *tokens):
        """Clients with these tokens come at the same time; ends() waits for their statuses."""
        statuses = []
        threads = [threading.Thread(target=lambda token=token: statuses.append(knock(server, token)[0]))
                   for token in tokens]
        for thread in threads:
            thread.start()

        def ends():
            for thread in threads:
                thread.join(30)
            return statuses
        return ends


@row("server", "auth-http-url")
def auth_http_url(t):
    judge = Judge(t)
    assert ping(t.client(t.server(judge.place, **NO_JWT), bearer_token="t1").bridge)


@row("server", "auth-http-ca")
def auth_http_ca(t):
    judge = Judge(t, certificate=t.burrow.certificate)
    assert knock(t.server(**judge.settings), "t1")[0] == 503
    assert ping(t.client(t.server(t.burrow.certificate[0], **judge.settings), bearer_token="t1").bridge)


@row("server", "auth-http-timeout")
def auth_http_timeout(t):
    judge = Judge(t)
    judge.hold = threading.Event()
    server = t.server("200ms", **judge.settings)
    assert knock(server, "t1")[0] == 503
    assert "not done within 200 ms" in server.wait_event("auth_http_failing")["reason"]
    judge.hold.set()


@row("server", "auth-http-max-requests")
def auth_http_max_requests(t):
    for value, at_once in ((False, 2), ("1", 1)):
        judge = Judge(t)
        judge.hold = threading.Event()
        server = t.server(value, **judge.settings)
        before = descriptors(server)
        ends = judge.knocks(server, "t1", "t2")
        until(lambda: judge.at_once == at_once and descriptors(server) >= before + 2)
        judge.hold.set()
        assert ends() == [101, 101]
        assert judge.most == at_once


@row("server", "auth-http-cache")
def auth_http_cache(t):
    for value, questions in ((False, 1), ("0", 3)):
        judge = Judge(t)
        judge.fields = {"Cache_Control": "max-age=600"}
        server = t.server(value, **judge.settings)
        assert [knock(server, "t1")[0] for _ in range(3)] == [101] * 3
        assert judge.requests == questions


@row("server", "auth-http-allow-http")
def auth_http_allow_http(t):
    judge = Judge(t)
    settings = {**NO_JWT, "auth_http_url": judge.place.replace("127.0.0.1", ANY_ADDRESS)}
    assert "--auth-http-allow-http" in t.refused("server", False, **settings)
    assert knock(t.server(None, **settings), "t1")[0] == 101


# ---- auth-static, auth-mtls ----

@row("server", "auth-static-file")
def auth_static_file(t):
    tokens = TokenFile(t.folder)
    token = tokens.add("a-token-of-the-tests-5e884898da28047151d0e56f8dc62927", "c")
    assert ping(t.client(t.server(tokens.path, **NO_JWT), bearer_token=token).bridge)


@row("server", "mtls-subject")
def mtls_subject(t):
    cert, key = t.burrow.certificate
    authority = Authority(t.folder / "authority")
    own_cert, own_key = authority.issue("/CN=somebody", "DNS:c")
    shown = {"tls_ca": cert, "tls_cert": own_cert, "tls_key": own_key, "bearer_token": False}
    settings = {**NO_JWT, "tls_cert": cert, "tls_key": key, "tls_client_ca": authority.ca}
    refused = t.client(t.server(**settings), wait=False, **shown).wait_event("refused")
    assert refused["code"] == "identity_mismatch"  # by default it is the common name that counts
    assert ping(t.client(t.server("dns", **settings), **shown).bridge)


# ---- registry-kubernetes ----

class Publishing:
    """An API, a kubeconfig with two contexts that leads to it, and a pod to be."""

    def __init__(self, t):
        self.t, self.api = t, Api(Cluster())
        t.world.closing.append(self.api)
        t.env = {"POD_NAME": "server-0", "POD_IP": "10.0.0.7"}
        login = {"command": "/bin/echo", "args": [json.dumps({"status": {"token": "from-exec"}})]}
        self.kubeconfig = t.folder / f"kubeconfig-{self.api.server.server_address[1]}"
        self.kubeconfig.write_text(json.dumps({
            "current-context": "first",
            "contexts": [{"name": name, "context": {"cluster": "c", "user": user, "namespace": name}}
                         for name, user in (("first", "u"), ("second", "u"), ("third", "asks"))],
            "clusters": [{"name": "c", "cluster": {"server": self.api.url}}],
            "users": [{"name": "u", "user": {"token": "t0ken"}}, {"name": "asks", "user": {"exec": login}}],
        }))

    def start(self, value=False, **settings):
        settings = {"enable_kube_api": "true", "kubeconfig": str(self.kubeconfig), **settings}
        server = self.t.server(value, **settings)
        self.t.client(server)
        return server

    def service(self, *args, **settings):
        """Path and body of the Service that a server with these settings makes of its client."""
        self.start(*args, **settings)
        return self.api.wait("POST", "/services")[1:]


def namespace_of(path):
    return path.split("/namespaces/")[1].split("/")[0]


@row("server", "enable-kube-api")
def enable_kube_api(t):
    here = Publishing(t)
    here.start(enable_kube_api=False)  # outside a cluster nothing is published by default
    assert not here.api.requests
    assert here.service("true", enable_kube_api=False)


@row("server", "kubeconfig")
def kubeconfig(t):
    here = Publishing(t)
    assert here.service(str(here.kubeconfig), kubeconfig=False)


@row("server", "namespace")
def namespace(t):
    assert namespace_of(Publishing(t).service("there")[0]) == "there"
    assert namespace_of(Publishing(t).service()[0]) == "first"


@row("server", "kube-context")
def kube_context(t):
    assert namespace_of(Publishing(t).service("second")[0]) == "second"


@row("server", "bridge-pod-selector")
def bridge_pod_selector(t):
    assert Publishing(t).service("a=b", kube_endpoints="selector")[1]["spec"]["selector"] == {"a": "b"}


@row("server", "kube-endpoints")
def kube_endpoints(t):
    assert "selector" not in Publishing(t).service()[1]["spec"]  # a slice to this very pod
    assert Publishing(t).service("selector")[1]["spec"]["selector"] == {"app": "burrow-server"}


@row("server", "kube-network-policy")
def kube_network_policy(t):
    here = Publishing(t)
    service = here.service("team=edge,access.example.com/{client}=true", bridge_pod_selector="a=b")[1]
    policy = here.api.wait("POST", "/networkpolicies")[2]
    assert policy["metadata"]["name"] == service["metadata"]["name"]
    assert policy["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert policy["spec"] == {
        "podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"team": "edge", "access.example.com/c": "true"}}}],
                     "ports": [{"protocol": "TCP", "port": service["spec"]["ports"][0]["targetPort"]}]}]}
    here = Publishing(t)
    here.service()
    assert not [path for _, path, _ in here.api.requests if "/networkpolicies" in path]


@row("server", "kube-allow-exec")
def kube_allow_exec(t):
    here = Publishing(t)
    settings = {"enable_kube_api": "true", "kubeconfig": str(here.kubeconfig), "kube_context": "third"}
    assert "--kube-allow-exec" in t.refused("server", False, **settings)
    here.service(None, kube_context="third")
    assert here.api.authorizations == {"Bearer from-exec"}
