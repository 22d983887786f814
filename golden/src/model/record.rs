//! Records one fixture model: its twin's taps and logits for three prompts, how far the shipped
//! file's logits are from them, greedy text, perplexity. Knows the files of `traces/NAME/`.

use super::inputs::{CORPUS, QUESTIONS, Questions, corpus};
use super::perplexity::{self, CHUNK};
use super::prompt::{self, Prompt};
use super::summary::Summary;
use super::{MODELS, ask, distance, greedy};
use crate::area::Recording;
use crate::digest::sha256;
use crate::llama::Model;
use crate::llama::session::{ROWS_A_GRAPH, Rows, Session, Settings};
use crate::llama::taps::{self, Tap, Values};
use crate::llama::twin::Twin;
use crate::safetensors::{File, Tensor};
use crate::store::{MACHINE, root};
use crate::{Result, ggml};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// A trained fixture, by name.
pub(super) fn fixture(name: &str) -> Result<Recording> {
    let path = format!("{MODELS}/{name}.gguf");
    let questions = Questions::read()?;
    let mut recording = model(&root().join(&path), questions.continued_tokens, |twin| {
        Ok(Asked {
            prompts: prompt::all(twin, &questions)?,
            continued: questions.continued.clone(),
            corpus: Some(corpus()?),
        })
    })?;
    recording.moved_into(&format!("traces/{name}"));
    recording.inputs = vec![path, QUESTIONS.into(), CORPUS.into()];
    Ok(recording)
}

/// What a model is asked, once its vocabulary is known.
pub(super) struct Asked {
    pub(super) prompts: Vec<Prompt>,
    /// Texts to go on with.
    pub(super) continued: Vec<String>,
    /// What its perplexity is measured on, if it is.
    pub(super) corpus: Option<String>,
}

/// Any model; files are named without a folder.
pub(super) fn model(
    path: &Path,
    continued_tokens: usize,
    ask: impl FnOnce(&Model) -> Result<Asked>,
) -> Result<Recording> {
    let twin = Twin::of(path)?;
    let (shipped, exact) = (Model::load(path)?, Model::load(&twin.path)?);
    let mut provenance = ggml::provenance();
    provenance.insert("settings".into(), "f32 cache, no flash attention".into());
    provenance.insert("rows-a-graph".into(), ROWS_A_GRAPH.to_string());
    provenance.insert("model-sha256".into(), sha256(&std::fs::read(path)?));
    provenance.insert("twin-sha256".into(), twin.digest()?);
    let mut files = BTreeMap::new();
    let asked = ask(&exact)?;
    for prompt in asked.prompts {
        let (trace, summary) = traced(&exact, &shipped, &prompt, &provenance)?;
        files.insert(format!("{}.safetensors", prompt.name), trace);
        files.insert(format!("{}.toml", prompt.name), summary.into_bytes());
    }
    if !asked.continued.is_empty() {
        let greedy = greedy::snapshot(&exact, &asked.continued, continued_tokens)?;
        files.insert("greedy.snap".into(), snapshot("greedy", "twin", &provenance, &greedy));
    }
    if let Some(corpus) = asked.corpus {
        let text = perplexities(&shipped, &exact, &corpus)?;
        let text = snapshot("perplexity", "file and twin", &provenance, &text);
        files.insert("perplexity.snap".into(), text);
    }
    provenance.insert(MACHINE.into(), ggml::machine());
    Ok(Recording { provenance, inputs: vec![], files })
}

/// A snapshot in insta's layout; the runner never writes one, only this tool does.
fn snapshot(what: &str, of: &str, provenance: &BTreeMap<String, String>, body: &str) -> Vec<u8> {
    let oracle = &provenance["oracle"];
    let model = &provenance["model-sha256"];
    format!(
        "---\nsource: golden/src/model/{what}.rs\ndescription: \"{of}, {oracle}, one thread; \
         model sha256 {model}\"\n---\n{body}"
    )
    .into_bytes()
}

fn perplexities(shipped: &Model, exact: &Model, text: &str) -> Result<String> {
    let mut body = String::new();
    for (name, model) in [("file", shipped), ("twin", exact)] {
        let measured = perplexity::measure(model, text)?;
        if body.is_empty() {
            writeln!(body, "tokens: {}", measured.tokens)?;
            writeln!(body, "sha256: {}", measured.sha256)?;
            writeln!(body, "chunks: {} of {CHUNK}", measured.chunks)?;
            writeln!(body, "scored: {}", measured.scored)?;
        }
        writeln!(body, "{name}: {:.6} +/- {:.6}", measured.value, measured.error)?;
    }
    Ok(body)
}

