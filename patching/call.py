"""One call of the model in a sampling run, and the same call with other text.

Call      its arguments and whose rows they are
Changed   what a target's text changes among the arguments of its source
equal     whether two such values are the same
"""

import torch

from .comfy import beside_caches
from .place import Unknown


class Changed:
    """What the model is given for a target where it differs from what it is given for the source: {argument: comfy.conds' object, None
    where the target has nothing}. All else of a target's call is the source's call itself, with all that other nodes have made of it.

    source, target: `model_conds` of the two, as the model has encoded them.
    """

    def __init__(self, source, target):
        self._source = source
        self.conds = {name: target.get(name) for name in {*source, *target} if not _same(source.get(name), target.get(name))}

    def get(self, name):
        return self.conds[name] if name in self.conds else self._source.get(name)

    def sizes(self, names):
        return tuple(None if self.get(name) is None else _size(self.get(name).cond) for name in names)


class Call:
    """executor: what goes on with the call; rows: its Entry for each row of the batch, None for a prompt that is no entry of the run;
    in_order: whether an entry's rows are the sampler's pictures, one after another."""

    def __init__(self, executor, x, t, c_concat, c_crossattn, control, transformer_options, kwargs):
        self.executor, self.x, self.t, self.control = executor, x, t, control
        self.options = transformer_options
        self.model = executor.class_obj
        self.diffusion_model = self.model.diffusion_model
        self.given = {"c_concat": c_concat, "c_crossattn": c_crossattn, **kwargs}
        self.rows, self.in_order = [], True

    def groups(self):
        """{(kind, number) of an entry: its rows, in their order}, of the kinds that have a target: other guiders have more."""
        found = {}
        for row, entry in enumerate(self.rows):
            if entry is not None and entry.kind in ("positive", "negative"):
                found.setdefault((entry.kind, entry.number), []).append(row)
        return found

    def by_row(self, cond, rows):
        """A target's cond for so many rows of its entry. Raises Unknown where it has a text for each picture, and rows are not pictures."""
        if torch.is_tensor(cond.cond) and cond.cond.ndim > 1 and len(cond.cond) > 1 and not self.in_order:
            raise Unknown(
                f"Another node has made the batch of the model's call anew, and the target has {len(cond.cond)} texts for different "
                "pictures, so that it cannot be known which text belongs to which row. Give the target one text, or remove that node."
            )
        return cond.process_cond(batch_size=rows, area=None)

    def beside(self, changes, options):
        """Calls the model once more, on some of the rows with another text. changes: {row: Changed} whose sizes are the same.

        Rows keep their order, so that a text which is the source's own is computed with the very numbers of the source's call.
        """
        where = sorted(changes)
        given = {name: _of_rows(value, where, len(self.x)) for name, value in self.given.items()}
        for name in sorted({name for changed in changes.values() for name in changed.conds}):
            value = self._joined(name, [changes[row] for row in where])
            given[name] = value
            if value is None:
                del given[name]
        control = self.control and {
            key: [value if value is None else value[where] for value in values] for key, values in self.control.items()
        }
        concat, context = given.pop("c_concat", None), given.pop("c_crossattn", None)
        return self.executor(self.x[where], self.t[where], concat, context, control, beside_caches(options), **given)

    def _joined(self, name, changes):
        """An argument's value for rows one after another; the rows of one entry share its Changed."""
        order = list(dict.fromkeys(changes))
        conds = [changed.get(name) for changed in order]
        if conds[0] is None:
            return None
        places, processed = [], []
        for changed, cond in zip(order, conds, strict=True):
            own = [place for place, other in enumerate(changes) if other is changed]
            places += own
            processed.append(self.by_row(cond, len(own)))
        value = processed[0].concat(processed[1:])
        back = sorted(range(len(places)), key=places.__getitem__)
        value = value if back == list(range(len(back))) else _of_rows(value, back, len(back))
        return value.to(self.x.device) if hasattr(value, "to") else value


def _of_rows(value, where, rows):
    """Some rows of what the model is given for a batch; what is not by row stays."""
    if isinstance(value, list):
        return [_of_rows(one, where, rows) for one in value]
    return value[where] if torch.is_tensor(value) and value.ndim and len(value) == rows else value


def _size(value):
    """Of a tensor its shape; what is none is the same for a whole call, and cannot be shared with another."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_size, value))
    return value.shape if torch.is_tensor(value) else repr(value)


def _same(a, b):
    return a is b or (a is not None and b is not None and type(a) is type(b) and equal(a.cond, b.cond))


def equal(a, b):
    """Of tensors, or lists and dicts of them, by value."""
    if torch.is_tensor(a) and torch.is_tensor(b):
        return a.shape == b.shape and torch.equal(a, b.to(a.device))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    return not torch.is_tensor(a) and not torch.is_tensor(b) and a == b
