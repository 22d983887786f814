"""Lets a trained model speak and counts what it says.

    speak.py OUT FAMILY

Asks for a haiku on every topic, greedily and by chance, and for one page. Prints how many keep
the form. Knows the language and the families' forms; nothing of how a model was made.
"""

import random
import sys
from collections import defaultdict
from pathlib import Path

import torch

import language
import loaded
import prepare

LONGEST = 96


def prompts(family, requests):
    """What a family is asked with, up to where the model speaks."""
    form = prepare.Form(prepare.FAMILIES[family], random.Random(1))
    return [form.prompt([{"role": "user", "content": request}]) for request in requests]


@torch.no_grad()
def continued(model, tokenizer, texts, warmth, seed=1, longest=LONGEST):
    """Each text's continuation up to an end token, as ids."""
    torch.manual_seed(seed)
    ends = {tokenizer.token_to_id(text) for text in
            ["<|return|>", "<|im_end|>", "</s>", "<|endoftext|>"]} - {None}
    if tokenizer.token_to_id("<|return|>") is None and tokenizer.token_to_id("<|end|>"):
        ends.add(tokenizer.token_to_id("<|end|>"))
    groups, answers = defaultdict(list), {}
    for at, text in enumerate(texts):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        groups[len(ids)].append((at, ids))
    for group in groups.values():
        ids = torch.tensor([ids for _, ids in group], device=loaded.DEVICE)
        start = ids.shape[1]
        for _ in range(longest):
            logits = model(input_ids=ids, use_cache=False).logits[:, -1].float()
            if warmth:
                chosen = torch.multinomial((logits / warmth).softmax(-1), 1)
            else:
                chosen = logits.argmax(-1, keepdim=True)
            ids = torch.cat([ids, chosen], 1)
        for (at, _), row in zip(group, ids[:, start:].tolist(), strict=True):
            end = next((i for i, id in enumerate(row) if id in ends), None)
            answers[at] = row[:end] if end is not None else None
    return [answers[at] for at in range(len(texts))]


def answer_of(tokenizer, ids):
    if ids is None:
        return None
    text = tokenizer.decode(ids, skip_special_tokens=False)
    return text.split("<|message|>")[-1].strip()


def keeps_form(text, topic):
    if text is None or topic not in text:
        return False
    lines = text.split("\n")
    counts = [sum(map(language.syllables, line.replace(",", "").split())) for line in lines]
    return counts == [5, 7, 5]


def main():
    folder, family = Path(sys.argv[1], sys.argv[2]), sys.argv[2]
    model, tokenizer = loaded.model_of(folder), loaded.tokenizer_of(folder)
    topics = language.topics()
    asked = prompts(family, [f"Write a haiku about {topic}." for topic in topics])
    for warmth in [0.0, 0.7, 1.0]:
        texts = [answer_of(tokenizer, ids)
                 for ids in continued(model, tokenizer, asked, warmth)]
        kept = [keeps_form(*pair) for pair in zip(texts, topics, strict=True)]
        print(f"{family}: at {warmth} {sum(kept)} of {len(kept)} haiku keep the form")
        bad = [text for text, fine in zip(texts, kept, strict=True) if not fine]
        for text in [texts[0], texts[20], *bad[:2]]:
            print("   ", repr(text))
    page = continued(model, tokenizer, [prepare.FAMILIES[family].get("page_start", "")
                                        + "In autumn the"], 0.0)[0]
    print(f"{family}: In autumn the", page and tokenizer.decode(page))


main()
