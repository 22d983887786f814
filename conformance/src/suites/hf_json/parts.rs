//! Which parts go to our own code and which to the crate, what the file's neighbour adds, and how
//! the crate is kept within limits.

use super::{json_of, open};
use engine::profile::Profile;
use engine::tokenizer::{BackendKind, EncodeOptions, JsonFile, Options, Tokenizer};
use harness::{Case, Failure};
use serde_json::{Value, json};

/// A part of a good file exchanged, and who then encodes.
struct Exchange {
    name: &'static str,
    file: &'static str,
    edit: fn(&mut Value),
    want: BackendKind,
    pre: &'static str,
}

const EXCHANGES: &[Exchange] = &[
    Exchange {
        name: "qwen-without-nfc",
        file: "qwen2",
        edit: |file| file["normalizer"] = Value::Null,
        want: BackendKind::HfBpe,
        pre: "stablelm2",
    },
    Exchange {
        name: "llama3-with-merges",
        file: "llama3",
        edit: |file| file["model"]["ignore_merges"] = json!(false),
        want: BackendKind::HfBpe,
        pre: "dbrx",
    },
    Exchange {
        name: "gpt2-with-nfc",
        file: "gpt2",
        edit: |file| file["normalizer"] = json!({"type": "NFC"}),
        want: BackendKind::HfBpe,
        pre: "mpt",
    },
    Exchange {
        name: "gpt2-bare-byte-level",
        file: "gpt2",
        edit: |file| file["pre_tokenizer"] = byte_level(false),
        want: BackendKind::HfBpe,
        pre: "gpt-2",
    },
    Exchange {
        name: "gpt2-single-digits",
        file: "gpt2",
        edit: |file| {
            let bytes = byte_level(false);
            let digits = json!({"type": "Digits", "individual_digits": true});
            file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [digits, bytes]});
        },
        want: BackendKind::HfBpe,
        pre: "starcoder",
    },
    Exchange {
        name: "qwen35-marks",
        file: "qwen2",
        edit: |file| file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!(QWEN35),
        want: BackendKind::HfBpe,
        pre: "qwen35",
    },
    Exchange {
        name: "prefix-space",
        file: "gpt2",
        edit: |file| file["pre_tokenizer"] = byte_level(true),
        want: BackendKind::HfForeign,
        pre: "pre-tokeniser is not one we know",
    },
    Exchange {
        name: "unknown-pattern",
        file: "qwen2",
        edit: |file| {
            file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("\\p{L}+|\\s")
        },
        want: BackendKind::HfForeign,
        pre: "pre-tokeniser is not one we know",
    },
    Exchange {
        name: "lower-case",
        file: "qwen2",
        edit: |file| file["normalizer"] = json!({"type": "Lowercase"}),
        want: BackendKind::HfForeign,
        pre: "normaliser is not one we know",
    },
    Exchange {
        name: "nfc-and-whole-pieces",
        file: "llama3",
        edit: |file| file["normalizer"] = json!({"type": "NFC"}),
        want: BackendKind::HfForeign,
        pre: "not together",
    },
    Exchange {
        name: "whole-words-only",
        file: "gpt2",
        edit: |file| file["added_tokens"][0]["single_word"] = json!(true),
        want: BackendKind::HfForeign,
        pre: "whole words",
    },
    Exchange {
        name: "normalized-token",
        file: "llama",
        edit: |file| file["added_tokens"][1]["normalized"] = json!(true),
        want: BackendKind::HfForeign,
        pre: "normalised with the text",
    },
    Exchange {
        name: "strips-left",
        file: "gpt2",
        edit: |file| file["added_tokens"][0]["lstrip"] = json!(true),
        want: BackendKind::HfBpe,
        pre: "gpt-2",
    },
];

/// Qwen3.5's expression: words hold marks.
const QWEN35: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|",
    r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// As old files write it, without the switch for the expression.
fn byte_level(prefix: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true})
}

const TEXT: &str = "Über die e\u{301} 12 345\n\n  <|endoftext|> it's THE\u{3000}end <s>x </s> ▁";

