"""A stand-in for a cluster's API server, as far as one Secret is concerned: HTTPS, service accounts, RBAC, versions,
merge patches, and Status objects in the words of Kubernetes 1.29.

    with KubernetesAPI(tmp_path, namespace="mcp-tunnel") as api:
        account = api.service_account("setup", [Rule({"create"}), Rule({"get", "patch"}, {"mcp-tunnel"})])
        api.run_in_pod(["setup", "init", ...], account)
        api.values("mcp-tunnel")
"""

from __future__ import annotations

import base64
import copy
import datetime
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .kubernetes_objects import (
    Failure,
    Object,
    bad_base64,
    bad_request,
    check_data,
    check_kind,
    decoded,
    invalid,
    json_or_none,
    merged,
    undecodable,
    unsupported,
)
from .pki import Authority

SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
MAX_REQUEST_BYTES = 3 * 1024 * 1024
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update"}
_SUBDOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PATCH_TYPES = ("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, "
                "application/strategic-merge-patch+json")


@dataclass(frozen=True)
class Rule:
    """One rule of a Role on Secrets. Names limit it; as in a real cluster, such a rule never allows to create."""

    verbs: set[str]
    names: set[str] | None = None

    def allows(self, verb: str, name: str) -> bool:
        return verb in self.verbs and (self.names is None or name in self.names)


@dataclass
class Account:
    """A service account: who, what it may do, and the folder that its pods see."""

    user: str
    rules: list[Rule]
    folder: Path
    token: str = ""


@dataclass(frozen=True)
class Request:
    """A request as it came; the token is replaced by whose it is."""

    verb: str
    path: str
    user: str | None
    headers: dict[str, str]
    body: Any


@dataclass
class Fault:
    """What becomes of the next requests of a verb instead of, or before, an answer."""

    verb: str | None
    times: int
    #: Before the request is acted on.
    before: Callable[[], None] | None = None
    #: An answer in place of acting.
    answer: tuple[int, Object, dict[str, str]] | None = None
    #: Close the connection: before acting, or after it.
    drop: str | None = None


