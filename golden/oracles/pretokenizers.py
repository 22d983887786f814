"""Pre-tokenisers as the makers of the families define them, by `tokenizer.ggml.pre`.

Facts, from the published tokenizer.json of each family and, for o200k, from tiktoken; llama.cpp
keeps most of them as comments beside its own approximations. Each is a list of steps in the words
of the `tokenizers` crate. Knows no vocabulary.
"""

from tokenizers import Regex, normalizers, pre_tokenizers as p

GPT2 = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + _TAIL
QWEN2 = _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + _TAIL
QWEN35 = (_CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
          r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}?"
         rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# The cased letters that DeepSeek's file lists one range after another, as code points.
_DEEPSEEK_LETTERS = """
    41-5a 61-7a b5 c0-d6 d8-f6 f8-1ba 1bc-1bf 1c4-293 295-2af 370-373 376 377 37b-37d 37f 386
    388-38a 38c 38e-3a1 3a3-3f5 3f7-481 48a-52f 531-556 10a0-10c5 13a0-13f5 13f8-13fd
    1c90-1cba 1cbd-1cbf 1d00-1d2b 1d6b-1d77 1d79-1d9a 1e00-1f15 1f18-1f1d 1f20-1f45 1f48-1f4d
    1f50-1f57 1f59 1f5b 1f5d 1f5f-1f7d 1f80-1fb4 1fb6-1fbc 1fbe 1fc2-1fc4 1fc6-1fcc 1fd0-1fd3
    1fd6-1fdb 1fe0-1fec 1ff2-1ff4 1ff6-1ffc 2102 2107 210a-2113 2115 2119-211d 2124 2126 2128
    212a-212d 212f-2134 2139 213c-213f 2145-2149 214e 2183 2184 2c00-2c7b 2c7e-2ce4 2ceb-2cee
    2cf2 2cf3 a640-a66d a680-a69b a722-a76f a771-a787 a78b-a78e ab70-abbf fb00-fb06 fb13-fb17
    ff21-ff3a ff41-ff5a 10400-1044f 104b0-104d3 104d8-104fb 10c80-10cb2 10cc0-10cf2
    118a0-118df 1e900-1e943
"""
_DEEPSEEK_SIGNS = "21-2f 3a-7e ff01-ff0f ff1a-ff5e 2018-201f 3000-3002"


def _letters(ranges):
    ends = [[f"\\x{{{end}}}" for end in part.split("-")] for part in ranges.split()]
    return "".join("-".join(end) for end in ends)


_CJK = r"[\x{800}-\x{9fa5}\x{ac00}-\x{d7ff}]+"


def _split(regex):
    return p.Split(Regex(regex), "isolated")


def byte_level(use_regex=False):
    """The step that turns bytes into printable characters; with GPT-2's pattern, splits too."""
    return p.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=use_regex)


def _digits_then_gpt2():
    return [p.Digits(individual_digits=True), byte_level(use_regex=True)]


_STEPS = {
    "command-r": _digits_then_gpt2,
    "deepseek-coder": lambda: [_split("[\r\n]"), _split(r"\s?\p{L}+"), _split(r"\s?\p{P}+"),
                               _split(_CJK), p.Digits(individual_digits=True), byte_level()],
    "deepseek-llm": lambda: [_split("[\r\n]"), _split(rf"\s?[{_letters(_DEEPSEEK_LETTERS)}]+"),
                             _split(rf"\s?[{_letters(_DEEPSEEK_SIGNS)}]+"), _split(r"\s+$"),
                             _split(_CJK), p.Digits(individual_digits=True), byte_level()],
    # After `byte_level`, a byte that is written as a fraction or a superscript counts as a digit.
    "falcon": lambda: [p.Punctuation("contiguous"), byte_level(use_regex=True),
                       p.Digits(individual_digits=False), _split("[0-9][0-9][0-9]")],
    "gpt-2": lambda: [byte_level(use_regex=True)],
    "gpt-4o": lambda: [_split(O200K), byte_level()],
    "llama-bpe": lambda: [_split(LLAMA3), byte_level()],
    "mpt": lambda: [byte_level(use_regex=True)],
    "phi-2": lambda: [byte_level(use_regex=True)],
    "qwen2": lambda: [_split(QWEN2), byte_level()],
    "qwen35": lambda: [_split(QWEN35), byte_level()],
    "refact": _digits_then_gpt2,
    "smollm": _digits_then_gpt2,
    "starcoder": _digits_then_gpt2,
}

# Families whose tokenizer.json composes characters before it cuts.
_COMPOSES = {"command-r", "mpt", "qwen2", "qwen35"}

# Not here: `default`, llama.cpp's own fallback, which nobody published.
NAMES = sorted(_STEPS)


def pretokenizer(name):
    """The pre-tokeniser of `tokenizer.ggml.pre` = `name`."""
    return p.Sequence(_STEPS[name]())


def normalizer(name):
    """What the family does to a text first, or None."""
    return normalizers.NFC() if name in _COMPOSES else None
