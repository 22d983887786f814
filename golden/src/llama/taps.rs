//! Collects named intermediate tensors while llama.cpp computes. Knows how ggml lays a tensor out
//! and which names are taps; not what they mean.

use crate::Result;
use llama_cpp_sys_2 as sys;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};

/// The elements of a tap.
#[derive(Clone, PartialEq)]
pub(crate) enum Values {
    Floats(Vec<f32>),
    Ints(Vec<i32>),
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Ints(values) => values.len(),
        }
    }
}

/// One named tensor. The slowest dimension comes first, as in safetensors and NumPy.
#[derive(Clone)]
pub(crate) struct Tap {
    /// llama.cpp's name; `NAME#K` for the K-th further tensor of that name in one graph.
    pub(crate) name: String,
    /// The operation that computed it.
    pub(crate) op: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
    /// Which dimension counts the rows of the batch.
    rows: usize,
}

pub(crate) struct Collector {
    wanted: fn(&str) -> bool,
    /// Positions before this graph, and rows of it.
    past: usize,
    rows: usize,
    /// Tensors seen in this graph, by name.
    seen: BTreeMap<String, usize>,
    taps: Vec<Tap>,
    error: Option<String>,
}

impl Collector {
    pub(crate) fn new(wanted: fn(&str) -> bool) -> Self {
        let (seen, taps) = (BTreeMap::new(), Vec::new());
        Self { wanted, past: 0, rows: 0, seen, taps, error: None }
    }

    pub(crate) fn begin(&mut self, past: usize, rows: usize) {
        (self.past, self.rows) = (past, rows);
        self.seen.clear();
    }

    pub(crate) fn check(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), |error| Err(error.into()))
    }

    pub(crate) fn take(&mut self) -> Vec<Tap> {
        std::mem::take(&mut self.taps)
    }

    /// llama.cpp asks about every node before it is computed, and hands it over afterwards if the
    /// answer was yes.
    pub(crate) unsafe extern "C" fn callback(
        tensor: *mut sys::ggml_tensor,
        ask: bool,
        user: *mut c_void,
    ) -> bool {
        // SAFETY: the user data is the boxed collector of the session that computes, and the
        // session hands out no other reference while it does; the tensor lives during the call.
        let (this, tensor) = unsafe { (&mut *user.cast::<Self>(), &*tensor) };
        // SAFETY: ggml terminates its names.
        let name = unsafe { CStr::from_ptr(tensor.name.as_ptr()) }.to_string_lossy();
        if !is_tap(&name, tensor) || !(this.wanted)(&name) {
            return !ask;
        }
        if !ask && this.error.is_none() {
            // SAFETY: the tensor has just been computed, in memory of this process.
            let read = unsafe { this.read(&name, tensor) };
            this.error = read.err().map(|error| format!("{name}: {error}"));
        }
        true
    }

    /// # Safety
    /// The tensor's data must be computed and lie in host memory.
    unsafe fn read(&mut self, name: &str, tensor: &sys::ggml_tensor) -> Result<()> {
        let occurrence = self.seen.entry(name.into()).or_default();
        let key = if *occurrence == 0 { name.into() } else { format!("{name}#{occurrence}") };
        *occurrence += 1;
        // SAFETY: ggml's table of operation names.
        let op = unsafe { CStr::from_ptr(sys::ggml_op_desc(tensor)) }.to_string_lossy();
        let scores = !joinable(name) && !name.starts_with("kqv-");
        let mut extent = tensor.ne.map(|count| usize::try_from(count).unwrap_or(0));
        if scores {
            // llama.cpp pads the cache to 256 positions; what lies behind the last row is noise.
            extent[0] = extent[0].min(self.past + self.rows);
        }
        // SAFETY: as promised by the caller.
        let values = unsafe { elements(tensor, extent)? };
        let mut shape: Vec<usize> = extent.into_iter().rev().collect();
        while shape.len() > 2 && shape[0] == 1 {
            shape.remove(0);
        }
        let rows = if joinable(name) { 0 } else { shape.len() - 2 };
        let tap = Tap { name: key, op: op.into_owned(), shape, values, rows };
        match self.taps.iter_mut().find(|known| known.name == tap.name) {
            Some(known) => known.append(tap),
            None => {
                self.taps.push(tap);
                Ok(())
            }
        }
    }
}