class KubernetesAPI:
    """The API server. Ends with `close()` or a `with` block."""

    def __init__(self, folder: Path, namespace: str = "mcp-tunnel", *, host: str = "127.0.0.1") -> None:
        self.folder, self.namespace, self.host = folder, namespace, host
        self.requests: list[Request] = []
        self._lock = threading.RLock()
        self._secrets: dict[str, Object] = {}
        self._accounts: list[Account] = []
        self._faults: list[Fault] = []
        self._version = 1000
        authority = Authority("Test cluster CA")
        self.ca = authority.pem
        certificate, key = authority.issue(host, "kubernetes.default.svc").write(folder / "api-server")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = _Server((host, 0), self, context)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def __enter__(self) -> KubernetesAPI:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # What the pods of the cluster see.

    def environment(self) -> dict[str, str]:
        """The variables that Kubernetes sets in every pod."""
        return {"KUBERNETES_SERVICE_HOST": self.host, "KUBERNETES_SERVICE_PORT": str(self.port)}

    def service_account(self, name: str, rules: Iterable[Rule]) -> Account:
        """Make an account with a token, and the folder that is mounted into its pods."""
        user = f"system:serviceaccount:{self.namespace}:{name}"
        account = Account(user, list(rules), self.folder / f"account-{name}")
        with self._lock:
            self._accounts.append(account)
        self.replace_token(account)
        return account

    def replace_token(self, account: Account, *, publish: bool = True) -> None:
        """Make the old token invalid. Without `publish` the pods still have the old one: it has expired on them."""
        with self._lock:
            account.token = f"eyJhbGciOiJSUzI1NiJ9.{secrets.token_urlsafe(600)}.{secrets.token_urlsafe(256)}"
        if publish:
            self.publish_token(account)

    def publish_token(self, account: Account) -> None:
        """Write the account's folder as kubelet does: links into a folder that is replaced by moving a link."""
        content = account.folder / f"..{uuid.uuid4()}"
        content.mkdir(parents=True)
        files = {"token": account.token.encode(), "ca.crt": self.ca, "namespace": self.namespace.encode()}
        for name, value in files.items():
            (content / name).write_bytes(value)
        link = account.folder / "..data_tmp"
        link.symlink_to(content.name)
        before = os.readlink(account.folder / "..data") if (account.folder / "..data").is_symlink() else None
        link.rename(account.folder / "..data")
        for name in files:
            if not (account.folder / name).is_symlink():
                (account.folder / name).symlink_to(f"..data/{name}")
        if before:
            shutil.rmtree(account.folder / before)

    def pod_command(self, command: Sequence[str | os.PathLike[str]], account: Account) -> list[str]:
        """The command line that runs a command where the account's folder is mounted. Skips the test where that is not
        permitted."""
        prefix = ["unshare", "--mount", "--propagation", "private"]
        if os.geteuid() != 0 or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
            pytest.skip("a pod needs a mount namespace of its own, which is for root")
        # The real /run stays as it is: this one is an empty one on top of it.
        script = ('set -e; mount -t tmpfs pod "$(realpath /var/run)"; mkdir -p "$1"; mount --bind "$2" "$1"; shift 2; '
                  'exec "$@"')
        return [*prefix, "sh", "-c", script, "pod", SERVICE_ACCOUNT_FOLDER, str(account.folder), *map(str, command)]

    def run_in_pod(
        self, command: Sequence[str | os.PathLike[str]], account: Account, *, environment: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as in a pod of the account and wait for its end."""
        variables = {**_plain_environment(), **self.environment(), **(environment or {})}
        return subprocess.run(
            self.pod_command(command, account), env=variables,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)

    # What the tests do behind the server's back.

    def values(self, name: str) -> dict[str, bytes] | None:
        """The decoded data of a Secret; None if there is none."""
        with self._lock:
            secret = self._secrets.get(name)
            return secret and {key: base64.b64decode(value) for key, value in secret.get("data", {}).items()}

    def secret(self, name: str) -> Object | None:
        """A Secret as it is stored."""
        with self._lock:
            return copy.deepcopy(self._secrets.get(name))

    def put(self, name: str, values: dict[str, bytes], **members: Any) -> None:
        """Make a Secret, or set values of one that is there. `members` are top-level ones, such as `immutable`."""
        with self._lock:
            old = self._secrets.get(name) or self._new(name, {"type": "Opaque"})
            data = {**old.get("data", {}), **{key: base64.b64encode(value).decode() for key, value in values.items()}}
            self._store(name, {**old, "data": data, **members}, "kubectl")

    def remove(self, name: str) -> None:
        with self._lock:
            del self._secrets[name]

    def drop(self, verb: str | None = None, *, after: bool = False, times: int = 1) -> None:
        """Break the connection: before the next requests are acted on, or after it, in place of an answer."""
        self._add(Fault(verb, times, drop="after" if after else "before"))

    def refuse(
        self, status: int, verb: str | None = None, *, reason: str = "InternalError", message: str = "try again",
        retry_after: int | None = None, times: int = 1,
    ) -> None:
        """Answer the next requests with an error, for example 500, or 429 with Retry-After."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._add(Fault(verb, times, answer=(status, Failure(status, reason, message).body(), headers)))

    def meddle(self, verb: str, act: Callable[[], None], *, times: int = 1) -> None:
        """Do something right before the next requests are acted on, for example `put` another value: a conflict."""
        self._add(Fault(verb, times, before=act))

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def _take_fault(self, verb: str) -> Fault | None:
        for fault in self._faults:
            if fault.verb in (None, verb):
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return None

    # What the server does.

    def handle(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Object, dict[str, str]] | None:
        """The status, body and fields to answer with; None breaks the connection."""
        url = urlsplit(target)
        with self._lock:
            account = self._account(headers)
            verb = _VERBS.get(method, method.lower())
            self.requests.append(Request(
                verb, target, account.user if account else None,
                {key: value for key, value in headers.items() if key != "authorization"}, json_or_none(body)))
            fault = self._take_fault(verb)
            if fault and fault.before:
                fault.before()
            if fault and fault.drop == "before":
                return None
            if fault and fault.answer:
                return fault.answer
            try:
                answer = self._act(verb, url.path, parse_qs(url.query), headers, body, account)
            except Failure as failure:
                answer = failure.status, failure.body(), {}
            return None if fault and fault.drop == "after" else answer

    def _account(self, headers: dict[str, str]) -> Account | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        return next((a for a in self._accounts if kind == "Bearer" and secrets.compare_digest(a.token, token)), None)

    def _act(
        self, verb: str, path: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes,
        account: Account | None,
    ) -> tuple[int, Object, dict[str, str]]:
        if "authorization" in headers and account is None:
            raise Failure(401, "Unauthorized", "Unauthorized")
        user = account.user if account else "system:anonymous"
        match = re.fullmatch(r"/api/v1/namespaces/([^/]+)/secrets(?:/([^/]+))?", path)
        if match is None:
            raise Failure(403, "Forbidden", f'forbidden: User "{user}" cannot {verb} path "{path}"')
        namespace, name = match[1], match[2] or ""
        if not name and verb == "get":
            verb = "list"
        rules = account.rules if account and namespace == self.namespace else []
        if not any(rule.allows(verb, name) for rule in rules):
            what = f'secrets "{name}"' if name else "secrets"
            raise Failure(
                403, "Forbidden", f'{what} is forbidden: User "{user}" cannot {verb} resource "secrets" in API group '
                f'"" in the namespace "{namespace}"',
                {"name": name, "kind": "secrets"} if name else {"kind": "secrets"})
        if len(body) > MAX_REQUEST_BYTES:
            raise Failure(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_REQUEST_BYTES}")
        manager = query.get("fieldManager", [headers.get("user-agent", "unknown").split("/")[0]])[0]
        content_type = headers.get("content-type", "").split(";")[0]
        if verb == "create" and not name:
            return self._create(decoded(body, content_type), manager)
        if verb not in ("get", "patch", "update") or not name:
            raise Failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        secret = self._secrets.get(name)
        if secret is None:
            raise Failure(404, "NotFound", f'secrets "{name}" not found', {"name": name, "kind": "secrets"})
        if verb == "patch":
            if content_type not in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
                raise unsupported(_PATCH_TYPES)
            secret = self._replace(name, secret, merged(secret, decoded(body, "application/json")), manager, True)
        elif verb == "update":
            secret = self._replace(name, secret, decoded(body, content_type), manager, False)
        return 200, secret, {}

    def _create(self, new: Object, manager: str) -> tuple[int, Object, dict[str, str]]:
        metadata = new.get("metadata") or {}
        name = metadata.get("name", "")
        if metadata.get("namespace", self.namespace) != self.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        check_kind(new)
        bad = bad_base64(new)
        if bad is not None:
            raise undecodable(bad)
        if not _SUBDOMAIN.fullmatch(name):
            raise invalid(
                name, "metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": a lowercase RFC 1123 subdomain '
                "must consist of lower case alphanumeric characters, '-' or '.'")
        if name in self._secrets:
            raise Failure(409, "AlreadyExists", f'secrets "{name}" already exists', {"name": name, "kind": "secrets"})
        made = self._new(name, {key: new[key] for key in ("data", "immutable") if new.get(key)})
        made["type"] = new.get("type", "Opaque")
        for key in ("labels", "annotations"):
            if metadata.get(key):
                made["metadata"][key] = metadata[key]
        check_data(name, made)
        return 201, self._store(name, made, manager), {}

    def _replace(self, name: str, old: Object, new: Object, manager: str, is_patch: bool) -> Object:
        metadata = new.get("metadata") or {}
        if metadata.get("name", name) != name:
            other = metadata["name"]
            raise bad_request(f"the name of the object ({other}) does not match the name on the URL ({name})")
        check_kind(new)
        bad = bad_base64(new)
        if bad is not None and is_patch:
            # The real server quotes the whole object, values and all.
            quoted = json.dumps(json.dumps(new, separators=(",", ":")))
            raise invalid("", "patch", "FieldValueInvalid",
                           f"Invalid value: {quoted}: illegal base64 data at input byte {bad}", kind="")
        if bad is not None:
            raise undecodable(bad)
        if metadata.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            raise Failure(
                409, "Conflict", f'Operation cannot be fulfilled on secrets "{name}": the object has been modified; '
                "please apply your changes to the latest version and try again", {"name": name, "kind": "secrets"})
        new["metadata"] = {**metadata, **{key: old["metadata"][key] for key in
                                          ("name", "namespace", "uid", "creationTimestamp", "resourceVersion")}}
        if new.get("type", "Opaque") != old["type"]:
            raise invalid(name, "type", "FieldValueInvalid", f'Invalid value: "{new["type"]}": field is immutable')
        if old.get("immutable"):
            for key in ("immutable", "data"):
                if new.get(key) != old.get(key):
                    raise invalid(name, key, "FieldValueForbidden",
                                   "Forbidden: field is immutable when `immutable` is set")
        check_data(name, new)
        # The version counts changes, not requests.
        return copy.deepcopy(old) if new == old else self._store(name, new, manager)

    def _new(self, name: str, members: Object) -> Object:
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"kind": "Secret", "apiVersion": "v1", "metadata": {
            "name": name, "namespace": self.namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now}, **members}

    def _store(self, name: str, secret: Object, manager: str) -> Object:
        self._version += 1
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        secret = copy.deepcopy(secret)
        secret["metadata"]["resourceVersion"] = str(self._version)
        fields = {"f:data": {f"f:{key}": {} for key in secret.get("data", {})}, "f:type": {}}
        others = [entry for entry in secret["metadata"].get("managedFields", []) if entry["manager"] != manager]
        secret["metadata"]["managedFields"] = [*others, {
            "manager": manager, "operation": "Update", "apiVersion": "v1", "time": now, "fieldsType": "FieldsV1",
            "fieldsV1": fields}]
        self._secrets[name] = secret
        return copy.deepcopy(secret)


def _plain_environment() -> dict[str, str]:
    """The path and the locale: nothing of the machine's own settings reaches a pod."""
    return {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "LC_ALL", "TMPDIR")}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], api: KubernetesAPI, context: ssl.SSLContext) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.api = api
        super().__init__(address, _Handler)
        # The handshake is made by the thread of the connection, when it reads.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off, or does not like the certificate, is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {key.lower(): value for key, value in self.headers.items()}
        answer = self.server.api.handle(self.command, self.path, headers, body)
        if answer is None:
            self.close_connection = True
            return
        status, value, fields = answer
        content = json.dumps(value, separators=(",", ":")).encode()
        self.send_response(status)
        for key, text in {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private",
                          "Content-Type": "application/json", **fields, "Content-Length": str(len(content))}.items():
            self.send_header(key, text)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Tests look at `requests` instead."""
