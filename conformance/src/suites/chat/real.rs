//! Real templates, where a llama.cpp checkout's `models/` is at hand: the ones that ship with the
//! models this engine runs. Without it these cases are ignored; the vectors stand for themselves.

use crate::suites::vectors::harmony_render::Conversation;
use engine::chat::{Limits, Template};
use harness::{Case, Failure, Run, environment, roots, vector};

const CAPABILITY: &str = "llama-cpp-models";
const NAMES: [&str; 4] = [
    "Qwen-Qwen2.5-7B-Instruct",
    "meta-llama-Llama-3.1-8B-Instruct",
    "microsoft-Phi-3.5-mini-instruct",
    "openai-gpt-oss-120b",
];

fn template(name: &str) -> Result<Template, Failure> {
    let models = environment::path("ORCD_LLAMA_CPP_MODELS").unwrap_or_default();
    let file = format!("{name}.jinja");
    // A checkout keeps them below the vocabularies; our own data keeps them beside.
    let places = [models.join("templates").join(&file), models.join("../templates").join(&file)];
    let found = places.iter().find(|path| path.is_file());
    let path = found.ok_or_else(|| format!("none of {places:?} is a file"))?;
    Ok(Template::from_bytes(&std::fs::read(path)?, Limits::default())?)
}

fn gpt_oss_table(run: &mut Run) -> Result<(), Failure> {
    let template = template("openai-gpt-oss-120b")?;
    let path = roots::project().join("vectors/harmony/render.toml");
    let file = vector::parse::<Conversation>(&path, &std::fs::read_to_string(&path)?)?;
    let mut wrong = Vec::new();
    for (head, conversation) in &file.cases {
        if let Err(failure) = conversation.judge_template(&template) {
            wrong.push(format!("{}: {}", head.name, failure.text()));
        }
    }
    run.figure("conversations", file.cases.len() as f64, "");
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn self_test(name: &str) -> Result<(), Failure> {
    let tokens = ["bos_token", "eos_token"].map(|token| (token.into(), "<s>".into()));
    Ok(template(name)?.self_test(&tokens)?)
}

pub(super) fn cases() -> Vec<Case> {
    let tests = NAMES.map(|name| {
        let short = name.to_lowercase().replace('.', "-");
        Case::new(format!("chat::real::{short}"), move |_| self_test(name)).needs(CAPABILITY)
    });
    let table = Case::new("chat::real::gpt-oss-table", gpt_oss_table).needs(CAPABILITY);
    tests.into_iter().chain([table]).collect()
}
