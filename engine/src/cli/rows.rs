//! A tensor as `inspect` prints it, whatever kind of file it is in.

use crate::loader::Container;
use crate::loader::gguf::Layout;

#[derive(serde::Serialize)]
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) shape: &'a [u64],
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl Row<'_> {
    /// Number of elements.
    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product: u64, dim| product.saturating_mul(*dim))
    }
}

/// All tensors, in file order.
pub(super) fn rows(container: &Container) -> Vec<Row<'_>> {
    match container {
        Container::Gguf(file) => of_layout(file.layout()),
        Container::SafeTensors(file) => {
            let tensors = file.tensors().iter();
            let row = tensors.map(|tensor| Row {
                name: &tensor.name,
                kind: tensor.dtype.name,
                shape: &tensor.shape,
                offset: tensor.offset,
                bytes: tensor.bytes,
            });
            row.collect()
        }
    }
}

/// The tensors of a GGUF file, which need not be written yet.
pub(super) fn of_layout(layout: &Layout) -> Vec<Row<'_>> {
    let row = layout.tensors.iter().map(|tensor| Row {
        name: &tensor.name,
        kind: tensor.format.name,
        shape: &tensor.shape,
        offset: tensor.offset,
        bytes: tensor.bytes,
    });
    row.collect()
}