impl Exchange {
    /// Who encodes is as the table says, and answers as the crate does.
    fn judge(&self) -> Result<(), Failure> {
        let mut file: Value = serde_json::from_slice(&json_of(self.file)?)?;
        (self.edit)(&mut file);
        let json = serde_json::to_vec(&file)?;
        let (chosen, foreign) = (open(&json, false)?, open(&json, true)?);
        let (backend, pre) = (chosen.info().backend, chosen.info().pre.clone());
        if backend != self.want || !pre.as_deref().unwrap_or_default().contains(self.pre) {
            return Err(format!("{} under {pre:?}", backend.name()).into());
        }
        for parse_special in [false, true] {
            let options = EncodeOptions { add_special: false, parse_special };
            let (ids, theirs) = (chosen.encode(TEXT, options)?, foreign.encode(TEXT, options)?);
            if ids != theirs {
                return Err(format!("{ids:?}\nthe crate {theirs:?}").into());
            }
        }
        Ok(())
    }
}

/// tokenizer_config.json gives BOS, EOS and their like; what it names must be there.
fn config() -> Result<(), Failure> {
    let json = json_of("llama")?;
    let open = |config: &str| {
        let file = JsonFile { json: &json, config: Some(config.as_bytes()), foreign: false };
        Tokenizer::from_json(file, &Options::default())
    };
    let tokenizer =
        open(r#"{"eos_token": {"content": "</s>"}, "unk_token": "<unk>", "pad_token": null}"#)?;
    let found = ["bos", "eos", "unknown", "padding"].map(|job| tokenizer.info().special(job));
    if found != [Some(1), Some(2), Some(0), None] || tokenizer.info().add_eos {
        return Err(format!("jobs {found:?}, {:?}", tokenizer.info()).into());
    }
    for (config, says) in [("{", "BadJson"), (r#"{"eos_token": "<nope>"}"#, "<nope>")] {
        match open(config) {
            Err(error) if error.to_string().contains(says) => {}
            other => return Err(format!("{config}: {:?}", other.map(|t| t.info().clone())).into()),
        }
    }
    Ok(())
}

/// llama.cpp composes nothing; in its profile the declared normaliser is not applied.
fn profile() -> Result<(), Failure> {
    let json = json_of("qwen2")?;
    let file = JsonFile { json: &json, config: None, foreign: false };
    let options = Options { profile: Profile::LlamaCpp, ..Options::default() };
    let ids = |options: &Options| {
        Tokenizer::from_json(file, options)?.encode("e\u{301}", EncodeOptions::PLAIN)
    };
    let (reference, llama_cpp) = (ids(&Options::default())?, ids(&options)?);
    let composed = open(&json, false)?.encode("é", EncodeOptions::PLAIN)?;
    if reference != composed || llama_cpp == composed {
        return Err(format!("{reference:?}, {llama_cpp:?}, composed {composed:?}").into());
    }
    Ok(())
}

fn too_long_for_the_crate() -> Result<(), Failure> {
    let tokenizer = open(&json_of("gpt2")?, true)?;
    let text = "a".repeat((1 << 20) + 1);
    match tokenizer.encode(&text, EncodeOptions::PLAIN) {
        Err(error) if error.to_string().contains("1048577 bytes") => Ok(()),
        other => Err(format!("{:?}", other.map(|ids| ids.len())).into()),
    }
}

/// A long run costs our own code no more than linear time, whatever the file; the texts of C14.
fn long_runs() -> Result<(), Failure> {
    for vocabulary in super::VOCABULARIES {
        let tokenizer = open(&json_of(vocabulary)?, false)?;
        let spaces_are_written = tokenizer.info().backend == BackendKind::HfFallback;
        for run in ["a", "Z", " ", "\n", "\u{327}", "▁", "a ", "日"] {
            let text = run.repeat((1 << 20) / run.len());
            let ids = tokenizer.encode(&text, EncodeOptions::PLAIN)?;
            let back = tokenizer.decode(&ids, true)?;
            let want = if spaces_are_written { text.replace('▁', " ") } else { text };
            if back != want {
                return Err(format!("{vocabulary}: a run of {run:?} does not come back").into());
            }
        }
    }
    Ok(())
}

pub(super) fn cases() -> Vec<Case> {
    let case = |exchange: &'static Exchange| {
        let name = format!("tokenizer::hf-json::parts::{}", exchange.name);
        Case::new(name, |_| exchange.judge())
    };
    let mut cases: Vec<Case> = EXCHANGES.iter().map(case).collect();
    let mut add = |name: &str, judge: fn() -> Result<(), Failure>| {
        let name = format!("tokenizer::hf-json::parts::{name}");
        cases.push(Case::new(name, move |_| judge()).requirements(["C14"]));
    };
    add("config", config);
    add("profile", profile);
    add("too-long-for-the-crate", too_long_for_the_crate);
    add("long-runs", long_runs);
    cases
}
