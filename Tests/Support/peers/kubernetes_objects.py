"""What a Kubernetes API server makes of the Secrets that it is sent: decoding, merge patches, validation, and its
refusals as Status objects in the words of Kubernetes 1.29."""

from __future__ import annotations

import base64
import binascii
import copy
import json
import re
from dataclasses import dataclass, field
from typing import Any

MAX_SECRET_BYTES = 1024 * 1024
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")

Object = dict[str, Any]


@dataclass(eq=False)
class Failure(Exception):
    """An answer other than success, as a Status object."""

    status: int
    reason: str
    message: str
    details: Object = field(default_factory=dict)

    def body(self) -> Object:
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
                "reason": self.reason, "details": self.details, "code": self.status}
        return {key: value for key, value in body.items() if key != "details" or value}


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386 §2)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def decoded(body: bytes, content_type: str) -> Object:
    if content_type != "application/json":
        raise unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")
    value = json_or_none(body)
    if not isinstance(value, dict):
        raise Failure(400, "BadRequest", "error decoding the body: it is not a JSON object")
    return value


def check_kind(new: Object) -> None:
    if new.get("kind") != "Secret" or new.get("apiVersion") != "v1":
        raise Failure(400, "BadRequest", "the API version in the data does not match the expected API version (v1)")


def bad_base64(new: Object) -> int | None:
    """The first byte of a value that is not base64, as Go's decoder counts; None if all are."""
    for value in (new.get("data") or {}).values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            bad = re.search(r"[^A-Za-z0-9+/]", value) if isinstance(value, str) else None
            return bad.start() if bad else 0
    return None


def check_data(name: str, secret: Object) -> None:
    data = secret.get("data") or {}
    for key in data:
        if not _DATA_KEY.fullmatch(key) or key in (".", ".."):
            raise invalid(
                name, f"data[{key}]", "FieldValueInvalid",
                f'Invalid value: "{key}": a valid config key must consist of alphanumeric characters, '
                "'-', '_' or '.'")
    if sum(len(base64.b64decode(value)) for value in data.values()) > MAX_SECRET_BYTES:
        raise invalid(name, "data", "FieldValueTooLong", f"Too long: may not be more than {MAX_SECRET_BYTES} bytes")


def invalid(name: str, where: str, reason: str, message: str, *, kind: str = "Secret") -> Failure:
    return Failure(422, "Invalid", f'{kind} "{name}" is invalid: {where}: {message}', {
        "name": name, "kind": kind, "causes": [{"reason": reason, "message": message, "field": where}]})


def unsupported(accepted: str) -> Failure:
    return Failure(
        415, "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {accepted}")


def undecodable(position: int) -> Failure:
    return bad_request(
        f'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte {position}')


def bad_request(message: str) -> Failure:
    return Failure(400, "BadRequest", message)
