"""Writes docs/gallery.md: edits of words that the demo models were not trained on. `python dev.py run benchmarks.editing.gallery`"""

import numpy as np
from PIL import Image

from ...demo.edit import MODELS, draw_pairs, judge, sheet, sign_pair
from ...scoring.ocr import EasyOcr
from ...testing.comfy_server import ROOT
from ..markdown import table
from .demo_edit import held_out_pairs

COUNT, SEED = 16, 7
DOCS = ROOT / "docs"


def section(name, rows):
    """rows: what demo.edit.judge says of the pairs."""
    done = sum(row["exact_folded"] for row in rows)
    kept = sum(row["colours_kept"] for row in rows)
    psnr = np.mean([row["psnr_edit"] for row in rows if row["psnr_edit"] is not None])
    listed = [[row["source"], row["target"], row["read_edit"] or "nothing", "yes" if row["colours_kept"] else "no"] for row in rows]
    return f"""## Demo {name}

{done} of {len(rows)} edits are read as the target's word, {kept} keep the source's colours; background {psnr:.1f} dB.

![{len(rows)} edits](pictures/gallery-{name}.webp)

{table(["source", "target", "read in the edit", "colours kept"], listed)}
"""


def main():
    pairs = [sign_pair(*words, SEED) for words in held_out_pairs(COUNT, SEED)]
    ocr, sections = EasyOcr(), []
    for name in MODELS:
        rows = draw_pairs(name, pairs, SEED).rows()
        sections.append(section(name, [judge(ocr, a, b, *row) for (a, b), row in zip(pairs, rows, strict=True)]))
        half = len(rows) // 2
        left, right = (np.asarray(sheet([row[:3] for row in part], scale=3)) for part in (rows[:half], rows[half:]))
        Image.fromarray(np.concatenate([left, right], 1)).save(DOCS / "pictures" / f"gallery-{name}.webp", quality=85, method=6)
    (DOCS / "gallery.md").write_text(
        f"""# Gallery

Made by `python dev.py run benchmarks.editing.gallery`. In threes: the source prompt, what the target prompt draws with the same seed, and
the source prompt with the target in the text layers only. They are the first {COUNT} pairs of held-out words that seed {SEED} gives, every
second pair of equal length; none is left out. EasyOCR reads the words.

{chr(10).join(sections)}""",
        "utf-8",
    )


if __name__ == "__main__":
    main()
