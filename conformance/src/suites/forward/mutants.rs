//! `mutants::BACKEND::MODEL::DEFECT`: a defect that a real engine had, injected on purpose. The
//! trace must turn red and its first bad tap must be where the defect is. And `fixtures::MODEL::
//! FEATURE`: a model must feel each of its features, or its goldens could not see one missing.

use super::super::golden::trace::Oracle;
use super::oracle::{Question, model_file, on};
use super::tap_budget;
use crate::subject::{Defect, Machine, Subject, Wrapped};
use crate::trace::judge;
use engine::adapters::rope::{Factors, Scaling, Style};
use engine::adapters::{Activation, Architecture, Attention, Gelu, Rope};
use engine::profile::Profile;
use harness::{Case, Failure, Run};

/// How a model is broken.
#[derive(Clone, Copy)]
enum How {
    /// By editing what it is said to be.
    Data(fn(&mut Architecture)),
    /// By a verb that does something else.
    Verb(Defect),
}

struct Mutant {
    name: &'static str,
    class: &'static str,
    models: &'static [&'static str],
    how: How,
    /// The prompt that shows it.
    prompt: &'static str,
    /// Where it must be seen first: tap, how often that was met before, and the layer, unless the
    /// defect shows only where a value happens to be large.
    tap: (&'static str, usize, Option<usize>),
}

const ROTATED: (&str, usize, Option<usize>) = ("Qcur", 1, Some(0));
const ATTENDED: (&str, usize, Option<usize>) = ("kqv_out", 0, Some(0));

const fn data(
    name: &'static str,
    class: &'static str,
    models: &'static [&'static str],
    edit: fn(&mut Architecture),
    tap: (&'static str, usize, Option<usize>),
) -> Mutant {
    Mutant { name, class, models, how: How::Data(edit), prompt: "short", tap }
}

const fn verb(
    name: &'static str,
    class: &'static str,
    models: &'static [&'static str],
    defect: Defect,
    tap: (&'static str, usize, Option<usize>),
) -> Mutant {
    Mutant { name, class, models, how: How::Verb(defect), prompt: "short", tap }
}

impl Mutant {
    const fn on(mut self, prompt: &'static str) -> Mutant {
        self.prompt = prompt;
        self
    }
}

const TURNING: &[&str] = &["gpt-oss", "llama", "phi3", "qwen2"];

const MUTANTS: &[Mutant] = &[
    data("sinks-dropped", "C01", &["gpt-oss"], |a| each(a, |a| a.sinks = false), ATTENDED),
    data("window-ignored", "C02", &["gpt-oss"], |a| window(a, |_| None), ATTENDED).on("long"),
    data("window-one-wider", "C02", &["gpt-oss"], |a| window(a, |w| Some(w + 1)), ATTENDED)
        .on("long"),
    data("window-one-narrower", "C02", &["gpt-oss"], |a| window(a, |w| Some(w - 1)), ATTENDED)
        .on("long"),
    data("yarn-skipped", "C03", &["gpt-oss"], |a| rope(a, |r| r.scaling = Scaling::None), ROTATED),
    data("yarn-borders-not-rounded", "C03", &["gpt-oss"], |a| rope(a, not_rounded), ROTATED),
    data(
        "yarn-magnitude-missing",
        "C03",
        &["gpt-oss"],
        |a| rope(a, |r| r.magnitude = 1.0),
        ROTATED,
    ),
    verb("gate-and-up-swapped", "C04", &["gpt-oss"], Defect::GateUpSwapped, expert(Some(0))),
    verb("gate-and-up-swapped", "C04", &["llama", "qwen2", "phi3"], Defect::GateUpSwapped, dense()),
    data("clamp-missing", "C05", &["gpt-oss"], |a| oai(a, 1.702, f32::INFINITY), expert(None)),
    data("alpha-missing", "C05", &["gpt-oss"], |a| oai(a, 1.0, 7.0), expert(Some(0))),
    verb("gate-not-clamped", "C05", &["gpt-oss"], Defect::GateNotClamped, expert(None)),
    verb("up-not-clamped-above", "C05", &["gpt-oss"], Defect::UpNotClampedAbove, expert(None)),
    verb("up-not-clamped-below", "C05", &["gpt-oss"], Defect::UpNotClampedBelow, expert(None)),
    data("rope-style", "C11", TURNING, |a| rope(a, other_style), ROTATED),
    data("rope-base", "C11", TURNING, |a| rope(a, |r| r.base *= 1.01), ROTATED),
    data(
        "rope-factors-dropped",
        "C11",
        &["llama"],
        |a| rope(a, |r| r.factors = Factors::None),
        ROTATED,
    ),
    verb("turned-twice", "C11", TURNING, Defect::TurnedTwice, ROTATED),
    data("long-factors-for-short", "C12", &["phi3"], |a| rope(a, always_long), ROTATED),
    data(
        "positions-missing",
        "C22",
        &["gpt2"],
        |a| a.learned_positions = false,
        ("inp_embd", 0, None),
    ),
    data("gelu-erf", "C22", &["gpt2"], gelu_erf, dense()),
    data("epsilon", "C22", &["gpt2", "llama", "qwen2"], |a| a.norm.epsilon = 1e-2, NORMED),
    data("scale", "C22", &["gpt-oss", "gpt2"], |a| each(a, |a| a.scale *= 1.01), ATTENDED),
    data(
        "query-bias-missing",
        "C22",
        &["qwen2"],
        |a| each(a, |a| a.qkv_bias = false),
        ("Qcur", 0, Some(0)),
    ),
];

