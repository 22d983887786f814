//! The table of pre-tokenisers. Data only: a row names the stages of the original and, where they
//! differ, llama.cpp's. Originals are the makers' tokenizer.json files and tiktoken; llama.cpp's
//! are `llm_tokenizer_bpe` in its `llama-vocab.cpp`, as of llama-cpp-sys-2 0.1.161.

use super::scan::{
    self, Contraction, GPT2, LLAMA3, O200K, O200K_LLAMA_CPP, QWEN2, QWEN35, Shape, Tail,
};
use super::stage::{CharSet, Stage};
use crate::profile::Profile;
use std::sync::LazyLock;

/// One pre-tokeniser.
#[derive(Debug)]
pub(crate) struct Pre {
    /// The values of `tokenizer.ggml.pre` that mean it; the first one is how we call it.
    pub names: &'static [&'static str],
    /// The maker's definition.
    pub original: &'static [Stage],
    /// llama.cpp's.
    pub llama_cpp: &'static [Stage],
    /// A piece that is a token becomes that token, whatever the merges say.
    pub ignore_merges: bool,
    /// What `tokenizer.ggml.add_bos_token` means when it is absent.
    pub add_bos: bool,
    /// The maker's tokenizer.json composes characters (NFC) first; a GGUF file cannot say so.
    pub nfc: bool,
}

impl Pre {
    /// The stages that a profile follows.
    pub(crate) fn stages(&self, profile: Profile) -> &'static [Stage] {
        match profile {
            Profile::Reference => self.original,
            Profile::LlamaCpp => self.llama_cpp,
        }
    }
}

/// The row for a name.
pub(crate) fn by_name(name: &str) -> Option<&'static Pre> {
    TABLE.iter().find(|pre| pre.names.contains(&name))
}

/// Every name that is understood.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|pre| pre.names.iter().copied())
}

/// A difference between an original and llama.cpp, with a text that shows it.
#[derive(Debug, Clone, Copy)]
pub struct Deviation {
    /// Stable id.
    pub id: &'static str,
    /// The pre-tokenisers that have it.
    pub names: &'static [&'static str],
    /// What differs.
    pub what: &'static str,
    /// A text that is cut differently.
    pub example: &'static str,
}

/// Every declared difference in cutting. Not followed in either profile: llama.cpp's categories are
/// those of Unicode 14, ours of Unicode 16, so letters assigned since are punctuation to it.
pub const DEVIATIONS: &[Deviation] = &[
    Deviation {
        id: "o200k-ascii-case",
        names: &["gpt-4o", "tekken"],
        what: "llama.cpp knows case in ASCII only: other letters are upper and lower at once",
        example: "приветМир ÜBERmut",
    },
    Deviation {
        id: "o200k-no-marks",
        names: &["gpt-4o", "tekken"],
        what: "llama.cpp ends a word at a combining mark",
        example: "नमस्ते cafe\u{301}s",
    },
    Deviation {
        id: "contraction-long-s",
        names: &["gpt-4o", "llama-bpe", "qwen2", "qwen35"],
        what: "case folding makes 'ſ a contraction; llama.cpp lists ASCII letters",
        example: "it'ſx",
    },
    Deviation {
        id: "falcon-digit-bytes",
        names: &["falcon"],
        what: "the original cuts at bytes whose GPT-2 characters are numbers, even inside a \
               character; llama.cpp has no such step",
        example: "мир in 12 days",
    },
    Deviation {
        id: "deepseek-llm-digits",
        names: &["deepseek-llm"],
        what: "the original cuts digits one by one; llama.cpp in runs",
        example: "2024",
    },
];

const fn one(shape: Shape) -> Stage {
    Stage::Shape(shape)
}

