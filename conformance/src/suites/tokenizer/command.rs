//! `tokenizer::command::` — `tokenize` and `detokenize` as processes: what they print, which file
//! they read the tokenizer from, and what they say when it is not the model's.

use super::toys;
use crate::worker::{self, Program};
use engine::loader::gguf::{Metadata, Writer};
use engine::quant;
use harness::{Case, Failure, Run, environment, roots};
use std::ffi::OsStr;
use std::path::Path;

/// A command line in the scratch folder (see [`files`]), its standard input, and how it must end.
struct Line {
    name: &'static str,
    arguments: &'static [&'static str],
    input: &'static str,
    want: Want,
}

enum Want {
    /// Exit code 0, exactly this on standard output and nothing on standard error.
    Prints(&'static str),
    /// This exit code and a standard error that says all of these.
    Says(i32, &'static [&'static str]),
}

use Want::{Prints, Says};

const fn line(name: &'static str, arguments: &'static [&'static str], want: Want) -> Line {
    Line { name, arguments, input: "", want }
}

const fn fed(
    name: &'static str,
    arguments: &'static [&'static str],
    input: &'static str,
    want: Want,
) -> Line {
    Line { name, arguments, input, want }
}

const LINES: &[Line] = &[
    line(
        "json",
        &["tokenize", "bpe.gguf", "the hello", "--json"],
        Prints("{\"ids\":[116,257,263]}\n"),
    ),
    line(
        "special-by-default",
        &["tokenize", "bpe.gguf", "<|end|>", "--json"],
        Prints("{\"ids\":[266]}\n"),
    ),
    line(
        "no-special",
        &["tokenize", "bpe.gguf", "<|end|>", "--json", "--no-special"],
        Prints("{\"ids\":[60,124,101,110,100,124,62]}\n"),
    ),
    line("bos", &["tokenize", "spm.gguf", "the", "--json"], Prints("{\"ids\":[1,261]}\n")),
    line(
        "no-bos",
        &["tokenize", "spm.gguf", "the", "--json", "--no-bos"],
        Prints("{\"ids\":[261]}\n"),
    ),
    line("empty-text", &["tokenize", "bpe.gguf", "", "--json"], Prints("{\"ids\":[]}\n")),
    line(
        "file",
        &["tokenize", "bpe.gguf", "--file", "text", "--json"],
        Prints("{\"ids\":[263,10]}\n"),
    ),
    line(
        "text-that-begins-with-a-dash",
        &["tokenize", "bpe.gguf", "--json", "--", "-t"],
        Prints("{\"ids\":[45,116]}\n"),
    ),
    fed(
        "standard-input",
        &["tokenize", "bpe.gguf", "-", "--json"],
        "in\n",
        Prints("{\"ids\":[259,10]}\n"),
    ),
    fed(
        "file-from-standard-input",
        &["tokenize", "bpe.gguf", "--file", "-", "--json"],
        "in",
        Prints("{\"ids\":[259]}\n"),
    ),
    line("inp", &["tokenize", "spm.gguf", "--inp", "prompts.inp"], Prints("261\n\n264 286 284\n")),
    line(
        "pre",
        &["tokenize", "no-pre.gguf", "in 123", "--pre", "gpt-2", "--json"],
        Prints("{\"ids\":[259,32,265]}\n"),
    ),
    line(
        "no-pre",
        &["tokenize", "no-pre.gguf", "in"],
        Says(3, &["MissingKey", "tokenizer.ggml.pre", "--pre NAME"]),
    ),
    line(
        "wrong-pre",
        &["tokenize", "bpe.gguf", "in", "--pre", "gpt2"],
        Says(2, &["--pre: no pre-tokeniser \"gpt2\"", "gpt-2"]),
    ),
    line(
        "json-that-is-no-tokenizer",
        &["tokenize", "config.json", "a"],
        Says(3, &["BadJson", "\"config.json\"", "missing field `model`"]),
    ),
    line(
        "bytes-that-are-no-text",
        &["tokenize", "bpe.gguf", "--file", "bytes", "--json"],
        Prints("{\"ids\":[97,255,195]}\n"),
    ),
    line("folder", &["tokenize", "hf", "a", "--json"], Prints("{\"ids\":[64]}\n")),
    line("folder-without-one", &["tokenize", ".", "a"], Says(2, &["no tokenizer.json in \".\""])),
    line(
        "tokenizer-json",
        &["tokenize", "hf/tokenizer.json", "a", "--json"],
        Prints("{\"ids\":[64]}\n"),
    ),
    line(
        "beside-a-model",
        &["tokenize", "hf/bare.gguf", "a", "--json"],
        Prints("{\"ids\":[64]}\n"),
    ),
    line("own-wins", &["tokenize", "hf/bpe.gguf", "a", "--json"], Prints("{\"ids\":[97]}\n")),
    line(
        "named",
        &["tokenize", "bare.gguf", "a", "--tokenizer", "hf/tokenizer.json", "--json"],
        Prints("{\"ids\":[64]}\n"),
    ),
    line(
        "named-gguf",
        &["tokenize", "bare-270.gguf", "a", "--tokenizer", "bpe.gguf", "--json"],
        Prints("{\"ids\":[97]}\n"),
    ),
    line(
        "backend-hf-is-another-models",
        &["tokenize", "hf/bpe.gguf", "a", "--backend", "hf"],
        Says(3, &["BadVocab", "token 0 is \"!\"", "another model"]),
    ),
    line(
        "backend-hf-without-one",
        &["tokenize", "bpe.gguf", "a", "--backend", "hf"],
        Says(3, &["MissingKey", "no tokenizer.json beside it", "--tokenizer FILE"]),
    ),
    line(
        "backend-gguf-of-json",
        &["tokenize", "hf/tokenizer.json", "a", "--backend", "gguf"],
        Says(2, &["is a tokenizer.json"]),
    ),
    line(
        "backend-gguf-without-vocabulary",
        &["tokenize", "hf/bare.gguf", "a", "--backend", "gguf"],
        Says(3, &["MissingKey", "has no vocabulary"]),
    ),
    line(
        "no-tokenizer-anywhere",
        &["tokenize", "bare.gguf", "a"],
        Says(3, &["MissingKey", "bare.gguf", "--tokenizer FILE"]),
    ),
    line(
        "pre-of-json",
        &["tokenize", "hf/tokenizer.json", "a", "--pre", "gpt-2"],
        Says(2, &["--pre is for a GGUF file"]),
    ),
    line(
        "too-few-rows",
        &["tokenize", "short.gguf", "a", "--tokenizer", "hf/tokenizer.json"],
        Says(3, &["ShapeMismatch", "embedding has 300 rows"]),
    ),
    line(
        "far-too-many-rows",
        &["tokenize", "long.gguf", "a", "--tokenizer", "hf/tokenizer.json"],
        Says(3, &["ShapeMismatch", "embedding has 9000 rows"]),
    ),
    line(
        "gguf-of-another-size",
        &["tokenize", "bare.gguf", "a", "--tokenizer", "bpe.gguf"],
        Says(3, &["ShapeMismatch", "270 tokens"]),
    ),
    line("no-text", &["tokenize", "bpe.gguf"], Says(2, &["TEXT", "--file", "--inp"])),
    line(
        "two-texts",
        &["tokenize", "bpe.gguf", "a", "--file", "text"],
        Says(2, &["cannot be used with"]),
    ),
    line(
        "unknown-profile",
        &["tokenize", "bpe.gguf", "a", "--profile", "hf"],
        Says(2, &["neither 'reference' nor 'llama.cpp'"]),
    ),
    line("a-text-for-a-model", &["tokenize", "text", "a"], Says(3, &["BadMagic"])),
    line("no-such-text", &["tokenize", "bpe.gguf", "--file", "none"], Says(1, &["read \"none\""])),
    line("ids", &["detokenize", "bpe.gguf", "--ids", "116,257,263"], Prints("the hello")),
    line("ids-of-spm", &["detokenize", "spm.gguf", "--ids", "261 266"], Prints("the hello")),
    line(
        "ids-as-json",
        &["detokenize", "bpe.gguf", "--ids", "[116, 257]", "--json"],
        Prints("{\"text\":\"the\"}\n"),
    ),
    fed(
        "ids-piped",
        &["detokenize", "bpe.gguf", "--ids", "-"],
        "{\"ids\":[263]}\n",
        Prints(" hello"),
    ),
    line("no-ids", &["detokenize", "bpe.gguf", "--ids", ""], Prints("")),
    line(
        "special-written-out",
        &["detokenize", "bpe.gguf", "--ids", "267,116"],
        Prints("<|start|>t"),
    ),
    line(
        "special-left-out",
        &["detokenize", "bpe.gguf", "--ids", "267,116", "--no-special"],
        Prints("t"),
    ),
    line("filler-row", &["detokenize", "hf/bare.gguf", "--ids", "64,1502"], Prints("a[PAD1502]")),
    line(
        "filler-row-left-out",
        &["detokenize", "hf/bare.gguf", "--ids", "64,1502", "--no-special"],
        Prints("a"),
    ),
    line(
        "id-beyond-the-vocabulary",
        &["detokenize", "bpe.gguf", "--ids", "270"],
        Says(2, &["270"]),
    ),
    line(
        "id-that-is-none",
        &["detokenize", "bpe.gguf", "--ids", "1,-2"],
        Says(2, &["\"-2\" is no token id"]),
    ),
    line(
        "id-that-is-too-large",
        &["detokenize", "bpe.gguf", "--ids", "1,4294967296"],
        Says(2, &["\"4294967296\" is beyond 4294967295"]),
    ),
];

