"""Writes the family table of the README from the adapters: `python dev.py run benchmarks.family_table`

The checks are those of benchmarks/results/families.json; renew them with
`python dev.py run benchmarks.families --out benchmarks/results/families.json`.
"""

import json
from pathlib import Path

from ..patching.adapters import FAMILIES
from ..patching.models import PRESETS
from . import markdown
from .families import CHECKS
from .tiny_models import MODELS, WITHOUT

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- family table: written by benchmarks/family_table.py -->", "<!-- end of the family table -->"
# Not a class of ComfyUI's: the pack brings it along.
DEEPFLOYD = ("DeepFloyd IF stage I (by Load DeepFloyd IF)", "DeepFloydIF", 22)


def mechanism(family):
    if family.injects:
        return "injection"
    return "target's own run" if family.evolves else "target's text, once"


def known(family):
    """Published text layers of a family's architectures, with the source."""
    found = [(layers, source) for key, (layers, source) in PRESETS.items() if key.startswith(f"{family.name}-")]
    return "; ".join(f"{layers}: {source}" for layers, source in found) or "not published"


def rows():
    """[[family, models, class, layers, mechanism, known layers, checks]] of all classes of ComfyUI, those that are not served last."""
    checks = {row["class"]: row for row in json.loads((ROOT / "benchmarks" / "results" / "families.json").read_text())}
    out = []
    for family in FAMILIES:
        entries = [(tiny.models, tiny.kind, tiny.full_layers) for tiny in MODELS if tiny.family == family.name]
        for number, (models, kind, layers) in enumerate(entries or [DEEPFLOYD]):
            row = checks.get(kind)
            passed = "".join(name for name in CHECKS if row.get(name)) if row else "oracle, own tests"
            first = number == 0
            name = family.description if first else ""
            out.append([name, models, f"`{kind}`", layers, mechanism(family) if first else "", known(family) if first else "", passed])
    for tiny in MODELS:
        if not tiny.family:
            out.append(["not supported", tiny.models, f"`{tiny.kind}`", 0, "", tiny.unservable, ""])
    out += [["not supported", models, f"`{kind}`", 0, "", f"{why[0].upper()}{why[1:]}.", ""] for kind, (models, why) in WITHOUT.items()]
    return out


def table():
    head = ["family", "models", "ComfyUI class", "text layers", "keys and values from", "known to decide the word", "checks passed"]
    return markdown.table(head, rows())


def with_table(readme):
    """The README's text with the table as it should be."""
    return markdown.between(readme, BEGIN, END, table())


def main():
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
