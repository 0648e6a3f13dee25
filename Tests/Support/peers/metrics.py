"""Reads `/metrics` of a proxy's admin listener with a parser that is not ours."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from .admin import Admin

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Scrape:
    """One answer, parsed."""

    def __init__(self, text: str, *, openmetrics: bool = False) -> None:
        self.text = text
        self.families = {family.name: family for family in (parse_openmetrics if openmetrics else parse_text)(text)}
        self.samples: list[Sample] = [sample for family in self.families.values() for sample in family.samples]

    def all(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """The values of one name, by labels; empty labels count for nothing."""
        return {
            frozenset((key, value) for key, value in sample.labels.items() if value): sample.value
            for sample in self.samples if sample.name == name}

    def get(self, name: str, **labels: str) -> float:
        """One value; 0 where there is no such sample."""
        return self.all(name).get(frozenset((key, value) for key, value in labels.items() if value), 0)


def scrape(admin: Admin, *, openmetrics: bool = False) -> Scrape:
    status, fields, body = admin.ask("/metrics", **({"Accept": OPENMETRICS} if openmetrics else {}))
    assert status == 200, (status, body)
    kind = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain; version=0.0.4"
    assert fields["content-type"] == f"{kind}; charset=utf-8"
    return Scrape(body.decode(), openmetrics=openmetrics)


def scrape_until(
    admin: Admin, holds: Callable[[Scrape], object], *, openmetrics: bool = False, seconds: float = 8
) -> Scrape:
    """Scrape until something is so: what a connection counts at its end is there a moment after the client saw it."""
    end = time.monotonic() + seconds
    while True:
        found = scrape(admin, openmetrics=openmetrics)
        if holds(found):
            return found
        assert time.monotonic() < end, found.text
        time.sleep(0.02)
