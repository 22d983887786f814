//! `BACKEND::golden::MODEL::short::isolated::LAYER::BLOCK`: one block alone, fed with the oracle's
//! own input. Where the chained case says how far a defect has spread, the first red case here
//! is the block that has it.

use super::super::golden::trace::Oracle;
use super::oracle::{Question, model_file, on, recorded, subject};
use super::tap_budget;
use crate::subject::{Feed, Machine};
use crate::trace::{Kept, judge};
use engine::backend::taps::{Recorder, Seen, Tap};
use engine::batch::Role;
use engine::forward::Block;
use engine::loader::Gguf;
use engine::model;
use engine::profile::Profile;
use harness::{Case, Failure};

const PROMPT: &str = "short";

pub(super) fn cases<M: Machine>() -> Vec<Case> {
    let mut cases = Vec::new();
    for (model, _) in recorded(Oracle::LlamaCpp).into_iter().filter(|(_, p)| p == PROMPT) {
        // How many layers there are is in the file; a file that cannot be read is red elsewhere.
        let layers = n_layers(&model).unwrap_or(1);
        for layer in 0..layers {
            for (word, block) in
                [("attention", Block::Attention), ("feed-forward", Block::FeedForward)]
            {
                let model = model.clone();
                let name =
                    format!("{}::golden::{model}::{PROMPT}::isolated::{layer}::{word}", M::NAME);
                cases.push(Case::new(name, move |_| isolated::<M>(&model, layer, block)));
            }
        }
    }
    cases.into_iter().map(on::<M>).collect()
}

/// Read without a machine: listing cases must cost nothing.
fn n_layers(model: &str) -> Option<usize> {
    let file = Gguf::open(&model_file(model)).ok()?;
    Some(model::describe(&file, Profile::LlamaCpp).ok()?.architecture.layers.len())
}

fn isolated<M: Machine>(model: &str, layer: usize, block: Block) -> Result<(), Failure> {
    let question = Question::open(Oracle::LlamaCpp, model, PROMPT)?;
    let mut subject = subject::<M>(model, Profile::LlamaCpp)?;
    let input = input(&question, layer, block)?;
    let feed = Feed { total: question.total, ..Feed::whole(&question.tokens) };
    let mut context = subject.context(1, feed)?;
    let mut batch = context.rows(0, &question.tokens, Role::Prompt);
    batch.rows.iter_mut().for_each(|row| row.logits = true);
    let mut recorder = Recorder::all();
    let runner = &mut subject.runner(&mut recorder);
    let added = context.isolated(runner, &batch, (layer, block), &input)?;
    let mut seen = recorder.seen;
    let out = match block {
        Block::Attention => "ffn_inp",
        Block::FeedForward => "l_out",
    };
    let values = input.iter().zip(&added).map(|(stream, added)| stream + added).collect();
    let tap = Tap { name: out, layer: Some(layer) };
    let width = subject.model.architecture.n_embd;
    seen.push(Seen { tap, occurrence: 0, width, values });
    let architecture = &subject.model.architecture;
    let graph = question.graph(architecture);
    judge(&seen, &question.oracle, graph, &tap_budget(architecture.family))
        .map_err(|red| Failure::from(format!("isolated, {}", red.failure.text())))?;
    Ok(())
}

/// The stream in front of a block, as the oracle had it.
fn input(question: &Question, layer: usize, block: Block) -> Result<Vec<f32>, Failure> {
    let tap = |name: String| match question.oracle.taps.get(&name).map(|tap| &tap.kept) {
        Some(Kept::All(values)) => Ok(values.clone()),
        _ => Err(Failure::from(format!("the oracle kept no {name}"))),
    };
    match (block, layer) {
        (Block::Attention, 0) => tap("inpL".into()).or_else(|_| tap("embd".into())),
        (Block::Attention, layer) => tap(format!("l_out-{}", layer - 1)),
        (Block::FeedForward, layer) => tap(format!("ffn_inp-{layer}")).or_else(|_| {
            // Phi-3 names no such tensor there: what the block gave, less what it added.
            let (out, added) = (tap(format!("l_out-{layer}"))?, tap(format!("ffn_out-{layer}"))?);
            Ok(out.iter().zip(added).map(|(out, added)| out - added).collect())
        }),
    }
}
