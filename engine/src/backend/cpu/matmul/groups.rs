//! The wanted output rows, sorted by matrix, so that a matrix is decoded once for all of them.

use super::Pair;

/// An activation row and the output row its product belongs in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) x: usize,
    pub(super) out: usize,
}

/// The rows that one matrix is multiplied with.
pub(super) struct Group {
    pub(super) matrix: usize,
    pub(super) rows: Vec<Row>,
}

/// Every group that has a row.
pub(super) struct Groups(pub(super) Vec<Group>);

impl Groups {
    /// One matrix, every activation row, in order.
    pub(super) fn all(n: usize) -> Self {
        let rows = (0..n).map(|row| Row { x: row, out: row }).collect();
        Groups(vec![Group { matrix: 0, rows }])
    }

    pub(super) fn of(pairs: &[Pair], n_matrices: usize) -> Self {
        let mut groups: Vec<Group> =
            (0..n_matrices).map(|matrix| Group { matrix, rows: Vec::new() }).collect();
        for (out, pair) in pairs.iter().enumerate() {
            groups[pair.matrix as usize].rows.push(Row { x: pair.row as usize, out });
        }
        groups.retain(|group| !group.rows.is_empty());
        Groups(groups)
    }
}
