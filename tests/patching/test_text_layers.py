"""The TEXT_LAYERS value and the hand-written list. No model, no ComfyUI."""

import pytest
from text_layers.patching.text_layers import TextLayers, parse_layers

pytestmark = pytest.mark.any_comfyui

NAMES = [f"input_blocks.{i}.1.transformer_blocks.0.attn2" for i in range(12)]


@pytest.mark.parametrize(
    ("text", "indices", "heads"),
    [
        ("5", [5], {}),
        ("10, 2-4", [2, 3, 4, 10], {}),
        ("2-4 11", [2, 3, 4, 11], {}),
        (NAMES[7], [7], {}),
        (NAMES[7].removesuffix(".attn2"), [7], {}),
        ("3:2+0, 1", [1, 3], {3: (0, 2)}),
    ],
)
def test_written_lists(text, indices, heads):
    names, found = parse_layers(text, NAMES)
    assert list(names) == [NAMES[i] for i in indices]
    assert found == {NAMES[i]: h for i, h in heads.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" , ", "empty"),
        ("12", "numbered 0 to 11"),
        ("4-2", "backwards"),
        ("-1", 'no text layer "-1"'),
        ("3,3", "second time"),
        ("1-3 2", "second time"),
        ("output_blocks.9", "no text layer"),
        ("3:", "not a text layer"),
        ("3:a", "not a text layer"),
        ("9" * 5000, r'no text layer "9{100}\.\.\."'),
        ("0-99999999999999999999", "no text layer"),
        ("3:" + "9" * 5000, "not a text layer"),
        ("٣", "no text layer"),
        ("x\ud800", r'no text layer "x\\ud800"'),
    ],
)
def test_a_bad_list_says_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        parse_layers(text, NAMES)


def value(**changes):
    return TextLayers(
        **{
            "family": "unet",
            "architecture": "unet-12x8",
            "names": (NAMES[1], NAMES[2]),
            "heads": {NAMES[1]: (0, 3)},
            "scores": {NAMES[2]: 0.5},
            "source": "a test",
        }
        | changes
    )


def test_json_round_trip():
    assert TextLayers.from_json(value().to_json()) == value()
    assert hash(TextLayers.from_json(value().to_json())) == hash(value())


def test_what_layers_were_found_with_is_plain_json_and_need_not_be_there():
    found = value(record={"pairs": [["CAFE", "HOTEL"]], "sure": True, "test": None, "cfg": 7.0})
    assert TextLayers.from_json(found.to_json()) == found != value() and "record" not in value().to_json()
    for wrong in ("[]", '"a"', '{"cfg": NaN}', '{"cfg": [1e999]}', '{"pairs": [["\\ud800"]]}', '{"\\ud800": 1}'):
        with pytest.raises(ValueError, match=r'"record" of the text layers file .* an object of texts and finite numbers'):
            TextLayers.from_json(value().to_json().replace('"source"', f'"record": {wrong}, "source"'))
    with pytest.raises(TypeError):
        found.record["sure"] = False


@pytest.mark.parametrize("score", ["Infinity", "-Infinity", "NaN", "1e999", "true", '"0.5"', "null"])
def test_a_score_is_a_finite_number(score):
    text = value().to_json()
    assert "0.5" in text
    with pytest.raises(ValueError, match=r'"scores" of the text layers file .* an object of finite numbers'):
        TextLayers.from_json(text.replace("0.5", score))


def test_the_value_cannot_be_changed():
    with pytest.raises(AttributeError):
        value().names = ()
    with pytest.raises(TypeError):
        value().heads["x"] = (1,)


@pytest.mark.parametrize(
    "changes",
    [{"names": ()}, {"names": (NAMES[1], NAMES[1])}, {"heads": {"other": (1,)}}, {"heads": {NAMES[1]: ()}}, {"scores": {"other": 1}}],
)
def test_senseless_values_are_refused(changes):
    with pytest.raises(ValueError):
        value(**changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"text_layers": 2}',
        "[" * 100_000,
        value().to_json().replace("0.5", "NaN"),
        value().to_json().replace("0.5", "true"),
        value().to_json().replace('"a test"', "7"),
        value().to_json().replace("3\n", "-3\n"),
        value().to_json().replace("0.5", "9" * 5000),
        value().to_json().replace('"a test"', r'"\ud800"'),
        value().to_json().replace('"a test"', '{"source": ' * 50_000 + "1" + "}" * 50_000),
        "\ufeff" + value().to_json(),
        value().to_json().replace('"source"', '"family": "mmdit", "source"'),
    ],
    ids=lambda text: text[:20] or "empty",
)
def test_hostile_json_is_refused(text):
    with pytest.raises(ValueError) as error:
        TextLayers.from_json(text)
    assert len(str(error.value)) < 300 and str(error.value).encode()
