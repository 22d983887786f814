"""Asks the `tokenizers` crate, and SentencePiece where a model file is given, for ids.

    tokenize_hf.py VOCABULARY.json [--pre NAME] [--model FILE.model] < {"name": "text", …}

Prints per column: ids with the text of special tokens as text (`plain`) and as tokens (`special`),
and what the vocabulary puts `before` them. Knows nothing of llama.cpp.
"""

import argparse
import json
import sys

import sentencepiece
from tokenizers import Tokenizer

import pinned
import pretokenizers


def ask_hf(path, pre, prompts):
    tokenizer = Tokenizer.from_file(path)
    if pre:
        tokenizer.pre_tokenizer = pretokenizers.pretokenizer(pre)
        tokenizer.normalizer = pretokenizers.normalizer(pre)
    column = {"oracle": pinned.words("tokenizers")}
    for name, as_text in [("plain", True), ("special", False)]:
        tokenizer.encode_special_tokens = as_text
        column[name] = {key: tokenizer.encode(text, add_special_tokens=False).ids
                        for key, text in prompts.items()}
    # A template adds the same ids around every text: derived from the empty one, checked on all.
    column["before"] = before = tokenizer.encode("", add_special_tokens=True).ids
    for key, text in prompts.items():
        if tokenizer.encode(text, add_special_tokens=True).ids != before + column["special"][key]:
            raise SystemExit(f"{path}: {key}: special tokens are added otherwise than in front")
    return column


def ask_sentencepiece(path, prompts):
    """SentencePiece knows no special text: control pieces in a text are letters and signs."""
    model = sentencepiece.SentencePieceProcessor(model_file=path)
    plain = {key: model.encode(text) for key, text in prompts.items()}
    return {"oracle": pinned.words("sentencepiece"), "plain": plain, "special": {}, "before": []}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vocabulary")
    parser.add_argument("--pre")
    parser.add_argument("--model")
    arguments = parser.parse_args()
    pinned.check()
    prompts = json.load(sys.stdin)
    columns = {}
    if not arguments.pre or arguments.pre in pretokenizers.NAMES:
        columns["hf"] = ask_hf(arguments.vocabulary, arguments.pre, prompts)
    if arguments.model:
        columns["sentencepiece"] = ask_sentencepiece(arguments.model, prompts)
    json.dump(columns, sys.stdout)


main()
