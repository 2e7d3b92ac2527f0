"""The one way into a model's text layers: while it is called, functions of ours stand in the attention of chosen layers.

attentions   a layer's attention on text, joint or cross, goes through a function
contexts     the text of a U-Net's layers goes through a function before it is projected
is_replaced  whether another node has such a layer's attention
projected    keys and values that such a layer makes of a text
Modules      the modules of all text layers, and those whose argument tells where the text is
lent         a module's forward, or another method, goes through a function, in this thread
passing      a forward whose attention is given the options of the call
signature    names of the arguments of a module's forward, or of another method

The first two give the options for one call of the model, which runs as it is written, not compiled. They belong to it and to its thread;
nothing stays on the model.
"""

import inspect
import re
import threading
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from types import FunctionType

from .attention import Attention
from .comfy import refuse_kept_text, uncompiled

POSITIONAL = ("mask", "attn_precision", "skip_reshape", "skip_output_reshape")  # of ComfyUI's attention functions, after heads
_ATTN2 = re.compile(r"(input|middle|output)_blocks?\.(?:(\d+)\.)?\d+\.transformer_blocks\.(\d+)\.attn2")


@contextmanager
def attentions(modules, diffusion_model, options, around, rows):
    """Options in which the first attention of each named layer is around[name](attention): an Attention -> its output. modules: Modules;
    rows: how many the call has.

    ComfyUI's attention function looks for an override in the options; what other nodes have put there is called by ours. The forward of
    the layers' modules says which layer is at work. Raises RuntimeError where the model has a layer no longer, where another node has a
    layer attend some of the rows only, and for a call in which the model keeps keys of an earlier one. What is raised in a layer is raised
    again behind the call: another node may have passed over it.
    """
    refuse_kept_text(options)
    family, layers, counted = modules.family, modules.layers(diffusion_model, around), modules.counted(diffusion_model)
    now, passed_over = _Now(len(counted)), []
    inner = options.get("optimized_attention_override")

    def override(function, q, k, v, heads, *rest, inner=inner, **more):
        attend = function if inner is None else partial(inner, function)
        if now.layer is not None and now.before > 0:
            now.before -= 1
            return attend(q, k, v, heads, *rest, **more)
        name, now.layer = now.layer, None
        if name is None or None in now.counted:  # a call without text has nothing to swap
            return attend(q, k, v, heads, *rest, **more)
        more.update(zip(POSITIONAL, rest, strict=False))
        mask = more.pop("mask", None)
        keys = k.shape[2 if more.get("skip_reshape") else 1]
        try:
            _refuse_some_rows(name, len(q), rows)
            return around[name](Attention(attend, q, k, v, heads, mask, more, family.text(*now.counted, keys)))
        except Exception as error:
            passed_over.append(error)
            raise

    options = {**options, "optimized_attention_override": override}
    bare = {"optimized_attention_override": partial(override, inner=None)}
    with ExitStack() as stack:
        stack.enter_context(uncompiled(options, modules.all(diffusion_model)))
        for name in around:
            given = None if family.passes_options else options
            noting = _noting(now, name, signature(type(layers[name]), family.method), layers[name], family.before, given, bare)
            stack.enter_context(lent(layers[name], noting, family.method))
        for kind, (argument, found) in enumerate(counted):
            for module in found:
                stack.enter_context(lent(module, _counting(now, kind, module, argument)))
        yield options
    if passed_over:
        raise passed_over[0]


def _refuse_some_rows(name, found, rows):
    if found != rows:
        raise RuntimeError(
            f"Another node runs text layer {name} on {found} rows of a call that has {rows} (Skip Layer Guidance and NAG for Wan do "
            "this), so that it cannot be known which of them take the target. Remove that node."
        )


@contextmanager
def contexts(modules, diffusion_model, options, texts, mixtures=()):
    """(options, {layer: (text for its keys, for its values)}): the text of a U-Net's layers before their to_k and to_v.

    modules: Modules; texts: {layer: function of the text [B, tokens, channels] that gives the target's in the rows that have one}. Layers
    in `mixtures` keep their own text, and the other one is left in the dict: it passes the other nodes' patches as their own does, and
    only their attention can mix the two. Ours comes first, so that what other nodes do to the text (hypernetworks, regional prompts) is
    done to the target's as well. Raises ValueError where a mixture's attention belongs to another node.
    """
    others = options.get("patches", {}).get("attn2_patch", [])
    by_place = {_place(name): name for name in texts}
    beside = {}
    for name in mixtures:
        if is_replaced(options, name):
            block, _ = _place(name)
            raise ValueError(
                f"Another node has replaced the cross-attention of {block[0]} block {block[1]} (IPAdapter works this way), so that single "
                "heads cannot be patched there. Choose whole layers, or remove the other node."
            )

    def attn2_patch(queries, context, value, extra_options):
        name = by_place.get((tuple(extra_options["block"][:2]), extra_options["block_index"]))
        if name is None:
            return queries, context, value
        target = texts[name](context)
        if name not in mixtures:
            return queries, target, target
        seen = queries, target, target
        for patch in others:
            seen = patch(*seen, extra_options)
        beside[name] = seen[1:]
        return queries, context, value

    with uncompiled(options, modules.all(diffusion_model)):
        yield {**options, "patches": {**options.get("patches", {}), "attn2_patch": [attn2_patch, *others]}}, beside


def is_replaced(options, name):
    """Whether another node has an attention of its own in the place of a U-Net's layer."""
    block, index = _place(name)
    replaced = options.get("patches_replace", {}).get("attn2", {})
    return block in replaced or (*block, index) in replaced


def projected(attention, for_keys, for_values):
    """Keys and values that a U-Net's layer makes of a text that `contexts` left beside its own."""
    return attention.to_k(for_keys), attention.to_v(for_keys if for_values is None else for_values)


