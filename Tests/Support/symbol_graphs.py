"""The public symbols of our libraries as the compiler knows them: for the digests of the API, and for its pages."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def libraries() -> list[str]:
    """Every library that has a version of its own."""
    return sorted(path.parent.name for path in ROOT.glob("Sources/*/Version.swift"))


def extract(names: list[str], folder: pathlib.Path, *options: str) -> None:
    """Writes LIBRARY.symbols.json for each; `swift package dump-symbol-graph` would need the tests to be built as well."""
    for product in ("mcp-proxy", "setup"):
        run(["swift", "build", "--product", product])
    modules = pathlib.Path(run(["swift", "build", "--show-bin-path"]).strip()) / "Modules"
    target = json.loads(run(["swiftc", "-print-target-info"]))["target"]["triple"]
    maps = [flag for path in sorted(ROOT.glob("Sources/C*/include/module.modulemap"))
            for flag in ("-Xcc", f"-fmodule-map-file={path}", "-Xcc", f"-I{path.parent}")]
    for name in names:
        run(["swift", "symbolgraph-extract", "-module-name", name, "-target", target, "-I", str(modules), *maps,
             "-minimum-access-level", "public", "-skip-synthesized-members", *options, "-output-dir", str(folder)])


def run(command: list[str]) -> str:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout
