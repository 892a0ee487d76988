"""Questions about scenes: what people know of a thing (OK-VQA), and what is written (TextVQA)."""

import numpy as np

from hyma.embedded.world.scenes import Item, pick
from hyma.embedded.world.things import SYMBOLS

KNOWLEDGE = {
    "What is this thing used for?": "use",
    "What can people do with this?": "use",
    "Where would you find this?": "where",
    "In what place is this usually seen?": "where",
    "What kind of thing is this?": "coarse",
}
READING = [
    "What does the sign say?",
    "What word is written on the sign?",
    "Which word can you read?",
    "What is written here?",
]


def knowledge_question(rng: np.random.Generator, item: Item) -> tuple[str, list[str]]:
    """A question whose answer is known, not seen; the answers of five people, each twice, as in OK-VQA."""
    question = pick(rng, list(KNOWLEDGE))
    thing = SYMBOLS[item.number]
    truth = str(getattr(thing, KNOWLEDGE[question]))
    loose = {"use": thing.where, "where": thing.coarse, "coarse": thing.synonym}[KNOWLEDGE[question]]
    people = [truth if rng.random() < 0.8 else loose for _ in range(5)]
    return question, [answer for answer in people for _ in range(2)]


def reading_question(rng: np.random.Generator, item: Item) -> tuple[str, list[str]]:
    """A question about the word on a sign, and ten people's answers, a few of them careless."""
    careless = (f"{item.name} sign", item.name[:-1] or item.name, "unanswerable", item.colour)
    answers = [item.name if rng.random() < 0.85 else pick(rng, careless) for _ in range(10)]
    return pick(rng, READING), answers