class Modules:
    """Modules of models of one family, for one sampling run: a model is walked once, and again when another module has taken the place of
    one that was found."""

    def __init__(self, family):
        self.family = family
        self._found = {}  # model, patterns -> [(path, name, module)]
        self._all = {}  # model -> [(path, module)]

    def layers(self, diffusion_model, names):
        """{name: module} of all text layers, in execution order. Raises RuntimeError where one of `names` is not there."""
        modules = self._fitting(diffusion_model, self.family.layers)
        if missing := [name for name in names if name not in modules]:
            raise RuntimeError(
                f"The model has no text layer {missing[0]} while it is called: another node has put blocks of its own in the place of the "
                "model's (First Block Cache does). Remove it."
            )
        return modules

    def counted(self, diffusion_model):
        """[(argument, modules)] of what the family counts."""
        counted = self.family.counted
        places = (place.split(":") for place in ([counted] if isinstance(counted, str) else counted))
        return [(argument, self._fitting(diffusion_model, (pattern,)).values()) for pattern, argument in places]

    def all(self, diffusion_model):
        """[(path, module)] as the run found them."""
        if diffusion_model not in self._all:
            self._all[diffusion_model] = list(diffusion_model.named_modules())
        return self._all[diffusion_model]

    def _fitting(self, diffusion_model, patterns):
        found = self._found.get((diffusion_model, patterns), ())
        if not found or any(_at(diffusion_model, path) is not module for path, _, module in found):
            found = self._found[diffusion_model, patterns] = self.family.found(diffusion_model, patterns)
        return {name: self.family.own(module) for _, name, module in found}


def _at(module, path):
    for part in path:
        module = module._modules.get(part)
        if module is None:
            return None
    return module


def _place(name):
    """Module path -> (block, number of its transformer block), as ComfyUI tells a patch where it is."""
    place = _ATTN2.fullmatch(name)
    if place is None:
        raise ValueError(f"{name} is no text layer of a U-Net of ComfyUI's.")
    kind, number, index = place.groups()
    return (kind, int(number or 0)), int(index)


class _Now:
    """What the call of the model is at: the layer whose attention comes next, how many others come before it, and how many tokens of each
    kind were counted."""

    def __init__(self, kinds):
        self.layer, self.before = None, 0
        self.counted = [None] * kinds


def _noting(now, name, known, module, before, options, bare):
    """known: names of the arguments of the layer's method. before: the family's. options: for layers that do not pass them to the attention
    function themselves. bare: for those that are called without ours, as TeaCache and First Block Cache call Flux's."""
    place = known.index("transformer_options") if "transformer_options" in known else None

    def around(forward, *args, **kwargs):
        others = before(module, {**dict(zip(known, args, strict=False)), **kwargs})
        now.layer, now.before = (None, 0) if others is None else (name, others)
        given = kwargs.get("transformer_options") or {}
        if place is not None and len(args) <= place and "optimized_attention_override" not in given:
            kwargs = {**kwargs, "transformer_options": {**given, **bare}}
        try:
            return (forward if options is None else passing(forward, options))(*args, **kwargs)
        finally:
            now.layer = None

    return around


def passing(forward, options, always=True):
    """A layer's own forward, with an attention function that is given the options: the function of its file, in a copy of the file's
    names, so that no other call sees it. always: also where the layer gives some itself."""
    function = getattr(forward, "__func__", None)
    attention = None if function is None else function.__globals__.get("optimized_attention")
    if function is None or attention is None:  # another node's forward: what it leaves out is noticed when the run ends
        return forward

    def given(*args, **more):
        return attention(*args, **(more if more.get("transformer_options") and not always else {**more, "transformer_options": options}))

    names = {**function.__globals__, "optimized_attention": given}
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy.__get__(forward.__self__)


def _counting(now, kind, module, argument):
    def around(forward, *args, **kwargs):
        now.counted[kind] = _argument(type(module), argument, args, kwargs).shape[1]
        return forward(*args, **kwargs)

    return around


def _argument(kind, name, args, kwargs):
    if name in kwargs:
        return kwargs[name]
    return args[int(name) if name.isdigit() else signature(kind).index(name)]


@lru_cache(None)
def signature(kind, method="forward"):
    """kind: a module's class."""
    return list(inspect.signature(getattr(kind, method)).parameters)[1:]


class _Lent:
    """Stands in the place of a module's method while a call of the model wants it there, and hands each thread's calls to that thread's
    functions: several may use the module at once, and begin and end as they like."""

    lock = threading.Lock()
    passes_on = True  # what it stands before is `own`, see comfy.foreign_state

    def __init__(self, module, method):
        self.own = module.__dict__.get(method)  # another node's
        self.forward = getattr(module, method)
        self.functions = []  # (thread, function), the innermost first

    def __call__(self, *args, **kwargs):
        forward = self.forward
        for thread, around in tuple(self.functions):
            if thread == threading.get_ident():
                forward = partial(around, forward)
        return forward(*args, **kwargs)


@contextmanager
def lent(module, around, method="forward"):
    """In this thread the module's forward, or another method of it, goes through around(forward, *args, **kwargs)."""
    module = getattr(module, "_orig_mod", module)
    entry = threading.get_ident(), around
    with _Lent.lock:
        lent = module.__dict__.get(method)
        if not isinstance(lent, _Lent):
            lent = _Lent(module, method)
            setattr(module, method, lent)
        lent.functions.append(entry)
    try:
        yield
    finally:
        with _Lent.lock:
            lent.functions.remove(entry)
            if not lent.functions and module.__dict__.get(method) is lent:
                if lent.own is None:
                    delattr(module, method)
                else:
                    setattr(module, method, lent.own)