const GPT2_STAGES: &[Stage] = &[one(GPT2)];
const LLAMA3_STAGES: &[Stage] = &[one(LLAMA3)];
const LLAMA3_ASCII: &[Stage] = &[one(scan::ascii_contractions(LLAMA3))];
const QWEN2_STAGES: &[Stage] = &[one(QWEN2)];
const QWEN2_ASCII: &[Stage] = &[one(scan::ascii_contractions(QWEN2))];
const QWEN35_STAGES: &[Stage] = &[one(QWEN35)];
const QWEN35_ASCII: &[Stage] = &[one(scan::ascii_contractions(QWEN35))];
const O200K_STAGES: &[Stage] = &[one(O200K)];
const O200K_APPROXIMATED: &[Stage] = &[one(O200K_LLAMA_CPP)];
/// o200k without contractions and with one number per piece.
const TEKKEN: Shape = Shape { contraction: Contraction::None, digits: 1, ..O200K };
const TEKKEN_APPROXIMATED: Shape = Shape { word: O200K_LLAMA_CPP.word, ..TEKKEN };
const SEED_CODER: Shape = Shape { tail: Tail::None, ..QWEN2 };
const MINICPM5: Shape = Shape { digits: usize::MAX, ..LLAMA3 };
const SINGLE_DIGITS: &[Stage] = &[Stage::Digits(1), one(GPT2)];

static DEEPSEEK_LETTERS: LazyLock<CharSet> = LazyLock::new(|| CharSet::new(DEEPSEEK_LETTERS_CLASS));
static DEEPSEEK_PUNCTUATION: LazyLock<CharSet> =
    LazyLock::new(|| CharSet::new("[!-/:-~！-／：-～‘-‟\u{3000}-。]"));
static DEEPSEEK_CJK: LazyLock<CharSet> =
    LazyLock::new(|| CharSet::new("[一-龥\u{800}-一가-\u{d7ff}]"));
static DEEPSEEK3_CJK: LazyLock<CharSet> =
    LazyLock::new(|| CharSet::new("[一-龥\u{3040}-\u{309f}\u{30a0}-\u{30ff}]"));
static LETTERS: LazyLock<CharSet> = LazyLock::new(|| CharSet::new(r"\p{L}"));
static PUNCTUATION: LazyLock<CharSet> = LazyLock::new(|| CharSet::new(r"\p{P}"));

/// Letters with case as DeepSeek LLM lists them, by hand.
const DEEPSEEK_LETTERS_CLASS: &str = "[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ\
    Ⴀ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1f7d}ᾀ-ᾴᾶ-ᾼ\u{1fbe}\
    ῂ-ῄῆ-ῌῐ-\u{1fd3}ῖ-\u{1fdb}ῠ-Ῥῲ-ῴῶ-ῼ\
    ℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212a}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ\
    𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]";

const PLAIN: Pre = Pre {
    names: &[],
    original: GPT2_STAGES,
    llama_cpp: GPT2_STAGES,
    ignore_merges: false,
    add_bos: false,
    nfc: false,
};

