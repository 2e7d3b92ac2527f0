"""The mixture of two texts in one attention, against softmax attention written out in float64."""

from dataclasses import replace

import pytest
import torch
from comfy.ldm.modules.attention import attention_pytorch
from text_layers.patching.attention import Attention, mixed, share, with_rows
from text_layers.patching.watch import _share

pytestmark = pytest.mark.any_comfyui

B, HEADS, D, PICTURE = 3, 4, 8, 6


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def attention(source=5, joint=True, apart=False, mask=False, seed=0):
    """apart: [B, heads, tokens, d] as models with skip_reshape have it."""
    queries = PICTURE + (source if joint else 0)
    keys = queries if joint else source
    q, k, v = (random(B, HEADS, n, D, seed=seed + i) for i, n in enumerate((queries, keys, keys)))
    seen = None
    if mask:
        seen = torch.zeros(B, 1, 1, keys, dtype=torch.float64)
        seen[1, ..., source - 1] = float("-inf")
    more = {"skip_reshape": True} if apart else {}
    parts = (q, k, v) if apart else (x.transpose(1, 2).flatten(2) for x in (q, k, v))
    return Attention(attention_pytorch, *parts, HEADS, seen, more, slice(0, source))


def target_of(source, tokens, seed=10):
    """k and v of another text."""
    shape = (B, HEADS, tokens, D)
    k, v = (random(*shape, seed=seed + i) for i in range(2))
    k, v = (k, v) if source.axis == 2 else (x.transpose(1, 2).flatten(2) for x in (k, v))
    return source.with_text(k, v)


def by_hand(call, heads=slice(None)):
    """[B, heads, queries, d]"""
    q, k, v = (x if call.axis == 2 else x.unflatten(2, (HEADS, D)).transpose(1, 2) for x in (call.q, call.k, call.v))
    logits = q @ k.transpose(2, 3) / D**0.5
    if call.mask is not None:
        logits = logits + call.mask
    return (logits.softmax(-1) @ v)[:, heads]


def flat(out):
    return out.transpose(1, 2).flatten(2)


CASES = [{"joint": joint, "apart": apart, "mask": mask} for joint in (True, False) for apart in (True, False) for mask in (True, False)]


@pytest.mark.parametrize("tokens", [5, 3, 8])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(name for name, on in case.items() if on) or "cross")
def test_mixed(case, tokens):
    source = attention(**case)
    target = target_of(source, tokens)
    for w in (0, 1, 0.3):
        wanted = (1 - w) * by_hand(source) + w * by_hand(target)
        assert torch.allclose(mixed(source, target, w), flat(wanted), atol=1e-12)
    heads = torch.tensor([1.0, 0.0, 0.25, 1.0])
    by_head = heads.double()[:, None, None]
    assert torch.allclose(mixed(source, target, heads), flat(torch.lerp(by_hand(source), by_hand(target), by_head)), atol=1e-12)


def test_whole_weights_cost_one_attention():
    source = attention()
    calls = []

    def counted(q, k, v, heads, **more):
        calls.append(heads)
        return attention_pytorch(q, k, v, heads, **more)

    source = Attention(counted, source.q, source.k, source.v, HEADS, None, {}, source.text)
    target = target_of(source, 5)
    for w, wanted in ((1, [4]), (0, [4]), (torch.tensor([1.0, 0, 0, 1]), [2, 2]), (0.5, [4, 4]), (torch.ones(4), [4])):
        calls.clear()
        mixed(source, target, w)
        assert calls == wanted


@pytest.mark.parametrize("shape", [(), (HEADS,)])
def test_the_gradient_of_w_is_a_finite_difference(shape):
    source = attention()
    target = target_of(source, 3)
    for value in (0.0, 0.5, 1.0):
        w = torch.full(shape, value, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda w: mixed(source, target, w).sin().sum(), (w,))
        assert torch.allclose(mixed(source, target, w), mixed(source, target, w.detach()), atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(name for name, on in case.items() if on) or "cross")
def test_rows_have_targets_of_their_own(case):
    """Whether they are as long as the source's text or not, in any order, and whatever mask they bring; other rows keep their text."""
    source = attention(**case)
    for tokens, weights in ((5, (1, 1)), (3, (1, 1)), (5, (1, torch.tensor([1.0, 0, 0, 1]))), (7, (0.5, 1))):
        first, second = target_of(source, tokens, seed=20), target_of(source, tokens, seed=30)
        targets = [
            ([2], tuple(part[2:] for part in first.text_parts()), weights[0]),
            ([0], tuple(part[:1] for part in second.text_parts()), weights[1]),
        ]
        keys, values = source.k.clone(), source.v.clone()
        out = with_rows(source, targets)
        assert torch.equal(source.k, keys) and torch.equal(source.v, values), "they are the model's"
        wanted = torch.stack([mixed(source, second, weights[1])[0], source()[1], mixed(source, first, weights[0])[2]])
        assert torch.allclose(out, wanted, atol=1e-12)


def test_heads_beside_a_mask_of_each_head():
    source = attention()
    source = replace(source, mask=random(B, HEADS, 1, 5 + PICTURE, seed=5))
    target, heads = target_of(source, 5), torch.tensor([1.0, 0.0, 0.25, 1.0])
    wanted = torch.lerp(by_hand(source), by_hand(target), heads.double()[:, None, None])
    assert torch.allclose(mixed(source, target, heads), flat(wanted), atol=1e-12)


