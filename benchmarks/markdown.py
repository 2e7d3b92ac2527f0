"""Tables in Markdown, and generated parts of a document between two markers."""


def table(head, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows))


def between(text, begin, end, inside):
    """text with `inside` in the place of what stands between the markers."""
    return f"{text[: text.index(begin)]}{begin}\n\n{inside}\n\n{text[text.index(end) :]}"
