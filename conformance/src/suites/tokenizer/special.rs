//! `tokenizer::special::` — tokens that are not learned text: when a text may name them, what white
//! space they take with them, and how many BOS a prompt has.

use super::tiktoken::O200K_HARMONY;
use super::toys;
use engine::loader::gguf::Metadata;
use engine::profile::Profile;
use engine::tokenizer::{EncodeOptions, Options, TokenType, Tokenizer};
use harness::{Case, Failure, Run};

const PLAIN: EncodeOptions = EncodeOptions::PLAIN;
const TRUSTED: EncodeOptions = EncodeOptions { add_special: false, parse_special: true };
const TEXT: EncodeOptions = EncodeOptions::TEXT;
const PROMPT: EncodeOptions = EncodeOptions::PROMPT;

/// A check on one toy: text, how it is read, and the special ids (266 and up for BPE, below 3 and
/// from 289 up for SentencePiece) that must be among its ids, in order.
type Row = (&'static str, fn() -> Metadata, &'static str, EncodeOptions, &'static [u32]);

const ROWS: &[Row] = &[
    ("control-untrusted", toys::bpe, "a<|end|>b", PLAIN, &[]),
    ("control-trusted", toys::bpe, "a<|end|>b", TRUSTED, &[266]),
    ("user-defined-untrusted", toys::bpe, "a<tool>b", PLAIN, &[268]),
    ("user-defined-trusted", toys::bpe, "<tool><|end|>", TRUSTED, &[268, 266]),
    ("filler-is-never-text", toys::bpe, "[PAD270]", TRUSTED, &[]),
    ("bos-absent-by-default", toys::bpe, "the", TEXT, &[]),
    ("bos-added", with_bos, "the", TEXT, &[267]),
    ("bos-added-to-nothing", with_bos, "", TEXT, &[267]),
    ("bos-written-in-a-prompt", with_bos, "<|start|>the", PROMPT, &[267]),
    ("bos-spelled-in-a-text", with_bos, "<|start|>the", TEXT, &[267]),
    ("bos-forbidden", without_bos, "the", TEXT, &[]),
    ("eos-added", with_eos, "the", TEXT, &[266]),
    ("eos-written-in-a-prompt", with_eos, "the<|end|>", PROMPT, &[266]),
    ("spm-bos-by-default", toys::spm, "the", TEXT, &[1]),
    ("spm-bos-forbidden", spm_without_bos, "the", TEXT, &[]),
    ("spm-control-untrusted", toys::spm, "<s>", PLAIN, &[]),
    ("spm-control-trusted", toys::spm, "<s>", TRUSTED, &[1]),
    ("spm-bos-once", toys::spm, "<s>the</s>", PROMPT, &[1, 2]),
];

pub(super) fn cases() -> Vec<Case> {
    let rows = ROWS.iter().map(|row| {
        let case = Case::new(format!("tokenizer::special::{}", row.0), move |_| special_ids(row));
        case.requirements(["C15", "C16"])
    });
    let others = [
        Case::new("tokenizer::special::phi3-takes-white-space", |_| phi3_strips()),
        Case::new("tokenizer::special::every-token-alone", |_| every_token()),
        Case::new("tokenizer::special::harmony-turn-ends", |_| harmony_turn_ends()),
        Case::new("tokenizer::special::llama-cpp-doubles-bos", doubled_bos),
        Case::new("tokenizer::special::llama-cpp-spells-control", spelled_control),
        Case::new("tokenizer::special::spm-prefix-comes-off", |_| prefix_comes_off()),
        Case::new("tokenizer::special::info", |_| info()),
    ];
    rows.chain(others.map(|case| case.requirements(["C15", "C16"]))).collect()
}

fn set(mut metadata: Metadata, key: &str, yes: bool) -> Metadata {
    metadata.set(&format!("tokenizer.ggml.{key}"), yes);
    metadata
}

fn with_bos() -> Metadata {
    set(toys::bpe(), "add_bos_token", true)
}

fn without_bos() -> Metadata {
    set(toys::bpe(), "add_bos_token", false)
}

fn with_eos() -> Metadata {
    set(toys::bpe(), "add_eos_token", true)
}

fn spm_without_bos() -> Metadata {
    set(toys::spm(), "add_bos_token", false)
}

fn is_special(tokenizer: &Tokenizer, id: u32) -> bool {
    !matches!(tokenizer.kind(id), Some(TokenType::Normal | TokenType::Byte))
}

fn special_ids(row: &Row) -> Result<(), Failure> {
    let (_, metadata, text, options, want) = row;
    let tokenizer = toys::tokenizer(&metadata())?;
    let ids = tokenizer.encode(text, *options)?;
    let got: Vec<u32> = ids.iter().copied().filter(|id| is_special(&tokenizer, *id)).collect();
    match got == *want {
        true => Ok(()),
        false => Err(format!("{text:?}: special ids {got:?}, wanted {want:?}, in {ids:?}").into()),
    }
}

/// "<|user|>" takes the line end after it; what is left is the text "the", with its space prefix.
fn phi3_strips() -> Result<(), Failure> {
    let (phi3, llama) = (toys::tokenizer(&toys::phi3())?, toys::tokenizer(&toys::spm())?);
    for space in ["\n", " ", " \n\t ", "\u{a0}", ""] {
        let text = format!("<|user|>{space}the");
        let (got, want) = (phi3.encode(&text, TRUSTED)?, phi3.encode("<|user|>the", TRUSTED)?);
        if got != want {
            return Err(format!("{text:?}: {got:?}, wanted {want:?}").into());
        }
        // BOS does not: the space after it is text.
        let kept = phi3.encode(format!("<s>{space}the"), TRUSTED)?;
        if !space.is_empty()
            && (kept == phi3.encode("<s>the", TRUSTED)? || llama.encode(&text, TRUSTED)? == want)
        {
            return Err(format!("{space:?} was taken where it is text").into());
        }
    }
    Ok(())
}

/// Every special token of gpt-oss, alone and with white space around it, is itself and comes back.
fn every_token() -> Result<(), Failure> {
    let tokenizer = &O200K_HARMONY.made()?.tokenizer;
    for id in 199_998..=201_087 {
        let text = tokenizer.decode(&[id], true)?;
        for (left, right) in [("", ""), (" ", ""), ("", " "), ("\n", "\n"), ("a", "b")] {
            let whole = format!("{left}{text}{right}");
            let ids = tokenizer.encode(&whole, TRUSTED)?;
            let itself = ids.iter().filter(|found| **found == id).count() == 1;
            if !itself || tokenizer.decode(&ids, true)? != whole {
                return Err(format!("{whole:?} becomes {ids:?}").into());
            }
        }
        if tokenizer.encode(&text, PLAIN)?.contains(&id) {
            return Err(format!("an untrusted text names {text:?}").into());
        }
    }
    Ok(())
}

/// `<|return|>` and `<|call|>` end a turn; `<|end|>` ends a message.
fn harmony_turn_ends() -> Result<(), Failure> {
    let stops = &O200K_HARMONY.made()?.tokenizer.info().stops;
    match stops[..] == [199_999, 200_002, 200_012] {
        true => Ok(()),
        false => Err(format!("turn ends {stops:?}").into()),
    }
}

fn in_both(
    metadata: &Metadata,
    text: &str,
    options: EncodeOptions,
) -> Result<[Vec<u32>; 2], Failure> {
    let with = |profile| {
        let options = Options { profile, ..Options::default() };
        Tokenizer::from_metadata(metadata, &options)
    };
    let reference = with(Profile::Reference)?.encode(text, options)?;
    Ok([reference, with(Profile::LlamaCpp)?.encode(text, options)?])
}

fn doubled_bos(run: &mut Run) -> Result<(), Failure> {
    let [reference, llama_cpp] = in_both(&toys::spm(), "<s>the", PROMPT)?;
    if reference.iter().filter(|id| **id == 1).count() != 1 || llama_cpp[..2] != [1, 1] {
        return Err(format!("{reference:?} and {llama_cpp:?}").into());
    }
    run.deviation("bos-doubled", "llama.cpp adds BOS to a prompt that begins with it, and warns");
    Ok(())
}

fn spelled_control(run: &mut Run) -> Result<(), Failure> {
    let [reference, llama_cpp] = in_both(&toys::spm(), "the<s>", PLAIN)?;
    if reference.contains(&1) || !llama_cpp.contains(&1) {
        return Err(format!("{reference:?} and {llama_cpp:?}").into());
    }
    let why = "llama.cpp merges untrusted characters into control tokens; SentencePiece never does";
    run.deviation("spm-control-from-text", why);
    Ok(())
}

/// The space that encoding puts before a text is gone again, and only that one.
fn prefix_comes_off() -> Result<(), Failure> {
    let tokenizer = toys::tokenizer(&toys::spm())?;
    for text in ["the", " the", "  the hello ", "", " ", "日本", "\u{7f}é", "▁the"] {
        for options in [PLAIN, TEXT] {
            let ids = tokenizer.encode(text, options)?;
            let back = tokenizer.decode(&ids, false)?;
            // ▁ is how SentencePiece writes a space; the two cannot be told apart.
            if back != text.replace('▁', " ") {
                return Err(format!("{text:?} becomes {ids:?}, which is {back:?}").into());
            }
        }
    }
    Ok(())
}

fn info() -> Result<(), Failure> {
    let spm = toys::tokenizer(&toys::spm())?;
    let (info, harmony) = (spm.info(), O200K_HARMONY.made()?.tokenizer.info());
    let got = format!(
        "{} {} {:?} {:?} {} {} | {} {} {:?} {:?} {} {}",
        info.backend.name(),
        info.n_vocab,
        info.pre,
        info.special,
        info.add_bos,
        info.add_space_prefix,
        harmony.backend.name(),
        harmony.n_vocab,
        harmony.pre,
        harmony.special("eos"),
        harmony.add_bos,
        harmony.add_space_prefix,
    );
    let want = "gguf-spm 291 None [(\"bos\", 1), (\"eos\", 2), (\"unknown\", 0)] true true | \
                gguf-bpe 201088 Some(\"gpt-4o\") Some(200002) false false";
    match got == want {
        true => Ok(()),
        false => Err(format!("got    {got}\n  wanted {want}").into()),
    }
}
