"""Writes docs/tests.md from results/mutants.json: `python dev.py run benchmarks.mutants.page`"""

import json
import re
from pathlib import Path

from ..markdown import table
from ..record import kept

ROOT = Path(__file__).parents[2]
_SHORT = 40  # characters that tell one change from another
# What the suite leaves out, so that it can be run with each change, and what covers it.
_LEFT_OUT = (
    ("all checks of `benchmarks/families` on every class", "one class of each family goes through all of them; of the others it is tried "
     "which layers they have, that these are patched as a second implementation says, and that both methods agree. "
     "`benchmarks.families` tries all on all"),
    ("with ComfyUI 0.3.75, the other classes of a family, most samplers, each layer of diffusers' models, and what reads files, lists, "
     "words and numbers", "how that ComfyUI calls a family's blocks is tried on one class of each; the rest is the same code on both"),
    ("Stable Diffusion XL at its real width", "the same blocks a tenth as wide are run; names, order and share of its layers are looked "
     "up at full size, without weights"),
    ("all hostile values of all inputs", "a sample of them, and every text and choice with names that lead out of its folder. "
     "`benchmarks.server.robustness` tries all"),
    ("with the front end that ComfyUI asks for, every template, and a graph made by hand from nothing", "the newest has them; with the "
     "other one seven templates are opened, and blueprints placed, linked, filled and run by hand"),
    ("`dev.py demo` and the training's command each time as processes", "each is once; the rest calls the same `main`"),
)  # fmt: skip


def reasons():
    """Why nothing notices what survives: {(file, the beginning of what stood there, and of what stands there): reason}. OPEN: it should be
    noticed. Changes like that which survive later need one here."""
    return {_of(row): row["why"] for row in json.loads(Path(__file__).with_name("why.json").read_text("utf-8"))}


def _of(row):
    return row["file"], row["before"][:_SHORT], row["after"][:_SHORT]


def code(text):
    """In one cell of a table."""
    short = re.sub(r"\s+", " ", text)
    return f"`{short if len(short) <= 70 else short[:67] + '...'}`" if short else "nothing"


def change(row):
    return f"{code(row['before'])} becomes {code(row['after'])}"


def noticed(row):
    """The test without its folder and parameters."""
    if not row["found_by"]:
        return "**nothing**"
    if "::" not in row["found_by"]:
        return row["found_by"]
    file, name = row["found_by"].removeprefix("tests/").split("::", 1)
    return f"`{file}` {name.split('[')[0].removeprefix('test_').replace('_', ' ')}"


def share(rows):
    found = sum(bool(row["found_by"]) for row in rows)
    return f"{found} of {len(rows)} ({100 * found / len(rows):.0f} %)"


def folders(rows):
    of = {name: [row for row in rows if row["file"].startswith(f"{name}/")] for name in {row["file"].split("/")[0]: None for row in rows}}
    return table(["folder", "noticed"], [[f"`{name}/`", share(found)] for name, found in of.items()])


def survivors(rows):
    known = reasons()
    found = [[f"`{row['file']}`", change(row), known[_of(row)]] for row in rows if not row["found_by"]]
    return table(["file", "mistake", "why nothing notices"], sorted(found, key=lambda row: not row[-1].startswith("OPEN")))


def text():
    result = kept("mutants")
    drawn, written = ([row for row in result["rows"] if row["how"] == how] for how in ("at random", "by hand"))
    known = reasons()
    judged = [row for row in drawn if row["found_by"] or known[_of(row)].startswith("OPEN")]
    page = f"""# Would the tests notice?

A suite is worth what it notices. `benchmarks/mutants` makes small mistakes in a module, one at a time (a comparison, an operator, a number,
a condition turned round, a call or a result left out), and lets the tests judge that call what was changed. Messages, types and logs are
left alone, and so are the tests that start servers, read hundreds of pictures or train for minutes: what they would notice comes on top.

```
python dev.py run benchmarks.mutants --count {len(drawn)} --seed {result["seed"]} --work FOLDER --out FILE.json
```

Torch and ComfyUI are loaded once, and each mistake is made in a fork of that process when the module is imported, so that most take seconds
and no file is touched. Of packages for this, mutmut changes functions alone, where half of what decides here stands in constants, and
cosmic-ray starts pytest, and with it torch, anew for each.

## At random

{share(drawn)} are noticed, drawn among all places of {len({row["file"] for row in drawn})} modules; {share(judged)} of those that change
what anybody sees. Tests were written for the ones that were not noticed at first, so that others may fare worse: take another seed. A
change is tried against some seconds of the tests that call it, the short ones first.

{folders(drawn)}

Those that nothing notices:

{survivors(drawn)}

## By hand

Mistakes that a reader of the code took for those that no test would see. {share(written)} are noticed now.

{table(["file", "mistake", "noticed by"], [[f"`{row['file']}`", change(row), noticed(row)] for row in written])}

{survivors(written) if not all(row["found_by"] for row in written) else ""}

By hand alone, since it is no module: `dev.py` without the check of a downloaded file's digest, noticed by `test_dev.py`, a download that
is another file is refused.

## Assertions that could not fail

Of about 180 loops and `all(...)` in assertions, and of the tests that compare pictures, 19 tests would have passed where nothing was drawn,
compared or changed: they held for an untouched picture, or for no example at all. Each now says as well that something differs.

## What is not tried each time

{table(["left out", "what covers it"], _LEFT_OUT)}

commit {result["commit"]}, ComfyUI {result["versions"]["comfyui"]}, Python {result["versions"]["python"]}
"""
    return page.replace("\n\n\n", "\n\n")


def main():
    (ROOT / "docs" / "tests.md").write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
