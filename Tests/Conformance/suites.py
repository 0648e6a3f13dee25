"""The suites, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import autobahn_suite
import certificates_suite
import existing_suite
import http2_suite
import responses_suite
import smuggling_suite
import tls_suite
import yaml_suite
from context import Context
from record import Case, Suite

MODULES = [autobahn_suite, http2_suite, smuggling_suite, responses_suite, tls_suite, certificates_suite, yaml_suite, existing_suite]
SUITES: dict[str, tuple[Suite, Callable[[Context], Iterable[Case]]]] = {
    suite.name: (suite, run) for module in MODULES for suite, run in module.SUITES}
