"""A workflow file as one flat graph: subgraphs opened, switched-off nodes passed, reroutes and primitives gone.

flat     {node id: Node} of a workflow
Node     what a node is given
"""

from dataclasses import dataclass, field

MUTED, BYPASSED = 2, 4
_INSIDE, _OUTSIDE = -10, -20  # ids of a subgraph's own inputs and outputs
_WIDGETS = ("INT", "FLOAT", "STRING", "COMBO", "BOOLEAN")
AFTER_A_SEED = ("fixed", "randomize", "increment", "decrement")


@dataclass
class Node:
    """links: {input: (node id, slot)}; widgets: what stands in the file, a list or a dict; named: the inputs of the file that are widgets,
    in order; values: {input: value} that a subgraph's own widgets give."""

    id: str
    type: str
    links: dict = field(default_factory=dict)
    widgets: list | dict = field(default_factory=list)
    named: list = field(default_factory=list)
    values: dict = field(default_factory=dict)


def flat(workflow):
    definitions = {one["id"]: one for one in workflow.get("definitions", {}).get("subgraphs", [])}
    links = {link[0]: (link[1], link[2]) for link in workflow["links"]}
    return _Flat(definitions).open(workflow["nodes"], links)


class _Flat:
    def __init__(self, definitions):
        self._definitions = definitions
        self._raw, self._where = {}, {}  # id -> (file's node, links of its graph, prefix)
        self._graphs = {}  # prefix -> (definition, the node that stands for it, prefix around it)

    def open(self, nodes, links):
        self._enter(nodes, links, "")
        found = {}
        for key, (raw, _, prefix) in self._raw.items():
            if raw.get("mode", 0) in (MUTED, BYPASSED) or raw["type"] in self._definitions or raw["type"] in ("Reroute", "PrimitiveNode"):
                continue
            node = Node(key, raw["type"], widgets=raw.get("widgets_values") or [])
            for given in raw.get("inputs", []):
                if "widget" in given:
                    node.named.append(given["name"])
                if given.get("link") is not None:
                    source = self._source(prefix, given["link"], given)
                    if isinstance(source, tuple):
                        node.links[given["name"]] = source
                    elif isinstance(source, dict):
                        node.values[given["name"]] = source["value"]
            found[key] = node
        return found

    def _enter(self, nodes, links, prefix):
        for raw in nodes:
            key = f"{prefix}{raw['id']}"
            self._raw[key] = (raw, links, prefix)
            definition = self._definitions.get(raw["type"])
            if definition and raw.get("mode", 0) not in (MUTED, BYPASSED):
                inner = {link["id"]: (link["origin_id"], link["origin_slot"]) for link in definition["links"]}
                self._graphs[f"{key}:"] = (definition, raw, prefix)
                self._enter(definition["nodes"], inner, f"{key}:")

    def _links(self, prefix):
        return next(links for raw, links, own in self._raw.values() if own == prefix)

    def _source(self, prefix, link, given):
        """(node id, slot) that a link comes from, {"value": ...} for a widget's, or None."""
        origin, slot = self._links(prefix).get(link, (None, 0))
        if origin is None:
            return None
        if origin == _INSIDE:
            definition, outer, around = self._graphs[prefix]
            name = definition["inputs"][slot]["name"]
            inputs = outer.get("inputs", [])
            own = next((one for one in inputs if one["name"] == name), None)
            if own is not None and own.get("link") is not None:
                return self._source(around, own["link"], given)
            values = _widget_values(definition, outer)
            return {"value": values[name]} if name in values else None
        return self._output(f"{prefix}{origin}", slot)

    def _output(self, key, slot):
        raw, _, prefix = self._raw[key]
        mode = raw.get("mode", 0)
        if mode == MUTED:
            return None
        if mode == BYPASSED or raw["type"] == "Reroute":
            kind = raw["outputs"][slot]["type"] if raw["type"] != "Reroute" else None
            inputs = [one for one in raw.get("inputs", []) if kind is None or one["type"] == kind]
            if not inputs or inputs[0].get("link") is None:
                return None
            return self._source(prefix, inputs[0]["link"], inputs[0])
        if raw["type"] == "PrimitiveNode":
            values = raw.get("widgets_values") or [None]
            return {"value": values[0]}
        if raw["type"] in self._definitions:
            definition = self._definitions[raw["type"]]
            wanted = set(definition["outputs"][slot]["linkIds"])
            inner = next((link for link in definition["links"] if link["id"] in wanted), None)
            inner = inner or next(
                (link for link in definition["links"] if link["target_id"] == _OUTSIDE and link["target_slot"] == slot), None
            )
            if inner is None:
                return None
            if inner["origin_id"] == _INSIDE:
                return self._source(f"{key}:", inner["id"], {})
            return self._output(f"{key}:{inner['origin_id']}", inner["origin_slot"])
        return key, slot


def _widget_values(definition, outer):
    """{input: value} of the node that stands for a subgraph. Its values stand in the order of the definition's inputs, of which the node
    often has a part only."""
    values = list(outer.get("widgets_values") or [])
    found = {}
    for one in definition["inputs"]:
        if one["type"] not in _WIDGETS or not values:
            continue
        found[one["name"]] = values.pop(0)
        if "seed" in one["name"] and values and values[0] in AFTER_A_SEED:
            values.pop(0)
    return found
