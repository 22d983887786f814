//! Models in several files: all parts or none, and a word of advice (X09, M55, M56).

use super::{Scratch, equal, format, numbers, refused};
use engine::error::Class;
use engine::loader::gguf::{Value, Writer};
use engine::loader::{Gguf, check};
use harness::{Case, Failure, Run};
use std::path::PathBuf;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("loader::split::all-parts", all_parts),
        Case::new("loader::split::one-of-one", one_of_one),
        Case::new("loader::split::damaged-part", damaged_part),
        Case::new("loader::split::scan-names-the-part", scan_names_the_part),
        Case::new("loader::split::name-that-is-not-utf8", name_that_is_not_utf8),
    ];
    cases.extend(BROKEN.iter().map(|(name, words, damage)| {
        Case::new(format!("loader::split::{name}"), move |_| {
            let mut model = Model::sound();
            damage(&mut model);
            let scratch = Scratch::new()?;
            refused(Gguf::open(&model.write(&scratch)?), Class::BadSplit, words)
        })
    }));
    cases
}

/// A name, what the refusal must say, and what to do to a sound model first.
type Broken = (&'static str, &'static [&'static str], fn(&mut Model));

/// What can be wrong with a set of files.
const BROKEN: &[Broken] = &[
    ("missing-part", &["part 2 of 3", "m-00002-of-00003.gguf"], |model| {
        model.parts[1].name = "elsewhere.gguf".into();
    }),
    ("same-number-twice", &["split.*", "m-00003-of-00003.gguf", "no 1"], |model| {
        model.set(2, "split.no", 1u16);
    }),
    ("wrong-count", &["split.*", "m-00002-of-00003.gguf", "count 4"], |model| {
        model.set(1, "split.count", 4u16);
    }),
    ("wrong-tensor-count", &["split.tensors.count", "7", "6 tensors"], |model| {
        (0..3).for_each(|part| model.set(part, "split.tensors.count", 7i32));
    }),
    ("tensor-in-two-parts", &["tensor \"t0a\"", "part 1", "part 3"], |model| {
        model.parts[2].tensors[0] = "t0a".into();
    }),
    ("part-of-another-model", &["general.name", "another model"], |model| {
        model.set(0, "general.name", "this");
        model.set(1, "general.name", "that");
    }),
    ("part-with-other-tensor-count", &["tensors.count 60", "another model"], |model| {
        model.set(1, "split.tensors.count", 60i32);
    }),
    ("number-of-wrong-type", &["split.no", "wanted u16", "i64 0"], |model| {
        model.set(0, "split.no", 0i64);
    }),
    ("count-of-wrong-type", &["split.count", "wanted u16", "u32 3"], |model| {
        model.set(0, "split.count", 3u32);
    }),
    ("number-missing", &["split.no", "no such key"], |model| {
        model.parts[0].metadata.remove("split.no");
    }),
    ("count-missing", &["split.count"], |model| {
        model.parts[0].metadata.remove("split.count");
    }),
    ("part-is-no-part", &["split.count", "not a part", "00002"], |model| {
        model.parts[1].metadata.clear();
    }),
    ("second-part-opened", &["part 2 of 3", "open \"m-00001-of-00003.gguf\""], |model| {
        model.open = 1;
    }),
    ("names-swapped", &["file name", "-00002-of-00003.gguf", "renamed"], |model| {
        model.parts[0].name = "m-00002-of-00003.gguf".into();
        model.parts[1].name = "m-00001-of-00003.gguf".into();
        model.open = 1;
    }),
    ("m55-not-named-as-a-part", &["-00001-of-00002.gguf", "m.gguf"], |model| {
        model.set(0, "split.count", 2u16);
        model.parts[0].name = "m.gguf".into();
    }),
    ("m56-count-65535", &["-00001-of-65535.gguf"], |model| {
        model.set(0, "split.count", u16::MAX);
    }),
    ("number-above-count", &["split.no"], |model| {
        model.set(0, "split.no", u16::MAX);
    }),
];

/// A model of three parts with two tensors each.
struct Model {
    parts: Vec<Part>,
    /// Which part is opened.
    open: usize,
}

struct Part {
    name: String,
    metadata: std::collections::BTreeMap<&'static str, Value>,
    tensors: [String; 2],
}

impl Model {
    fn sound() -> Model {
        let part = |number: u16| Part {
            name: format!("m-{:05}-of-00003.gguf", number + 1),
            metadata: [
                ("split.no", number.into()),
                ("split.count", 3u16.into()),
                ("split.tensors.count", 6i32.into()),
            ]
            .into(),
            tensors: [format!("t{number}a"), format!("t{number}b")],
        };
        Model { parts: (0..3).map(part).collect(), open: 0 }
    }

    fn set(&mut self, part: usize, key: &'static str, value: impl Into<Value>) {
        self.parts[part].metadata.insert(key, value.into());
    }

    /// Writes the parts; the result is the one to open.
    fn write(&self, scratch: &Scratch) -> Result<PathBuf, Failure> {
        for (number, part) in self.parts.iter().enumerate() {
            let mut writer = Writer::new();
            for (key, value) in &part.metadata {
                writer.set(key, value.clone());
            }
            for (index, name) in part.tensors.iter().enumerate() {
                let data = &numbers(9)[(number * 2 + index) * 4..][..12];
                writer.tensor(name, format("F32")?, &[3], data);
            }
            writer.write(&scratch.path(&part.name))?;
        }
        Ok(scratch.path(&self.parts[self.open].name))
    }
}

fn all_parts(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let mut model = Model::sound();
    model.set(0, "general.architecture", "llama");
    let file = Gguf::open(&model.write(&scratch)?)?;
    equal("parts", file.parts().len(), 3)?;
    equal("architecture", file.metadata().str("general.architecture")?, "llama")?;
    let names: Vec<&str> = file.tensors().iter().map(|tensor| &*tensor.name).collect();
    equal("tensors", names, vec!["t0a", "t0b", "t1a", "t1b", "t2a", "t2b"])?;
    for name in ["t0a", "t1b", "t2b"] {
        let view = file.tensor(name).ok_or_else(|| format!("no tensor {name}"))?;
        let part = usize::from(view.info.part);
        let bytes = std::fs::read(scratch.path(&model.parts[part].name))?;
        let range = view.info.file_range();
        equal(name, view.data, &bytes[range.start as usize..range.end as usize])?;
        equal("bytes", view.data.len(), 12)?;
    }
    Ok(file.verify_unchanged()?)
}

fn one_of_one(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let mut writer = Writer::new();
    writer.set("split.no", 0u16).set("split.count", 1u16).set("split.tensors.count", 0i32);
    writer.write(&scratch.path("any.gguf"))?;
    equal("parts", Gguf::open(&scratch.path("any.gguf"))?.parts().len(), 1)
}

fn damaged_part(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let first = Model::sound().write(&scratch)?;
    let third = scratch.path("m-00003-of-00003.gguf");
    let bytes = std::fs::read(&third)?;
    std::fs::write(&third, &bytes[..bytes.len() - 1])?;
    refused(Gguf::open(&first), Class::Truncated, &["t2b", "m-00003-of-00003.gguf"])?;
    std::fs::write(&third, b"<html>")?;
    refused(Gguf::open(&first), Class::BadMagic, &["HTML", "m-00003-of-00003.gguf"])
}

fn scan_names_the_part(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let first = Model::sound().write(&scratch)?;
    let second = scratch.path("m-00002-of-00003.gguf");
    let mut bytes = std::fs::read(&second)?;
    let end = bytes.len();
    // The padded last tensor: 12 bytes of data in the last 32.
    bytes[end - 24..end - 20].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&second, bytes)?;
    let words = ["tensor \"t1b\"", "block 2", "m-00002-of-00003.gguf"];
    refused(check::gguf(&Gguf::open(&first)?, None), Class::NonFinite, &words)
}

fn name_that_is_not_utf8(_: &mut Run) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStringExt;
    let scratch = Scratch::new()?;
    Model::sound().write(&scratch)?;
    let name = |number: u8| {
        let mut name = b"caf\xe9-0000N-of-00003.gguf".to_vec();
        name[9] = b'0' + number;
        scratch.0.path().join(std::ffi::OsString::from_vec(name))
    };
    for number in 1..=3 {
        std::fs::rename(scratch.path(&format!("m-{number:05}-of-00003.gguf")), name(number))?;
    }
    equal("parts", Gguf::open(&name(1))?.parts().len(), 3)
}