impl Tap {
    /// Rows of a later graph, behind these.
    fn append(&mut self, later: Self) -> Result<()> {
        let same = self.shape.len() == later.shape.len() && self.shape[1..] == later.shape[1..];
        if self.rows != 0 || !same {
            let (before, after) = (&self.shape, &later.shape);
            return Err(format!("{before:?} and {after:?} of two graphs cannot be joined").into());
        }
        self.shape[0] += later.shape[0];
        match (&mut self.values, later.values) {
            (Values::Floats(all), Values::Floats(more)) => all.extend(more),
            (Values::Ints(all), Values::Ints(more)) => all.extend(more),
            _ => return Err("its type changes between graphs".into()),
        }
        Ok(())
    }

    /// Whether this is `family` of some layer; `NAME#K` names one occurrence of it.
    pub(crate) fn is_of(&self, family: &str) -> bool {
        let (name, occurrence) = self.name.split_once('#').unwrap_or((&self.name, "0"));
        let base = match name.rsplit_once('-') {
            Some((base, layer)) if layer.bytes().all(|byte| byte.is_ascii_digit()) => base,
            _ => name,
        };
        match family.split_once('#') {
            Some((family, wanted)) => base == family && occurrence == wanted,
            None => base == family,
        }
    }

    /// Length of one row of the batch, where the rows lie one behind the other.
    pub(crate) fn row_len(&self) -> Option<usize> {
        (self.rows == 0 && self.shape[0] > 0).then(|| self.values.len() / self.shape[0])
    }
}

/// Named by the model's own code: names that ggml derives hold a blank, its defaults a fixed word.
fn is_named(name: &str) -> bool {
    let derived = name.is_empty() || name.contains([' ', '(']);
    !derived && !name.starts_with("node_") && !name.starts_with("leaf_")
}

/// A tensor that only looks at another one differently is no tap, except a slice, and a reshape of
/// what has no name of its own.
fn is_tap(name: &str, tensor: &sys::ggml_tensor) -> bool {
    let views = [sys::GGML_OP_NONE, sys::GGML_OP_PERMUTE, sys::GGML_OP_TRANSPOSE];
    if !is_named(name) || views.contains(&tensor.op) {
        return false;
    }
    // SAFETY: a source is null or a tensor of the same graph, and ggml terminates its names.
    let source = unsafe {
        let source = tensor.src[0].as_ref();
        source.map(|source| CStr::from_ptr(source.name.as_ptr()).to_string_lossy())
    };
    tensor.op != sys::GGML_OP_RESHAPE || source.is_some_and(|source| !is_named(&source))
}

/// Every element inside `extent`, whatever the strides.
///
/// # Safety
/// The tensor's data must be computed and lie in host memory.
unsafe fn elements(tensor: &sys::ggml_tensor, extent: [usize; 4]) -> Result<Values> {
    let data = tensor.data.cast::<u8>();
    let mut offsets = Vec::with_capacity(extent.iter().product());
    for index_3 in 0..extent[3] {
        for index_2 in 0..extent[2] {
            for index_1 in 0..extent[1] {
                let row = index_3 * tensor.nb[3] + index_2 * tensor.nb[2] + index_1 * tensor.nb[1];
                offsets.extend((0..extent[0]).map(|index_0| row + index_0 * tensor.nb[0]));
            }
        }
    }
    let offsets = offsets.into_iter();
    // SAFETY: the extent lies inside `ne`, and ggml's strides address every element of `ne`.
    unsafe {
        match tensor.type_ {
            sys::GGML_TYPE_F32 => Ok(Values::Floats(
                offsets.map(|offset| data.add(offset).cast::<f32>().read_unaligned()).collect(),
            )),
            sys::GGML_TYPE_I32 => Ok(Values::Ints(
                offsets.map(|offset| data.add(offset).cast::<i32>().read_unaligned()).collect(),
            )),
            other => Err(format!("type {other} is not read").into()),
        }
    }
}

/// Whether rows of several graphs can stand one behind the other: attention scores are as wide as
/// the cache is at that moment, and lie head by head.
pub(crate) fn joinable(name: &str) -> bool {
    !["kq-", "kq_", "kqv-"].iter().any(|start| name.starts_with(start))
}
