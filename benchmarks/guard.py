"""What Guard Drawn Text makes of prompts: `python dev.py run benchmarks.guard FILE --out FILE.json`

FILE holds a prompt a line. Out come [{"prompt", "toxic", "words", "cleaned"}] in the same order.
"""

import argparse
import json
from pathlib import Path

from ..guard.prompt import clean


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    rows = []
    for prompt in a.prompts.read_text("utf-8-sig").splitlines():
        if prompt.strip():
            cleaned = clean(prompt)
            rows.append({"prompt": prompt, "toxic": bool(cleaned.words), "words": list(cleaned.words), "cleaned": cleaned.prompt})
    a.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{sum(row['toxic'] for row in rows)} of {len(rows)} prompts ask for a toxic word to be drawn.")


if __name__ == "__main__":
    main()
