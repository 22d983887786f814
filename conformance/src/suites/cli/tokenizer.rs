//! `cli::tokenizer::` — every command that takes a model takes `--tokenizer FILE`, and none accepts
//! a tokenizer that is another model's. Walks the commands that the program itself lists, so that a
//! new one cannot be forgotten.

use super::toy::Toy;
use super::{call, words};
use crate::suites::tokenizer::toys;
use engine::loader::gguf::Writer;
use harness::{Case, Failure};
use std::path::Path;

/// Commands without a model, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("convert", "takes a folder, whose tokenizer is converted with it"),
    ("devices", "takes no file"),
    ("help", "takes no file"),
    ("kernels", "takes no file"),
    ("synth", "makes a model"),
];

/// The rest of a command line behind `COMMAND MODEL`; `OUT` and `TEXT` are files beside the toy.
const LINES: &[(&str, &str)] = &[
    ("bench", "-p 1 -n 0 -r 1"),
    ("detokenize", "--ids 1"),
    ("inspect", ""),
    ("logits", "--tokens 1 --out OUT"),
    ("perplexity", "-f TEXT -c 8"),
    ("quantize", "OUT --type Q8_0"),
    ("run", "-p hello -n 1"),
    ("tokenize", "hello"),
    ("trace", "--tokens 1 --out OUT"),
];

/// The commands that the program lists.
fn commands() -> Result<Vec<String>, Failure> {
    let help = call(&["--help"])?.fine()?.out;
    let listed = help.split_once("Commands:\n").ok_or("no list of commands")?.1;
    let lines = listed.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn taken() -> Result<(), Failure> {
    let commands = commands()?;
    for command in &commands {
        let help = call(&[command.as_str(), "--help"])?;
        let takes = help.out.contains("--tokenizer <FILE>");
        let excused = WITHOUT.iter().find(|(name, _)| name == command);
        match (takes, excused) {
            (true, None) | (false, Some(_)) => {}
            (true, Some((_, why))) => {
                return Err(
                    format!("{command} takes --tokenizer, but is excused, as it {why}").into()
                );
            }
            (false, None) => return Err(format!("{command} takes no --tokenizer").into()),
        }
    }
    let known = |name: &str| commands.iter().any(|command| command == name);
    let named = WITHOUT.iter().map(|(name, _)| *name).chain(LINES.iter().map(|(name, _)| *name));
    let named: Vec<_> = named.collect();
    match named.iter().find(|name| !known(name)) {
        Some(name) => Err(format!("there is no command {name:?} any more").into()),
        None if named.len() != commands.len() => {
            Err(format!("{commands:?} are listed, the cases know {named:?}").into())
        }
        None => Ok(()),
    }
}

fn ended(toy: &Toy, command: &str, rest: &str, tokenizer: &str) -> Result<super::Ended, Failure> {
    let text = toy.file("text", &"hello ".repeat(99))?;
    let rest = rest.replace("OUT", &toy.beside("out")).replace("TEXT", &text);
    call(&words(&format!("{command} {} {rest} --tokenizer {tokenizer}", toy.path)))
}

/// One that fits is taken; of one that does not, the numbers are told and nothing is done.
fn checked(command: &str, rest: &str) -> Result<(), Failure> {
    let toy = Toy::new()?;
    let (fits, other) = (toy.beside("fits.gguf"), toy.beside("other.gguf"));
    for (path, metadata) in [(&fits, toys::spm()), (&other, toys::bpe())] {
        let mut writer = Writer::new();
        *writer.metadata() = metadata;
        writer.write(Path::new(path))?;
    }
    ended(&toy, command, rest, &fits)?.fine()?;
    let _ = std::fs::remove_file(toy.beside("out"));
    let ended = ended(&toy, command, rest, &other)?;
    if command == "inspect" {
        // It shows what is there, and says what is wrong with it.
        let out = ended.fine()?.out;
        let says = ["tokenizer refused", "ShapeMismatch", "270 tokens", "291 rows"];
        return match says.iter().find(|part| !out.contains(**part)) {
            None => Ok(()),
            Some(part) => Err(format!("{out}\nlacks {part:?}").into()),
        };
    }
    ended.refused(3, &["ShapeMismatch", "270 tokens", "291 rows"])?;
    match Path::new(&toy.beside("out")).exists() {
        true => Err("it wrote a file nevertheless".into()),
        false => Ok(()),
    }
}

pub(super) fn cases() -> Vec<Case> {
    let all = Case::new("cli::tokenizer::every-command-takes-it", |_| taken());
    let each = LINES.iter().map(|(command, rest)| {
        Case::new(format!("cli::tokenizer::{command}"), move |_| checked(command, rest))
    });
    std::iter::once(all).chain(each).collect()
}
