"""What compares two checkouts."""

from pathlib import Path

import pytest
from text_layers.benchmarks.cost.checkout import Checkout
from text_layers.benchmarks.cost.timing import in_turn, summary
from text_layers.patching.patch import METHODS

ROOT = Path(__file__).parents[2]


@pytest.mark.any_comfyui
def test_calls_take_turns_and_the_first_round_does_not_count():
    said, numbers = [], iter(range(100))

    def call(name):
        def seconds():
            said.append(name)
            return next(numbers)

        return seconds

    before, after = in_turn(call("before"), call("after"), 2)
    assert said == ["after", "before", "before", "after", "after", "before"]
    assert (before, after) == ([2, 5], [3, 4])
    assert summary([2.0, 5.0], [3.0, 4.0]) == {"of_fastest": 1.5, "median": 1.15, "smallest": 0.8, "largest": 1.5}


@pytest.mark.long
@pytest.mark.any_comfyui
def test_a_checkout_samples_in_a_process_of_its_own():
    with Checkout(ROOT) as checkout:
        assert checkout.load("demo unet", 32) == [METHODS[0]]
        for method in ("unpatched", METHODS[0]):
            assert all(seconds > 0 for seconds in checkout.seconds(method).values())


@pytest.mark.any_comfyui
def test_another_folder_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="is no checkout of the pack"):
        Checkout(tmp_path)
