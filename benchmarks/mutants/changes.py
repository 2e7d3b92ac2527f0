"""Small mistakes that can be made in a module, one at a time.

changes     source -> [Change]
Change      one of them; apply() gives the module's syntax tree with it
by_hand     the same of a text that is replaced by another
functions   first and last line of every function
constants   names that a module defines outside of its functions, by line
"""

import ast
import copy
from dataclasses import dataclass

_COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
                ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}  # fmt: skip
_ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
               ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Mult}  # fmt: skip
# What people are told, which no number depends on, and types.
_WORDS = (ast.Raise, ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom, ast.Global)
_TOLD = {"says", "report", "__repr__", "report_of_cut", "description", "listed", "shortened"}
_TYPES = {"annotation", "returns", "decorator_list", "type_params"}
_LOG = {"print", "info", "warning", "debug", "log", "warn"}


@dataclass(frozen=True)
class Change:
    """line: where; before, after: the code that differs"""

    line: int
    before: str
    after: str
    apply: object


def changes(source):
    tree = ast.parse(source)
    return [_change(tree, *where) for where in _places(tree)]


def _change(tree, parent, field, number, new):
    old = getattr(parent, field) if number is None else getattr(parent, field)[number]

    def apply():
        twin = copy.deepcopy((tree, parent, new))  # together, so that the parent is the one in the tree
        if number is None:
            setattr(twin[1], field, twin[2])
        else:
            getattr(twin[1], field)[number] = twin[2]
        return ast.fix_missing_locations(twin[0])

    return Change(old.lineno, ast.unparse(old), ast.unparse(new), apply)


def _places(parent):
    for field, value in ast.iter_fields(parent):
        for number, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            told = isinstance(node, ast.FunctionDef) and node.name in _TOLD
            if field in _TYPES or not isinstance(node, ast.AST) or isinstance(node, _WORDS) or told:
                continue
            for new in _others(node, field):
                yield parent, field, number, ast.copy_location(new, node)
            yield from _places(node)


def _others(node, field):
    """What may stand instead of a node: nothing that fails wherever it is run, as far as that can be seen."""
    match node:
        case ast.Compare(ops=[op]):
            yield ast.Compare(node.left, [_COMPARISONS[type(op)]()], node.comparators)
        case ast.BinOp() if type(node.op) in _ARITHMETIC and not any(map(_is_text, (node.left, node.right))):
            yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(2 * value if value else 1.0)
        case ast.Return(value=value) if value is not None and not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call(func=called)) if _name(called) not in _LOG:
            yield ast.Pass()
    if field == "test" and not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)


def _is_text(node):
    return isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _name(called):
    return getattr(called, "attr", getattr(called, "id", ""))


def by_hand(source, old, new):
    if source.count(old) != 1:
        raise ValueError(f"{old!r} stands there {source.count(old)} times, not once.")
    line = source[: source.index(old)].count("\n") + 1 + old[: len(old) - len(old.lstrip("\n"))].count("\n")
    return Change(line, old.strip(), new.strip(), lambda: ast.parse(source.replace(old, new)))


def functions(tree):
    """[(first line, last line, names that it uses)], decorators included, the outer ones first."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found.append((first, node.end_lineno, _used(node)))
    return found


def constants(tree):
    """[(first line, last line, names that it gives, names that it uses)] of what is assigned outside of functions."""
    found = []
    for owner in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))):
        for node in owner.body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                given = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
                found.append((node.lineno, node.end_lineno, given, _used(node)))
    return found


def _used(node):
    return {getattr(n, "id", getattr(n, "attr", None)) or getattr(n, "arg", None) for n in ast.walk(node)} - {None}
