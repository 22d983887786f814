"""Trains one SentencePiece BPE with byte fallback and dresses it as Llama and as Phi-3 do."""

import io

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

import corpus
import vocabulary as v

SEED = 8
PIECES = 1500
SPACE = "▁"
OWN = ["<unk>", "<s>", "</s>"]

# Phi-3's tokens swallow the white space to their right; these strip nothing (its tokenizer.json).
PHI3 = ["<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>",
        "<|placeholder3|>", "<|placeholder4|>", "<|system|>", "<|end|>", "<|placeholder5|>",
        "<|placeholder6|>", "<|user|>"]
STRIPS_NOTHING = {"<unk>", "<s>", "<|endoftext|>"}


def trained(lines, size, **options):
    """The model file's bytes. Settings as published for Llama 2: identity, dummy prefix, digits.

    `lines` hold no line break, as where SentencePiece reads files: so it has no piece but its byte.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model,
        model_type="bpe", vocab_size=size, byte_fallback=True, split_digits=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, character_coverage=0.999, num_threads=1,
        minloglevel=2, **options)
    return model.getvalue()


def _merges(pieces):
    """Every way to put a piece together from two others; best score first, long halves first."""
    found = []
    for text, score in pieces.items():
        halves = [(text[:at], text[at:]) for at in range(1, len(text))]
        found += [(score, a, b) for a, b in halves if a in pieces and b in pieces]
    found.sort(key=lambda merge: (-merge[0], -len(merge[1]), -len(merge[2])))
    return [(a, b) for _, a, b in found]


def dressed(model, added, bos):
    """The form in which transformers ships such a model: BPE behind a normaliser."""
    ids = range(model.get_piece_size())
    texts = [model.id_to_piece(id) for id in ids]
    pieces = {texts[id]: model.get_score(id) for id in ids
              if not (model.is_byte(id) or model.is_control(id) or model.is_unknown(id))}
    tokenizer = Tokenizer(models.BPE(
        {text: id for id, text in enumerate(texts)}, _merges(pieces),
        unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([token for token in added if token.special])
    tokenizer.add_tokens([token for token in added if not token.special])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    return tokenizer


def _types(model):
    def of(id):
        if model.is_unknown(id):
            return v.UNKNOWN
        if model.is_control(id):
            return v.CONTROL
        return v.BYTE if model.is_byte(id) else v.NORMAL
    return [of(id) for id in range(model.get_piece_size())]


def llama_added():
    return [AddedToken(text, normalized=False, special=True) for text in OWN]


def phi3_added():
    """Phi-3's </s> is an added token, but not a special one (its tokenizer.json)."""
    return [AddedToken(text, normalized=False, rstrip=text not in STRIPS_NOTHING,
                       special=text != "</s>") for text in OWN + PHI3]


def write(folder):
    """spm.model, which is the reference itself, and JSON and GGUF of both families."""
    lines = [line for text in corpus.lines(SEED, 3000) for line in text.split("\n") if line]
    proto = trained(lines, PIECES)
    (folder / "spm.model").write_bytes(proto)
    model = sentencepiece.SentencePieceProcessor(model_proto=proto)
    texts = [model.id_to_piece(id) for id in range(model.get_piece_size())]
    scores = [model.get_score(id) for id in range(model.get_piece_size())]
    v.write_json(folder / "llama.json", dressed(model, llama_added(), bos=True))
    keys = {"model": "llama", "pre": "default", "bos_token_id": 1, "eos_token_id": 2,
            "unknown_token_id": 0, "add_bos_token": True, "add_eos_token": False,
            "add_space_prefix": True}
    v.write_gguf(folder / "llama.gguf", "llama golden", keys, texts, _types(model), scores=scores)

    v.write_json(folder / "phi3.json", dressed(model, phi3_added(), bos=False))
    keys |= {"eos_token_id": len(texts), "add_bos_token": False}
    types = _types(model) + [v.CONTROL] * len(PHI3)
    types[texts.index("</s>")] = v.USER_DEFINED
    v.write_gguf(folder / "phi3.gguf", "phi-3 golden", keys, texts + PHI3, types,
                 scores=scores + [-1000.0] * len(PHI3))
