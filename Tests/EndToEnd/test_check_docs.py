"""Tests/Support/check-docs: where the figures of a document are from."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "Support/check-docs"


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = SourceFileLoader("check_docs", str(SCRIPT))
    module = module_from_spec(spec_from_loader("check_docs", loader))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "limits.swift").write_text("func holds() {}\n")
    return module


@pytest.mark.parametrize(("text", "wrong"), [
    ("A request takes 38,049 instructions.\n", [1]),
    ("Three of 20 requests, and version 1.1 of 2026.\n", []),
    ("```\n1.2x\n```\n", [2]),
    ("<!-- gates: begin -->\n| 5 ms |\n<!-- gates: end -->\n6 ms\n", [4]),
    ("<!-- nobody: begin -->\n| 5 ms |\n<!-- nobody: end -->\n", [2]),
    ("<!-- figures: of limits.swift -->\n64 KiB\n\n## Next\n\n65 KiB\n", [6]),
    ("<!-- figures: of gone.swift -->\n64 KiB\n", [1]),
    ("<!-- figures: held by limits.swift::holds -->\n64 KiB\n", []),
    ("<!-- figures: held by limits.swift::fails -->\n64 KiB\n", [1]),
    ("<!-- figures: measured 2026-11-28: strace -c -->\n1.1 us, 5%, 7 MiB, 9 allocations\n", []),
    ("<!-- figures: measured lately -->\n5%\n", [1]),
    ("<!-- Written by `make conformance` -->\n\n5%\n", []),
])
def test_each_figure_has_a_source(checks: ModuleType, tmp_path: Path, text: str, wrong: list[int]) -> None:
    document = tmp_path / "page.md"
    document.write_text(text)
    assert [int(line.split(":")[1]) for line in checks.figures(document)] == wrong
