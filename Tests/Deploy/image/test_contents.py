"""What is in the image, and what is not."""

from __future__ import annotations

import platform
import re
import ssl
import stat
import subprocess
from pathlib import Path

from conftest import REPOSITORY, Image, run

PROGRAMS = {"/mcp-proxy", "/setup"}
LOADER = re.compile(r"/usr/lib(64)?/ld-linux-[a-z0-9-]+\.so\.[12]")


def entries(rootfs: Path) -> dict[str, Path]:
    return {"/" + str(path.relative_to(rootfs)): path for path in rootfs.rglob("*")}


def test_is_small(rootfs: Path) -> None:
    size = sum(path.lstat().st_size for path in rootfs.rglob("*") if not path.is_dir())
    assert size < 60_000_000


def test_nothing_can_be_executed_but_the_programs_and_the_loader(rootfs: Path) -> None:
    executable = {
        name for name, path in entries(rootfs).items()
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o111
    }
    (loader,) = executable - PROGRAMS
    assert LOADER.fullmatch(loader)
    assert PROGRAMS < executable


def test_no_shell_and_no_package_manager(rootfs: Path) -> None:
    names = {path.name for path in rootfs.rglob("*") if not path.is_dir()}
    assert not names & {"sh", "bash", "dash", "busybox", "env", "apt", "apt-get", "dpkg", "perl", "python3", "openssl"}
    assert not (rootfs / "bin").exists() and not (rootfs / "usr/bin").exists()


def test_everything_is_roots_and_only_readable(rootfs: Path) -> None:
    for name, path in entries(rootfs).items():
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (0, 0), name
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            continue
        expected = 0o755 if path.is_dir() or name in PROGRAMS or LOADER.fullmatch(name) else 0o644
        assert mode == expected, f"{name}: {mode:o}"


def test_links_stay_inside(rootfs: Path) -> None:
    for name, path in entries(rootfs).items():
        if path.is_symlink():
            assert not path.readlink().is_absolute(), name
            assert path.resolve(strict=True).is_relative_to(rootfs), name


def test_times_are_those_of_the_sources(image: Image, rootfs: Path) -> None:
    (time,) = {int(path.lstat().st_mtime) for path in rootfs.rglob("*")}
    assert str(time) == run("git", "-C", REPOSITORY, "log", "-1", "--format=%ct").strip()
    assert image.configuration["created"].startswith(run("date", "--utc", f"--date=@{time}", "+%FT%T").strip())


def test_configuration(image: Image) -> None:
    configuration = image.configuration["config"]
    assert configuration["User"] == "65532:65532"
    assert configuration["Entrypoint"] == ["/mcp-proxy"]
    assert configuration["Cmd"] == ["-config", "/etc/mcp-gateway/config.yaml"]
    assert configuration["Healthcheck"]["Test"] == ["CMD", "/mcp-proxy", "healthcheck"]
    assert list(configuration["ExposedPorts"]) == ["8080/tcp"]
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    assert (image.configuration["os"], image.configuration["architecture"]) == ("linux", architecture)
    labels = configuration["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.revision"] == run("git", "-C", REPOSITORY, "rev-parse", "HEAD").strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels["org.opencontainers.image.version"])


def test_programs_are_hardened(rootfs: Path) -> None:
    for program in PROGRAMS:
        file = f"{rootfs}{program}"
        assert "DYN (Position-Independent Executable file)" in run("readelf", "--file-header", "--wide", file)
        segments = run("readelf", "--program-headers", "--wide", file)
        assert re.search(r"GNU_STACK .* RW +0", segments), "the stack is executable"
        assert "GNU_RELRO" in segments and not re.search(r"LOAD .* RWE ", segments)
        dynamic = run("readelf", "--dynamic", "--wide", file)
        assert "BIND_NOW" in dynamic or re.search(r"FLAGS_1.*NOW", dynamic)
        assert "RUNPATH" not in dynamic and "RPATH" not in dynamic


def test_libraries_are_debians_as_installed(rootfs: Path) -> None:
    status = rootfs / "var/lib/dpkg/status.d"
    recorded = set()
    for file in status.iterdir():
        if file.suffix == ".md5sums":
            recorded |= {f"/{line.split(None, 1)[1]}" for line in file.read_text().splitlines()}
            subprocess.run(["md5sum", "--check", "--quiet", file], cwd=rootfs, check=True)
        else:
            installed = run("dpkg-query", "--show", "--showformat=${Version}", file.name)
            assert f"\nVersion: {installed}\n" in file.read_text()
            assert (rootfs / "usr/share/doc" / file.name / "copyright").stat().st_size > 0
    assert {name for name in entries(rootfs) if ".so." in name} < recorded
    assert "ID=debian" in (rootfs / "etc/os-release").read_text()


def certificates(data: bytes) -> list[bytes]:
    return re.findall(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", data, re.DOTALL)


def test_authorities_are_those_of_the_package(rootfs: Path) -> None:
    bundle = rootfs / "etc/ssl/certs/ca-certificates.crt"
    authorities = certificates(bundle.read_bytes())
    package = run("dpkg-query", "--listfiles", "ca-certificates").split()
    known = [
        certificate
        for file in package
        if file.startswith("/usr/share/ca-certificates/") and file.endswith(".crt") and Path(file).exists()
        for certificate in certificates(Path(file).read_bytes())
    ]
    assert sorted(authorities) == sorted(known)
    assert len(ssl.create_default_context(cafile=bundle).get_ca_certs()) == len(authorities) > 100


def test_the_user_has_a_name_and_the_mount_points_are_there(rootfs: Path) -> None:
    assert "nonroot:x:65532:65532:" in (rootfs / "etc/passwd").read_text()
    assert "nonroot:x:65532:" in (rootfs / "etc/group").read_text()
    assert (rootfs / "etc/nsswitch.conf").read_text() == "hosts: files dns\n"
    assert (rootfs / "data").is_dir() and (rootfs / "etc/mcp-gateway").is_dir()
