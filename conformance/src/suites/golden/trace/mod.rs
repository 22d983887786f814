//! `golden/traces/MODEL/PROMPT` and `golden/hf/MODEL/PROMPT`: what an oracle computed on the way
//! from token ids to logits. Knows the two files of a prompt and refuses whatever could make a
//! comparison meaningless; not how a comparison is made.

mod page;
mod selfcheck;
mod texts;

use super::folder;
use super::recording::Recording;
use harness::{Case, Failure, Run};
use page::Page;
pub(in crate::suites) use page::{Compared, Summary};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
pub(in crate::suites) use texts::{
    Perplexity, continuations, continuations_in, perplexity, perplexity_in,
};

/// A tensor that the oracle computed; the slowest dimension comes first.
pub(in crate::suites) struct Tap {
    /// llama.cpp's name for it; `NAME#K` for the K-th further one of that name.
    pub name: String,
    /// The operation that computed it, in llama.cpp's words.
    pub op: String,
    pub shape: Vec<usize>,
    pub values: Values,
}

/// The elements of a tap: all finite.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::suites) enum Values {
    Floats(Vec<f32>),
    Ints(Vec<i32>),
}

/// One model's answer to one prompt.
pub(in crate::suites) struct Trace {
    path: String,
    page: Page,
    recording: Recording,
    ids: Vec<i32>,
    /// Name and operation of every tap in the order of computation; empty where only rows are kept.
    ops: Vec<(String, String)>,
}

/// Whose answer is read.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::suites) enum Oracle {
    /// llama.cpp on the twin.
    LlamaCpp,
    /// The transformers library, for the profile `reference`.
    Transformers,
    /// llama.cpp on the twin of a random model that lies beside its answers.
    Random,
}

impl Oracle {
    fn folder(self) -> &'static str {
        match self {
            Self::LlamaCpp => "traces",
            Self::Transformers => "hf",
            Self::Random => "random",
        }
    }

    /// The file that was asked, relative to `golden/`.
    fn model(self, name: &str) -> String {
        match self {
            Self::LlamaCpp | Self::Transformers => format!("models/{name}.gguf"),
            Self::Random => format!("random/{name}.gguf"),
        }
    }
}

/// The file of a model that was asked.
pub(in crate::suites) fn model_file(oracle: Oracle, name: &str) -> PathBuf {
    folder().join(oracle.model(name))
}

/// Every model that was asked.
pub(in crate::suites) fn models(oracle: Oracle) -> Result<Vec<String>, Failure> {
    let folder = folder().join(oracle.folder());
    let mut names = Vec::new();
    if folder.is_dir() {
        for item in std::fs::read_dir(folder)? {
            let item = item?;
            if item.path().is_dir() {
                names.push(item.file_name().to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Every model that there is to ask about.
fn askable(oracle: Oracle) -> Result<Vec<String>, Failure> {
    let files = model_file(oracle, "");
    let folder = files.parent().ok_or("no folder of models")?;
    let mut names = Vec::new();
    for item in std::fs::read_dir(folder)? {
        let name = item?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".gguf").map(str::to_string));
    }
    names.sort();
    match names.is_empty() {
        true => Err(format!("{} holds no model", folder.display()).into()),
        false => Ok(names),
    }
}

/// The prompts that were recorded for a model: `short`, `long`, `far`.
pub(in crate::suites) fn prompts(oracle: Oracle, model: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let folder = folder().join(oracle.folder()).join(model);
    let items = std::fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}; `golden regen` records it", folder.display()))?;
    for item in items {
        let name = item?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".toml").map(str::to_string));
    }
    names.sort();
    Ok(names)
}

impl Trace {
    /// Reads both files and holds them to each other and to the model that lies beside them.
    pub(in crate::suites) fn open(
        oracle: Oracle,
        model: &str,
        prompt: &str,
    ) -> Result<Self, Failure> {
        let answers = folder().join(oracle.folder()).join(model);
        Self::beside(&answers, prompt, &model_file(oracle, model))
    }

    /// The same of any folder that `golden regen` wrote, and the file that was asked.
    pub(in crate::suites) fn beside(
        answers: &Path,
        prompt: &str,
        model: &Path,
    ) -> Result<Self, Failure> {
        let path = |end: &str| answers.join(format!("{prompt}.{end}"));
        let read = |path: PathBuf| {
            std::fs::read(&path)
                .map_err(|error| format!("{}: {error}; `golden regen` records it", path.display()))
        };
        let (page, trace) = (read(path("toml"))?, read(path("safetensors"))?);
        let model = digest_of(model)?;
        let name = path("safetensors").display().to_string();
        Self::parse(&name, std::str::from_utf8(&page)?, &trace, &model)
    }

