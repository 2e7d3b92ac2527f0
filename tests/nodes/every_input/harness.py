"""What an input of a node does, by what differs between two runs of the node.

Case      another value for an input, and what must differ
Runs      runs nodes as usual and otherwise, and says what differed
names     of all inputs of nodes, "node id.input"
"""

import functools
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Case:
    """value: for the input, or a function of the world that makes it; differs: names of all that differs then, all else that is looked at
    stays, or with "..." among them of some that do; says: instead, a part of the error in which the node ends then; beside: inputs
    of both runs."""

    value: object
    differs: frozenset = frozenset()
    says: str = ""
    beside: dict = field(default_factory=dict)


def case(value, differs="", says="", **beside):
    """A Case. differs: names with blanks between."""
    return Case(value, frozenset(differs.split()), says, beside)


class Runs:
    """looks: {node's id: (its usual inputs, a function of the world; look(world, node, inputs) -> {name: what is compared})}."""

    def __init__(self, world, looks):
        self.world, self.looks, self._usual = world, looks, {}

    def difference(self, node, name, case, changed=True):
        """Names of what differs between a run of the node as usual and one with the case's value, or the error of this one. changed: False
        for a second run as usual, which a node gives that does not look at the input."""
        key = node, tuple(sorted((beside, id(value)) for beside, value in case.beside.items()))
        if key not in self._usual:
            self._usual[key] = self._look(node, case.beside)
        before = self._usual[key]
        assert "error" not in before, before["error"]
        after = self._look(node, case.beside | ({name: case.value} if changed else {}))
        if "error" in after:
            return after["error"]
        return frozenset(key for key in before.keys() | after.keys() if not same(before.get(key), after.get(key)))

    def _look(self, node, changes):
        usual, look = self.looks[node.define_schema().node_id]
        inputs = usual(self.world) | {name: value(self.world) if callable(value) else value for name, value in changes.items()}
        try:
            return look(self.world, node, inputs)
        except (ValueError, FileNotFoundError) as error:
            return {"error": str(error)}


def check(runs, node, name, case, changed=True):
    found = runs.difference(node, name, case, changed)
    if case.says:
        assert isinstance(found, str) and case.says in found, f"{name}: {found}"
    else:
        fits = case.differs - {"..."} <= found if "..." in case.differs else case.differs == found
        assert fits, f"another {name} makes a difference in {sorted(found) if found else 'nothing'}"


def names(nodes):
    return [f"{schema.node_id}.{declared.id}" for schema in (node.define_schema() for node in nodes) for declared in schema.inputs]


@functools.singledispatch
def same(a, b):
    return type(a) is type(b) and a == b


@same.register
def _(a: torch.Tensor, b):
    return torch.is_tensor(b) and a.shape == b.shape and torch.equal(a, b)


@same.register
def _(a: dict, b):
    return isinstance(b, dict) and a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())


@same.register(list)
@same.register(tuple)
def _(a, b):
    return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
