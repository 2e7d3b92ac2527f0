"""Where mistakes are made, and the tests that should notice: those of each folder, without servers, and of those that read many pictures or
train for long a part."""


def _in(folder, *names):
    return [f"tests/{folder}/test_{name}" if "::" in name else f"tests/{folder}/test_{name}.py" for name in names]


_PICTURE = _in(
    "guard",
    "picture.py::test_spelt_out_words_are_found_where_ocr_misses_some_of_the_spaces",
    "picture.py::test_what_a_transparent_picture_shows_on_one_ground_alone_counts",
    "picture.py::test_a_number_beside_hides_no_word_in_two_pieces",
)

# {folder: (modules, test files or tests)}
FOLDERS = {
    "editing": (("composite", "replace"), _in("editing", "composite", "replace")),
    "guard": (
        ("drawn_text", "guard", "picture", "prompt", "reading"),
        [
            *_in("guard", "drawn_text", "reading"),
            *_PICTURE,
            *_in("guard", "guard.py::test_a_prompt_is_cleaned_in_what_is_drawn_alone"),
            *_in("guard", "guard.py::test_a_replacement_that_would_not_help_is_refused"),
            *_in("guard", "guard.py::test_what_is_left_around_a_word_is_looked_at_again", "guard.py::test_any_prompt_can_be_cleaned"),
            *_in("guard", "guard.py::test_a_word_that_the_user_blocks_is_guarded"),
        ],
    ),
    "scoring": (
        ("compare", "disguise", "edit", "image", "intervals", "lexicon", "lines", "spans", "text", "tiles", "toxicity", "words"),
        [
            *_in("scoring", "compare", "image", "intervals", "lines", "text", "toxicity", "edit", "mask"),
            *_in("scoring", "tiles.py::test_every_word_is_read_once_and_whole"),
            *_in("scoring", "tiles.py::test_pieces_cover_a_side_with_an_overlap_and_are_as_few_as_can_be"),
            *_in("scoring", "loaded.py::test_it_is_offloaded_whole_or_not_at_all"),
            *_in("scoring", "toxicity.py::test_each_strength_finds_words_in_the_forms_in_which_people_write_them"),
            *_in("scoring", "toxicity.py::test_an_innocent_text_is_none_at_any_strength"),
            *_PICTURE,
        ],
    ),
    "localization": (
        ("cells", "choice", "localize", "pairs", "proof", "selection", "strategies", "sweep"),
        _in("localization", "selection", "strategies", "proof", "what_a_sweep_says", "pairs", "cells"),
    ),
    "lora": (
        ("adapters", "cache", "dataset", "examples", "fit", "keeping", "load", "metadata", "optimizer", "run", "state", "storage", "train",
         "validation"),
        [
            *_in("lora", "load", "numbers", "storage", "dataset", "cache", "fused_blocks"),
            *_in("lora", "lora_files.py::test_a_text_encoder_that_is_not_there", "kept.py::test_it_goes_on_as_if_it_had_not_stopped"),
            *_in("lora", "kept.py::test_a_lora_is_trained_on_other_noise_than_before"),
            *_in("lora", "train.py::test_the_first_weights_are_the_seeds", "numbers.py::test_the_weights_decay"),
            *_in("lora", "numbers.py::test_a_steps_loss_is_the_mean_over_all_of_its_examples"),
            *_in("lora", "numbers.py::test_noise_and_its_level_are_drawn_anew_for_each_picture_and_step"),
            *_in("lora", "train.py::test_one_call_takes_pictures_of_one_size_with_prompts_of_one_length"),
        ],
    ),
    "patching": (
        ("attention", "call", "conditioning", "drawn", "frozen", "gradient", "hook", "keep", "patch", "paths", "place", "run", "storage",
         "store", "sweep", "target", "text_layers", "watch"),
        [
            *_in("patching", "text_layers", "storage", "drawn", "steps", "paths", "attention", "frozen", "gradient"),
            *_in("patching", "oracle", "swap", "sweep", "rows_of_a_call", "keep"),
            *(f"tests/patching/test_keep.py::test_{name}" for name in (
                "the_place_begins_at_15_percent_of_the_largest_attention_and_is_whole_at_40",
                "the_place_of_a_prediction_begins_at_5_percent_of_the_largest_difference_and_is_whole_at_20",
                "what_is_predicted_like_the_source_is_the_source_s",
                "a_run_that_begins_at_the_source_takes_its_commonest_colour", "frames_of_a_video_have_places_of_their_own",
                "the_place_of_attention_on_the_latents",
            )),
            *_in("patching", "rows_of_a_call.py::test_entries_of_one_text_go_by_comfyuis_order"),
            *_in("patching", "rows_of_a_call.py::test_what_an_entry_gives_is_looked_for_in_each_row"),
            *_in("patching", "beside_the_text.py::test_one_target_for_two_entries_has_what_each_of_them_has"),
        ],
    ),
    "inversion": (("euler", "invert", "pictures"), _in("inversion", "invert", "pictures")),
}  # fmt: skip
