//! `real::NAME::WHAT` — every GGUF file in the folder ORCD_MODELS, with what `golden regen --model`
//! recorded of it in `NAME.golden` beside it. Without that folder one case stands for all of them,
//! and is ignored. Knows no model by name.

use super::golden::random::against;
use super::golden::trace::{Trace, continuations_in, perplexity_in};
use super::{haiku, perplexity};
use crate::subject::{Feed, Machine, OnCpu, Subject};
use engine::backend::NoTaps;
use engine::batch::Role;
use engine::forward::Logits;
use engine::loader::gguf::Gguf;
use engine::profile::Profile;
use engine::tokenizer::{EncodeOptions, Options, Tokenizer};
use harness::{Case, Failure, Run, environment};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One file, and where its recordings lie.
#[derive(Clone)]
struct Real {
    name: String,
    file: PathBuf,
    answers: PathBuf,
}

/// What a file without a vocabulary has no case for.
const OF_TEXT: [(&str, Check); 3] =
    [("tokenise", Real::tokenise), ("haiku", Real::haiku), ("perplexity", Real::perplexity)];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new("selftest::real::a-missing-recording-is-red", missing)];
    let Some(folder) = environment::path("ORCD_MODELS") else {
        cases.push(Case::new("real::models", |_| Ok(())).needs("models"));
        return cases;
    };
    match models(&folder) {
        Ok(models) => cases.extend(models.iter().flat_map(Real::cases)),
        Err(failure) => cases.push(Case::new("real::models", move |_| Err(failure.text().into()))),
    }
    cases
}

/// Names and paths of the models in the folder, if there is one.
pub(super) fn files() -> Vec<(String, PathBuf)> {
    let folder = environment::path("ORCD_MODELS");
    let found = folder.and_then(|folder| models(&folder).ok()).unwrap_or_default();
    found.into_iter().map(|real| (real.name, real.file)).collect()
}

/// Files of `folder` that are whole models, or the first part of one.
fn models(folder: &Path) -> Result<Vec<Real>, Failure> {
    let named = |error| format!("ORCD_MODELS: {}: {error}", folder.display());
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).map_err(named)? {
        let file = item?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".gguf") else { continue };
        let part = name.rsplit_once("-of-").and_then(|(rest, _)| rest.rsplit_once('-'));
        if part.is_some_and(|(_, part)| part.parse::<u32>().is_ok_and(|part| part > 1)) {
            continue;
        }
        let answers = folder.join(format!("{name}.golden"));
        found.push(Real { name: name.into(), file, answers });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    match found.is_empty() {
        true => Err(format!("ORCD_MODELS: {} holds no GGUF file", folder.display()).into()),
        false => Ok(found),
    }
}

type Check = fn(&Real, &mut Run) -> Result<(), Failure>;

impl Real {
    fn cases(&self) -> Vec<Case> {
        let mut checks: Vec<(&str, Check)> = vec![
            ("inspect", Real::inspect),
            ("golden", Real::golden),
            ("greedy", Real::greedy),
            ("repro", Real::repro),
        ];
        // A file that cannot be opened has them all, and they say why.
        let file = Gguf::open(&self.file);
        if file.as_ref().map_or(true, |file| file.metadata().contains("tokenizer.ggml.tokens")) {
            checks.extend(OF_TEXT);
        }
        let case = |(what, check): (&str, Check)| {
            let real = self.clone();
            Case::new(format!("real::{}::{what}", self.name), move |run| check(&real, run))
        };
        checks.into_iter().map(case).collect()
    }

    /// The layout is proven, and every number in the file is one.
    fn inspect(&self, _: &mut Run) -> Result<(), Failure> {
        let file = self.file.to_string_lossy();
        let line = ["worker-orcd", "inspect", &file, "--check", "--json"];
        let (mut out, mut err) = (Vec::new(), Vec::new());
        match engine::cli::run(line.iter().map(OsString::from), &mut out, &mut err) {
            0 => Ok(()),
            code => Err(format!("ended with {code}: {}", String::from_utf8_lossy(&err)).into()),
        }
    }

    /// Any text comes back as it was.
    fn tokenise(&self, _: &mut Run) -> Result<(), Failure> {
        let file = Gguf::open(&self.file)?;
        let tokenizer = Tokenizer::from_metadata(file.metadata(), &Options::default())?;
        let texts = ["It was a quiet evening.", "ÜBER  naïve\tcafé\n\n  1234567", "雪が降る 🌨️"];
        for text in texts {
            let ids = tokenizer.encode(text, EncodeOptions::PLAIN)?;
            let back = tokenizer.decode_bytes(&ids, false)?;
            if back.strip_prefix(b" ").unwrap_or(&back) != text.as_bytes() {
                let back = String::from_utf8_lossy(&back);
                return Err(format!("{text:?} comes back as {back:?} from {ids:?}").into());
            }
        }
        Ok(())
    }

