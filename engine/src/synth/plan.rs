//! From a description to a file: every tensor with its format and how it is filled, then all of
//! them written in order while several threads make the blocks. Memory is a few pieces a thread.

use super::blocks::Recipe;
use super::description::{Description, Tensor};
use super::random::Key;
use crate::error::{Error, Named, Result, shown};
use crate::loader::gguf::writer::Stream;
use crate::loader::gguf::{Layout, Writer};
use crate::quant::{self, Format};
use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// What a caller may decide instead of the description.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Another seed, other weights.
    pub seed: u64,
    /// Another format for the weights of experts.
    pub experts: Option<&'static Format>,
    /// Another number of layers.
    pub layers: Option<u32>,
}

/// A file to write.
#[derive(Debug)]
pub struct Plan {
    writer: Writer,
    layout: Layout,
    head_bytes: u64,
    fills: Vec<Fill>,
}

/// How a tensor gets its bytes.
#[derive(Debug)]
enum Fill {
    Random { recipe: Recipe, key: Key },
    Given(Vec<u8>),
}

/// About how many bytes a thread makes at a time.
const PIECE_BYTES: usize = 1 << 20;
/// Pieces that a thread may be ahead of the writer.
const AHEAD: usize = 2;

impl Plan {
    /// Works out every tensor, and proves the head of the file.
    pub fn new(description: &Description, options: &Options) -> Result<Self> {
        let mut metadata = description.metadata.clone();
        let architecture = metadata.str("general.architecture")?.to_owned();
        let block_count = format!("{architecture}.block_count");
        if let Some(layers) = options.layers {
            metadata.set(&block_count, layers);
        }
        let layers = metadata.u32(&block_count)?;
        description.vocabulary.put(&architecture, &mut metadata)?;
        let mut writer = Writer::new();
        *writer.metadata() = metadata;
        let tied = description.tensors.iter().all(|tensor| tensor.name != "output.weight");
        let mut fills = Vec::new();
        for tensor in in_order(&description.tensors, layers) {
            let (name, format) = (tensor.name(), tensor.format(layers, options)?);
            fills.push(tensor.rule.fill(&name, format, tied, options.seed)?);
            writer.declare(&name, format, &tensor.rule.shape);
        }
        if let (Some(format), false) = (options.experts, has_experts(description)) {
            let detail = format!("--experts {}: this model has no experts", format.name);
            return Err(Error::Usage(detail));
        }
        let (head, layout) = writer.head()?;
        Ok(Plan { writer, layout, head_bytes: head.len() as u64, fills })
    }

    /// Keys and tensors.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Where each tensor will be.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes of the whole file.
    pub fn bytes(&self) -> u64 {
        let end = self.layout.tensors.iter().map(|tensor| tensor.offset + tensor.bytes).max();
        let alignment = u64::from(self.layout.alignment);
        self.head_bytes + end.unwrap_or_default().next_multiple_of(alignment)
    }

    /// Makes all data and hands it to `stream` in order; `told` hears of each piece.
    pub fn write<W: Write>(
        &self,
        stream: &mut Stream<W>,
        threads: usize,
        mut told: impl FnMut(&str, u64),
    ) -> Result<()> {
        let pieces = self.pieces();
        let threads = threads.clamp(1, pieces.len().max(1));
        let pieces = &pieces;
        thread::scope(|scope| {
            let channels: Vec<Option<Receiver<Vec<u8>>>> = (0..threads)
                .map(|first| {
                    let (sender, receiver) = sync_channel(AHEAD);
                    let make = move || {
                        let mine = pieces.iter().skip(first).step_by(threads);
                        // A writer that has stopped wants no more.
                        for piece in mine {
                            if sender.send(self.make(piece)).is_err() {
                                break;
                            }
                        }
                    };
                    let started = thread::Builder::new().spawn_scoped(scope, make);
                    started.is_ok().then_some(receiver)
                })
                .collect();
            for (index, piece) in pieces.iter().enumerate() {
                // A machine out of threads still has this one.
                let made = channels[index % threads].as_ref().and_then(|made| made.recv().ok());
                stream.push(&made.unwrap_or_else(|| self.make(piece)))?;
                told(&self.layout.tensors[piece.tensor].name, piece.bytes as u64);
            }
            Ok(())
        })
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (tensor, (info, fill)) in self.layout.tensors.iter().zip(&self.fills).enumerate() {
            let (bytes, block_bytes) = (info.bytes as usize, info.format.block_bytes);
            let length = match fill {
                Fill::Given(_) => bytes,
                Fill::Random { recipe, .. } => {
                    let unit = block_bytes * recipe.blocks_a_counter();
                    (PIECE_BYTES / unit).max(1) * unit
                }
            };
            let starts = (0..bytes).step_by(length.max(1));
            pieces.extend(starts.map(|start| Piece {
                tensor,
                first_block: (start / block_bytes) as u64,
                bytes: length.min(bytes - start),
            }));
        }
        pieces
    }