const NORMED: (&str, usize, Option<usize>) = ("attn_norm", 0, Some(0));

const fn expert(layer: Option<usize>) -> (&'static str, usize, Option<usize>) {
    ("ffn_moe_act", 0, layer)
}

const fn dense() -> (&'static str, usize, Option<usize>) {
    ("ffn_act", 0, Some(0))
}

fn each(architecture: &mut Architecture, edit: impl Fn(&mut Attention)) {
    architecture.layers.iter_mut().for_each(|layer| edit(&mut layer.attention));
}

fn window(architecture: &mut Architecture, edit: impl Fn(usize) -> Option<usize>) {
    each(architecture, |attention| attention.window = attention.window.and_then(&edit));
}

fn rope(architecture: &mut Architecture, edit: impl Fn(&mut Rope)) {
    each(architecture, |attention| attention.rope.iter_mut().for_each(&edit));
}

fn oai(architecture: &mut Architecture, alpha: f32, limit: f32) {
    for layer in &mut architecture.layers {
        layer.feed_forward.activation = Activation::SwiGluOai { alpha, limit };
    }
}

fn gelu_erf(architecture: &mut Architecture) {
    for layer in &mut architecture.layers {
        layer.feed_forward.activation = Activation::Gelu(Gelu::Erf);
    }
}

fn not_rounded(rope: &mut Rope) {
    if let Scaling::Yarn { rounded, .. } = &mut rope.scaling {
        *rounded = false;
    }
}

fn other_style(rope: &mut Rope) {
    rope.style = match rope.style {
        Style::Neox => Style::Normal,
        Style::Normal => Style::Neox,
    };
}

fn always_long(rope: &mut Rope) {
    if let Factors::ByLength { short, long, .. } = &mut rope.factors {
        short.clone_from(long);
    }
}

pub(super) fn cases<M: Machine>() -> Vec<Case> {
    let mut cases = Vec::new();
    for mutant in MUTANTS {
        for model in mutant.models {
            let name = format!("mutants::{}::{model}::{}", M::NAME, mutant.name);
            let body = move |run: &mut Run| caught::<M>(run, model, mutant);
            cases.push(on::<M>(Case::new(name, body).requirements([mutant.class])));
        }
    }
    for (model, feature, prompt, remove) in FEATURES {
        let name = format!("fixtures::{}::{model}::{feature}", M::NAME);
        cases.push(on::<M>(Case::new(name, move |run| felt::<M>(run, model, prompt, *remove))));
    }
    cases
}

fn caught<M: Machine>(run: &mut Run, model: &str, mutant: &Mutant) -> Result<(), Failure> {
    let question = Question::open(Oracle::LlamaCpp, model, mutant.prompt)?;
    let path = model_file(model);
    let open =
        |edit: fn(&mut Architecture)| Subject::open(M::open()?, &path, Profile::LlamaCpp, edit);
    let healthy = open(|_| ())?.model.architecture;
    let seen = match mutant.how {
        How::Data(edit) => {
            let mut subject = open(edit)?;
            if subject.model.architecture == healthy {
                return Err("the edit changed nothing".into());
            }
            subject.trace(&question.tokens, question.total)?
        }
        How::Verb(defect) => {
            let backend = Wrapped::new(M::open()?, defect);
            let mut subject = Subject::open(backend, &path, Profile::LlamaCpp, |_| ())?;
            let seen = subject.trace(&question.tokens, question.total)?;
            run.figure("hits", subject.backend.hits as f64, "");
            if subject.backend.hits == 0 {
                return Err("the defect was never met".into());
            }
            seen
        }
    };
    let graph = question.graph(&healthy);
    let Err(red) = judge(&seen, &question.oracle, graph, &tap_budget(healthy.family)) else {
        return Err("the suite stayed green".into());
    };
    let (name, occurrence, layer) = mutant.tap;
    let place = red.tap.ok_or("nothing was compared")?;
    let placed = place.name == name && red.occurrence == occurrence;
    if !placed || layer.is_some() && place.layer != layer {
        let detail = format!(
            "seen first at {place} (met {} times before), wanted {name} of layer {layer:?}:\n{}",
            red.occurrence,
            red.failure.text()
        );
        return Err(detail.into());
    }
    Ok(())
}