    /// Logits against llama.cpp's on the exact twin, and never further from them than llama.cpp is.
    fn golden(&self, run: &mut Run) -> Result<(), Failure> {
        let trace = self.trace()?;
        against::<OnCpu>(&trace, &self.file, Profile::LlamaCpp)?.record(run)
    }

    fn trace(&self) -> Result<Trace, Failure> {
        Trace::beside(&self.answers, "prompt", &self.file).map_err(|failure| {
            let (file, answers) = (self.file.display(), self.answers.display());
            let hint =
                format!("ci/golden.sh regen --model {file} --prompt 'Some text' --out {answers}");
            format!("{}\n{hint}", failure.text()).into()
        })
    }

    /// The likeliest tokens one after the other; where llama.cpp was not sure, either may follow.
    fn greedy(&self, run: &mut Run) -> Result<(), Failure> {
        const TIE: f32 = 1e-2;
        let machine = OnCpu::open()?;
        let mut subject = Subject::open(machine, &self.file, Profile::LlamaCpp, |_| ())?;
        for continuation in continuations_in(&self.answers)? {
            let prompt: Vec<u32> = continuation.prompt.iter().map(|id| *id as u32).collect();
            let total = prompt.len() + continuation.ids.len();
            let mut context = subject.context(1, Feed { total, ..Feed::whole(&prompt) })?;
            context.start(0, total)?;
            let (mut next, mut role) = (prompt, Role::Prompt);
            for (at, want) in continuation.ids.iter().enumerate() {
                let mut taps = NoTaps;
                let runner = &mut subject.runner(&mut taps);
                let logits = context.extend(runner, 0, &next, role, Logits::Last)?;
                let best = (0..logits.len())
                    .fold(0, |best, id| if logits[id] > logits[best] { id } else { best });
                if best as i32 != *want && continuation.margins[at] > TIE {
                    let margin = continuation.margins[at];
                    let text = &continuation.text;
                    let detail = format!("{text:?}: token {at} is {best}, llama.cpp has {want}");
                    return Err(format!("{detail} by a margin of {margin}").into());
                }
                (next, role) = (vec![*want as u32], Role::Generated);
            }
            run.figure("tokens", continuation.ids.len() as f64, "");
        }
        Ok(())
    }

    /// It speaks, and by its seed alone.
    fn haiku(&self, run: &mut Run) -> Result<(), Failure> {
        haiku::of_any(&self.file, run)
    }

    /// On the text that was recorded with it, or the authored one.
    fn perplexity(&self, run: &mut Run) -> Result<(), Failure> {
        let own = self.answers.join("corpus.txt");
        let corpus = if own.exists() { own } else { perplexity::corpus() };
        perplexity::judge(run, &perplexity_in(&self.answers)?, &self.file, &corpus)
    }

    /// The same bits again, and whatever the prompt is cut into.
    fn repro(&self, _: &mut Run) -> Result<(), Failure> {
        let machine = OnCpu::open()?;
        let mut subject = Subject::open(machine, &self.file, Profile::Reference, |_| ())?;
        let n_vocab = subject.model.architecture.n_vocab as u64;
        let tokens: Vec<u32> = (1..20u64).map(|at| (at * 0x9e37_79b9 % n_vocab) as u32).collect();
        let want = subject.logits(&tokens, Feed::whole(&tokens))?;
        for parts in [tokens.len(), 1, 3] {
            let got = subject.logits(&tokens, Feed::parts(&tokens, parts))?;
            let other = got.iter().zip(&want).position(|(a, b)| a.to_bits() != b.to_bits());
            if let Some(at) = other.or((got.len() != want.len()).then_some(0)) {
                return Err(format!("in parts of {parts}: logit {at} has other bits").into());
            }
        }
        Ok(())
    }
}

fn missing(_: &mut Run) -> Result<(), Failure> {
    let (name, file) = ("none".into(), PathBuf::from("none.gguf"));
    let real = Real { name, file, answers: "none.golden".into() };
    match (real.trace(), real.greedy(&mut Run::default())) {
        (Err(trace), Err(_)) if trace.text().contains("ci/golden.sh regen --model") => Ok(()),
        _ => Err("a model without recordings is not red".into()),
    }
}