/// The trace and the summary of one prompt.
fn traced(
    exact: &Model,
    shipped: &Model,
    prompt: &Prompt,
    provenance: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, String)> {
    let settings = Settings::exact(prompt.ids.len());
    let wanted = if prompt.ids.len() <= ROWS_A_GRAPH { |_: &str| true } else { taps::joinable };
    let mut session = Session::new(exact, settings, Some(wanted))?;
    let mut summaries = Vec::new();
    let mut kept = Kept::new(prompt);
    for chunk in prompt.ids.chunks(ROWS_A_GRAPH) {
        let logits = session.decode(chunk, Rows::All)?;
        let taps = session.taps();
        refuse_bent_logits(&taps, &logits)?;
        if summaries.is_empty() {
            let new = |tap: &Tap| (tap.name.clone(), Summary::new(tap, prompt.ids.len()));
            summaries = taps.iter().map(new).collect();
        }
        for (tap, (_, summary)) in taps.iter().zip(&mut summaries) {
            summary.add(tap);
        }
        kept.add(&taps, chunk.len());
    }
    let n_ctx = session.n_ctx();
    drop(session);
    let theirs = Session::new(shipped, settings, None)?.decode(&prompt.ids, Rows::All)?;
    let theirs = rows_of(&theirs, exact.n_vocab(), &prompt.rows);
    let apart = distance::between(
        "llama.cpp on the shipped file",
        &theirs,
        kept.rows("result_output")?,
        exact.n_vocab(),
    );
    let mut text = page(prompt, n_ctx, provenance, &apart)?;
    if !prompt.full {
        writeln!(text, "\n[taps]")?;
        for (name, summary) in &summaries {
            writeln!(text, "\"{name}\" = {}", summary.text())?;
        }
    }
    Ok((kept.file(provenance)?, text))
}

/// The callback computes node by node; logits must be what a pass without it would have shown.
fn refuse_bent_logits(taps: &[Tap], logits: &[f32]) -> Result<()> {
    let tap = taps.iter().find(|tap| tap.name == "result_output").ok_or("no result_output")?;
    match &tap.values {
        Values::Floats(values) if values == logits => Ok(()),
        _ => Err("result_output is not what llama_get_logits shows".into()),
    }
}

/// The readable half of a trace, without what is said of single taps.
pub(super) fn page(
    prompt: &Prompt,
    n_ctx: usize,
    provenance: &BTreeMap<String, String>,
    compared: &str,
) -> Result<String> {
    let mut text = format!(
        "# Recorded by `golden regen`. `rows` are those that the trace keeps, and those compared\n\
         # with another answer below. Of every tap: mean, rms, largest magnitude, and the middle\n\
         # elements of {} equal parts, as hex floats.\n\n",
        super::summary::SAMPLES
    );
    let ids: Vec<u8> = prompt.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    writeln!(text, "tokens = {}\nids-sha256 = \"{}\"", prompt.ids.len(), sha256(&ids))?;
    writeln!(text, "rows = {:?}\nn-ctx = {n_ctx}\n\n[source]", prompt.rows)?;
    for (key, value) in provenance {
        writeln!(text, "{key} = {value:?}")?;
    }
    writeln!(text, "\n[compared]\n{compared}")?;
    Ok(text)
}

pub(super) fn rows_of(values: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|row| &values[row * width..][..width]).copied().collect()
}

/// What the trace keeps: every tap, or the chosen rows of every layer's output and of the logits.
struct Kept<'p> {
    prompt: &'p Prompt,
    seen: usize,
    taps: Vec<Tap>,
    rows: BTreeMap<String, (usize, Vec<f32>)>,
}

impl<'p> Kept<'p> {
    fn new(prompt: &'p Prompt) -> Self {
        Self { prompt, seen: 0, taps: vec![], rows: BTreeMap::new() }
    }

    fn add(&mut self, taps: &[Tap], count: usize) {
        let here: BTreeSet<usize> = (self.seen..self.seen + count).collect();
        for tap in taps {
            let kept = tap.name.starts_with("l_out-") || tap.name == "result_output";
            if let (true, Values::Floats(values), Some(width)) = (kept, &tap.values, tap.row_len())
            {
                let rows = self.prompt.rows.iter().filter(|row| here.contains(row));
                let rows: Vec<usize> = rows.map(|row| row - self.seen).collect();
                let (_, all) = self.rows.entry(tap.name.clone()).or_insert((width, vec![]));
                all.extend(rows_of(values, width, &rows));
            }
        }
        if self.prompt.full {
            let kept = |tap: &&Tap| !self.prompt.without.iter().any(|name| tap.is_of(name));
            self.taps = taps.iter().filter(kept).cloned().collect();
        }
        self.seen += count;
    }

    fn rows(&self, name: &str) -> Result<&[f32]> {
        Ok(&self.rows.get(name).ok_or_else(|| format!("no {name}"))?.1)
    }

    fn file(&self, provenance: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let mut file = File { metadata: provenance.clone(), ..File::default() };
        if self.prompt.full {
            file.tensors = ask::tensors(&self.taps);
            file.metadata.insert("ops".into(), ask::ops(&self.taps)?);
        } else {
            for (name, (width, values)) in &self.rows {
                let shape = [values.len() / width, *width];
                file.tensors.insert(name.clone(), Tensor::floats(&shape, values));
            }
        }
        let ids = &self.prompt.ids;
        file.tensors.insert("ids".into(), Tensor::ids(ids));
        file.write()
    }
}
