import json

import pytest

from marin.errors import UsageError
from marin.generation.engines import Completion, SamplingConfig
from marin.generation.scripted import BACKEND
from marin.storage import StorageError


def echo(prompt, **sampling):
    [completion] = BACKEND.open("echo").generate([prompt], SamplingConfig(**sampling))
    return completion


def test_echo_completes_prompts_by_themselves_in_order():
    completions = BACKEND.open("echo").generate(["b c", "a", ""], SamplingConfig())
    assert [completion.text for completion in completions] == ["b c", "a", ""]
    assert completions[0] == Completion(text="b c", finish_reason="stop", prompt_tokens=2, completion_tokens=2)


def test_a_script_says_what_completes_a_prompt(tmp_path):
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"2 + 2 =": " 4", "Größe?": "2 m"}), encoding="utf-8")
    completions = BACKEND.open(str(path)).generate(["Größe?", "2 + 2 ="], SamplingConfig())
    assert [completion.text for completion in completions] == ["2 m", " 4"]


def test_max_tokens_cuts_between_words_and_says_so():
    completion = echo("one  two\nthree four", max_tokens=3)
    assert (completion.text, completion.finish_reason, completion.completion_tokens) == ("one  two\nthree", "length", 3)
    assert echo("one two", max_tokens=2).finish_reason == "stop"


def test_the_first_stop_string_ends_a_completion():
    completion = echo("one two three", stop=("three", "wo"))
    assert (completion.text, completion.finish_reason) == ("one t", "stop")


def test_a_stop_string_beyond_max_tokens_does_not_count():
    assert echo("one two three", max_tokens=2, stop=("three",)).finish_reason == "length"


def test_a_prompt_that_the_script_lacks_is_named(tmp_path):
    path = tmp_path / "script.json"
    path.write_text("{}")
    with pytest.raises(UsageError, match="the script has no completion for the prompt 'what'"):
        BACKEND.open(str(path)).generate(["what"], SamplingConfig())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "must hold a JSON object of prompts and completions"),
        ('{"a": 1}', "the completion of 'a' must be a string"),
    ],
)
def test_a_script_of_another_shape_is_refused(tmp_path, text, message):
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        BACKEND.open(str(path))


def test_a_script_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"absent\.json"):
        BACKEND.open(str(tmp_path / "absent.json"))
