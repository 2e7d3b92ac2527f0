"""docs/errors: a page for each folder whose errors a user can meet, written by hand, and an index of all their messages.

python dev.py run benchmarks.server.errors     renews the index; says which messages stand on no page, and which of a page are gone

said       the messages of a folder, as the code has them
written    the same, as its page has them: each a quote of its own, "> "
index      the text of docs/errors/README.md

What a message tells of the case at hand stands in ‹...›.
"""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"
FOLDERS = ("nodes", "editing", "patching", "localization", "lora", "guard", "inversion", "scoring", "deepfloyd", "commands", "demo")
# What only those meet who train the demo models anew or draw with `dev.py demo`.
_DEVELOPERS = ("demo/edit.py", "demo/train.py", "demo/second_generation/train.py", "demo/second_generation/train_codec.py",
               "demo/second_generation/draw_ahead.py", "demo/second_generation/boards.py")  # fmt: skip
# What an error is made of; Unclear and NoGradient are reasons that end in another error's message.
_ERRORS = re.compile(r"\w*Error|SystemExit|Unknown|Diverged|Unclear|NoGradient")
_PLACE = re.compile(r"‹[^›]*›")


@cache
def said(folder):
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        if path.relative_to(ROOT).as_posix() in _DEVELOPERS:
            continue
        for call in ast.walk(_tree(path)):
            if isinstance(call, ast.Call) and call.args and _ERRORS.fullmatch(ast.unparse(call.func).rpartition(".")[2]):
                found |= {shape(message): message for message in _texts(call.args[0], path) if _speaks(message)}
    return list(found.values())


def written(folder):
    return re.findall(r"^> (.+)$", (PAGES / f"{folder}.md").read_text("utf-8"), re.M)


def shape(message):
    """A message whose places have no names: what the code and a page must have alike."""
    return _PLACE.sub("‹›", message)


def index():
    lines = [
        "# Errors", "",
        "Every message with which the pack refuses something, what causes it and what to do. Search this page (Ctrl+F) for a few words of",
        "the message that are no names or numbers of yours: these stand as ‹…› here.",
    ]  # fmt: skip
    for folder in FOLDERS:
        text = (PAGES / f"{folder}.md").read_text("utf-8")
        title, *_ = text.splitlines()
        lines += ["", f"## [{title.removeprefix('# ')}]({folder}.md)", ""]
        anchor = ""
        for line in text.splitlines():
            if heading := re.fullmatch(r"##+ (.+)", line):
                anchor = re.sub(r"[^\w -]", "", heading[1].lower()).replace(" ", "-")
            if line.startswith("> "):
                lines.append(f"- [{line[2:]}]({folder}.md#{anchor})")
    return "\n".join(lines) + "\n"


def main():
    (PAGES / "README.md").write_text(index(), "utf-8")
    for folder in FOLDERS:
        in_code, on_page = ({shape(message): message for message in messages} for messages in (said(folder), written(folder)))
        for form in in_code.keys() - on_page.keys():
            print(f"{folder}.md lacks:\n> {in_code[form]}")
        for form in on_page.keys() - in_code.keys():
            print(f"{folder}.md has, and the code has not:\n> {on_page[form]}")


def _speaks(message):
    """Whether it has words of its own, and does not only pass on what another says."""
    return len(re.findall(r"[a-z]{2,}", _PLACE.sub("", message))) > 1


def _texts(node, path):
    """The texts that an expression may be, each place of a value as ‹its name›."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(_part(part, path) for part in node.values)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [_one(node.left, path) + _one(node.right, path)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, path), *_texts(node.orelse, path)]
    if isinstance(node, ast.Name) and (value := _constants(path).get(node.id)):
        return _texts(*value)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and (function := _functions(path).get(node.func.id)):
            body, there = function
            return [text for one in ast.walk(body) if isinstance(one, ast.Return) and one.value for text in _texts(one.value, there)]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            places = iter(node.args)
            return [re.sub(r"{}", lambda _: _name(next(places)), text) for text in _texts(node.func.value, path)]
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("strip", "rstrip"):
            return _texts(node.func.value, path)
    return [_name(node)]


def _one(node, path):
    """Within a sentence, where what one of several may be is a place."""
    texts = _texts(node, path)
    return texts[0] if len(texts) == 1 else _name(node)


def _part(part, path):
    if isinstance(part, ast.Constant):
        return part.value
    is_known = isinstance(part.value, ast.Name) and part.value.id in _constants(path)
    return _one(part.value, path) if is_known else _name(part.value)


def _name(node):
    """Of a value: the last name in it that says something."""
    names = [one.attr if isinstance(one, ast.Attribute) else one.id for one in ast.walk(node) if isinstance(one, ast.Attribute | ast.Name)]
    words = [name.strip("_").lower().replace("_", " ") for name in names if name not in _PLUMBING]
    return f"‹{words[0] if words else '…'}›"


_PLUMBING = ("join", "len", "shortened", "sorted", "map", "str", "min", "max", "shape", "name", "type", "list", "next", "iter", "format")


@cache
def _tree(path):
    return ast.parse(path.read_text("utf-8"))


@cache
def _constants(path):
    """{name: (expression, file)} of a module's texts, its own and those that it imports from the pack."""
    found = {
        target.id: (one.value, path)
        for one in _tree(path).body
        if isinstance(one, ast.Assign) and (isinstance(one.value, ast.JoinedStr) or isinstance(getattr(one.value, "value", None), str))
        for target in one.targets
        if isinstance(target, ast.Name)
    }
    return _imported(path, _constants) | found


@cache
def _functions(path):
    """The same of its functions."""
    return _imported(path, _functions) | {one.name: (one, path) for one in _tree(path).body if isinstance(one, ast.FunctionDef)}


def _imported(path, what):
    found = {}
    for one in _tree(path).body:
        if isinstance(one, ast.ImportFrom) and one.level and one.module:
            file = path.parents[one.level - 1].joinpath(*one.module.split(".")).with_suffix(".py")
            if file.is_file() and file != path:
                found |= {name.asname or name.name: what(file)[name.name] for name in one.names if name.name in what(file)}
    return found


if __name__ == "__main__":
    main()
