//! One tensor's way through a conversion into a file, shared by the commands that write models.
//! Knows formats and rows, not where they come from.

use crate::error::{Class, Error, Result};
use crate::quant::Format;
use crate::quant::convert::{Conversion, Loss};
use crate::quant::encode::Unencodable;

/// Why a conversion stopped.
enum Stop {
    Values(Unencodable),
    Error(Error),
}

impl From<Unencodable> for Stop {
    fn from(refusal: Unencodable) -> Self {
        Stop::Values(refusal)
    }
}

/// Converts `data`, hands the pieces to `take`, and refuses values that the new format cannot hold.
/// `place` is the tensor, for messages.
pub(super) fn reencode(
    place: &str,
    data: &[u8],
    conversion: &Conversion,
    to: &Format,
    threads: usize,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Loss> {
    let loss = conversion.run(data, threads, |piece| take(piece).map_err(Stop::Error));
    let refuse = |detail| Err(Error::refused(Class::NonFinite, place, detail));
    match loss {
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::Values(refusal)) => refuse(format!("as {}: {refusal}", to.name)),
        Ok(loss) if loss.tally.overflowed > 0 => refuse(format!(
            "as {}: {} elements would become infinite, the largest is {:e}",
            to.name, loss.tally.overflowed, loss.peak
        )),
        Ok(loss) => Ok(loss),
    }
}
