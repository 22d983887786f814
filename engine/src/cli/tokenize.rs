//! `worker-orcd tokenize`: the ids of a text, as the model reads it.

use super::load::{self, TokenizerArgs};
use super::paint::{Paint, When};
use super::{Output, out_failed, text, tokens};
use crate::error::{Error, Result};
use crate::profile::Profile;
use crate::tokenizer::{EncodeOptions, Found, Origin, Tokenizer};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Where the tokenizer comes from: --tokenizer FILE; else the model's own vocabulary; else a
tokenizer.json beside the model. --backend says which of the last two.

What is shown: a line a token with its id and its bytes as text (\\xNN where they are no whole
character), and what it is for unless it is learned text. On a terminal, the text itself stands
above, with a colour a token.

Examples:
  worker-orcd tokenize model.gguf 'Hello world'          ids and pieces, to read
  worker-orcd tokenize model.gguf 'Hello' --json         {\"ids\":[9906]}
  worker-orcd tokenize tokenizer.json --file prompt.txt  Hugging Face's file, a text from a file
  echo -n 'Hello' | worker-orcd tokenize model.gguf -    a text from standard input
  worker-orcd tokenize model.gguf '<|end|>' --no-special the characters, not the token
  worker-orcd tokenize ggml-vocab-qwen2.gguf --inp ggml-vocab-qwen2.gguf.inp --profile llama.cpp";

/// Show the token ids of a text
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("what"))]
#[command(override_usage = "worker-orcd tokenize [OPTIONS] [MODEL] <TEXT|--file <F>|--inp <F>>")]
pub(super) struct Tokenize {
    /// A model, a vocabulary alone (GGUF), a tokenizer.json, or a folder with one [default: a
    /// small model that is part of the program]
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,

    /// The text; '-' reads it from standard input
    #[arg(value_name = "TEXT", group = "what")]
    text: Option<OsString>,

    /// Read the text from a file, every byte of it
    #[arg(long, value_name = "F", group = "what")]
    file: Option<PathBuf>,

    /// Read texts in llama.cpp's .inp format and print a line of ids for each, as its .out files
    /// have them: without BOS and EOS, special tokens as text
    #[arg(long, value_name = "F", group = "what")]
    inp: Option<PathBuf>,

    /// Read special tokens that the text spells as text
    #[arg(long)]
    no_special: bool,

    /// Add neither BOS nor EOS
    #[arg(long)]
    no_bos: bool,

    /// The vocabulary in the GGUF file, or the tokenizer.json beside it
    #[arg(long, value_enum)]
    backend: Option<Backend>,

    /// Whose reading wins where they differ: 'reference' (the model's maker) or 'llama.cpp'
    #[arg(long, default_value = "reference")]
    profile: Profile,

    #[command(flatten)]
    tokenizer: TokenizerArgs,

    /// Print {"ids":[…]}
    #[arg(long, conflicts_with = "inp")]
    json: bool,

    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    color: When,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Backend {
    /// The GGUF file's vocabulary
    Gguf,
    /// tokenizer.json
    Hf,
}

impl From<Backend> for Origin {
    fn from(backend: Backend) -> Origin {
        match backend {
            Backend::Gguf => Origin::Gguf,
            Backend::Hf => Origin::Json,
        }
    }
}

impl Tokenize {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let choice = self.tokenizer.choice(self.backend.map(Origin::from), self.profile);
        let (model, text) = self.model_and_text();
        let Found { tokenizer, path } = load::found(model, &choice, output)?;
        if let Some(prompts) = &self.inp {
            return lines_of_ids(&tokenizer, prompts, output);
        }
        let text = self.read(text)?;
        let options = EncodeOptions { add_special: !self.no_bos, parse_special: !self.no_special };
        let ids = tokenizer.encode(&text, options)?;
        if self.json {
            return print_json(&ids, output);
        }
        tokens::show(&tokenizer, &ids, Paint::new(self.color), output)?;
        output.print(tokens::closing(&tokenizer, &path, ids.len(), text.len()))
    }

    /// Of one word alone, with no file to read a text from, the word is the text; unless it is a
    /// model, whose text is missing.
    fn model_and_text(&self) -> (Option<&Path>, Option<&OsStr>) {
        match (&self.model, &self.text) {
            (Some(word), None) if self.file.is_none() && self.inp.is_none() && !word.exists() => {
                (None, Some(word.as_os_str()))
            }
            (model, text) => (model.as_deref(), text.as_deref()),
        }
    }

    fn read(&self, text: Option<&OsStr>) -> Result<Vec<u8>> {
        match (text, &self.file) {
            (Some(text), _) if text == "-" => text::standard_input(),
            (Some(text), _) => Ok(text.as_encoded_bytes().to_vec()),
            (None, Some(path)) => text::read(path),
            (None, None) => Err(Error::Usage("no text: give TEXT, --file or --inp".into())),
        }
    }
}

/// Writes `{"ids":[…]}` without a copy of ids, of which a text has millions.
fn print_json(ids: &[u32], output: &mut Output) -> Result<()> {
    let ids = std::collections::BTreeMap::from([("ids", ids)]);
    serde_json::to_writer(&mut *output.out, &ids).map_err(|e| out_failed(e.into()))?;
    output.print("")
}

/// Ends each text of an .inp file, the last one too.
const SEPARATOR: &[u8] = b"\n__ggml_vocab_test__\n";

fn lines_of_ids(tokenizer: &Tokenizer, prompts: &Path, output: &mut Output) -> Result<()> {
    let texts = text::read(prompts)?;
    let mut rest = texts.strip_suffix(SEPARATOR).unwrap_or(&texts);
    loop {
        let end = memchr::memmem::find(rest, SEPARATOR);
        let ids = tokenizer.encode(&rest[..end.unwrap_or(rest.len())], EncodeOptions::PLAIN)?;
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        output.print(ids.join(" "))?;
        match end {
            Some(end) => rest = &rest[end + SEPARATOR.len()..],
            None => return Ok(()),
        }
    }
}
