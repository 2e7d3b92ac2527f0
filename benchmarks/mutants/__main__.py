"""Would the tests notice a mistake? `python dev.py run benchmarks.mutants --count 180 --seed 1 --work FOLDER --out FILE.json`

Makes small mistakes in modules, one at a time and at random, and those that were written by hand (by_hand.py), and lets the tests judge
that call what was changed, in processes that are forked when torch and ComfyUI are there already. No file is touched: the mistake is made
when the module is loaded. What is done is not done again; with --again, what survived is. One process at a time.
"""

import argparse
import ast
import json
import random
from pathlib import Path

from ..record import environment
from . import by_hand, changes, trial
from .folders import FOLDERS

ROOT = Path(__file__).parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", nargs="+", choices=FOLDERS, default=list(FOLDERS))
    parser.add_argument("--count", type=int, default=180, help="changes in all folders together, as many in each as it has places for them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="also what has survived before")
    parser.add_argument("--only", default="", help="changes whose FILE:LINE holds this")
    parser.add_argument("--tests", nargs="+", help="test files instead of the folder's")
    parser.add_argument("--longest", type=float, default=8, help="processor seconds of a file's tests; three times as many try a change")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is known of the tests")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    trial.prepare()
    sampled = _sample(options.count, options.seed)
    for folder in options.folders:
        tests = _tests(options.tests or FOLDERS[folder][1], options)
        written = [("by hand", name, changes.by_hand(_source(name), old, new)) for name, old, new in by_hand.CHANGES if _of(name, folder)]
        for how, name, change in written + [("at random", *one) for one in sampled if _of(one[0], folder)]:
            if options.only in f"{name}:{change.line}":
                _judge(options, how, name, change, tests)


def _of(name, folder):
    return name.split("/")[0] == folder


def _source(name):
    return (ROOT / name).read_text("utf-8")


def _sample(count, seed):
    """[(file, Change)]"""
    every = [
        (path.relative_to(ROOT).as_posix(), change)
        for folder, (modules, _) in FOLDERS.items()
        for path in sorted(ROOT / folder / f"{module}.py" for module in modules)
        for change in changes.changes(path.read_text("utf-8"))
    ]
    return random.Random(seed).sample(every, count)


def _tests(files, options):
    """trial.known of the files; what stands in options.work is not found out again."""
    options.work.mkdir(parents=True, exist_ok=True)
    found = {}
    for file in files:
        kept = options.work / f"{file.replace('/', '-')}.json"
        stamp = [(ROOT / file.split("::")[0]).stat().st_mtime_ns, options.longest]
        known = json.loads(kept.read_text()) if kept.is_file() else {}
        if known.get("stamp") != stamp:
            tests, modules = trial.known([file], options.longest)
            known = {"stamp": stamp, "tests": tests, "modules": modules}
            kept.write_text(json.dumps(known))
        trial.prepare(known["modules"])
        found |= known["tests"]
    return found


def _judge(options, how, name, change, tests):
    kept = json.loads(options.out.read_text()) if options.out.is_file() else {**environment(), "seed": options.seed, "rows": []}
    row = {"how": how, "file": name, "line": change.line, "before": change.before, "after": change.after}
    same = [r for r in kept["rows"] if all(r[key] == value for key, value in row.items())]
    if same and (same[0]["found_by"] or not options.again):
        return
    found_by, seconds, ran = trial.judged(ROOT / name, change, _chosen(name, change.line, tests), 3 * options.longest)
    if not same:
        kept["rows"].append(row)
    (same or [row])[0].update(found_by=found_by, seconds=seconds, tests=ran)
    options.out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    print(f"{name}:{change.line} {change.before!r} -> {change.after!r}: {found_by or 'SURVIVED'} ({ran} tests, {seconds} s)", flush=True)


def _chosen(name, line, tests):
    """{test: seconds}, the short ones first: those that call what was changed, and behind them the others of their files (what is kept for
    the next test is called by the first alone)."""
    users = set(_users(name, line))
    direct = {test for test, about in tests.items() if any((file, first) in users for file, first in about["calls"])}
    files = {test.split("::")[0] for test in direct}
    near = [test for test in tests if test.split("::")[0] in files]
    return {test: tests[test]["seconds"] for test in sorted(near, key=lambda test: (test not in direct, tests[test]["seconds"]))}


def _users(name, line):
    """(file, first line) of the functions that hold the line; of a constant, those that name it or what is made of it."""
    tree = ast.parse(_source(name))
    inside = [(name, first) for first, last, _ in changes.functions(tree) if first <= line <= last]
    if inside:
        return inside[-1:]
    names = set()
    for first, last, given, _ in changes.constants(tree):
        names |= given if first <= line <= last else set()
    trees = {name: tree} | {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    for _ in range(2):
        names |= {one for t in trees.values() for *_, given, used in changes.constants(t) if used & names for one in given}
    every = [(file, first, used) for file, t in trees.items() for first, _, used in changes.functions(t)]
    return [(file, first) for file, first, used in every if used & names] or [(file, first) for file, first, _ in every if file == name]


if __name__ == "__main__":
    main()
