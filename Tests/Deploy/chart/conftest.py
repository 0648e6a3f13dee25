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
