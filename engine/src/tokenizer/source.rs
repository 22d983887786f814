//! Which file a tokeniser is read from: one that was named, the model's own vocabulary, or a
//! tokenizer.json beside the model; and whether it is this model's. A vocabulary of the model's own
//! wins over a neighbour, which may belong to another model of the same folder. Knows no command
//! line.

use super::open::{ModelSays, Options};
use super::vocab::{Model, Vocab, special_of};
use super::{JsonFile, Tokenizer, bpe, hf_json, spm};
use crate::error::{Class, Error, Result, shown};
use crate::loader::gguf::Metadata;
use crate::loader::map::Mapped;
use crate::loader::{Container, Gguf, safetensors};
use std::path::{Path, PathBuf};

/// What a tokeniser is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A GGUF file's metadata.
    Gguf,
    /// A tokenizer.json.
    Json,
}

/// What a caller decides.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// A tokenizer.json or GGUF file to read instead of the model's own vocabulary.
    pub file: Option<PathBuf>,
    /// Where to look; by default the model's own vocabulary, and where it has none, beside it.
    pub origin: Option<Origin>,
    /// How to read it.
    pub options: Options,
}

/// A tokeniser and where it was found.
#[derive(Debug)]
pub struct Found {
    /// The tokeniser.
    pub tokenizer: Tokenizer,
    /// The file it was read from.
    pub path: PathBuf,
}

/// The tensor that has one row a token, by the names it has in either kind of file.
const EMBEDDINGS: &[&str] = &[
    "token_embd.weight",
    "model.embed_tokens.weight",
    "model.language_model.embed_tokens.weight",
    "transformer.wte.weight",
    "wte.weight",
    "embedding.weight",
];

const NEIGHBOUR: &str = "tokenizer.json";
const NEIGHBOUR_CONFIG: &str = "tokenizer_config.json";
const OWN: &str = "tokenizer.ggml.model";

/// What is known about the model that the tokeniser is for.
#[derive(Debug, Clone, Copy)]
struct ModelFile<'a> {
    path: &'a Path,
    metadata: Option<&'a Metadata>,
    rows: Option<u64>,
}

impl<'a> ModelFile<'a> {
    fn of_gguf(path: &'a Path, file: &'a Gguf) -> Self {
        let tensors = file.tensors().iter();
        let rows = tensors
            .filter(|tensor| EMBEDDINGS.contains(&tensor.name.as_str()))
            .find_map(|tensor| tensor.shape.get(1).copied());
        ModelFile { path, metadata: Some(file.metadata()), rows }
    }

    fn of(path: &'a Path, container: &'a Container) -> Self {
        match container {
            Container::Gguf(file) => ModelFile::of_gguf(path, file),
            Container::SafeTensors(file) => {
                let embedding = EMBEDDINGS.iter().find_map(|name| file.layout().tensor(name));
                let rows = embedding.and_then(|info| info.shape.first().copied());
                ModelFile { path, metadata: None, rows }
            }
        }
    }

    /// The model's own vocabulary, if it has one.
    fn vocabulary(&self) -> Option<&'a Metadata> {
        // A model that runs on ids alone says so.
        let own = |metadata: &&Metadata| match metadata.opt_str(OWN) {
            Ok(model) => model.is_some_and(|model| model != "no_vocab"),
            Err(_) => true,
        };
        self.metadata.filter(own)
    }

    fn neighbour(&self) -> Option<PathBuf> {
        let path = self.path.parent()?.join(NEIGHBOUR);
        path.is_file().then_some(path)
    }
}

impl Found {
    /// The tokeniser of a file that may be a model, a vocabulary alone, or a tokenizer.json; a
    /// folder stands for the tokenizer.json in it.
    pub fn open(path: &Path, choice: &Choice) -> Result<Found> {
        let within = path.join(NEIGHBOUR);
        let path = match within.is_file() {
            true => &within,
            false if path.is_dir() => {
                return Err(Error::Usage(format!("there is no {NEIGHBOUR} in {}", named(path))));
            }
            false => path,
        };
        let mapped = Mapped::open(path)?;
        if !is_json(mapped.bytes()) {
            let container = Container::of(mapped)?;
            return Found::for_model(&ModelFile::of(path, &container), choice);
        }
        match &choice.file {
            Some(_) => Err(Error::Usage(format!("{} is a tokenizer.json itself", named(path)))),
            None => read_json(&mapped, None, choice),
        }
    }

    /// The tokeniser of an open model.
    pub fn of(path: &Path, container: &Container, choice: &Choice) -> Result<Found> {
        Found::for_model(&ModelFile::of(path, container), choice)
    }

    /// The tokeniser of an open GGUF model.
    pub fn of_gguf(path: &Path, file: &Gguf, choice: &Choice) -> Result<Found> {
        Found::for_model(&ModelFile::of_gguf(path, file), choice)
    }

    /// Whether there is anything to read a tokeniser from.
    pub fn is_there(path: &Path, container: &Container) -> bool {
        let model = ModelFile::of(path, container);
        model.vocabulary().is_some() || model.neighbour().is_some()
    }

