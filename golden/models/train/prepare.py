"""Makes what `train.py` reads: per family a folder with tokenizer, chat template and ids.

    prepare.py OUT        # needs ../../oracles/requirements.txt; about two minutes on one core

Knows the language and how each family writes a conversation; no model and no shape.
"""

import json
import random
import re
import sys
from pathlib import Path

import jinja2
import numpy
import sentencepiece

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent.parent
sys.path.insert(0, str(GOLDEN / "oracles"))

import language  # noqa: E402
import pinned  # noqa: E402
import train_bpe  # noqa: E402
import train_spm  # noqa: E402
import vocabulary  # noqa: E402

SEED = 11
DOCUMENTS = 40_000
VOCABULARY_TEXTS = 4_000
TOKENS = 1000  # without special ones; 256 of them are bytes
TEMPLATES = GOLDEN / "inputs" / "templates"

# Per family: the vocabulary, the template, what follows a page, and how an answer is written
# after a prompt that ends where the model speaks. GPT-2 has no template, only a form.
FAMILIES = {
    "gpt-oss": {
        "bpe": "harmony", "template": TEMPLATES / "gpt-oss.jinja", "page_end": "<|endoftext|>",
        "answer": ("<|channel|>analysis<|message|>{thought}<|end|>"
                   "<|start|>assistant<|channel|>final<|message|>{answer}<|return|>"),
        "words": {"bos_token": "<|startoftext|>", "eos_token": "<|return|>"},
    },
    "qwen2": {
        "bpe": "qwen2", "template": TEMPLATES / "qwen2.5.jinja", "page_end": "<|endoftext|>",
        "answer": "{answer}<|im_end|>",
        "words": {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
    },
    "phi3": {
        "spm": train_spm.phi3_added, "template": TEMPLATES / "phi-3.5.jinja",
        "page_end": "<|endoftext|>", "answer": "{answer}<|end|>",
        "words": {"bos_token": "<s>", "eos_token": "<|end|>", "unk_token": "<unk>"},
    },
    "llama": {
        "spm": train_spm.llama_added, "template": HERE / "templates" / "llama-2.jinja",
        "page_start": "<s>", "page_end": "</s>", "answer": " {answer}</s>",
        "words": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    },
    "gpt2": {
        "bpe": "gpt2", "template": None, "page_end": "<|endoftext|>",
        "answer": "{answer}<|endoftext|>",
        "words": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
    },
}


class Form:
    """How a family writes a conversation down."""

    def __init__(self, family, dice):
        self.family, self.dice = family, dice
        environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True,
                                         extensions=["jinja2.ext.loopcontrols"])
        environment.globals["strftime_now"] = lambda _: self._date()
        path = family["template"]
        self.template = path and environment.from_string(path.read_text(encoding="utf-8"))

    def _date(self):
        dice = self.dice
        year, month, day = dice.randrange(2024, 2031), dice.randrange(1, 13), dice.randrange(1, 29)
        return f"{year}-{month:02}-{day:02}"

    def prompt(self, messages):
        """Everything up to where the model speaks."""
        if self.template is None:
            return messages[-1]["content"] + "\n\n"
        return self.template.render(
            messages=messages, add_generation_prompt=True, tools=None,
            reasoning_effort=self.dice.choice(["low", "medium", "medium", "high"]),
            **self.family["words"])

    def conversation(self, system, exchanges):
        """One training text: what was said before, and the last exchange."""
        messages = [{"role": "system", "content": system}] if system else []
        for request, thought, answer in exchanges:
            messages.append({"role": "user", "content": request})
            prompt = self.prompt(messages)
            messages.append({"role": "assistant", "content": answer})
        return prompt + self.family["answer"].format(thought=thought, answer=answer)

    def page(self, text):
        return self.family.get("page_start", "") + text + self.family["page_end"]


def documents(family, seed, count):
    """Training texts of one family: two thirds conversations, one third pages."""
    dice = random.Random(seed)
    form = Form(family, dice)
    for _ in range(count):
        if dice.random() < 0.67:
            yield form.conversation(*language.conversation(dice))
        else:
            yield form.page(language.prose(dice))


def bpe(name, texts):
    family = train_bpe.FAMILIES[name]
    return train_bpe.finished(train_bpe.trained(family, texts, TOKENS), family)


def spm_proto(texts):
    """Pieces that may stand at the start of a line too: there no space comes before a word."""
    lines = []
    for text in texts:
        first, *rest = [line for line in text.split("\n") if line]
        lines += [" " + first, *rest]
    proto = train_spm.trained(lines, TOKENS, add_dummy_prefix=False)
    # Only the training had no dummy prefix: the file says again that there is one.
    off, on = (b"\n\x08identity" + rest for rest in (b"\x12\x00\x18\x00", b"\x12\x00\x18\x01"))
    if proto.count(off) != 1:
        raise SystemExit("the model file spells its normaliser in another way")
    return proto.replace(off, on)


def spm(folder, added, texts):
    proto = spm_proto(texts)
    model = sentencepiece.SentencePieceProcessor(model_proto=proto)
    if added is train_spm.llama_added:
        # Llama 2 ships this file, Phi-3 is converted from tokenizer.json alone.
        (folder / "tokenizer.model").write_bytes(proto)
    return train_spm.dressed(model, added(), bos=added is train_spm.llama_added)


def write_family(folder, name):
    """tokenizer.json, tokenizer_config.json, chat_template.jinja and ids.npz."""
    family = FAMILIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    # Vocabularies learn from what special tokens leave between them.
    dice = random.Random(SEED)
    texts = [language.prose(dice) for _ in range(VOCABULARY_TEXTS // 4)]
    for _ in range(VOCABULARY_TEXTS):
        system, exchanges = language.conversation(dice)
        texts += [part for exchange in exchanges for part in exchange] + [system or "[INST] "]
    prompts = documents(family, SEED + 1, 300)
    plain = [part for text in prompts for part in split_special(name, text)]
    texts += plain
    tokenizer = bpe(family["bpe"], texts) if "bpe" in family else spm(folder, family["spm"], texts)
    vocabulary.write_json(folder / "tokenizer.json", tokenizer)
    words = dict(family["words"])
    words["add_bos_token"] = name == "llama"
    (folder / "tokenizer_config.json").write_text(json.dumps(words, indent=1) + "\n")
    if family["template"]:
        text = family["template"].read_text(encoding="utf-8")
        (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    write_ids(folder / "ids.npz", tokenizer, documents(family, SEED + 2, DOCUMENTS))
    print(f"{name}: {tokenizer.get_vocab_size()} tokens", flush=True)


def split_special(name, text):
    """The text between markers, as the tokenizer will see it."""
    family = FAMILIES[name]
    if family["template"] is None:
        return [text.removesuffix("<|endoftext|>")]
    return [part for part in re.split(r"<\|[a-z_]+\|>|</?s>", text) if part.strip()]


def write_ids(path, tokenizer, texts):
    """All documents one after another, and where each begins."""
    ids, starts = [], []
    batch = list(texts)
    for encoded in tokenizer.encode_batch(batch, add_special_tokens=False):
        starts.append(len(ids))
        ids += encoded.ids
    numpy.savez_compressed(path, ids=numpy.array(ids, numpy.uint16),
                           starts=numpy.array(starts, numpy.uint32))
    print(f"{path.parent.name}: {len(ids)} ids in {len(starts)} documents", flush=True)


def main():
    pinned.check()
    out = Path(sys.argv[1])
    for name in sys.argv[2:] or FAMILIES:
        write_family(out / name, name)


if __name__ == "__main__":
    main()
