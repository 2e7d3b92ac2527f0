"""Several edits of one prompt, as people write lists."""

import csv
import io

import pytest
from text_layers.editing.many import several

pytestmark = pytest.mark.any_comfyui

PROMPT = 'a sign that says "OPEN" above a label that says "50 %"'


def targets(prompt, edits):
    return [target for target, _ in several(prompt, edits)]


def test_a_line_is_a_picture():
    found = several('a sign that says "OPEN"', '\ufeffCLOSED\r\n\r\n"Closed, sorry"\nopen -> SALE\nOPEN ->\n')
    assert [target for target, _ in found] == [
        'a sign that says "CLOSED"', 'a sign that says "Closed, sorry"', 'a sign that says "SALE"', "a sign",
    ]  # fmt: skip
    assert [changes for _, changes in found] == [[("OPEN", new)] for new in ("CLOSED", "Closed, sorry", "SALE", "")]


def test_lines_as_a_table_writes_them():
    """Python's own writer of tables quotes what has a comma or a quote in it."""
    edits = ["OPEN -> SALE, NOW", 'OPEN -> 5" PIPE', "OPEN -> A, B | 50 % -> 70 %", "50 % -> 20 %"]
    table = io.StringIO()
    csv.writer(table).writerows([edit] for edit in edits)
    assert table.getvalue().count('"') > 6
    prompt = PROMPT.replace('"OPEN"', "«OPEN»")
    assert targets(prompt, table.getvalue()) == targets(prompt, "\n".join(edits))
    assert targets(prompt, table.getvalue())[1] == prompt.replace("OPEN", '5" PIPE')
    assert targets('a sign that says "OPEN"', '"OPEN" -> "SALE"') == ['a sign that says "SALE"']


def test_several_words_of_one_picture():
    assert targets(PROMPT, "OPEN -> SALE | 50 % -> 70 %\n50 % -> 20 %") == [
        'a sign that says "SALE" above a label that says "70 %"', 'a sign that says "OPEN" above a label that says "20 %"',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ("\n \n", "no edit"),
        ("OPEN -> SALE\n\nSHUT -> SALE", r'Picture 2, line 3 \("SHUT -> SALE"\): "SHUT" is in no drawn text'),
        ("SALE", r"Picture 1, line 1 .* several drawn texts"),
        ("OPEN -> OPEN", "change nothing"),
        ("OPEN -> SALE | OPEN -> SHUT", "the same words"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(edits, message):
    with pytest.raises(ValueError, match=message):
        several(PROMPT, edits)
