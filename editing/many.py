"""Several edits of one prompt, one a picture.

several    prompt and a list of edits -> prompts with the new words
"""

import csv

from .replace import parsed, replaced

BETWEEN = "|"  # replacements of one picture


def several(prompt, edits):
    """[(target prompt, [(old text, new text)])], one for each line of `edits` that is not empty: the new text alone, OLD -> NEW, or several
    of these with a | between them. A line in quotes, as tables have it, counts without them, and a quote that is twice in it is one.

    Raises ValueError that names the line: as parsed and replaced, and for no line at all.
    """
    found = []
    for number, line in enumerate(edits.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(replaced(prompt, [one for part in _cell(line).split(BETWEEN) for one in parsed(part)]))
        except ValueError as error:
            raise ValueError(f'Picture {len(found) + 1}, line {number} ("{line.strip()[:60]}"): {error}') from None
    if not found:
        raise ValueError("There is no edit: write one a line, the new text alone or OLD -> NEW. Each line becomes a picture.")
    return found


def _cell(line):
    """What a line in quotes holds, where it is a table's only cell; other lines as they are."""
    try:
        cells = next(csv.reader([line.strip()], strict=True))
    except csv.Error:
        return line
    return cells[0] if len(cells) == 1 and line.strip().startswith('"') else line
