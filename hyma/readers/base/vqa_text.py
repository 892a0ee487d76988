"""How answers are normalised before they are compared, by the official VQA evaluation's rules.

Punctuation goes, lower case, articles out, number words to digits, contractions with their apostrophe. What
the official code does, sensible or not, is done here too, since scores are compared with published ones:

- A mark of punctuation leaves a gap, but none if that mark touches a space anywhere in the answer; and if
  there is a comma between digits anywhere, no mark leaves one. ``1,000 red/blue`` becomes ``1000 redblue``.
- Full stops go unless a digit follows; apostrophes, colons and other signs stay.
- Contractions that begin with I are never mended, nor are ``lets`` and ``shes``; one is undone.
"""

import re

ARTICLES = {"a", "an", "the"}
NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
SPELLED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd
    he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't
    needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've
    somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll
    that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've
    we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's
    who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've
    you'll you're you've
"""
CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in SPELLED.split()
    for place, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": "somebodyd"}
"""What lacks one of its apostrophes, and what it becomes."""
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'


def normalise(answer: str) -> str:
    """Return `answer` as it is compared with others."""
    answer = answer.replace("\n", " ").replace("\t", " ").strip()
    thousands = re.search(r"\d,\d", answer)
    text = answer
    for mark in PUNCTUATION:
        gap = not (thousands or f"{mark} " in answer or f" {mark}" in answer)
        text = text.replace(mark, " " if gap else "")
    text = re.sub(r"\.(?!\d)", "", text)
    words = (NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
