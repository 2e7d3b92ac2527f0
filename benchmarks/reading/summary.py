"""What the rows of benchmarks.reading come to."""

from collections import defaultdict

import numpy as np


def summary(rows):
    """{language: {engine: {turn: {"pictures", "exact", "exact_folded": counts, "boxes_cover": mean, or None}}}}"""
    parts = defaultdict(list)
    for row in rows:
        parts[row["language"], row["engine"], row["turn"]].append(row)
    found = {}
    for (language, engine, turn), some in parts.items():
        covers = [row["boxes_cover"] for row in some if row["boxes_cover"] is not None]
        found.setdefault(language, {}).setdefault(engine, {})[turn] = {
            "pictures": len(some),
            "exact": sum(row["exact"] for row in some),
            "exact_folded": sum(row["exact_folded"] for row in some),
            "boxes_cover": round(float(np.mean(covers)), 4) if covers else None,
        }
    return found
