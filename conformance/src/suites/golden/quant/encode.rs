//! Encoders in ggml's rule against ggml's reference quantisers, block by block: equal bytes, or one
//! of the declared deviations, each of which says when it must occur and what both then wrote.

use super::super::recording::Recording;
use super::path;
use engine::quant::encode::{Encode, Rule, Unencodable};
use engine::quant::{self, Format};
use harness::{Failure, Run};

/// One block of values, what ggml made of it, and what we did.
struct Block<'a> {
    format: &'static Format,
    values: &'a [f32],
    theirs: &'a [u8],
    ours: Vec<u8>,
    refused: Option<Unencodable>,
}

pub(super) fn judge(name: &str, run: &mut Run) -> Result<(), Failure> {
    let recording = Recording::open(&path(name))?;
    let rows = Recording::open("quant/rows.safetensors")?;
    let format = quant::by_name(name).ok_or("the engine does not know this format")?;
    let encode = format.encode.ok_or("the engine does not encode this format")?;
    let (values, width) = rows.floats("rows")?;
    let (encoded, row_bytes) = recording.bytes("encoded")?;
    if encoded.len() / row_bytes != values.len() / width {
        return Err("the recording has another number of rows than quant/rows".into());
    }
    let blocks = values.chunks(format.block_len).zip(encoded.chunks(format.block_bytes));
    let mut wrong = Vec::new();
    for (index, (values, theirs)) in blocks.enumerate() {
        let block = Block::encode(format, encode, values, theirs);
        match block.deviation() {
            None if block.refused.is_none() && block.ours == theirs => {}
            Some((id, reason)) if block.deviates(id) => run.deviation(id, reason),
            expected => {
                let group = rows.group(index * format.block_len / width)?;
                let expected = expected.map_or("equal bytes", |(id, _)| id);
                wrong.push(format!("block {index} ({group}): {expected} expected; {block}"));
            }
        }
    }
    run.figure("blocks", (values.len() / format.block_len) as f64, "");
    let Some(first) = wrong.first() else { return Ok(()) };
    Err(format!("{} blocks differ from ggml's; first: {first}", wrong.len()).into())
}

const TINY_SCALE: &str = "ggml-mxfp4-tiny-scale";
const LOST_CODES: &str = "ggml-reciprocal-overflow";
const NO_SCALE: &str = "ggml-f16-scale-overflow";

impl<'a> Block<'a> {
    fn encode(
        format: &'static Format,
        encode: Encode,
        values: &'a [f32],
        theirs: &'a [u8],
    ) -> Self {
        let mut ours = vec![0xaa; format.block_bytes];
        let refused = encode(values, &mut ours, Rule::LlamaCpp).err();
        Self { format, values, theirs, ours, refused }
    }

    fn amax(&self) -> f32 {
        self.values.iter().fold(0.0, |amax, value| amax.max(value.abs()))
    }

    /// f16 scales of a block: where they lie in the format's struct.
    fn scales(&self, block: &[u8]) -> Vec<f32> {
        let offsets: &[usize] = match self.format.name {
            "Q4_0" | "Q5_0" | "Q8_0" => &[0],
            "Q4_1" | "Q5_1" | "Q4_K" | "Q5_K" => &[0, 2],
            "Q6_K" => &[208],
            _ => &[],
        };
        let scale = |at: &usize| half::f16::from_le_bytes([block[*at], block[at + 1]]).to_f32();
        offsets.iter().map(scale).collect()
    }

    /// The deviation that this block must show; all but the last follow from the values and from
    /// what ggml wrote alone.
    fn deviation(&self) -> Option<(&'static str, &'static str)> {
        let amax = self.amax();
        if self.format.name == "MXFP4" {
            // floor(log2(amax)) - 2 + 127 is below 0, and ggml casts it to 8 bits.
            let tiny = amax > 0.0 && amax < 2.0f32.powi(-125);
            return tiny.then_some((
                TINY_SCALE,
                "the scale byte is clamped at 0; ggml's wraps, and may become the NaN byte",
            ));
        }
        let scales = self.scales(self.theirs);
        // Q6_K's sums overflow first: it then takes the block for empty.
        let empty = amax > 1e5 && self.theirs.iter().all(|byte| *byte == 0);
        if empty || scales.iter().any(|scale| !scale.is_finite()) {
            return Some((NO_SCALE, "refused; ggml stores an infinite scale, or an empty block"));
        }
        // 1/scale overflows below 2^-128, where the largest code of Q5_K is 63·31 scales away.
        let lost = amax > 0.0 && amax < 2.0f32.powi(-117) && self.ours != self.theirs;
        lost.then_some((
            LOST_CODES,
            "the scale is stored as 0, so codes mean nothing; ggml's come from casting Inf and NaN",
        ))
    }

    /// Whether both sides did what the deviation says.
    fn deviates(&self, id: &str) -> bool {
        match id {
            NO_SCALE => matches!(self.refused, Some(Unencodable::ScaleOverflow { .. })),
            LOST_CODES => {
                let (ours, theirs) = (self.scales(&self.ours), self.scales(self.theirs));
                let same = |(a, b): (&f32, &f32)| *a == 0.0 && a.to_bits() == b.to_bits();
                self.refused.is_none() && ours.iter().zip(&theirs).all(same)
            }
            TINY_SCALE => self.refused.is_none() && self.clamped() && self.wrapped(),
            _ => false,
        }
    }

    /// Ours: scale byte 0, and every value within half a step of 2^-127.
    fn clamped(&self) -> bool {
        const MAGNITUDE: [f64; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        let near = |(element, value): (usize, &f32)| {
            let code = self.ours[1 + element % 16] >> (4 * (element / 16)) & 15;
            let sign = if code < 8 { 1.0 } else { -1.0 };
            let decoded = sign * MAGNITUDE[usize::from(code % 8)] * 2.0f64.powi(-127);
            (decoded - f64::from(*value)).abs() <= 2.0f64.powi(-128)
        };
        self.ours[0] == 0 && self.values.iter().enumerate().all(near)
    }

    /// Theirs: the scale byte modulo 256, under which every value is nearest to 0.
    fn wrapped(&self) -> bool {
        let power = f64::from(self.amax()).log2().floor() as i32;
        let byte = (power - 2 + 127).rem_euclid(256) as u8;
        self.theirs[0] == byte && self.theirs[1..].iter().all(|codes| *codes == 0)
    }
}

impl std::fmt::Display for Block<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(refused) = &self.refused {
            write!(out, "ours refused ({refused}), ")?;
        } else {
            write!(out, "ours {:02x?}, ", self.ours)?;
        }
        write!(out, "ggml's {:02x?}; largest value {:e}", self.theirs, self.amax())
    }
}
