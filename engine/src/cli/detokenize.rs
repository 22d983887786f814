//! `worker-orcd detokenize`: the text of token ids, byte for byte.

use super::load::{self, TokenizerArgs};
use super::tokenize::Backend;
use super::{Output, out_failed, text};
use crate::error::Result;
use crate::profile::Profile;
use crate::tokenizer::{Found, Origin};
use std::io::IsTerminal;
use std::path::PathBuf;

const EXAMPLES: &str = "\
The bytes of the ids go to standard output as they are; a line end is added on a terminal only.
With --json, bytes that are no whole character become U+FFFD.

Examples:
  worker-orcd detokenize model.gguf --ids 9906,1917
  worker-orcd detokenize model.gguf --ids '200006 882 200008' --no-special
  worker-orcd tokenize model.gguf 'Hello' --json | worker-orcd detokenize model.gguf --ids -";

/// Show the text of token ids
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Detokenize {
    /// A model, a vocabulary alone (GGUF), a tokenizer.json, or a folder with one [default: a
    /// small model that is part of the program]
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,

    /// The ids: 1,2,3 or '1 2 3' or JSON; '-' reads them from standard input
    #[arg(long, value_name = "IDS", allow_hyphen_values = true)]
    ids: String,

    /// Leave special tokens out
    #[arg(long)]
    no_special: bool,

    /// The vocabulary in the GGUF file, or the tokenizer.json beside it
    #[arg(long, value_enum)]
    backend: Option<Backend>,

    #[command(flatten)]
    tokenizer: TokenizerArgs,

    /// Print {"text":"…"}
    #[arg(long)]
    json: bool,
}

impl Detokenize {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let choice = self.tokenizer.choice(self.backend.map(Origin::from), Profile::default());
        let Found { tokenizer, .. } = load::found(self.model.as_deref(), &choice, output)?;
        let ids = match self.ids.as_str() {
            "-" => text::ids(&String::from_utf8_lossy(&text::standard_input()?))?,
            ids => text::ids(ids)?,
        };
        if self.json {
            let text = tokenizer.decode(&ids, !self.no_special)?;
            return output.print(serde_json::json!({ "text": text }));
        }
        let mut bytes = tokenizer.decode_bytes(&ids, !self.no_special)?;
        if std::io::stdout().is_terminal() && bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        output.out.write_all(&bytes).map_err(out_failed)
    }
}
