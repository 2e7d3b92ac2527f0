"""The nodes around an edit: its two prompts, and its picture."""

import torch
from comfy_api.latest import io
from comfy_execution.graph import ExecutionBlocker

from ..editing.composite import composite, mask
from ..editing.replace import parsed, replaced
from ..patching.drawn import encode
from .checked import checked
from .comfy_compat import SAYS, aliases
from .text_layers import CATEGORY, show


class ReplaceDrawnWords(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersReplaceWords",
            display_name="Replace Drawn Words",
            category=CATEGORY,
            description="Makes the two prompts of an edit from one: as it is, and with other words in its quotes.",
            **aliases("edit prompt", "change word", "swap text", "typo", "erase text", "remove text", "find and replace", "edit text"),
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
        found = "\n".join(f'"{old}" becomes "{new}"' if new else f'"{old}" is taken away' for old, new in changes)
        if clip is None:
            encoded = [
                ExecutionBlocker("Connect a CLIP to Replace Drawn Words: its source and target are prompts that it has encoded.")
            ] * 2
        else:
            encoded = [encode(clip, prompt), encode(clip, target)]
        return io.NodeOutput(*encoded, prompt, target, ui=show(f"{found}\n\n{target}"))


class CompositeEdit(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersComposite",
            display_name="Composite Edited Words",
            category=CATEGORY,
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
