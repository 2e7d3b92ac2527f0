"""Writes docs/discovery.md: `python dev.py run benchmarks.families.discovery_docs`

The figures are those of benchmarks/results/discovery.json.
"""

import json
from pathlib import Path

from ..markdown import table

ROOT = Path(__file__).parents[2]


def looked(rows):
    """[[class, models, layers, right, why not]]"""
    return [[f"`{r['class']}`", r["models"], r["layers_found"] or "", r["layers_equal"] and r["text_equal"], r["refused"]] for r in rows]


def text():
    found = json.loads((ROOT / "benchmarks" / "results" / "discovery.json").read_text())
    right = sum(row["layers_equal"] and row["text_equal"] for row in found)
    return f"""# A model that nobody has written an adapter for

Written by `benchmarks/families/discovery_docs.py`.

Its text layers are found by looking: a few calls of the model with another text, a longer text, a larger picture, another noise. An
attention whose keys become more with the text and whose queries with the picture is a text layer; in the first one the keys that move
with another text are the text's, and with text and picture kept apart in all layers the same is asked of each. Then the checks of the
table of families run on that model, before anything is drawn with it. `python dev.py run benchmarks.families.discovery --out FILE.json`
does so with {len(found)} tiny models as if there were no adapters: {right} are found as the adapters have them, layers and the text's place
in every call that was compared.

{table(["class", "models", "layers found", "as its adapter", "refused, why"], looked(found))}
"""


def main():
    (ROOT / "docs" / "discovery.md").write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
