"""Trains the byte-level BPE vocabularies: one per family, with the family's own special tokens."""

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

import corpus
import pretokenizers
import vocabulary as v

SEED = 7
TRAINED = 1500

# Special tokens as in the real families and in their order; `plain` ones are no control tokens.
FAMILIES = {
    "gpt2": {
        "pre": "gpt-2",
        "special": ["<|endoftext|>"],
        "bos": "<|endoftext|>", "eos": "<|endoftext|>", "add_bos": False,
    },
    "qwen2": {
        "pre": "qwen2",
        "special": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "plain": ["<tool_call>", "</tool_call>"],
        "bos": "<|endoftext|>", "eos": "<|im_end|>", "add_bos": False, "fillers": 3,
    },
    "harmony": {
        "pre": "gpt-4o",
        "special": ["<|startoftext|>", "<|endoftext|>", "<|reserved_200000|>",
                    "<|reserved_200001|>", "<|return|>", "<|constrain|>", "<|reserved_200004|>",
                    "<|channel|>", "<|start|>", "<|end|>", "<|message|>", "<|call|>",
                    "<|endofprompt|>"],
        "bos": "<|startoftext|>", "eos": "<|return|>", "add_bos": False,
    },
    "llama3": {
        "pre": "llama-bpe",
        "special": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
                    "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"],
        "bos": "<|begin_of_text|>", "eos": "<|eot_id|>", "add_bos": True, "ignore_merges": True,
    },
    # Its merges cross every border that a pre-tokeniser could draw, so that a split which is
    # missing or misplaced changes the ids. Oracles answer for it under every `pre` they know.
    "crossing": {
        "pre": "gpt-2", "crossing": True, "special": ["<|endoftext|>"],
        "bos": "<|endoftext|>", "eos": "<|endoftext|>", "add_bos": False,
    },
}


def _pieces_without_meaning():
    """Cuts after every 24 characters, so that words, digits, spaces and signs grow together."""
    cut = pre_tokenizers.Split(Regex(r"[\s\S]{1,24}"), "isolated")
    return pre_tokenizers.Sequence([cut, pretokenizers.byte_level()])


def trained(family, texts, size):
    """Merges of a family on `texts`: `size` tokens with the 256 bytes, special ones not counted."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=family.get("ignore_merges", False)))
    own = pretokenizers.pretokenizer(family["pre"])
    tokenizer.pre_tokenizer = _pieces_without_meaning() if family.get("crossing") else own
    trainer = trainers.BpeTrainer(
        vocab_size=size, show_progress=False, min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = own
    return tokenizer


def finished(tokenizer, family):
    """Adds what surrounds the merges in the family's tokenizer.json."""
    tokenizer.normalizer = pretokenizers.normalizer(family["pre"])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in family["special"]])
    plain = family.get("plain", [])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in plain])
    if family["add_bos"]:
        bos = family["bos"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))])
    return tokenizer


def write(folder):
    """FAMILY.json and FAMILY.gguf for every family."""
    for name, family in FAMILIES.items():
        texts = list(corpus.lines(SEED, 3000))
        tokenizer = finished(trained(family, texts, TRAINED), family)
        v.write_json(folder / f"{name}.json", tokenizer)
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        tokens = sorted(vocabulary, key=vocabulary.get)
        kind = {text: v.CONTROL for text in family["special"]}
        kind |= {text: v.USER_DEFINED for text in family.get("plain", [])}
        types = [kind.get(token, v.NORMAL) for token in tokens]
        for filler in range(family.get("fillers", 0)):
            tokens.append(f"[PAD{len(tokens)}]")
            types.append(v.UNUSED)
        keys = {
            "model": "gpt2", "pre": family["pre"], "add_bos_token": family["add_bos"],
            "bos_token_id": vocabulary[family["bos"]], "eos_token_id": vocabulary[family["eos"]],
        }
        merges = v.merges_of(tokenizer)
        v.write_gguf(folder / f"{name}.gguf", f"{name} golden", keys, tokens, types, merges)
