"""Charts that are looked at small, on a node, over a dark or a light canvas: they bring their own background.

layer_chart     a bar for each layer, the chosen ones in colour
curves          the paper's figures: OCR F1 and mean squared error over layers or start steps
contact_sheet   rows of pictures under headings
live_chart      bars and a picture, drawn quickly while a search runs
loss_chart      the loss of a training so far, drawn quickly
edit_chart      the pictures of an edit, what was read, and where the background changed
word_boxes      a picture with its words boxed

All return pictures [H, W, 3] uint8.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_PAPER, _INK, _CHOSEN, _OTHER, _RIGHT = "#f4f4f2", "#22242a", "#d1495b", "#8d99ae", "#2e6f95"


def layer_chart(scores, chosen, title, label):
    """scores: [(mean, lower, upper)] of each layer in the model's order; chosen: their numbers; label: what the scores are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=120, facecolor=_PAPER, layout="constrained")
    axes = figure.add_subplot(facecolor=_PAPER)
    mean, lower, upper = np.asarray(scores, float).T
    places = np.arange(len(mean))
    colours = [_CHOSEN if place in chosen else _OTHER for place in places]
    axes.bar(places, mean, color=colours, width=0.8, yerr=[np.clip(mean - lower, 0, None), np.clip(upper - mean, 0, None)], ecolor=_INK)
    every = max(1, len(mean) // 24)
    axes.set_xticks([place for place in places if place % every == 0 or place in chosen])
    for tick in axes.get_xticklabels():
        tick.set_color(_CHOSEN if int(tick.get_text()) in chosen else _INK)
        tick.set_fontweight("bold" if int(tick.get_text()) in chosen else "normal")
        tick.set_rotation(90 if len(mean) > 24 else 0)
    axes.set_xlabel("text layer", size=14, color=_INK)
    axes.set_ylabel(label, size=14, color=_INK)
    axes.set_title(title, size=15, color=_INK)
    axes.tick_params(labelsize=12, colors=_INK)
    axes.axhline(0, color=_INK, linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _drawn(figure)


def _drawn(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def curves(places, f1, mse, label, title):
    """f1, mse: one figure for each of `places`; label: what the places are. [Staniszewski et al., figures 2 and 5]"""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=120, facecolor=_PAPER, layout="constrained")
    left = figure.add_subplot(facecolor=_PAPER)
    right = left.twinx()
    for axes, values, name, colour, marker in ((left, f1, "OCR F1, the target's word", _CHOSEN, "o"), (right, mse, "MSE", _RIGHT, "s")):
        axes.plot(places, values, color=colour, marker=marker, linewidth=2)
        axes.set_ylabel(name, size=14, color=colour)
        axes.tick_params(axis="y", labelsize=12, colors=colour)
        axes.set_ylim(bottom=0)
        axes.spines["top"].set_visible(False)
    left.set_xticks(list(places))
    left.tick_params(axis="x", labelsize=12, colors=_INK)
    left.set_xlabel(label, size=14, color=_INK)
    left.set_title(title, size=15, color=_INK)
    return _drawn(figure)


def contact_sheet(headings, rows, width=256):
    """rows: [[(picture [H, W, 3] uint8, caption)]], as many in a row as there are headings; width: of one picture in pixels."""
    font = ImageFont.load_default(15)
    height = round(width * rows[0][0][0].shape[0] / rows[0][0][0].shape[1])
    gap, line = 10, 22
    sheet = Image.new("RGB", (gap + len(headings) * (width + gap), line + gap + len(rows) * (height + line + gap)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, heading in enumerate(headings):
        pen.text((gap + column * (width + gap), 6), heading, _INK, font)
    for y, row in enumerate(rows):
        for x, (picture, caption) in enumerate(row):
            at = (gap + x * (width + gap), line + gap + y * (height + line + gap))
            sheet.paste(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC), at)
            pen.text((at[0], at[1] + height + 2), caption, _INK, font)
    return np.asarray(sheet)


def live_chart(scores, layers, picture=None):
    """scores: layer -> 0 to 1, for those that are known; layers: how many there are."""
    width, height = 512, 160
    chart = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(chart)
    step = width / layers
    for layer, score in scores.items():
        top = height - 18 - max(0.0, min(1.0, score)) * (height - 28)
        pen.rectangle((layer * step + 1, top, (layer + 1) * step - 2, height - 18), _CHOSEN if score > 0.05 else _OTHER)
    for layer in range(0, layers, max(1, layers // 12)):
        pen.text((layer * step + 2, height - 15), str(layer), _INK, ImageFont.load_default(11))
    return _above(chart, picture)


def _above(chart, picture):
    """picture: None, or one that is shown below the chart in the same width."""
    if picture is None:
        return np.asarray(chart)
    shown = Image.fromarray(picture)
    shown = shown.resize((chart.width, round(chart.width * shown.height / shown.width)), Image.Resampling.BICUBIC)
    both = Image.new("RGB", (chart.width, chart.height + shown.height), _PAPER)
    both.paste(chart, (0, 0))
    both.paste(shown, (0, chart.height))
    return np.asarray(both)


def loss_chart(losses, steps, picture=None, readings=()):
    """losses: of the steps so far; steps: of the whole training. Points are the losses, the line their running mean. picture: [H, W, 3],
    shown below. readings: (step, 0 to 1, words) of what was read in the meantime, on a scale of its own, whose top is 1."""
    width, height, edge = 512, 256, 18
    chart = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(chart)
    values = np.asarray(losses, float)
    most = max(float(np.quantile(values, 0.98)), 1e-12) * 1.1
    x = edge + np.arange(len(values)) * (width - 2 * edge) / max(1, steps - 1)
    y = height - edge - np.clip(values / most, 0, 1) * (height - 2 * edge)
    every = max(1, len(values) // width)
    for point in zip(x[::every], y[::every], strict=True):
        pen.point(point, _OTHER)
    window = max(1, len(values) // 20)
    mean = np.convolve(values, np.ones(window) / window, "valid")
    top = height - edge - np.clip(mean / most, 0, 1) * (height - 2 * edge)
    pen.line(list(zip(x[window - 1 :], top, strict=True)), _CHOSEN, 2)
    points = [
        (edge + (step - 1) * (width - 2 * edge) / max(1, steps - 1), height - edge - score * (height - 2 * edge))
        for step, score, _ in readings
    ]
    pen.line(points, _RIGHT, 2)
    for across, up in points:
        pen.ellipse((across - 3, up - 3, across + 3, up + 3), _RIGHT)
    if readings:
        pen.text((width // 2, 2), readings[-1][2], _RIGHT, ImageFont.load_default(12))
    pen.line((edge, height - edge, width - edge, height - edge), _INK)
    pen.text((edge, 2), f"loss {mean[-1]:.4f}, step {len(values)} of {steps}", _INK, ImageFont.load_default(12))
    return _above(chart, picture)


def edit_chart(pictures, captions, change, boxes):
    """pictures: of one size; captions: one each; change: [H, W], 0 to 1, NaN where it does not count; boxes: (left, top, right, bottom),
    outlined."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    columns = 2
    rows = math.ceil((len(pictures) + 1) / columns)
    height, width = change.shape
    figure = Figure(figsize=(8, max(2.5, 4.2 * height / width + 0.6) * rows), dpi=120, facecolor=_PAPER, layout="constrained")
    panels = [figure.add_subplot(rows, columns, place + 1) for place in range(len(pictures) + 1)]
    for axes, picture, caption in zip(panels[:-1], pictures, captions, strict=True):
        axes.imshow(picture, interpolation="bicubic" if height < 256 else "auto")
        axes.set_title(caption, size=13, color=_INK, parse_math=False)  # what was read is no formula
    most = np.nanmax(change) if np.isfinite(change).any() else 0.0
    heat = panels[-1].imshow(change, cmap="magma", vmin=0, vmax=max(most, 1e-3))
    panels[-1].set_facecolor(_OTHER)  # where there are words
    panels[-1].set_title("change of the background", size=13, color=_INK)
    bar = figure.colorbar(heat, ax=panels[-1], shrink=0.8)
    bar.ax.tick_params(labelsize=10, colors=_INK)
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
        for left, top, right, bottom in boxes:
            for colour, line in ((_PAPER, 3), (_CHOSEN, 1.2)):  # light beside it, for the picture may be of its colour
                axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color=colour, linewidth=line))
    return _drawn(figure)


def word_boxes(picture, boxes, marked):
    """boxes: (left, top, right, bottom) of all words, right and bottom exclusive; marked: of those that stand out. In the picture's own
    size; the line runs between two others, light or, where marked, dark, so that it shows on any ground."""
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    line = max(1, len(picture) // 128)
    for left, top, right, bottom in boxes:
        beside, colour = (_INK, _CHOSEN) if (left, top, right, bottom) in marked else (_PAPER, _RIGHT)
        for away, ink in ((3 * line, beside), (2 * line, colour), (line, beside)):
            pen.rectangle((left - away, top - away, right - 1 + away, bottom - 1 + away), outline=ink, width=line)
    return np.asarray(image)
