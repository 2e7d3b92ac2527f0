"""Mistakes that a person chose: (file, code that stands there once, code instead of it)."""

_SIGMAS = "_sigma(model, share).cpu() for share in torch.rand(count, generator=random).tolist()"
_DROPPED = "(torch.rand(count, generator=random) < settings.caption_dropout)"
_FALLBACK = """    if sum(score.mean() for score in scores.values()) < REDUNDANT:
        return first_step(sweep)
    return _ranking(scores)
"""
_ALONE = """        alone = sweep.closeness([(layer,) for layer in layers], pairs)
        scores = {layer: scores[layer] + alone[(layer,)] for layer in layers}
"""

CHANGES = [
    ("editing/composite.py", "mask[..., None].to(edited)", "(mask[..., None] > 0).to(edited)"),
    ("guard/guard.py", "clean(prompt, replacement, allow, block, strength)", "clean(prompt, replacement, allow, (), strength)"),
    ("guard/picture.py", "        toxic += [word for word in matches if word not in toxic]\n", ""),
    ("guard/prompt.py", "_ROUNDS = 4", "_ROUNDS = 1"),
    ("scoring/toxicity.py", '_ROOTS = ("fuck", "shit", "bitch", "whore", "asshole", "nigger")', '_ROOTS = ("fuck",)'),
    ("scoring/toxicity.py", '_LANGUAGES = ("en", "hi-latn", "hi", "es", "fr", "de", "pt")', '_LANGUAGES = ("en", "hi-latn", "es", "de")'),
    ("scoring/lexicon.py", '"annals", "assed", "assess", "assessed", "assesses", "assessing",', '"annals",'),
    ("scoring/lexicon.py", '"scatted", "scatter", "scatters", "seminary", "sexual",', '"scatted",'),
    ("scoring/image.py", "top - grow) : bottom + grow, max(0, left - grow) : right + grow", "top) : bottom, max(0, left) : right"),
    ("scoring/image.py", "bottom + grow, max", "bottom + grow - 1, max"),
    ("scoring/image.py", "max(0, left - grow)", "max(0, left - grow + 1)"),
    ("scoring/image.py", "max(0, top - grow)", "(top - grow)"),
    (
        "scoring/edit.py",
        "tuple(f.box for words in found.values() for f in words)",
        'tuple(f.box for name in ("source", "edited") for f in found[name])',
    ),
    ("scoring/mask.py", "for found in reading], grow)", "for found in reading])"),
    ("scoring/loaded.py", "comfy.model_management.vae_offload_device()", "comfy.model_management.get_torch_device()"),
    ("scoring/loaded.py", "        return 0", "        return super().partially_unload(*args, **kwargs)"),
    ("localization/selection.py", "REACH = 0.95", "REACH = 0.5"),
    ("localization/selection.py", "GAP_PAIRS, CLOSE_PAIRS = 24, 8", "GAP_PAIRS, CLOSE_PAIRS = 1, 8"),
    ("localization/selection.py", "GAP_PAIRS, CLOSE_PAIRS = 24, 8", "GAP_PAIRS, CLOSE_PAIRS = 24, 1"),
    ("localization/strategies.py", "(sufficiency[layer] + necessity[layer]) / 2", "sufficiency[layer]"),
    ("localization/strategies.py", "np.concatenate([sufficiency[layer], necessity[layer]])", "sufficiency[layer]"),
    ("localization/strategies.py", "PAIRS = 8 ", "PAIRS = 1 "),
    ("localization/strategies.py", "NEGLIGIBLE = 0.004", "NEGLIGIBLE = 0.1"),
    ("localization/strategies.py", "sorted(range(len(pairs)), key=lambda n: pairs[n].equal_length)", "list(range(len(pairs)))"),
    ("localization/strategies.py", _FALLBACK, "    return _ranking(scores)\n"),
    ("localization/strategies.py", _ALONE, "        pass\n"),
    ("localization/strategies.py", "ADD_UP = 0.05", "ADD_UP = 5.0"),
    ("localization/choice.py", "chosen = _narrowed(ranking, refused, chosen, passes)", "pass"),
    ("localization/choice.py", "NEAR, MORE_PAIRS = 2, 16", "NEAR, MORE_PAIRS = 1, 16"),
    (
        "localization/choice.py",
        "    except NoGradient:\n        some = others[:CLOSERS]",
        "    except NoGradient:\n        return others\n        some = others[:CLOSERS]",
    ),
    ("localization/proof.py", "EXPECTED = 0.995", "EXPECTED = 0.9999"),
    ("localization/proof.py", "if drawn != tuple(layers):", "if True:"),
    ("lora/load.py", 'f"diffusion_model.{name}.")', 'f"diffusion_model.{name}")'),
    ("lora/load.py", "clip.add_patches(_patches(found.of_clip), in_clip)", "clip.add_patches(_patches(found.of_clip), in_layers)"),
    ("lora/load.py", ' if "hash" not in name}', "}"),
    ("lora/examples.py", '_generator(settings.seed, "step", step)', '_generator(settings.seed, "step", 0)'),
    ("lora/examples.py", _SIGMAS, _SIGMAS.replace("(model, share)", "(model, 0.5)")),
    (
        "lora/examples.py",
        "torch.randn(latents[picture].shape, generator=random)",
        "torch.randn(latents[picture].shape, generator=_generator(0))",
    ),
    ("lora/examples.py", _DROPPED, "(torch.rand(count, generator=random) < 0)"),
    ("lora/examples.py", "and cond_equal_size(one, other) and _sizes(one) == _sizes(other)", "and cond_equal_size(one, other)"),
    ("lora/optimizer.py", "weight_decay=settings.weight_decay", "weight_decay=0.5"),
    ("lora/adapters.py", "weight.copy_(up[: part.rows] / (self.alpha / self.rank))", "weight.copy_(up[: part.rows])"),
    ("lora/adapters.py", "            torch.manual_seed(seed)\n", "            torch.manual_seed(0)\n"),
    (
        "lora/run.py",
        "self._about, self._sound, self.losses = dict(about), True, []",
        'self._about, self._sound, self.losses = dict(about) | {"before": 0}, True, []',
    ),
    ("lora/state.py", "State(weights, optimizer, tensors[_LOSSES]", "State(weights, {}, tensors[_LOSSES]"),
    ("patching/paths.py", " {status.st_mtime_ns}", ""),
    ("patching/keep.py", "ATTENTION = 0.15, 0.40", "ATTENTION = 0.0, 0.01"),
    ("patching/keep.py", "CHANGE = 0.10, 0.25", "CHANGE = 0.9, 1.0"),
]
