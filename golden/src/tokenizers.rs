//! Trains the small vocabularies. They are fixtures, not answers; recorded all the same, so that a
//! clone needs no Python and nobody edits an id. Knows only the script that makes them.

use crate::area::Recording;
use crate::{Result, oracle};
use std::collections::BTreeMap;
use std::fs;

const SCRIPTS: [&str; 6] =
    ["train.py", "train_bpe.py", "train_spm.py", "corpus.py", "pretokenizers.py", "vocabulary.py"];

pub(crate) fn record() -> Result<Recording> {
    let folder = std::env::temp_dir().join(format!("golden-tokenizers-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let trained = oracle::ask("train.py", &[folder.to_str().ok_or("path is no UTF-8")?], b"");
    let mut files = BTreeMap::new();
    for item in fs::read_dir(&folder)? {
        let item = item?;
        let name = item.file_name();
        let name = name.to_str().ok_or("a vocabulary's name is no UTF-8")?;
        files.insert(format!("tokenizers/{name}"), fs::read(item.path())?);
    }
    fs::remove_dir_all(&folder)?;
    trained?;
    let provenance = BTreeMap::from([
        ("oracle".into(), "none: trained on our own text by oracles/train.py".into()),
        ("threads".into(), "1".into()),
    ]);
    Ok(Recording { provenance, inputs: oracle::inputs(&SCRIPTS), files })
}
