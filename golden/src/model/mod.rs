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
mod record;
mod summary;

use crate::Result;
use crate::area::Area;
use crate::store::root;

/// Where the fixtures lie, relative to `golden/`.
const MODELS: &str = "models";

/// Two areas a fixture: `traces/NAME` by llama.cpp, `hf/NAME` by the transformers library.
pub(crate) fn areas() -> Result<Vec<Area>> {
    let folder = root().join(MODELS);
    let mut areas = Vec::new();
    if !folder.is_dir() {
        return Ok(areas);
    }
    for item in std::fs::read_dir(folder)? {
        let path = item?.path();
        if path.extension().is_some_and(|end| end == "gguf") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let about =
                format!("what llama.cpp computes with models/{name}.gguf and with its twin");
            let (area, fixture) = (format!("traces/{name}"), name.clone());
            areas.push(Area::new(area, about, move || record::fixture(&fixture)));
            let about = format!("what transformers computes with the weights of {name} (Python)");
            areas.push(Area::new(format!("hf/{name}"), about, move || hf::fixture(&name)));
        }
    }
    areas.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(areas)
}
