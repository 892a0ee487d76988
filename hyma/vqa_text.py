"""How answers are normalised before they are compared, after the official VQA evaluation's rules.

Lower case; punctuation out, unless it stands between digits; articles out; number words to digits;
contractions with their apostrophe.
"""

import re

ARTICLES = {"a", "an", "the"}
NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
NEGATED = [
    "ain", "aren", "can", "couldn", "didn", "doesn", "don", "hadn", "hasn", "haven", "isn", "mightn", "mustn",
    "needn", "shouldn", "wasn", "weren", "won", "wouldn",
]  # fmt: skip
CONTRACTIONS = {f"{stem}t": f"{stem}'t" for stem in NEGATED} | {
    "im": "i'm", "ive": "i've", "youre": "you're", "youve": "you've", "theyre": "they're",
    "theyve": "they've", "thats": "that's", "whats": "what's", "whos": "who's", "wheres": "where's",
    "theres": "there's", "hes": "he's", "shes": "she's", "lets": "let's", "couldve": "could've",
    "shouldve": "should've", "wouldve": "would've", "itll": "it'll", "youll": "you'll", "theyll": "they'll",
}  # fmt: skip
_PUNCTUATION = r"[;/\[\]\"{}()=+\\_\-><@`,?!]"


def normalise(answer: str) -> str:
    """Return `answer` as it is compared with others."""
    text = " ".join(answer.split()).lower()
    # A comma within a number is dropped; other punctuation leaves a gap unless it touches a space already.
    text = re.sub(r"(?<=\d),(?=\d)", "", text)
    text = re.sub(rf"(?<=\s){_PUNCTUATION}|{_PUNCTUATION}(?=\s|$)", "", text)
    text = re.sub(_PUNCTUATION, " ", text)
    text = re.sub(r"\.(?!\d)", "", text)
    words = (NUMBERS.get(word, word) for word in text.split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
