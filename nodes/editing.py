"""The nodes around an edit: its two prompts, and its picture."""

import torch
from comfy_api.latest import io
from comfy_execution.graph import ExecutionBlocker

from ..editing.composite import composite, mask
from ..editing.many import several
from ..editing.replace import parsed, replaced
from ..patching.drawn import encode
from .checked import checked
from .comfy_compat import SAYS, aliases
from .live import each
from .text_layers import CATEGORY, show


class ReplaceDrawnWords(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersReplaceWords",
            display_name="Replace Drawn Words",
            category=f"{CATEGORY}/edit",
            description="Makes the two prompts of an edit from one: as it is, and with other words in its quotes.",
            **aliases(
                "edit prompt",
                "edit text",
                "change word",
                "replace text",
                "swap text",
                "find and replace",
                "typo",
                "spelling",
                "caption",
                "erase text",
                "remove text",
            ),
            inputs=[
                io.String.Input(
                    "prompt",
                    multiline=True,
                    default='a sign that says "OPEN"',
                    tooltip="The prompt of the picture, with the words that it shows in quotes. Connect a prompt enhancer's output here.",
                ),
                io.String.Input(
                    "replacements",
                    multiline=True,
                    default="OPEN -> CLOSED",
                    tooltip="What changes, one a line: OLD -> NEW. The new text alone is enough where the prompt has one drawn text. "
                    "Nothing behind the arrow takes the words away. \\n stands for a new line.",
                ),
                io.Clip.Input("clip", tooltip="The text encoder, for both prompts.", optional=True),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="source", tooltip="The prompt as it is, encoded, for the sampler's positive. Needs the clip."
                ),
                io.Conditioning.Output(
                    display_name="target", tooltip="The prompt with the new words, encoded, for Patch Prompt Into Layers. Needs the clip."
                ),
                io.String.Output(display_name="source_prompt", tooltip="The prompt as it is."),
                io.String.Output(display_name="target_prompt", tooltip="The prompt with the new words."),
            ],
            **SAYS,
        )

    @classmethod
    @checked
    def execute(cls, prompt, replacements, clip=None):
        target, changes = replaced(prompt, parsed(replacements))
        encoded = [_no_clip(cls)] * 2 if clip is None else [encode(clip, prompt), encode(clip, target)]
        return io.NodeOutput(*encoded, prompt, target, ui=show(f"{_told(changes)}\n\n{target}"))


class ReplaceDrawnWordsInMany(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersReplaceMany",
            display_name="Replace Drawn Words in Many",
            category=f"{CATEGORY}/edit",
            description="Makes one edit after the other of one prompt, from a list of words: all that follows runs once for each, and the "
            "source is drawn once.",
            **aliases("batch edit", "list of words", "variants", "CSV", "mail merge", "many words", "edit text", "replace text"),
            inputs=[
                io.String.Input(
                    "prompt",
                    multiline=True,
                    default='a sign that says "OPEN"',
                    tooltip="The prompt of the source, with the words that it shows in quotes.",
                ),
                io.String.Input(
                    "edits",
                    multiline=True,
                    default="CLOSED\nSALE",
                    tooltip="One picture a line: the new text alone, or OLD -> NEW, or several of these with a | between them. Nothing "
                    "behind the arrow takes the words away. A file's text can be connected.",
                ),
                io.Clip.Input("clip", tooltip="The text encoder, for all prompts.", optional=True),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="source", tooltip="The prompt as it is, encoded, for the sampler's positive. Needs the clip."
                ),
                io.Conditioning.Output(
                    display_name="targets",
                    is_output_list=True,
                    tooltip="The prompts with the new words, encoded, one a line, for Patch Prompt Into Layers. Needs the clip.",
                ),
                io.String.Output(display_name="source_prompt", tooltip="The prompt as it is."),
                io.String.Output(display_name="target_prompts", is_output_list=True, tooltip="The prompts with the new words, one a line."),
            ],
            **SAYS,
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(cls, prompt, edits, clip=None):
        found = several(prompt, edits)
        targets = [target for target, _ in found]
        said = "\n".join(f"{number}: {_told(changes, ', ')}" for number, (_, changes) in enumerate(found, 1))
        if clip is None:
            source, encoded = _no_clip(cls), [_no_clip(cls)] * len(found)
        else:
            source, encoded = encode(clip, prompt), [encode(clip, target) for target in each(targets, cls)]
        return io.NodeOutput(source, encoded, prompt, targets, ui=show(said))


def _told(changes, between="\n"):
    return between.join(f'"{old}" becomes "{new}"' if new else f'"{old}" is taken away' for old, new in changes)


def _no_clip(node):
    name = node.define_schema().display_name
    return ExecutionBlocker(f"Connect a CLIP to {name}: its conditionings are prompts that it has encoded.")


class CompositeEdit(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersComposite",
            display_name="Composite Edited Words",
            category=f"{CATEGORY}/edit",
            description="Puts the edited words into the source's picture: outside of them every pixel is the source's own.",
            **aliases("keep background", "paste text", "blend edit", "seamless", "mask of edit", "image composite"),
            inputs=[
                io.Image.Input("source", tooltip="The picture before the edit."),
                io.Image.Input("edited", tooltip="The picture after it, of the same size."),
                io.Latent.Input("source_latent", tooltip="The latents of the source, as its sampler gave them."),
                io.Latent.Input("edited_latent", tooltip="The latents of the edit, drawn with the source's connected to keep."),
                io.Int.Input(
                    "edge",
                    default=6,
                    min=0,
                    max=256,
                    tooltip="Pixels over which the edit begins, inside of the changed place.",
                ),
            ],
            outputs=[
                io.Image.Output(tooltip="The source with the edited words."),
                io.Mask.Output(tooltip="Where it is the edit's, 0 to 1."),
            ],
            **SAYS,
        )

    @classmethod
    @checked
    def execute(cls, source, edited, source_latent, edited_latent, edge):
        before, after = source_latent["samples"], edited_latent["samples"]
        _check_sizes(source, edited, before, after)
        where = mask(before, after, *edited.shape[1:3], edge).to(edited.device)
        if len(where) not in (1, len(edited)):
            raise ValueError(f"There are {len(edited)} pictures and latents of {len(where)}: connect the latents of the same pictures.")
        out = composite(source, edited, where)
        return io.NodeOutput(out, where.expand(len(edited), -1, -1), ui=show(_said(where)))


def _check_sizes(source, edited, before, after):
    if source.shape[1:] != edited.shape[1:] or len(source) not in (1, len(edited)):
        raise ValueError(f"source is {_size(source)} and edited {_size(edited)}: they are compared pixel by pixel.")
    if not torch.is_tensor(before) or not torch.is_tensor(after):
        raise ValueError("source_latent or edited_latent holds several latents at once (a video with sound): connect those of pictures.")
    if before.shape[1:] != after.shape[1:] or len(before) not in (1, len(after)):
        raise ValueError(
            f"source_latent is {' x '.join(map(str, before.shape))} and edited_latent {' x '.join(map(str, after.shape))}: connect the "
            "latents of the two pictures, from their samplers."
        )


def _size(pictures):
    count, height, width = pictures.shape[:3]
    return f"{count} of {width} x {height} pixels, {pictures.shape[3]} channels"


def _said(where):
    share = float((where > 0).float().mean())
    if share == 0:
        return "Nothing is different: the picture is the source."
    if share > 0.98:
        return (
            "The edit differs from the source everywhere, so that nothing could be kept: connect the source's LATENT to keep of Patch "
            "Prompt Into Layers."
        )
    return f"{1 - share:.1%} of the pixels are the source's own."
