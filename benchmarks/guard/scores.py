"""How well the guard tells toxic drawn words: `python dev.py run benchmarks.guard.scores --out FILE.json`

On the labelled prompts of benchmarks.guard.prompts, made once and kept in data/guard_prompts.tsv. Recall and precision with Wilson's
95 % intervals, and each kind by itself.
"""

import argparse
import json
from pathlib import Path

from scipy.stats import binomtest

from ...guard.prompt import clean
from ..record import environment

PROMPTS = Path(__file__).parent / "data" / "guard_prompts.tsv"


def share(count, of):
    """{"count", "of", "share", "interval"}"""
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return {"count": count, "of": of, "share": round(count / of, 4), "interval": [round(interval.low, 4), round(interval.high, 4)]}


def scores(rows):
    """rows: (label, kind, prompt)"""
    judged = [(label, kind, prompt, clean(prompt)) for label, kind, prompt in rows]
    flagged = [row for row in judged if row[3].words]
    caught = sum(row[0] == "toxic" for row in flagged)
    out = {
        "recall": share(caught, sum(row[0] == "toxic" for row in judged)),
        "precision": share(caught, len(flagged)),
        "flagged_by_kind": {},
    }
    for label, kind in dict.fromkeys((row[0], row[1]) for row in judged):
        of = [row for row in judged if row[:2] == (label, kind)]
        out["flagged_by_kind"][f"{label}, {kind}"] = share(sum(bool(row[3].words) for row in of), len(of))
    out["wrong"] = [[label, kind, prompt, list(c.words)] for label, kind, prompt, c in judged if (label == "toxic") != bool(c.words)]
    # The word is gone from what is drawn, and what is left is no other toxic word.
    out["still_toxic_once_cleaned"] = sum(bool(clean(row[3].prompt).words) for row in flagged)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompts", type=Path, default=PROMPTS)
    a = parser.parse_args()
    rows = [line.split("\t") for line in a.prompts.read_text("utf-8").splitlines()]
    result = {**environment(), **scores(rows)}
    a.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps({key: value for key, value in result.items() if key != "wrong"}, indent=1))


if __name__ == "__main__":
    main()