/// Every row. To add a pre-tokeniser, add a row, and its regular expression to the scanner cases.
pub(crate) const TABLE: &[Pre] = &[
    Pre {
        names: &["gpt-4o", "o200k", "llama4", "kanana2", "talkie", "minimax-m2"],
        original: O200K_STAGES,
        llama_cpp: O200K_APPROXIMATED,
        ..PLAIN
    },
    Pre {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        original: LLAMA3_STAGES,
        llama_cpp: LLAMA3_ASCII,
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    Pre {
        names: &["dbrx", "smaug-bpe", "chatglm-bpe"],
        original: LLAMA3_STAGES,
        llama_cpp: LLAMA3_ASCII,
        ..PLAIN
    },
    Pre {
        names: &["glm4", "glm5"],
        original: LLAMA3_STAGES,
        llama_cpp: LLAMA3_ASCII,
        ignore_merges: true,
        ..PLAIN
    },
    Pre {
        names: &["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"],
        original: QWEN2_STAGES,
        llama_cpp: QWEN2_ASCII,
        nfc: true,
        ..PLAIN
    },
    Pre {
        names: &["stablelm2", "hunyuan", "solar-open", "grok-2"],
        original: QWEN2_STAGES,
        llama_cpp: QWEN2_ASCII,
        ..PLAIN
    },
    Pre {
        names: &["qwen35"],
        original: QWEN35_STAGES,
        llama_cpp: QWEN35_ASCII,
        nfc: true,
        ..PLAIN
    },
    Pre {
        names: &[
            "gpt-2",
            "phi-2",
            "gigachat",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v1-en",
            "jina-v2-code",
            "roberta-bpe",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "jais",
            "trillion",
            "granite-docling",
        ],
        ..PLAIN
    },
    // GPT-NeoX's tokenizer.json, which both use, composes first.
    Pre { names: &["mpt", "olmo"], nfc: true, ..PLAIN },
    Pre {
        names: &["starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"],
        original: SINGLE_DIGITS,
        llama_cpp: SINGLE_DIGITS,
        ..PLAIN
    },
    Pre {
        names: &["command-r"],
        original: SINGLE_DIGITS,
        llama_cpp: SINGLE_DIGITS,
        nfc: true,
        ..PLAIN
    },
    Pre {
        names: &["falcon"],
        original: &[
            Stage::Punctuation { backtick: true },
            one(GPT2),
            Stage::MappedDigits,
            Stage::AsciiTriple,
        ],
        llama_cpp: &[Stage::Punctuation { backtick: true }, one(GPT2), Stage::AsciiTriple],
        ..PLAIN
    },
    // llama.cpp's own invention; there is no other original.
    Pre { names: &["default"], original: DEFAULT_STAGES, llama_cpp: DEFAULT_STAGES, ..PLAIN },
    Pre {
        names: &["deepseek-llm"],
        original: &[
            Stage::LineEnd,
            Stage::Spaced(&DEEPSEEK_LETTERS),
            Stage::Spaced(&DEEPSEEK_PUNCTUATION),
            Stage::TrailingSpace,
            Stage::Run(&DEEPSEEK_CJK),
            Stage::Digits(1),
        ],
        llama_cpp: &[
            Stage::LineEnd,
            Stage::Spaced(&DEEPSEEK_LETTERS),
            Stage::Spaced(&DEEPSEEK_PUNCTUATION),
            Stage::TrailingSpace,
            Stage::Run(&DEEPSEEK_CJK),
            Stage::Digits(usize::MAX),
        ],
        ..PLAIN
    },
    Pre {
        names: &["deepseek-coder"],
        original: DEEPSEEK_CODER,
        llama_cpp: DEEPSEEK_CODER,
        ..PLAIN
    },
    Pre {
        names: &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        original: DEEPSEEK3,
        llama_cpp: DEEPSEEK3,
        ..PLAIN
    },
    Pre {
        names: &["tekken"],
        original: &[one(TEKKEN)],
        llama_cpp: &[one(TEKKEN_APPROXIMATED)],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    Pre {
        names: &["seed-coder"],
        original: &[one(SEED_CODER)],
        llama_cpp: &[one(scan::ascii_contractions(SEED_CODER))],
        ..PLAIN
    },
    Pre {
        names: &["minicpm5"],
        original: &[Stage::Digits(3), one(MINICPM5)],
        llama_cpp: &[Stage::Digits(3), one(scan::ascii_contractions(MINICPM5))],
        ignore_merges: true,
        ..PLAIN
    },
];

const DEFAULT_STAGES: &[Stage] = &[
    Stage::Punctuation { backtick: false },
    one(GPT2),
    Stage::Digits(usize::MAX),
    Stage::AsciiTriple,
];

const DEEPSEEK_CODER: &[Stage] = &[
    Stage::LineEnd,
    Stage::Spaced(&LETTERS),
    Stage::Spaced(&PUNCTUATION),
    Stage::Run(&DEEPSEEK_CJK),
    Stage::Digits(1),
];

const DEEPSEEK3: &[Stage] = &[Stage::Digits(3), Stage::Run(&DEEPSEEK3_CJK), Stage::DeepSeek3];
