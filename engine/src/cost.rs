//! What a token costs, computed from a model's description: multiplications with weights, and the
//! bytes that must be read for them. Benchmarks divide by it. Knows no backend, so it counts what
//! any of them must do, not what one of them does.

use crate::adapters::{Architecture, Role};
use crate::loader::Gguf;
use crate::model::Description;

/// The share of one kind of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Share {
    elements: u64,
    bytes: u64,
}

/// What the rows of a model cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Bytes of all tensors.
    pub model_bytes: u64,
    /// Elements of all tensors.
    pub parameters: u64,
    /// What every row meets, but for the head.
    dense: Share,
    /// All experts of all layers.
    experts: Share,
    /// The matrix that makes logits.
    head: Share,
    architecture: Architecture,
}

impl Cost {
    /// Of a described model.
    pub fn of(file: &Gguf, description: &Description) -> Cost {
        let tensors = file.tensors();
        let mut cost = Cost {
            model_bytes: tensors.iter().map(|tensor| tensor.bytes).sum(),
            parameters: tensors.iter().map(|tensor| tensor.elements()).sum(),
            dense: Share::default(),
            experts: Share::default(),
            head: Share::default(),
            architecture: description.architecture.clone(),
        };
        let head = description.tensors.output.as_ref().map(|output| output.weight);
        let add = |at: usize, role: Role| {
            let tensor = &tensors[at];
            let share = match role {
                Role::TiedTable => &mut cost.head,
                _ if head == Some(at) => &mut cost.head,
                Role::ExpertMatrix | Role::ExpertBias => &mut cost.experts,
                // A row of it is looked up, which is nothing beside the rest.
                Role::Table => return Ok::<(), std::convert::Infallible>(()),
                Role::Matrix | Role::Vector => &mut cost.dense,
            };
            share.bytes += tensor.bytes;
            if matches!(role, Role::Matrix | Role::TiedTable | Role::ExpertMatrix) {
                share.elements += tensor.elements();
            }
            Ok(())
        };
        let Ok(_) = description.tensors.clone().map(add, |_| ());
        cost
    }

    /// Experts of a layer: how many there are, and how many see a row.
    fn experts(&self) -> (u64, u64) {
        let mut layers = self.architecture.layers.iter();
        let experts = layers.find_map(|layer| layer.feed_forward.experts);
        experts.map_or((1, 1), |experts| (experts.count as u64, experts.used as u64))
    }

    /// Floating-point operations of a row at `position`: two for each weight it meets, and four
    /// for each element of a query head and position it looks at.
    pub fn operations(&self, position: usize, logits: bool) -> f64 {
        let (count, used) = self.experts();
        let experts = self.experts.elements as f64 * used as f64 / count as f64;
        let head = if logits { self.head.elements as f64 } else { 0.0 };
        let seen = |layer: &crate::adapters::Layer| {
            let attention = &layer.attention;
            let positions = position + 1 - attention.first_seen(position);
            4.0 * (attention.q_width() * positions) as f64
        };
        let attention: f64 = self.architecture.layers.iter().map(seen).sum();
        2.0 * (self.dense.elements as f64 + experts + head) + attention
    }

    /// Bytes that a step of `rows` sequences at `position` must read: every weight that it meets,
    /// once, of experts as many as the rows can have chosen at most, and each row's keys and
    /// values.
    pub fn bytes(&self, rows: usize, position: usize, kv_bytes: usize) -> f64 {
        let (count, used) = self.experts();
        let chosen = count.min(used.saturating_mul(rows as u64));
        let experts = self.experts.bytes as f64 * chosen as f64 / count as f64;
        let kept = |layer: &crate::adapters::Layer| {
            let attention = &layer.attention;
            let positions = position + 1 - attention.first_seen(position);
            2.0 * (attention.kv_width() * positions * kv_bytes) as f64
        };
        let kv: f64 = self.architecture.layers.iter().map(kept).sum();
        (self.dense.bytes + self.head.bytes) as f64 + experts + rows as f64 * kv
    }
}