def test_several_heads_of_queries_share_one_of_keys():
    """As if each had its own."""

    def shared(q, k, v, heads, enable_gqa=False, **more):
        k, v = (x.repeat_interleave(heads // x.shape[1], 1) if enable_gqa else x for x in (k, v))
        return attention_pytorch(q, k, v, heads, **more)

    source = attention(apart=True)
    source = replace(source, function=shared, k=source.k[:, ::2], v=source.v[:, ::2], more={"skip_reshape": True, "enable_gqa": True})
    target = source.with_text(random(B, HEADS // 2, 3, D, seed=10), random(B, HEADS // 2, 3, D, seed=11))
    own = [replace(a, k=a.k.repeat_interleave(2, 1), v=a.v.repeat_interleave(2, 1)) for a in (source, target)]
    heads = torch.tensor([1.0, 0.0, 0.25, 1.0])
    wanted = torch.lerp(*map(by_hand, own), heads.double()[:, None, None])
    assert torch.allclose(mixed(source, target, heads), flat(wanted), atol=1e-12)


def test_masks_of_two_three_and_four_axes():
    source, rows = attention(), [0, 2]
    mask = hiding(4, 5 + PICTURE, False).expand(B, 1, 5 + PICTURE, -1)
    parts = tuple(part[rows] for part in target_of(source, 5).text_parts())
    for w in (1, 0.5):
        two, three, four = (with_rows(replace(source, mask=m), [(rows, parts, w)]) for m in (mask[0, 0], mask[:, 0], mask))
        assert torch.equal(two, four) and torch.equal(three, four)


def hiding(token, tokens, boolean):
    """A mask of as many keys that hides one of them; in booleans it says what is seen."""
    hidden = torch.zeros(B, 1, 1, tokens, dtype=torch.bool)
    hidden[..., token] = True
    return ~hidden if boolean else torch.zeros(hidden.shape, dtype=torch.float64).masked_fill(hidden, float("-inf"))


@pytest.mark.parametrize("boolean", [True, False])
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("masked", [("source", "target"), ("source",), ("target",)], ids="-".join)
def test_what_a_mask_hides_is_as_if_it_were_not_there(masked, joint, boolean):
    """Of either text; what the source's mask hides of its own text says nothing about the target's."""
    source = attention(joint=joint)
    if "source" in masked:
        source = replace(source, mask=hiding(4, source.k.shape[1], boolean))
    seen = {"source": [n for n in range(5) if n != 4 or "source" not in masked]}
    for tokens, w, rows in ((5, 1, [0, 2]), (5, 1, [1, 2]), (5, torch.ones(HEADS), [0, 2]), (3, 1, [0, 1]), (8, 1, [2])):
        k, v = (random(B, tokens, HEADS * D, seed=seed) for seed in (10, 11))
        seen["target"] = [n for n in range(tokens) if n != 1 or "target" not in masked]
        parts = (k, v, hiding(1, tokens, boolean)) if "target" in masked else (k, v)
        out = with_rows(source, [(rows, tuple(part[rows] for part in parts), w)])
        for row in range(B):
            of, text = ("target", (k, v)) if row in rows else ("source", (source.k[:, :5], source.v[:, :5]))
            both = (torch.cat([t[row, seen[of]], own[row, 5:]])[None] for t, own in zip(text, (source.k, source.v), strict=True))
            assert torch.allclose(out[row], attention_pytorch(source.q[row][None], *both, HEADS)[0], atol=1e-12)


def test_the_mask_of_a_text_is_what_the_picture_sees_of_it():
    """And not what the text's own tokens see."""
    source = attention()
    mask = torch.zeros(B, 1, 5 + PICTURE, 5 + PICTURE, dtype=torch.float64)
    mask[:, :, :5, 3], mask[:, :, 5:, 1] = float("-inf"), float("-inf")
    assert torch.equal(replace(source, mask=mask).text_parts()[2], hiding(1, 5, False))


@pytest.mark.parametrize("tokens", [5, 12])  # fewer and more than a head has channels
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(name for name, on in case.items() if on) or "cross")
def test_share(case, tokens):
    """The softmax itself, of the picture's queries and some tokens, in chunks of any size."""
    call = attention(source=tokens, **case)
    q, k = (x if call.axis == 2 else x.unflatten(2, (HEADS, D)).transpose(1, 2) for x in (call.q, call.k))
    logits = q @ k.transpose(2, 3) / D**0.5
    whole = (logits if call.mask is None else logits + call.mask).softmax(-1)
    some = [1, tokens - 2]
    wanted = whole[:, :, -PICTURE:][..., some].sum(-1).mean(1)
    for chunk in (1, 4, 1000):
        assert torch.allclose(share(call, some, chunk).double(), wanted, atol=1e-6)  # computed in float32


def test_share_of_a_text_that_is_repeated():
    """Tokens of the embedding, wherever they are in its repetitions; nothing is known of a text that is none."""
    call = attention(source=10, joint=False)
    weights = (call.q.unflatten(2, (HEADS, D)).transpose(1, 2) @ call.k.unflatten(2, (HEADS, D)).permute(0, 2, 3, 1) / D**0.5).softmax(-1)
    wanted = weights[..., [1, 3, 6, 8]].sum(-1).mean(1)
    assert torch.allclose(_share(call, (1, 3), 5).double(), wanted, atol=1e-6)
    assert _share(call, (1, 3), 4) is None