    fn parse(path: &str, page: &str, trace: &[u8], model: &str) -> Result<Self, Failure> {
        let named = |failure: Failure| -> Failure { format!("{path}: {}", failure.text()).into() };
        let page = Page::parse(page).map_err(named)?;
        let recording = Recording::parse(path, trace).map_err(named)?;
        let ids = recording.ids("ids")?;
        let ops = match recording.metadata("ops") {
            Ok(text) => serde_json::from_str(text)?,
            Err(_) => Vec::new(),
        };
        let trace = Self { path: path.into(), page, recording, ids, ops };
        trace.check(model).map_err(named)?;
        Ok(trace)
    }

    fn check(&self, model: &str) -> Result<(), Failure> {
        let bytes: Vec<u8> = self.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let same = |what: &str, is: &str, wanted: &str| -> Result<(), Failure> {
            if is == wanted {
                return Ok(());
            }
            Err(format!("{what}: {is} and {wanted} do not belong together").into())
        };
        same("ids", &hex(&bytes), &self.page.ids_sha256)?;
        same("number of ids", &self.ids.len().to_string(), &self.page.tokens.to_string())?;
        let source = |key: &str| {
            self.page.source.get(key).ok_or_else(|| format!("no {key} among the source's words"))
        };
        for key in ["oracle", "instruction-set", "settings", "threads", "twin-sha256"] {
            same(key, source(key)?, self.recording.metadata(key)?)?;
        }
        let recorded = source("model-sha256")?;
        if model != recorded {
            return Err(format!("recorded of model {recorded}, but {model} lies here").into());
        }
        for name in self.recording.names().filter(|name| *name != "ids") {
            self.values(name)?;
        }
        let logits = self.tap("result_output")?;
        same("rows of logits", &logits.shape[0].to_string(), &self.page.rows.len().to_string())
    }

    /// The prompt.
    pub(in crate::suites) fn ids(&self) -> &[i32] {
        &self.ids
    }

    /// Which rows of the prompt `tap` and `logits` have: all of them, or the chosen ones.
    pub(in crate::suites) fn rows(&self) -> &[usize] {
        &self.page.rows
    }

    /// Positions of the oracle's context, which choose LongRoPE's factors.
    pub(in crate::suites) fn n_ctx(&self) -> usize {
        self.page.n_ctx
    }

    /// Who answered, and how it was set up.
    pub(in crate::suites) fn source(&self) -> &BTreeMap<String, String> {
        &self.page.source
    }

    /// How far another answer is from this one: llama.cpp's own on the shipped file, or, where this
    /// is the second oracle's, llama.cpp's on the twin.
    pub(in crate::suites) fn compared(&self) -> &Compared {
        &self.page.compared
    }

    /// What is left between the second oracle and llama.cpp once it does as llama.cpp does, where
    /// the two are known to differ.
    pub(in crate::suites) fn explained(&self) -> Option<&Compared> {
        self.page.explained.as_ref()
    }

    /// What is known of every tap of a prompt whose taps are not kept in full.
    pub(in crate::suites) fn summaries(&self) -> &BTreeMap<String, Summary> {
        &self.page.taps
    }

    /// Taps kept in full, in the order of computation; none where only rows are kept.
    pub(in crate::suites) fn names(&self) -> impl Iterator<Item = &str> {
        self.ops.iter().map(|(name, _)| name.as_str())
    }

    /// Everything that is kept, of all rows or of the chosen ones.
    pub(in crate::suites) fn kept(&self) -> impl Iterator<Item = &str> {
        self.recording.names().filter(|name| *name != "ids")
    }

    /// A tap by its full name.
    pub(in crate::suites) fn tap(&self, name: &str) -> Result<Tap, Failure> {
        let op = self.ops.iter().find(|(known, _)| known == name);
        let op = op.map_or_else(String::new, |(_, op)| op.clone());
        let (values, shape) = self.values(name)?;
        Ok(Tap { name: name.into(), op, shape, values })
    }

    /// The last tap of that name: what the name ends up as, after bias and rotation.
    pub(in crate::suites) fn last(&self, name: &str) -> Result<Tap, Failure> {
        let further = format!("{name}#");
        let known = self.names().filter(|known| *known == name || known.starts_with(&further));
        let last = known.last().map(str::to_string);
        self.tap(&last.unwrap_or_else(|| name.into()))
    }

