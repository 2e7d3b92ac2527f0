"""What a node tells the map of text layers in the browser (web/text_layers.js)."""

from ..patching.text_layers import doubted, list_layers


def layer_map(names, text_layers, scores=None, published=None):
    """ui outputs of a node. names: all text layers of the model; text_layers: the chosen ones; scores: number -> score where more than the
    chosen ones are known; published: TEXT_LAYERS that are known for the model, or None."""
    if scores is None:
        scores = {names.index(name): score for name, score in text_layers.scores.items()}
    return {
        "text_layers": [
            {
                "names": list(names),
                "chosen": list_layers(text_layers, names),
                "published": published and list_layers(published, names),
                "scores": scores,
                **({"doubt": doubted(text_layers)} if text_layers.doubt else {}),
            }
        ]
    }
