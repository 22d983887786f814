"""Text of our own to train small vocabularies on: prose, code and several scripts from a grammar.

Knows sentences, not tokens. The same seed gives the same text on every machine.
"""

import random

PEOPLE = "Mara Tobias Ines Oskar Lin Farid Greta Noor Pavel Yuki Amara Jonas".split()
PLACES = "harbour valley orchard bridge station market lighthouse meadow river village".split()
WEATHER = "rain snow fog wind sunshine thunder frost drizzle haze hail".split()
SEASONS = "spring summer autumn winter".split()
QUALITIES = "quiet heavy early sudden gentle cold bright strange endless golden".split()
VERBS = "watches remembers crosses paints describes measures forgets leaves finds follows".split()
NAMES = "count total index buffer weight offset token value length result".split()
TYPES = "int float bool str u32 f64 usize".split()

PROSE = [
    "{Person} {verb} the {place} while the {weather} is {quality}.",
    "In {season} the {place} is {quality}, and nobody at the {place} minds the {weather}.",
    "\"{Weather} again,\" said {Person}; \"it's {quality}, isn't it?\"",
    "It was a {quality} morning in {season}, and {Person} hadn't seen the {place} since {year}.",
    "They've walked {number} miles from the {place} to the {place}; we'll wait, I'm sure.",
    "The {quality} {weather} of {year} lasted {number} days (or {number}.{number}, by her count).",
    "Who'd have thought that {Person}'s {place} would be {quality} in {season}?",
    "WARNING: {WEATHER} EXPECTED NEAR THE {PLACE}! CALL +{number}-{number}-{number}.",
]

CODE = [
    "def {name}_{name}({name}: {type}) -> {type}:\n    return {name} + {number}\n",
    "for (int i = 0; i < {number}; i++) {{\n\t{name}[i] = {name} * {number};\n}}\n",
    "let mut {name}: {type} = {name}.iter().map(|x| x * {number}).sum();\n",
    "if ({name} != NULL && {name}->{name} >= {number}) {{ return -1; }}\n",
    "    // {name} is {quality}; see {name}.{name}()\n",
    "{{\"{name}\": {number}, \"{name}\": [{number}, {number}], \"{name}\": \"{weather}\"}}\n",
    "SELECT {name}, {name} FROM {place} WHERE {name} > {number} ORDER BY {name};\n",
    "https://example.org/{place}/{name}?{name}={number}&{name}={weather}#{name}\n",
]

# A subject, a verb phrase and an end, combined freely: every combination is a sentence.
OTHERS = [
    (["Der Fluss", "Die Brücke", "Der späte Regen"], ["schläft", "hört zu", "wächst schön"],
     ["im Frühling", "über Straßen", "für die Gäste"], " ", "."),
    (["Le marché", "La forêt", "L'été"], ["s'éveille", "n'oublie", "paraît calme"],
     ["près du château", "à l'aube", "où l'on rêve"], " ", " !"),
    (["Утренний ветер", "Старый мост", "Тихая река"], ["помнит", "встречает", "ждёт"],
     ["зимний снег", "далёкий город", "новый день"], " ", "."),
    (["Η θάλασσα", "Ο άνεμος"], ["θυμάται", "φέρνει"], ["το νησί", "τη βροχή"], " ", "."),
    (["सुबह की हवा", "पुराना पुल", "नदी"], ["याद करती है", "देखती है"],
     ["बारिश को", "गाँव को", "नमस्ते"], " ", "।"),
    (["الريح", "النهر", "المطر"], ["ينام", "يعود", "يسمع"], ["في الربيع", "مع الصباح"], " ", "."),
    (["春天", "小河", "老桥", "今天的雨"], ["记得", "等着", "走过"], ["村庄", "山上的雪", "早晨"], "", "。"),
    (["朝の風は", "古い橋は", "カモメが"], ["静かに", "ゆっくり"], ["眠る", "歩きます", "待っている"], "", "。"),
    (["봄비가", "오래된 다리는", "강물이"], ["조용히", "천천히"], ["흐릅니다", "기다린다"], " ", "."),
    (["The weather ☔", "Spring 🌷🌷", "We 👩‍👩‍👧"], ["waits →", "— sings —"], ["😀", "🎉", "for ½ €"],
     " ", "…"),
]

# Words on which approximations of o200k's pattern split wrongly: often enough to earn a merge.
TRAPS = ["ÜBER", "ÉTAT", "ÅNGSTROM", "приветМир", "cafe\u0301", "AÉB", "नमस्ते"]


def _fill(template, dice):
    """Puts a fresh choice into every place of the template."""
    pick = dice.choice
    out, rest = [], template
    while "{" in rest:
        before, rest = rest.split("{", 1)
        out.append(before)
        if rest.startswith("{"):
            out.append("{")
            rest = rest[1:]
            continue
        key, rest = rest.split("}", 1)
        out.append({
            "Person": lambda: pick(PEOPLE), "verb": lambda: pick(VERBS),
            "place": lambda: pick(PLACES), "PLACE": lambda: pick(PLACES).upper(),
            "weather": lambda: pick(WEATHER), "Weather": lambda: pick(WEATHER).capitalize(),
            "WEATHER": lambda: pick(WEATHER).upper(), "quality": lambda: pick(QUALITIES),
            "season": lambda: pick(SEASONS), "name": lambda: pick(NAMES),
            "type": lambda: pick(TYPES), "year": lambda: str(dice.randrange(1850, 2031)),
            "number": lambda: str(dice.randrange(10 ** dice.randrange(1, 5))),
        }[key]())
    return ("".join(out) + rest).replace("}}", "}")


def _other(parts, dice):
    *words, joint, end = parts
    return joint.join(dice.choice(choices) for choices in words) + end


def lines(seed, count):
    """`count` pieces of text: six tenths prose, two code, two other languages."""
    dice = random.Random(seed)
    for _ in range(count):
        kind = dice.randrange(10)
        if kind < 6:
            sentences = [_fill(dice.choice(PROSE), dice) for _ in range(dice.randrange(1, 4))]
            yield " ".join(sentences) + dice.choice(["\n", "\n", "\n\n", "  \n"])
        elif kind < 8:
            yield "".join(_fill(dice.choice(CODE), dice) for _ in range(dice.randrange(1, 4)))
        else:
            traps = [dice.choice(TRAPS) for _ in range(2)]
            yield " ".join([_other(dice.choice(OTHERS), dice) for _ in range(2)] + traps) + "\n"