    /// Logits of `rows`, row by row, and the length of a row.
    pub(in crate::suites) fn logits(&self) -> Result<(Vec<f32>, usize), Failure> {
        match self.tap("result_output")? {
            Tap { values: Values::Floats(values), shape, .. } => Ok((values, shape[1])),
            _ => Err(format!("{}: logits are no floats", self.path).into()),
        }
    }

    fn values(&self, name: &str) -> Result<(Values, Vec<usize>), Failure> {
        if let Ok((values, shape)) = self.recording.ints(name) {
            return Ok((Values::Ints(values), shape));
        }
        let (values, shape) = self.recording.values(name)?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                let value = values[at];
                Err(format!("{}: {name}: element {at} is {value}", self.path).into())
            }
            None => Ok((Values::Floats(values), shape)),
        }
    }
}

/// Of a file of any size.
fn digest_of(path: &Path) -> Result<String, Failure> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path).map_err(named)?;
    let mut part = vec![0; 1 << 20];
    loop {
        match file.read(&mut part).map_err(named)? {
            0 => break,
            count => hasher.update(&part[..count]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every trace can be read and belongs to its model; and this suite's own eyes are open.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = selfcheck::cases();
    for oracle in [Oracle::LlamaCpp, Oracle::Transformers, Oracle::Random] {
        match askable(oracle).and_then(|askable| Ok((askable, models(oracle)?))) {
            Ok((askable, asked)) => {
                let names: BTreeSet<String> = askable.into_iter().chain(asked).collect();
                cases.extend(names.into_iter().map(|model| readable(oracle, model)));
            }
            Err(failure) => {
                let name = format!("golden::trace::{}", oracle.folder());
                cases.push(Case::new(name, move |_| Err(failure.text().into())));
            }
        }
    }
    cases
}

/// Where the oracles are known to differ they must, by about as much as they do; everywhere else,
/// and once the second does as llama.cpp does, nothing may be left.
fn disagreement(run: &mut Run, model: &str, prompt: &str, trace: &Trace) -> Result<(), Failure> {
    // llama.cpp's GELU goes through f16, measured at 1.3e-7; all others at 2e-12 at most.
    let unexplained = if model.starts_with("gpt2") { 1e-6 } else { 1e-10 };
    // gpt-oss: YaRN's correction is rounded. Phi-3: its window is left out, which a short prompt
    // does not reach.
    let (least, most) = match (model, prompt) {
        ("gpt-oss", _) | ("phi3", "long") => (1e-4, 1.0),
        _ => (0.0, unexplained),
    };
    let rest =
        trace.explained().ok_or_else(|| format!("{prompt}: nothing explains the oracles"))?;
    let apart = trace.compared();
    run.figure(&format!("{prompt} oracles apart"), apart.nmse.into(), "");
    run.figure(&format!("{prompt} unexplained"), rest.nmse.into(), "");
    if !(least..=most).contains(&apart.nmse) {
        let why = format!("{prompt}: the oracles should be {least:e} to {most:e} apart");
        return Err(format!("{why}: {apart:?}").into());
    }
    match rest.nmse <= unexplained {
        true => Ok(()),
        false => Err(format!("{prompt}: oracles differ beyond what is known: {rest:?}").into()),
    }
}

fn readable(oracle: Oracle, model: String) -> Case {
    Case::new(format!("golden::trace::{}::{model}", oracle.folder()), move |run: &mut Run| {
        let prompts = prompts(oracle, &model)?;
        let wanted: &[&str] = match oracle {
            Oracle::Random => &["long"],
            _ => &["short", "long"],
        };
        for wanted in wanted {
            if !prompts.iter().any(|prompt| prompt == wanted) {
                return Err(format!("{model}: nothing is recorded of the {wanted} prompt").into());
            }
        }
        for prompt in prompts {
            let trace = Trace::open(oracle, &model, &prompt)?;
            let silent = trace.names().next().is_none() && trace.summaries().is_empty();
            if oracle == Oracle::Transformers {
                disagreement(run, &model, &prompt, &trace)?;
            }
            if silent && oracle != Oracle::Transformers {
                return Err(format!("{model}: {prompt}: no tap is recorded").into());
            }
            run.figure(&format!("{prompt} rows"), trace.rows().len() as f64, "");
        }
        if oracle == Oracle::LlamaCpp {
            run.figure("continuations", continuations(&model)?.len() as f64, "");
            run.figure("perplexity", perplexity(&model)?.twin.0, "");
        }
        Ok(())
    })
}
