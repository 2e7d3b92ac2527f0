"""Several edits of one prompt, one a picture.

several    prompt and a list of edits -> prompts with the new words
"""

from .replace import parsed, replaced

BETWEEN = "|"  # replacements of one picture


def several(prompt, edits):
    """[(target prompt, [(old text, new text)])], one for each line of `edits` that is not empty: the new text alone, OLD -> NEW, or several
    of these with a | between them. A line in quotes, as tables have it, counts without them.

    Raises ValueError that names the line: as parsed and replaced, and for no line at all.
    """
    found = []
    for number, line in enumerate(edits.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(replaced(prompt, [one for part in line.split(BETWEEN) for one in parsed(part)]))
        except ValueError as error:
            raise ValueError(f'Picture {len(found) + 1}, line {number} ("{line.strip()[:60]}"): {error}') from None
    if not found:
        raise ValueError("There is no edit: write one a line, the new text alone or OLD -> NEW. Each line becomes a picture.")
    return found
