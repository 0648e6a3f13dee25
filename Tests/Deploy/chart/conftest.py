import subprocess

import pytest

import chart


@pytest.fixture(scope="session")
def renderings():
    """The text of every case."""
    return {name: chart.run(*case.arguments()) for name, case in chart.CASES.items()}


@pytest.fixture(params=chart.CASES)
def name(request):
    """The name of each case in turn."""
    return request.param


@pytest.fixture
def objects(renderings, name):
    """The objects of each case in turn."""
    return chart.load(renderings[name])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A folder with a certificate and its key, as the proxy has one at /data."""
    folder = tmp_path_factory.mktemp("data")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=t.example",
            "-addext",
            "subjectAltName=DNS:*.t.example",
            "-keyout",
            folder / "tls.key",
            "-out",
            folder / "tls.crt",
        ],
        check=True,
        capture_output=True,
    )
    return folder