/// What a model must feel: taken away, it moves the logits.
const FEATURES: &[(&str, &str, &str, How)] = &[
    ("gpt-oss", "sinks", "short", How::Data(|a| each(a, |a| a.sinks = false))),
    ("gpt-oss", "window", "long", How::Data(|a| window(a, |_| None))),
    ("gpt-oss", "yarn", "long", How::Data(|a| rope(a, |r| r.scaling = Scaling::None))),
    ("gpt-oss", "yarn-magnitude", "long", How::Data(|a| rope(a, |r| r.magnitude = 1.0))),
    ("gpt-oss", "clamp-of-gate", "long", How::Verb(Defect::GateNotClamped)),
    ("gpt-oss", "clamp-of-up-above", "long", How::Verb(Defect::UpNotClampedAbove)),
    ("gpt-oss", "clamp-of-up-below", "long", How::Verb(Defect::UpNotClampedBelow)),
    ("gpt-oss", "qkv-bias", "short", How::Data(|a| each(a, |a| a.qkv_bias = false))),
    ("gpt-oss", "out-bias", "short", How::Data(|a| each(a, |a| a.out_bias = false))),
    ("gpt-oss", "expert-bias", "short", How::Data(no_ffn_bias)),
    ("gpt-oss", "router-bias", "short", How::Data(no_router_bias)),
    ("qwen2", "qkv-bias", "short", How::Data(|a| each(a, |a| a.qkv_bias = false))),
    ("phi3", "window", "long", How::Data(|a| window(a, |_| None))),
    ("phi3", "factors", "long", How::Data(|a| rope(a, |r| r.factors = Factors::None))),
    ("phi3", "magnitude", "long", How::Data(|a| rope(a, |r| r.magnitude = 1.0))),
    ("llama", "factors", "long", How::Data(|a| rope(a, |r| r.factors = Factors::None))),
    ("gpt2", "positions", "short", How::Data(|a| a.learned_positions = false)),
    ("gpt2", "qkv-bias", "short", How::Data(|a| each(a, |a| a.qkv_bias = false))),
    ("gpt2", "out-bias", "short", How::Data(|a| each(a, |a| a.out_bias = false))),
    ("gpt2", "ffn-bias", "short", How::Data(no_ffn_bias)),
];

/// The smallest squared error, over squared logits, that counts as being felt: a hundred thousand
/// times the budget of the goldens.
const FELT: f64 = 1e-4;

fn no_ffn_bias(architecture: &mut Architecture) {
    architecture.layers.iter_mut().for_each(|layer| layer.feed_forward.bias = false);
}

fn no_router_bias(architecture: &mut Architecture) {
    for layer in &mut architecture.layers {
        layer.feed_forward.experts.iter_mut().for_each(|experts| experts.router_bias = false);
    }
}

fn felt<M: Machine>(run: &mut Run, model: &str, prompt: &str, how: How) -> Result<(), Failure> {
    let question = Question::open(Oracle::LlamaCpp, model, prompt)?;
    let (tokens, total) = (&question.tokens, question.total);
    let path = model_file(model);
    let profile = Profile::Reference;
    let with = Subject::open(M::open()?, &path, profile, |_| ())?.logits_of(tokens, total)?;
    let without = match how {
        How::Data(edit) => {
            Subject::open(M::open()?, &path, profile, edit)?.logits_of(tokens, total)?
        }
        How::Verb(defect) => {
            let backend = Wrapped::new(M::open()?, defect);
            Subject::open(backend, &path, profile, |_| ())?.logits_of(tokens, total)?
        }
    };
    let square = |x: f64| x * x;
    let moved = with.iter().zip(&without).map(|(a, b)| square(f64::from(*a) - f64::from(*b)));
    let nmse = moved.sum::<f64>() / with.iter().map(|a| square(f64::from(*a))).sum::<f64>();
    run.figure("moved", nmse, "nmse");
    match nmse >= FELT {
        true => Ok(()),
        false => Err(format!("the logits move by {nmse:e} only, {FELT:e} wanted").into()),
    }
}