    fn for_model(model: &ModelFile, choice: &Choice) -> Result<Found> {
        if let Some(path) = &choice.file {
            let mapped = Mapped::open(path)?;
            if is_json(mapped.bytes()) {
                return read_json(&mapped, Some(model), choice);
            }
            let file = Gguf::of(mapped).map_err(|error| error.in_file(path))?;
            return read_gguf(path, file.metadata(), Some(model), choice);
        }
        match (choice.origin, model.vocabulary()) {
            (None | Some(Origin::Gguf), Some(own)) => {
                read_gguf(model.path, own, Some(model), choice)
            }
            (Some(Origin::Gguf), None) => {
                let detail = format!("{} has no vocabulary", named(model.path));
                Err(Error::refused(Class::MissingKey, format!("key {OWN:?}"), detail))
            }
            (None | Some(Origin::Json), _) => match model.neighbour() {
                Some(path) => read_json(&Mapped::open(&path)?, Some(model), choice),
                None => Err(nothing_there(model)),
            },
        }
    }
}

fn named(path: &Path) -> String {
    shown(path.as_os_str().as_encoded_bytes())
}

fn nothing_there(model: &ModelFile) -> Error {
    let own = match model.vocabulary() {
        Some(_) => "its own vocabulary was not asked for",
        None => "it has no vocabulary of its own",
    };
    let detail =
        format!("{own}, and there is no {NEIGHBOUR} beside it; name one with --tokenizer FILE");
    Error::refused(Class::MissingKey, named(model.path), detail)
}

/// Whether a file begins like a JSON object. safetensors begins with the length of one.
fn is_json(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    first == Some(&b'{') && !safetensors::looks_like(bytes)
}

fn read_gguf(
    path: &Path,
    metadata: &Metadata,
    model: Option<&ModelFile>,
    choice: &Choice,
) -> Result<Found> {
    if choice.origin == Some(Origin::Json) {
        return Err(Error::Usage(format!("{} is a GGUF file, no tokenizer.json", named(path))));
    }
    let tokenizer = Tokenizer::from_metadata(metadata, &choice.options)?;
    let tokens = tokenizer.info().n_vocab as u64;
    // A GGUF file fills its vocabulary up to the last row.
    if let Some(rows) = model.and_then(|model| model.rows).filter(|rows| *rows != tokens) {
        let detail = format!("{tokens} tokens, but the model's embedding has {rows} rows");
        return Err(Error::refused(Class::ShapeMismatch, named(path), detail));
    }
    Ok(Found { tokenizer, path: path.to_owned() })
}

fn read_json(mapped: &Mapped, model: Option<&ModelFile>, choice: &Choice) -> Result<Found> {
    let path = mapped.path();
    if choice.origin == Some(Origin::Gguf) {
        return Err(Error::Usage(format!("{} is a tokenizer.json, no GGUF file", named(path))));
    }
    if choice.options.pre.is_some() {
        let detail = "--pre is for a GGUF file: a tokenizer.json says itself where a text is cut";
        return Err(Error::Usage(detail.into()));
    }
    hf_json::check_size(mapped.bytes().len())?;
    let json = mapped.bytes().to_vec();
    mapped.verify_unchanged()?;
    let config = path.parent().map(|folder| folder.join(NEIGHBOUR_CONFIG));
    let config = config.filter(|path| path.is_file());
    let config = config.map(|path| Mapped::open(&path)).transpose()?;
    let file = JsonFile { json: &json, config: config.as_ref().map(Mapped::bytes), foreign: false };
    let mut options = choice.options.clone();
    options.model = model.map(says).transpose()?.unwrap_or_default();
    let tokenizer = Tokenizer::from_json(file, &options).map_err(|error| in_json(error, path))?;
    if let Some(metadata) = model.and_then(ModelFile::vocabulary) {
        same_tokens(&tokenizer, metadata).map_err(|error| in_json(error, path))?;
    }
    Ok(Found { tokenizer, path: path.to_owned() })
}

/// A file of this kind may be called anything; its neighbour has one name.
fn in_json(error: Error, path: &Path) -> Error {
    let is_neighbour = matches!(&error, Error::Refused { place, .. } if place == NEIGHBOUR_CONFIG);
    if is_neighbour { error } else { error.in_file(path) }
}

fn says(model: &ModelFile) -> Result<ModelSays> {
    Ok(ModelSays {
        rows: model.rows.map(|rows| rows.try_into().unwrap_or(usize::MAX)),
        special: model.metadata.map(special_of).transpose()?.unwrap_or_default(),
    })
}

/// Where the model brings a vocabulary too, both must spell every id alike: a tokeniser of the
/// right size and another model gives text that looks fine and means nothing.
fn same_tokens(tokenizer: &Tokenizer, metadata: &Metadata) -> Result<()> {
    // A vocabulary that we cannot read is why the other file is there.
    let Ok(vocab) = Vocab::read(metadata) else { return Ok(()) };
    let own = match vocab.model {
        Model::Bpe => bpe::pieces(&vocab)?,
        Model::Spm => spm::pieces(&vocab)?,
    };
    let both = own.len().min(tokenizer.info().n_vocab) as u32;
    let is_filler = |id: u32| {
        let kinds = [own.kind(id), tokenizer.kind(id)];
        kinds.contains(&Some(super::TokenType::Unused))
    };
    let differing = (0..both).find(|id| own.get(*id) != tokenizer.piece(*id) && !is_filler(*id));
    let Some(id) = differing else { return Ok(()) };
    let text = |piece: Option<&[u8]>| shown(piece.unwrap_or_default());
    let detail = format!(
        "token {id} is {}, in the model's own vocabulary {}: it belongs to another model",
        text(tokenizer.piece(id)),
        text(own.get(id)),
    );
    Err(Error::refused(Class::BadVocab, "tokenizer.json", detail))
}
