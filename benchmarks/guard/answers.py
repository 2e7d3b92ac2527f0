"""What Guard Drawn Text makes of prompts: `python dev.py run benchmarks.guard FILE --out FILE.json [--strength everything]`

FILE holds a prompt a line. Out come [{"prompt", "toxic", "words", "cleaned", "toxic_at": {strength: bool}}] in the same order; toxic,
words and cleaned are those of --strength, by default the node's.
"""

import argparse
import json
from pathlib import Path

from ...guard.prompt import clean
from ...scoring.lexicon import OBSCENE, STRENGTHS


def judged(prompt, strength):
    at = {one: clean(prompt, strength=one) for one in STRENGTHS}
    cleaned, toxic_at = at[strength], {one: bool(found.words) for one, found in at.items()}
    return {"prompt": prompt, "toxic": toxic_at[strength], "words": list(cleaned.words), "cleaned": cleaned.prompt, "toxic_at": toxic_at}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--strength", choices=STRENGTHS, default=OBSCENE)
    a = parser.parse_args()
    rows = [judged(prompt, a.strength) for prompt in a.prompts.read_text("utf-8-sig").splitlines() if prompt.strip()]
    a.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for strength in STRENGTHS:
        print(f"{strength}: {sum(row['toxic_at'][strength] for row in rows)} of {len(rows)} prompts ask for a toxic word to be drawn.")


if __name__ == "__main__":
    main()
