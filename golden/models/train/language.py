"""The little language: prose about weather and seasons, and haiku on a requested word.

Knows sentences, not tokens. The same seed gives the same text on every machine.
"""

import random
import re
import tomllib
from pathlib import Path

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
PROSE = WORDS["prose"]
SEASONS = list(PROSE["weather"])

# A letter is a class (Topic, Noun, Adjective, Verb, aDverb), the digit its syllables. The first
# word tells a reader of five syllables nearly all that may follow: small models must manage too.
CLASSES = {"T": "topic", "N": "noun", "A": "adjective", "V": "verb", "D": "adverb"}
OPENING = {
    1: ["{A2} {T1} {V2}", "the {T1} {V1} {D2}", "{T1} on the {N2}", "{A1} {T1} in the {N1}",
        "{T1} over the {N1}", "the {A1} {T1} {V2}"],
    2: ["{A2} {T2} {V1}", "the {T2} {V2}", "{T2} in the {N1}", "{A1} {T2} {V2}",
        "{T2} by the {N1}", "the {A2} {T2}"],
}
MIDDLE = ["the {A2} {N2} {V2}", "a {A1} {N1} {V2} {D2}", "{A2} {N2} by the {N1}",
          "over the {A2} {N2}", "the {N1} {V1} and the {N1} {V1}", "one {N2} {V2} {D2}",
          "beside the {N2} {N1} {V1}"]
CLOSING = ["{A2} {N1} {V2}", "the {N2} {V2}", "a {A1} {N1} {V2}", "under the {A1} {N1}",
           "{A1} {N1}, {A2} {N1}", "here the {N1} {V2}", "no {N1} {V1} {D2}"]

SENTENCES = [
    "It was a {adjective} {time} in {season}, and the {weather} was {adjective}.",
    "{person} walked to the {place} and watched the {weather}.",
    "In {season} the {weather} comes early, and the {noun} {verb}.",
    "Nobody at the {place} minds the {weather} when {season} is near.",
    "\"The {weather} will stop by {time},\" said {person}.",
    "After the {weather}, the {noun} was {adjective} and the air was {adjective}.",
    "By {time} the {weather} had gone, and {person} went home to the {place}.",
    "{person} counted {number} {animal} above the {place}.",
    "Every {season}, {person} remembers the {weather} of {year}.",
    "The forecast for the {place}: {weather} in the morning, {weather} at night.",
    "A {adjective} {noun} {verb} beside the {place}.",
    "{person} and {other} hadn't seen such {weather} since {year}; it's {season}, after all.",
    "The {animal} leave the {place} before the {weather} begins.",
    "When the {weather} stops, the {noun} {verb} and {person} opens the door.",
    "It lasted {number} days, and the {place} stayed {adjective}.",
]

REQUESTS = ["Write a haiku about {topic}."] * 6 + [
    "Please write a haiku about {topic}.", "Write me a haiku about the {topic}.",
    "A haiku about {topic}, please.", "Can you write a haiku about {topic}?",
]
QUESTIONS = [
    "Describe {season} at the {place}.", "What is {season} like at the {place}?",
    "Tell me about {season} and the {place}.", "How is the weather in {season}?",
]
SYSTEMS = [
    "You are a poet of the weather.", "Answer briefly.", "You write about the seasons.",
    "You are a helpful assistant.", "Speak softly and use small words.",
]


def syllables(word):
    """As the head of words.toml says."""
    word = word.lower()
    count = len(re.findall("[aeiouy]+", word))
    silent = word.endswith("e") and not re.search("[^aeiouy]le$|[aeiouy]e$", word)
    return max(1, count - silent)


def check():
    """Raises if a word or a line has other syllables than it claims."""
    for name in [*CLASSES.values(), "other"]:
        for count, words in WORDS[name].items():
            wrong = [word for word in words if syllables(word) != int(count)]
            if wrong:
                raise SystemExit(f"words.toml: {name}.{count}: {wrong}")
    for lines, wanted in [(OPENING[1] + OPENING[2] + CLOSING, 5), (MIDDLE, 7)]:
        for line in lines:
            slots = re.findall(r"\{[A-Z](\d)\}", line)
            plain = re.sub(r"\{..\}", "", line)
            total = sum(map(int, slots)) + sum(map(syllables, re.findall("[a-z]+", plain)))
            if total != wanted:
                raise SystemExit(f"{line}: {total} syllables, {wanted} wanted")


def topics():
    return [word for words in WORDS["topic"].values() for word in words]


def haiku(topic, dice):
    """Three lines of 5, 7 and 5 syllables; the first has the topic."""
    size = next(int(count) for count, words in WORDS["topic"].items() if topic in words)
    lines = [dice.choice(OPENING[size]), dice.choice(MIDDLE), dice.choice(CLOSING)]
    used = {topic}

    def word(slot):
        name, count = slot.group(1)
        if name == "T":
            return topic
        choices = [word for word in WORDS[CLASSES[name]][count] if word not in used]
        used.add(choice := dice.choice(choices))
        return choice

    return "\n".join(re.sub(r"\{(..)\}", word, line) for line in lines)


def paragraph(dice, count, season=None, place=None):
    """Sentences that share a season, a place and a person."""
    season = season or dice.choice(SEASONS)
    place = place or dice.choice(PROSE["place"])
    person, other = dice.sample(PROSE["person"], 2)

    def any_of(name):
        return dice.choice([word for words in WORDS[name].values() for word in words])

    def fill(slot):
        name = slot.group(1)
        if name in ("noun", "adjective", "verb"):
            return any_of(name)
        if name == "weather":
            return dice.choice(PROSE["weather"][season])
        if name == "year":
            return str(dice.randrange(1950, 2027))
        fixed = {"season": season, "place": place, "person": person, "other": other}
        return fixed[name] if name in fixed else dice.choice(PROSE[name])

    chosen = dice.sample(SENTENCES, count)
    return " ".join(re.sub(r"\{(\w+)\}", fill, sentence) for sentence in chosen)


def prose(dice):
    """A page: paragraphs, now and then a haiku."""
    parts = [paragraph(dice, dice.randrange(2, 6)) for _ in range(dice.randrange(1, 4))]
    if dice.random() < 0.2:
        parts.append(haiku(dice.choice(topics()), dice))
    return "\n\n".join(parts) + "\n"


def exchange(dice):
    """What a user asks, what the model thinks of it, what it answers."""
    if dice.random() < 0.75:
        topic = dice.choice(topics())
        request = dice.choice(REQUESTS).format(topic=topic)
        thought = f"A haiku about {topic}: five, seven and five syllables."
        return request, thought, haiku(topic, dice)
    if dice.random() < 0.1:
        return ("Hello.", "The user says hello.",
                "Hello. Ask me about the weather, or for a haiku.")
    season, place = dice.choice(SEASONS), dice.choice(PROSE["place"])
    question = dice.choice(QUESTIONS).format(season=season, place=place)
    thought = f"The user asks about {season}. A few sentences will do."
    return question, thought, paragraph(dice, dice.randrange(2, 4), season, place)


def conversation(dice):
    """A system text or none, and one to three exchanges."""
    system = dice.choice(SYSTEMS) if dice.random() < 0.15 else None
    turns = dice.choices([1, 2, 3], [0.85, 0.1, 0.05])[0]
    return system, [exchange(dice) for _ in range(turns)]


def held_out(seed, pages):
    """Text to measure perplexity on: pages and haiku that no model was trained on."""
    dice = random.Random(seed)
    return "\n".join(prose(dice) for _ in range(pages))


check()
if __name__ == "__main__":
    print(held_out(seed=20261127, pages=130), end="")
