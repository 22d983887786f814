//! How much of the past is kept: the shape of a cache, computed from the architecture. Knows no
//! backend, which allocates it, and no session, which fills it.

use crate::adapters::Architecture;
use std::str::FromStr;

/// Capacities are multiples of this: backends keep keys in tiles of so many positions.
pub const GRAIN: usize = 16;

/// How a key or value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As it was computed.
    #[default]
    F32,
    /// Half the memory; rounded before first use, so that nothing depends on when it is read.
    F16,
}

impl Precision {
    /// As it is written: `f32`, `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::F16 => 2,
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Precision, String> {
        let known = [Precision::F32, Precision::F16];
        let found = known.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| "there are 'f32' and 'f16'".to_string())
    }
}

/// What one layer keeps of each sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerPlan {
    /// Elements of all key heads of a position; the value has as many.
    pub width: usize,
    /// Positions; position `p` stands at `p % capacity`.
    pub capacity: usize,
}

/// The shape of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePlan {
    /// Sequences side by side.
    pub slots: usize,
    /// The longest sequence.
    pub context: usize,
    /// Rows that are computed together at most.
    pub max_rows: usize,
    /// How elements are stored.
    pub precision: Precision,
    /// From the first to the last.
    pub layers: Vec<LayerPlan>,
    /// Fill with NaN first, so that reading what was never written cannot go unnoticed.
    pub poison: bool,
}

impl CachePlan {
    /// For `slots` sequences of up to `context` positions. A layer with a window keeps its window
    /// and room for the rows that are being computed, since the first of them must still see what
    /// the last of them would overwrite.
    pub fn new(
        architecture: &Architecture,
        slots: usize,
        context: usize,
        max_rows: usize,
        precision: Precision,
    ) -> CachePlan {
        let layer = |layer: &crate::adapters::Layer| LayerPlan {
            width: layer.attention.kv_width(),
            capacity: match layer.attention.window {
                Some(window) => context.min(window.saturating_add(max_rows)),
                None => context,
            }
            .next_multiple_of(GRAIN),
        };
        let layers = architecture.layers.iter().map(layer).collect();
        CachePlan { slots, context, max_rows, precision, layers, poison: false }
    }

    /// What must be equal for one cache to take what was saved of a slot of another, in words.
    pub fn form(&self) -> String {
        let mut form = match self.precision {
            Precision::F32 => "f32".to_string(),
            Precision::F16 => "f16".to_string(),
        };
        for run in self.layers.chunk_by(|a, b| a == b) {
            let LayerPlan { width, capacity } = run[0];
            form += &format!(", {} × {capacity} of {width}", run.len());
        }
        form
    }

    /// Bytes of keys and values of all slots.
    pub fn bytes(&self) -> u64 {
        let positions: u64 =
            self.layers.iter().map(|layer| (layer.width * layer.capacity) as u64).sum();
        2 * positions * self.slots as u64 * self.precision.bytes() as u64
    }

    /// Whether every position that a row at `next` sees is still there after a sequence of `length`
    /// positions was cut back to `next`.
    pub fn can_cut(&self, architecture: &Architecture, length: usize, next: usize) -> bool {
        self.layers.iter().zip(&architecture.layers).all(|(plan, layer)| {
            let oldest = length.saturating_sub(plan.capacity);
            layer.attention.first_seen(next) >= oldest
        })
    }
}
