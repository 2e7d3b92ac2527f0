"""Writes docs/templates.md: `python dev.py run benchmarks.families.templates.docs`

The figures are those of benchmarks/results/templates.json.
"""

import json
from pathlib import Path

from ...markdown import table

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "benchmarks" / "results"


def classes(rows):
    """[[class, templates, samplers, ok, refused, does not run here]] of the served classes; a template's worst row counts."""
    found = {}
    for row in rows:
        if row["method"]:
            found.setdefault(row["class"], {}).setdefault(row["template"], []).append(row)
    out = []
    for kind, by_name in sorted(found.items()):
        states = [_state(own) for own in by_name.values()]
        samplers = sum(own[0]["samplers"] for own in by_name.values())
        out.append([f"`{kind}`", len(by_name), samplers, *(states.count(state) for state in ("ok", "refused", "not run", "wrong"))])
    return out


def _state(rows):
    """Of one template: ok, where every method is; refused, where one is with words; not run, where it does not without our node."""
    if all(row["ok"] for row in rows):
        return "ok"
    if all(row["ok"] or row["refused"] for row in rows):
        return "refused"
    return "not run" if not any(row["runs"] for row in rows) else "wrong"


def reasons(rows):
    """[[class, template, method, reason]] of what is not ok."""
    return [
        [f"`{row['class']}`", row["template"], row["method"], row["reason"].replace("|", "/").replace("\n", " ")[:300]]
        for row in rows
        if row["method"] and not row["ok"]
    ]


def unserved(rows):
    """[[class, templates]]"""
    found = {}
    for row in rows:
        if not row["method"]:
            found.setdefault(row["class"] or "draws no picture from text", set()).add(row["template"])
    return [[kind, len(names)] for kind, names in sorted(found.items(), key=lambda one: -len(one[1]))]


def text():
    rows = json.loads((RESULTS / "templates.json").read_text())
    found, by_name = len({row["template"] for row in rows}), {}
    for row in rows:
        if row["method"]:
            by_name.setdefault(row["template"], []).append(row)
    states = [_state(own) for own in by_name.values()]
    tried, fine, refused, silent = len(states), states.count("ok"), states.count("refused"), states.count("wrong")
    return f"""# Official templates

Written by `benchmarks/families/templates/docs.py`.

## Templates

Every template of ComfyUI's packages that samples on this machine, flattened, on tiny random models of its class, with **Patch Prompt Into
Layers** before each sampler or guider: `python dev.py run benchmarks.families.templates --out FILE.json`. *ok*: patching one layer and all
changes the latents of every sampler, the source's own text in all layers changes not one bit, by both methods where there are two (where a
guider draws three prompts at once, not more than the last ones). *refused*: by a message of ours. *not run*: the template does not run here
without our node either, on what stands for its files. LoRAs and ControlNets are left out. {found} templates sample, {tried} of
them with classes that are served: {fine} are ok, {refused} refused, and {silent} without effect or a message.

{table(["class", "templates", "samplers", "ok", "refused", "not run", "wrong"], classes(rows))}

What is not ok:

{table(["class", "template", "method", "reason"], reasons(rows))}

Classes that are not served:

{table(["class", "templates"], unserved(rows))}
"""


def main():
    (ROOT / "docs" / "templates.md").write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
