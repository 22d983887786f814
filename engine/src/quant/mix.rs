//! Which format each tensor of a file gets: one for all matrices, or a mix of several. Knows
//! tensors by llama.cpp's names; computes nothing.

use super::{FORMATS, Format, by_name};

/// `general.quantization_version`: the layout of the block formats, unchanged since 2023.
pub const QUANTIZATION_VERSION: u32 = 2;

/// `general.file_type` (llama.cpp's `llama_ftype`) of a file that is mostly of a format.
const FILE_TYPES: &[(&str, u32)] = &[
    ("F32", 0),
    ("F16", 1),
    ("Q4_0", 2),
    ("Q4_1", 3),
    ("Q8_0", 7),
    ("Q5_0", 8),
    ("Q5_1", 9),
    ("Q4_K", 14),
    ("Q5_K", 16),
    ("Q6_K", 18),
    ("BF16", 32),
    ("MXFP4", 38),
];

/// `general.file_type` of the format that most elements have; none if the list has no number for
/// it. `parts` are formats and elements.
pub fn file_type(parts: impl Iterator<Item = (&'static Format, u64)> + Clone) -> Option<u32> {
    let elements = |format: &Format| -> u64 {
        parts.clone().filter(|(own, _)| own.id == format.id).map(|(_, elements)| elements).sum()
    };
    let most = FORMATS.iter().max_by_key(|format| elements(format))?;
    FILE_TYPES.iter().find(|(name, _)| *name == most.name).map(|(_, id)| *id)
}

/// The format itself, or what stands in for it where a row is not whole blocks of it.
pub fn fitting(target: &'static Format, row_len: usize) -> &'static Format {
    let next = match target.name {
        _ if row_len.is_multiple_of(target.block_len) => return target,
        "Q4_K" => "Q5_0",
        "Q5_K" => "Q5_1",
        "Q6_K" => "Q8_0",
        _ => "F16",
    };
    by_name(next).map_or(target, |next| fitting(next, row_len))
}

/// Whether a tensor is stored as a matrix may be: what is left is small or delicate (norms,
/// biases, the routers of experts, learned positions) and stays F32.
pub fn is_matrix(name: &str, dims: usize) -> bool {
    let kept = ["ffn_gate_inp", "norm", "position_embd"].iter().any(|part| name.contains(part));
    dims >= 2 && name.ends_with("weight") && !kept
}

/// A format for every tensor.
#[derive(Debug, Clone, Copy)]
pub enum Mix {
    /// Matrices stay as they are.
    Keep,
    /// Matrices get this one; MXFP4 stays, unless everything becomes F32.
    One(&'static Format),
    /// Q4_K, and more where llama.cpp's Q4_K_M spends more: Q6_K for the head and, in some layers,
    /// values and the way back; Q5_K where queries, keys and values are one matrix.
    Q4KM,
    /// Experts in MXFP4, all other matrices in Q8_0: how gpt-oss is published.
    Mxfp4,
    /// MXFP4 in every matrix, embedding and head included.
    Mxfp4All,
}

impl Mix {
    /// Its names, as a command line spells them, beside those of the formats.
    pub const NAMES: [(&'static str, Mix); 4] = [
        ("keep", Mix::Keep),
        ("Q4_K_M", Mix::Q4KM),
        ("MXFP4", Mix::Mxfp4),
        ("MXFP4-all", Mix::Mxfp4All),
    ];

    /// By name.
    pub fn by_name(name: &str) -> Option<Mix> {
        let own = Mix::NAMES.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        let one = || by_name(name).filter(|format| format.encode.is_some()).map(Mix::One);
        own.map(|(_, mix)| *mix).or_else(one)
    }

    /// The format that a matrix should have, before rows are looked at. `tied`: the embedding makes
    /// the logits too.
    pub fn wanted(
        self,
        name: &str,
        from: &'static Format,
        n_layers: usize,
        tied: bool,
    ) -> &'static Format {
        let format = |name| by_name(name).unwrap_or(from);
        match self {
            Mix::Keep => from,
            Mix::One(to) if from.name == "MXFP4" && to.name != "F32" => from,
            Mix::One(to) => to,
            Mix::Mxfp4 if name.contains("_exps.") => format("MXFP4"),
            Mix::Mxfp4 => format("Q8_0"),
            Mix::Mxfp4All => format("MXFP4"),
            Mix::Q4KM if from.name == "MXFP4" => from,
            Mix::Q4KM => {
                let head = name == "output.weight" || tied && name == "token_embd.weight";
                let spends = ["attn_v.", "ffn_down"].iter().any(|part| name.contains(part));
                let layer = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next());
                let layer = layer.and_then(|layer| layer.parse().ok());
                let more = layer.is_some_and(|layer| more_bits(layer, n_layers));
                format(match name {
                    _ if head || spends && more => "Q6_K",
                    _ if name.contains("attn_qkv") => "Q5_K",
                    _ => "Q4_K",
                })
            }
        }
    }
}

/// llama.cpp's choice of layers: the first and last eighth, and every third between them.
fn more_bits(layer: usize, n_layers: usize) -> bool {
    let eighth = n_layers / 8;
    layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2
}
