"""What Check Text Layers says of models whose answer is known, for docs/localization.md.

section    of the page
"""

from ...localization.check import CALLS, CARRIED, ERROR, HOLD, MISSING, NOT, PAIRS, PARTLY, UNTOLD
from ..markdown import table
from ..record import kept

NAMES = {"unet": "demo U-Net", "mmdit": "demo MMDiT"}
VERDICTS = (HOLD, PARTLY, NOT, UNTOLD)
# Of the simulated checks: shares of words that are carried, and carried wholly.
SHOWN = ((0.0, 0.0), (0.25, 0.0), (0.5, 0.0), (0.5, 0.5), (0.75, 0.5), (0.9, 0.5), (0.9, 0.9), (1.0, 0.5), (1.0, 1.0))


def checked(found):
    rows = []
    for row in (row for one in found for row in one["rows"]):
        read, of = row["true"]
        layers = ", ".join(map(str, row["layers"]))
        told = [row["verdicts"].get(verdict, 0) for verdict in VERDICTS]
        calls = max(one["calls"] for one in row["checks"])
        rows.append([NAMES[row["model"]], row["made"], f"{row['set']}: {layers}", f"{read} of {of}", *told, calls])
    return table(["model", "", "layers", "true: words read", *VERDICTS, "calls at most"], rows)


def simulated(found):
    rows = []
    for row in found["simulated"]:
        if row["pairs"] != PAIRS or (row["carried"], row["wholly"]) not in SHOWN:
            continue
        wrong = row[HOLD] * (row["wholly"] <= 0.5) + row[PARTLY] * (row["carried"] <= 0.5) + row[NOT] * (row["carried"] >= 0.5)
        shares = [f"{100 * row[key]:g} %" for key in ("carried", "wholly")]
        told = [f"{100 * row[verdict] / row['runs']:.0f} %" for verdict in VERDICTS]
        rows.append([*shares, *told, f"{100 * wrong / row['runs']:.1f} %"])
    return table(["words carried", "wholly", *VERDICTS, "wrong"], rows)


def section():
    found = [kept(f"checked_layers-{model}") for model in NAMES]
    first = found[0]
    half, wholly = (f"{100 * share:.0f} %" for share in (CARRIED, 1 - MISSING))
    asked = (f"--models {model} --draws {one['draws']} --pairs {one['pairs']}" for model, one in zip(NAMES, found, strict=True))
    commands = "\n".join(f"`python dev.py run benchmarks.localization.checked_layers {arguments} --out FILE.json`" for arguments in asked)
    runs = sum(row["runs"] for row in first["simulated"])
    return f"""## Do given layers hold in a model?

Check Text Layers compares layers with all others and with random sets on {PAIRS} words by the first prediction, and reads a word:
{CALLS} calls at most, each row of a batch counted, {first["steps"]} steps with guidance. A word is *carried* where the layers have at least
{half} of the effect and more than the others, *wholly* where {wholly}. A verdict is a sign test over words: with {PAIRS}, all have
to agree. The {wholly} come from 24 pairs of words that the demo models were trained on, of which the known layers carry all wholly,
the two most decisive ones alone about half (U-Net) and four of five (MMDiT, where these two also read most words); the words below are
others.

Each row: checks with other words and another seed each. *True* is what finished pictures of further pairs say, read by EasyOCR, of those
that all layers draw. *With a LoRA*: rank 8 on all text layers; *trained further*: all weights; both on signs
in another lettering and ink.

{checked(found)}

Layers of another architecture are refused before a call. The rule by itself, in {runs:,} simulated checks through the code that decides
({PAIRS} words are shown), by the share of all words that the layers carry. *Wrong* is a verdict that says more than is true: "hold" where
half or fewer are carried wholly, "hold partly" where half or fewer are carried, "do not hold" where half or more are. The worst case over
all shares in twentieths, computed exactly by a test, is {100 * ERROR:.0f} % at most.

{simulated(first)}

{commands}"""