/// Rows of the embedding of `bare.gguf`: gpt2.json has 1501 ids, so three are fillers.
const ROWS: u64 = 1504;

/// What the lines are about: toy vocabularies, a tokenizer.json, and models without a vocabulary
/// whose embeddings have few, many and as many rows as it takes.
pub(crate) fn files(folder: &Path) -> Result<(), Failure> {
    let write = |name: &str, metadata: Metadata, rows: Option<u64>| -> Result<(), Failure> {
        let mut writer = Writer::new();
        *writer.metadata() = metadata;
        if let Some(rows) = rows {
            let format = quant::by_name("F32").ok_or("no format F32")?;
            writer.tensor("token_embd.weight", format, &[1, rows], vec![0; rows as usize * 4]);
        }
        Ok(writer.write(&folder.join(name))?)
    };
    let bare = || {
        let mut metadata = Metadata::default();
        metadata.set("general.architecture", "gpt2");
        metadata
    };
    let mut no_pre = toys::bpe();
    no_pre.retain(|key| key != "tokenizer.ggml.pre");
    std::fs::create_dir(folder.join("hf"))?;
    for (name, metadata, rows) in [
        ("bpe.gguf", toys::bpe(), None),
        ("spm.gguf", toys::spm(), None),
        ("no-pre.gguf", no_pre, None),
        ("hf/bpe.gguf", toys::bpe(), None),
        ("hf/bare.gguf", bare(), Some(ROWS)),
        ("bare.gguf", bare(), Some(ROWS)),
        ("bare-270.gguf", bare(), Some(270)),
        ("short.gguf", bare(), Some(300)),
        ("long.gguf", bare(), Some(9000)),
    ] {
        write(name, metadata, rows)?;
    }
    let json = roots::project().join("golden/tokenizers/gpt2.json");
    std::fs::copy(json, folder.join("hf/tokenizer.json"))?;
    std::fs::write(folder.join("config.json"), "{\"bos_token\": null}")?;
    std::fs::write(folder.join("text"), " hello\n")?;
    std::fs::write(folder.join("bytes"), b"a\xff\xc3")?;
    let end = "\n__ggml_vocab_test__\n";
    std::fs::write(folder.join("prompts.inp"), format!("the{end}{end}he<s>{end}"))?;
    Ok(())
}

