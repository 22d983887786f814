//! The unit of work: rows, each a token at a position of a sequence. Knows no model.

/// Rows that are usually computed together: enough to read every weight for many rows at once.
pub const ROWS: usize = 512;

/// Where a row comes from. On CUDA the two may run different kernels; on the CPU they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Part of a prompt.
    Prompt,
    /// A token the model made.
    Generated,
}

/// One token to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The token's id.
    pub token: u32,
    /// Its place in the sequence.
    pub position: u32,
    /// The sequence, as the slot of the cache that holds it.
    pub slot: u32,
    /// How long the sequence was declared to become; see [`crate::adapters::rope::Factors`].
    pub total: u32,
    /// Where it comes from.
    pub role: Role,
    /// Whether somebody wants to know what follows it.
    pub logits: bool,
}

/// Rows that are computed together. Rows of one sequence stand in order of position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The rows.
    pub rows: Vec<Row>,
}

impl Batch {
    /// The rows that want logits, by index.
    pub fn wanted(&self) -> Vec<u32> {
        let rows = self.rows.iter().enumerate().filter(|(_, row)| row.logits);
        rows.map(|(index, _)| index as u32).collect()
    }
}
