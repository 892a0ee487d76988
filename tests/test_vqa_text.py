"""Answers are normalised as the official VQA evaluation does; the pairs here were worked out by hand."""

import pytest

from hyma.readers.base.vqa_text import normalise


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("  Red\tBall\n", "red ball"),
        ("The dog", "dog"),
        ("on an apple", "on apple"),
        ("A", ""),
        ("theatre", "theatre"),
        ("Two dogs", "2 dogs"),
        ("TEN", "10"),
        ("none", "0"),
        ("ten-four", "10 4"),
        ("someone", "someone"),
        ("1,000", "1000"),
        ("10,000,000", "10000000"),
        ("$1,000.50", "$1000.50"),
        ("1, 2", "1 2"),
        ("red, white & blue", "red white & blue"),
        ("red,white", "red white"),
        ("black/white", "black white"),
        ("t-shirt", "t shirt"),
        ("-5", "5"),
        ("what?", "what"),
        ("(yes)", "yes"),
        ('say "hi"', "say hi"),
        ("3.5", "3.5"),
        ("3.", "3"),
        ("u.s.", "us"),
        ("7:30 pm", "7:30 pm"),
        ("...", ""),
        ("", ""),
        ("dont", "don't"),
        ("Don't", "don't"),
        ("im", "im"),
        ("it is the man's", "it is man's"),
    ],
)
def test_normalise(answer: str, expected: str) -> None:
    assert normalise(answer) == expected
    assert normalise(expected) == expected
