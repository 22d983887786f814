//! What llama.cpp makes of the fixture models: taps, logits, greedy text, perplexity. Knows which
//! prompts are asked and which files are written; `llama` knows the C interface.

pub(crate) mod ask;
pub(crate) mod bench;
pub(crate) mod distance;
pub(crate) mod elsewhere;
mod exact;
mod greedy;
mod hf;
mod inputs;
mod perplexity;
mod prompt;
mod random;
mod record;
mod shapes;
mod summary;

use crate::Result;
use crate::area::Area;
use crate::store::root;

/// Where the trained fixtures lie, relative to `golden/`.
const MODELS: &str = "models";

/// The random models, which bring their answers along; then two areas a trained one: `traces/NAME`
/// by llama.cpp and `hf/NAME` by the transformers library.
pub(crate) fn areas() -> Result<Vec<Area>> {
    let about = "random weights in awkward dimensions and every block format, and their logits";
    let mut areas = vec![Area::new(random::FOLDER, about, random::record)];
    for item in std::fs::read_dir(root().join(MODELS))? {
        let path = item?.path();
        if path.extension().is_some_and(|end| end == "gguf") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let about = format!("what llama.cpp computes with {name} and with its twin");
            let fixture = name.clone();
            areas.push(Area::new(format!("traces/{name}"), about, move || {
                record::fixture(&fixture)
            }));
            let about = format!("what transformers computes with the weights of {name} (Python)");
            areas.push(Area::new(format!("hf/{name}"), about, move || hf::fixture(&name)));
        }
    }
    areas[1..].sort_by(|a, b| a.name.cmp(&b.name));
    Ok(areas)
}
