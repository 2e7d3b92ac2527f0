"""Test files in a process that has torch and ComfyUI already, and of our modules none: each is a fork of this one.

prepare    loads what takes long, once
known      which tests there are, how long each takes and which of our functions it calls
judged     what the tests say of a change
"""

import gc
import importlib
import importlib.machinery
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SPARE = 60  # seconds that a process may take beside its tests
_SLOWER = 12  # than its tests' processor seconds a process may be


def prepare(modules=("torch", "comfy.sd", "comfy.sample")):
    """Imports modules that none of ours is among."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def known(files, longest):
    """({test: {"seconds", "calls": [[file, first line], ...]}} of the tests that pass, names of modules that they load). longest: seconds
    of a file's tests that are looked at; all are of the processor, which hardly depend on what else the machine does."""
    found, modules = {}, []
    for file in files:
        out, _ = _forked(lambda file=file: _run([file], _Watch(longest)), _SLOWER * longest + _SPARE)
        tests, loaded = out or ({}, [])
        found, modules = found | tests, modules + loaded
        print(f"{file}: {len(tests)} tests, {sum(t['seconds'] for t in tests.values()):.0f} s", flush=True)
    return found, modules


def judged(path, change, tests, longest):
    """(name of the test that noticed or None, seconds, number of tests). tests: {name: seconds}, the likeliest first; longest: seconds of
    those that a change has to survive, as they took before it."""
    chosen, seconds = {}, 0.0
    for name, took in tests.items():
        if not chosen or seconds + took <= longest:
            chosen[name] = took
            seconds += took
    begun = time.time()
    files = {}
    for name, took in chosen.items():
        files[name.split("::")[0]] = files.get(name.split("::")[0], 0.0) + took
    files = sorted(files, key=files.get)
    chosen = sorted(chosen, key=lambda name: files.index(name.split("::")[0]))

    def run():
        _put(path, change)
        return _run(files, _First(chosen), "-x")

    out, ended = _forked(run, _SLOWER * seconds + _SPARE) if chosen else (None, True)
    found = (out or "the process died") if ended else "time limit"
    return (None if found == "none" or not chosen else found), round(time.time() - begun, 1), len(chosen)


def _forked(work, limit):
    """(what work() returns, whether it ended in time), from a process of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        os.close(reader)
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            for stream in (1, 2):
                os.dup2(nowhere.fileno(), stream)
            try:
                said = json.dumps(work()).encode()
            except BaseException as error:
                said = json.dumps(f"could not be loaded: {type(error).__name__}").encode()
            with open(writer, "wb") as pipe:
                pipe.write(said)
            os._exit(0)
    os.close(writer)
    os.set_blocking(reader, False)
    data, end = b"", time.time() + limit
    try:
        while time.time() < end:
            try:
                part = os.read(reader, 2**16)
            except BlockingIOError:
                time.sleep(0.05)
                continue
            if not part:
                return (json.loads(data) if data else None), True
            data += part
        return None, False
    finally:
        os.close(reader)
        for process in (-pid, pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        os.waitpid(pid, 0)
        shutil.rmtree(_temporary(pid), ignore_errors=True)


def _run(files, plugin, *options):
    os.chdir(ROOT)
    temporary = ["--basetemp", str(_temporary(os.getpid()))]
    pytest.main([*files, *options, *temporary, "-q", "-p", "no:xdist", "-W", "ignore"], plugins=[plugin])
    return plugin.said()


def _temporary(pid):
    return Path(tempfile.gettempdir()) / f"mutant-{pid}"


def _put(path, change):
    """The module at path has the change when it is loaded."""
    plain = importlib.machinery.SourceFileLoader.get_code

    def get_code(self, name):
        return compile(change.apply(), self.path, "exec") if self.path == str(path) else plain(self, name)

    importlib.machinery.SourceFileLoader.get_code = get_code


class _First:
    """The chosen tests in their order; the first that fails."""

    def __init__(self, chosen):
        self._chosen, self._failed = {name: number for number, name in enumerate(chosen)}, "none"

    def pytest_collection_modifyitems(self, items):
        items[:] = sorted((item for item in items if item.nodeid in self._chosen), key=lambda item: self._chosen[item.nodeid])
        if not items:
            self._failed = "could not be loaded"

    def pytest_collectreport(self, report):
        if report.failed:
            self._failed = report.nodeid

    def pytest_runtest_logreport(self, report):
        if report.failed and self._failed == "none":
            self._failed = report.nodeid

    def said(self):
        return self._failed


class _Watch:
    """How long each test takes and which of our functions it calls. What a fixture calls is called for all tests of its file."""

    def __init__(self, longest):
        self._longest = longest
        self._tests, self._shared, self._calls, self._begun = {}, set(), set(), time.process_time()
        self._ours = f"{ROOT}{os.sep}"

    def pytest_runtest_protocol(self, item):
        if time.process_time() - self._begun > self._longest:
            pytest.exit("enough")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        with self._noted():
            result = yield
        self._shared |= self._calls
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        begun = time.process_time()
        with self._noted():
            result = yield
        self._took = time.process_time() - begun
        return result

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self._tests[report.nodeid] = {"seconds": round(self._took, 3), "calls": set(self._calls)}

    def _noted(self):
        return _Noted(self)

    def said(self):
        for test in self._tests.values():
            test["calls"] = sorted((file.removeprefix(self._ours), line) for file, line in test["calls"] | self._shared)
        others = [name for name, module in list(sys.modules.items()) if _is_anothers(module)]
        return self._tests, others


def _is_anothers(module):
    """Whether a module is of a package or of ComfyUI."""
    file = getattr(module, "__file__", None) or ""
    return "/.dev/" in file and not module.__name__.startswith(("_pytest", "pytest"))


class _Noted:
    def __init__(self, watch):
        self._watch = watch

    def __enter__(self):
        self._watch._calls, ours = set(), self._watch._ours

        def note(frame, event, argument):
            code = frame.f_code
            if code.co_filename.startswith(ours) and "/.dev/" not in code.co_filename and "/tests/" not in code.co_filename:
                self._watch._calls.add((code.co_filename, code.co_firstlineno))

        sys.settrace(note)

    def __exit__(self, *error):
        sys.settrace(None)
