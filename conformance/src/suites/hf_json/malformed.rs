//! tokenizer.json files that are broken, contradict themselves, or attack. Each edits a good file,
//! and each must be refused by class, naming the part; none may end the process.

use super::{json_of, open};
use engine::error::Class;
use harness::{Case, Failure, Run};
use serde_json::{Value, json};

/// How a good file is spoilt.
enum Edit {
    /// The bytes.
    Bytes(fn(Vec<u8>) -> Vec<u8>),
    /// The value.
    Json(fn(&mut Value)),
}

struct Attack {
    name: &'static str,
    edit: Edit,
    class: Class,
    /// Words of the refusal.
    says: &'static [&'static str],
}

const fn bytes(
    name: &'static str,
    edit: fn(Vec<u8>) -> Vec<u8>,
    says: &'static [&'static str],
) -> Attack {
    Attack { name, edit: Edit::Bytes(edit), class: Class::BadJson, says }
}

const fn json(
    name: &'static str,
    class: Class,
    edit: fn(&mut Value),
    says: &'static [&'static str],
) -> Attack {
    Attack { name, edit: Edit::Json(edit), class, says }
}

use Class::{BadJson, BadVocab};

const ATTACKS: &[Attack] = &[
    bytes("empty", |_| Vec::new(), &["EOF", "line 1"]),
    bytes("not-json", |_| b"<html>".to_vec(), &["line 1 column 1"]),
    bytes(
        "cut-off",
        |mut file| {
            file.truncate(file.len() / 2);
            file
        },
        &["EOF"],
    ),
    bytes(
        "not-utf8",
        |mut file| {
            file[12] = 0xff;
            file
        },
        &["utf-8"],
    ),
    bytes(
        "trailing",
        |mut file| {
            file.push(b'x');
            file
        },
        &["trailing"],
    ),
    bytes("deep", |_| [b"{\"model\":".to_vec(), vec![b'['; 100_000]].concat(), &["line 1"]),
    bytes("deep-normalizer", |_| deep_normalizer(), &["recursion limit"]),
    bytes("nul", |_| vec![0; 64], &["line 1"]),
    json("no-model", BadJson, |file| remove(file, "model"), &["missing field `model`"]),
    json("model-a-list", BadVocab, |file| file["model"] = json!([]), &["no tokens"]),
    json(
        "vocab-a-string",
        BadJson,
        |file| file["model"]["vocab"] = json!("x"),
        &["tokens and ids"],
    ),
    json("id-a-string", BadJson, |file| file["model"]["vocab"]["q"] = json!("1"), &["u32"]),
    json("id-negative", BadJson, |file| file["model"]["vocab"]["q"] = json!(-1), &["u32"]),
    json("id-fraction", BadJson, |file| file["model"]["vocab"]["q"] = json!(1.5), &["u32"]),
    json(
        "id-over-32-bits",
        BadJson,
        |file| file["model"]["vocab"]["q"] = json!(1u64 << 33),
        &["u32"],
    ),
    json(
        "id-huge",
        BadVocab,
        |file| file["model"]["vocab"]["qq"] = json!(4_000_000_000u32),
        &["below"],
    ),
    json("id-far", BadVocab, |file| file["model"]["vocab"]["qq"] = json!(900_000), &["900000"]),
    json("id-twice", BadVocab, |file| file["model"]["vocab"]["qqq"] = json!(5), &["id 5 is both"]),
    json("token-empty", BadVocab, |file| file["model"]["vocab"][""] = json!(1600), &["empty"]),
    json("vocab-empty", BadVocab, |file| file["model"]["vocab"] = json!({}), &["no tokens"]),
    json("byte-missing", BadVocab, |file| remove(&mut file["model"]["vocab"], "Ā"), &["0x00"]),
    json("merge-of-one", BadJson, |file| merge(file, json!("th")), &["no space"]),
    json("merge-of-three", BadJson, |file| merge(file, json!(["a", "b", "c"])), &["three"]),
    json("merge-of-none", BadJson, |file| merge(file, json!([])), &["two parts"]),
    json("merge-a-number", BadJson, |file| merge(file, json!(1)), &["a merge"]),
    json(
        "merge-unknown-part",
        BadVocab,
        |file| merge(file, json!(["qzq", "t"])),
        &["merges", "qzq"],
    ),
    json("merge-unknown-whole", BadVocab, |file| merge(file, json!(["!", "~"])), &["merges"]),
    json(
        "merge-twice",
        BadVocab,
        |file| merge(file, file["model"]["merges"][0].clone()),
        &["twice"],
    ),
    json(
        "added-other-id",
        BadVocab,
        |file| added(file, json!({"id": 7, "content": "zz"})),
        &["id 7"],
    ),
    json(
        "added-twice",
        BadVocab,
        |file| added(file, json!({"id": 1590, "content": "!"})),
        &["ids"],
    ),
    json(
        "added-empty",
        BadVocab,
        |file| added(file, json!({"id": 1590, "content": ""})),
        &["empty"],
    ),
    json("added-no-content", BadJson, |file| added(file, json!({"id": 1})), &["content"]),
    json("dropout", BadVocab, |file| file["model"]["dropout"] = json!(0.1), &["dropout", "chance"]),
    json(
        "truncation",
        BadVocab,
        |file| file["truncation"] = json!({"max_length": 5}),
        &["truncation"],
    ),
    json("padding", BadVocab, |file| file["padding"] = json!({"pad_id": 0}), &["padding"]),
    json("post-unknown", BadVocab, |file| file["post_processor"] = json!({"type": "X"}), &["X"]),
    json("post-no-text", BadVocab, |file| template(file, json!([])), &["no sequence"]),
    json("post-two-before", BadVocab, |file| template(file, two_before()), &["more than one"]),
    json("post-id-beyond", BadVocab, |file| template(file, beyond()), &["99999"]),
    json("regex-broken", BadVocab, |file| pattern(file, "(a"), &["tokenizers"]),
    json(
        "pre-unknown",
        BadVocab,
        |file| file["pre_tokenizer"] = json!({"type": "X"}),
        &["tokenizers"],
    ),
    json("decoder-word-piece", BadVocab, word_piece, &["WordPiece", "neighbours"]),
];