    fn make(&self, piece: &Piece) -> Vec<u8> {
        match &self.fills[piece.tensor] {
            Fill::Given(bytes) => bytes.clone(),
            Fill::Random { recipe, key } => {
                let mut bytes = vec![0; piece.bytes];
                recipe.fill(*key, piece.first_block, &mut bytes);
                bytes
            }
        }
    }
}

/// Part of a tensor, in whole blocks.
struct Piece {
    tensor: usize,
    first_block: u64,
    bytes: usize,
}

/// A tensor of a layer, or of none.
struct Placed<'a> {
    rule: &'a Tensor,
    layer: Option<u32>,
}

const EVERY_LAYER: &str = "blk.N.";

/// Tensors as files list them: those of no layer where they stand, those of layers layer by layer.
fn in_order(tensors: &[Tensor], layers: u32) -> Vec<Placed<'_>> {
    let repeated = |tensor: &Tensor| tensor.name.starts_with(EVERY_LAYER);
    let mut order = Vec::new();
    for run in tensors.chunk_by(|a, b| repeated(a) == repeated(b)) {
        if repeated(&run[0]) {
            let all = (0..layers).flat_map(|layer| run.iter().map(move |rule| (layer, rule)));
            order.extend(all.map(|(layer, rule)| Placed { rule, layer: Some(layer) }));
        } else {
            order.extend(run.iter().map(|rule| Placed { rule, layer: None }));
        }
    }
    order
}

fn has_experts(description: &Description) -> bool {
    description.tensors.iter().any(Tensor::is_expert)
}

impl Placed<'_> {
    fn name(&self) -> String {
        match self.layer {
            Some(layer) => self.rule.name.replacen(EVERY_LAYER, &format!("blk.{layer}."), 1),
            None => self.rule.name.clone(),
        }
    }

    fn format(&self, layers: u32, options: &Options) -> Result<&'static Format> {
        if let (Some(format), true) = (options.experts, self.rule.is_expert()) {
            return Ok(format);
        }
        let more = self.layer.is_some_and(|layer| has_more_bits(layer, layers));
        let name = self.rule.more.as_ref().filter(|_| more).unwrap_or(&self.rule.kind);
        quant::by_name(name).ok_or_else(|| {
            let place = Named("tensor", &self.rule.name);
            Error::Usage(format!("{place}: no format {}", shown(name)))
        })
    }
}

/// llama.cpp's `use_more_bits`, which its Q4_K_M mixes follow for `attn_v` and `ffn_down`.
fn has_more_bits(layer: u32, layers: u32) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

impl Tensor {
    fn is_expert(&self) -> bool {
        self.name.ends_with("_exps.weight")
    }

    fn fill(&self, name: &str, format: &'static Format, tied: bool, seed: u64) -> Result<Fill> {
        let refuse = |why: String| Err(Error::Usage(format!("{}: {why}", Named("tensor", name))));
        if let Some(values) = &self.values {
            let elements: u64 = self.shape.iter().product();
            if format.name != "F32" || elements != values.len() as u64 {
                let given = values.len();
                return refuse(format!("{given} values are given for {elements} {}", format.name));
            }
            return Ok(Fill::Given(values.iter().flat_map(|x| x.to_le_bytes()).collect()));
        }
        let row = self.shape.first().map_or(1.0, |row| *row as f32);
        let (mean, std) = spread(name, row, tied);
        match Recipe::new(format, mean, self.std.unwrap_or(std)) {
            Some(recipe) => Ok(Fill::Random { recipe, key: Key::new(seed, name) }),
            None => {
                let names = Recipe::names().join(", ");
                refuse(format!("no random {} around {mean}; there are {names}", format.name))
            }
        }
    }
}

/// Mean and standard deviation by role. A matrix of 1/√row keeps the size of what passes through
/// it; heads look sharper and experts are chosen clearer than that, and logits spread enough for
/// one token to stand out among 200,000.
fn spread(name: &str, row: f32, tied: bool) -> (f32, f32) {
    let role = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let role = role.rsplit_once('.').map_or(role, |(_, role)| role);
    let gain = match role {
        _ if name.ends_with(".bias") => return (0.0, 0.1),
        "attn_norm" | "ffn_norm" | "post_attention_norm" | "output_norm" => return (1.0, 0.1),
        "attn_sinks" => return (0.0, 1.0),
        "token_embd" if !tied => return (0.0, 1.0),
        "position_embd" => return (0.0, 0.1),
        "token_embd" | "output" => 4.0,
        "ffn_gate_inp" => 2.0,
        "attn_q" | "attn_k" => 1.5,
        _ => 1.0,
    };
    (0.0, gain / row.sqrt())
}
