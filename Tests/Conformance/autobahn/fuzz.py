"""Python 2: the Autobahn test suite without its reports as pages, its TLS and what is beside the tests.

    fuzz.py SPECIFICATION    a file of JSON as the suite takes it, with `mode`: fuzzingclient, fuzzingserver, or
                             list, which prints the names of the cases

Prints `ready` when a server listens. Each verdict is a line of JSON at the end of the file that the specification names
as its `journal`, as soon as the case has ended.
"""

import json
import os
import pkgutil
import sys
import types

import twisted.internet


def stand_in(name, **contents):
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module
    return module


# Nothing here speaks TLS or fills templates, and the two would bring a dozen packages.
twisted.internet.ssl = stand_in("twisted.internet.ssl", ClientContextFactory=lambda: None)
stand_in("jinja2")
# Without the package's own beginning, which imports all its programs.
folder = pkgutil.find_loader("autobahntestsuite").filename
sys.path.insert(0, folder)
stand_in("autobahntestsuite", version="", __path__=[folder], __file__=os.path.join(folder, "__init__.py"))

import choosereactor  # noqa: E402,F401 (first of all, as it says itself)
import case  # noqa: E402
import fuzzing  # noqa: E402
from caseset import CaseSet  # noqa: E402
from twisted.internet import reactor  # noqa: E402

SET = ["CaseSetname", "CaseBasename", "Cases", "CaseCategories", "CaseSubCategories"]


def log_case(factory, found):
    """In one write, since others write there too. Nothing else is kept: a log of megabytes is of no use to anybody."""
    line = dict((key, found[key]) for key in ("id", "behavior", "behaviorClose", "duration"))
    os.write(factory.journal, json.dumps(line) + "\n")


def main():
    with open(sys.argv[1]) as file:
        specification = json.load(file, encoding="ascii")
    specification = dict((str(key), value) for key, value in specification.items())
    if specification["mode"] == "list":
        cases = CaseSet(*[getattr(case, name) for name in SET])
        print(json.dumps(cases.parseSpecCases(specification)))
        return
    fuzzing.FuzzingFactory.journal = os.open(str(specification.pop("journal")), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    fuzzing.FuzzingFactory.logCase = log_case
    fuzzing.FuzzingFactory.createReports = lambda factory: None
    if specification["mode"] == "fuzzingserver":
        fuzzing.startServer(specification, None)
        print("ready")
        sys.stdout.flush()
    else:
        fuzzing.startClient(specification)
    reactor.run()


main()