fn remove(object: &mut Value, key: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(key);
    }
}

fn push(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

fn merge(file: &mut Value, merge: Value) {
    push(&mut file["model"]["merges"], merge);
}

fn added(file: &mut Value, token: Value) {
    push(&mut file["added_tokens"], token);
}

fn template(file: &mut Value, single: Value) {
    let ids = json!({"id": "<|b|>", "ids": [99_999], "tokens": ["<|b|>"]});
    file["post_processor"] =
        json!({"type": "TemplateProcessing", "single": single, "special_tokens": {"<|b|>": ids}});
}

fn two_before() -> Value {
    let token = json!({"SpecialToken": {"id": "<|b|>", "type_id": 0}});
    json!([token, token, {"Sequence": {"id": "A", "type_id": 0}}])
}

fn beyond() -> Value {
    let token = json!({"SpecialToken": {"id": "<|b|>", "type_id": 0}});
    json!([token, {"Sequence": {"id": "A", "type_id": 0}}])
}

fn pattern(file: &mut Value, regex: &str) {
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
        "use_regex": false});
    file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
        bytes]});
}

fn word_piece(file: &mut Value) {
    pattern(file, "a+");
    file["decoder"] = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
}

fn deep_normalizer() -> Vec<u8> {
    let open = "{\"type\":\"Sequence\",\"normalizers\":[".repeat(5_000);
    format!("{{\"normalizer\":{open}").into_bytes()
}

impl Attack {
    fn judge(&self) -> Result<(), Failure> {
        let good = json_of("gpt2")?;
        let bad = match &self.edit {
            Edit::Bytes(edit) => edit(good),
            Edit::Json(edit) => {
                let mut file: Value = serde_json::from_slice(&good)?;
                edit(&mut file);
                serde_json::to_vec(&file)?
            }
        };
        let Err(error) = open(&bad, false) else { return Err("was accepted".into()) };
        let said = error.to_string();
        if error.class() != Some(self.class) {
            return Err(format!("wanted {}, got {said}", self.class).into());
        }
        match self.says.iter().find(|word| !said.contains(*word)) {
            None => Ok(()),
            Some(word) => Err(format!("refused without saying {word:?}: {said}").into()),
        }
    }
}

/// Any byte of a small file changed, left out or doubled: refused or read, never the end.
fn mutants(run: &mut Run) -> Result<(), Failure> {
    let mut file: Value = serde_json::from_slice(&json_of("llama")?)?;
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let tokens = bytes.chain(["▁", "a", "▁a", "<s>"].map(str::to_owned));
    let vocab = tokens.enumerate().map(|(id, token)| (token, json!(id))).collect();
    file["model"]["vocab"] = Value::Object(vocab);
    file["model"]["merges"] = json!([["▁", "a"]]);
    file["model"]["unk_token"] = Value::Null;
    file["added_tokens"] = json!([{"id": 259, "content": "<s>", "special": true}]);
    file["post_processor"] = Value::Null;
    let good = serde_json::to_vec(&file)?;
    open(&good, false)?;
    // The vocabulary itself is long and dull: a stride through it, and every byte of the rest.
    let places = (0..good.len()).filter(|at| at % 7 == 0 || !(200..6_000).contains(at));
    let (mut read, mut refused) = (0u32, 0u32);
    for at in places {
        for change in 0..3u8 {
            let mut bad = good.clone();
            match change {
                0 => bad[at] ^= 1 << (at % 7),
                1 => drop(bad.remove(at)),
                _ => bad.insert(at, good[at]),
            }
            match open(&bad, false) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    run.figure("read", f64::from(read), "");
    run.figure("refused", f64::from(refused), "");
    if read == 0 || refused < 1_000 {
        return Err(format!("{read} read, {refused} refused: nothing was tried").into());
    }
    Ok(())
}

pub(super) fn cases() -> Vec<Case> {
    let case = |attack: &'static Attack| {
        let name = format!("tokenizer::hf-json::malformed::{}", attack.name);
        Case::new(name, |_| attack.judge()).requirements(["X11"])
    };
    let mut cases: Vec<Case> = ATTACKS.iter().map(case).collect();
    cases.push(Case::new("tokenizer::hf-json::malformed::mutants", mutants).requirements(["X11"]));
    cases
}