impl Line {
    fn judge(&self) -> Result<(), Failure> {
        let folder = tempfile::tempdir()?;
        files(folder.path())?;
        let finished =
            worker::feed(Program::Worker, folder.path(), self.arguments, self.input.as_bytes())?;
        match self.want {
            Prints(want) => match finished.quiet(0)? {
                out if out == want => Ok(()),
                out => Err(format!("printed {out:?}, wanted {want:?}").into()),
            },
            Says(code, words) => {
                let err = finished.refused(code)?;
                match words.iter().find(|word| !err.contains(**word)) {
                    Some(word) => Err(format!("does not say {word:?}: {err}").into()),
                    None => Ok(()),
                }
            }
        }
    }
}

/// What `tokenize` prints is what `detokenize` reads, for every backend, byte for byte.
fn round_trip() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    files(folder.path())?;
    let text = "the hello \u{e9}\u{65e5}\u{1f600}\n\n  123 <tool>";
    for model in ["bpe.gguf", "spm.gguf", "hf/tokenizer.json"] {
        let arguments = ["tokenize", model, text, "--json", "--no-bos"];
        let ids = worker::run(folder.path(), arguments)?.quiet(0)?;
        let back = ["detokenize", model, "--ids", &ids];
        let back = worker::run(folder.path(), back)?.quiet(0)?;
        if back != text {
            return Err(format!("{model}: {text:?} comes back as {back:?} from {ids}").into());
        }
    }
    Ok(())
}

/// Every pair of llama.cpp's vocabularies through the command line.
fn llama_cpp_pairs(run: &mut Run) -> Result<(), Failure> {
    let folder = environment::path("ORCD_LLAMA_CPP_MODELS").unwrap_or_default();
    let mut pairs = 0;
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let model = path.with_extension("");
        if path.extension().is_none_or(|ending| ending != "out") || !model.is_file() {
            continue;
        }
        let inp = path.with_extension("inp");
        let arguments = ["tokenize".as_ref(), model.as_os_str(), "--inp".as_ref(), inp.as_os_str()];
        let profile = ["--profile", "llama.cpp"].map(OsStr::new);
        let out = worker::run(&folder, arguments.into_iter().chain(profile))?.quiet(0)?;
        let recorded = std::fs::read_to_string(&path)?;
        // Its lines begin with a space.
        let want: Vec<&str> = recorded.lines().map(str::trim).collect();
        if out.lines().collect::<Vec<_>>() != want {
            return Err(format!("{}: other ids than recorded\n{out}", model.display()).into());
        }
        pairs += 1;
    }
    run.figure("pairs", f64::from(pairs), "");
    match pairs {
        0 => Err(format!("no .gguf.inp with .out in {}", folder.display()).into()),
        _ => Ok(()),
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |line: &'static Line| {
        Case::new(format!("tokenizer::command::{}", line.name), |_| line.judge())
    };
    let mut cases: Vec<Case> = LINES.iter().map(case).collect();
    cases.push(Case::new("tokenizer::command::round-trip", |_| round_trip()));
    let pairs = Case::new("tokenizer::command::llama-cpp-pairs", llama_cpp_pairs);
    cases.push(pairs.needs("llama-cpp-models"));
    cases
}
