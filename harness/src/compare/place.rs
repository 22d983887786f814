//! Where the damage is: the second half of the "looks like" line.

use super::damage::Damage;

/// One way damage can lie; `None` when it does not lie so.
type Place = fn(&Damage) -> Option<String>;

/// The fixed table, the most telling first.
pub(super) const PLACES: [(&str, Place); 6] = [
    ("everywhere", everywhere),
    ("one element", one_element),
    ("one block", one_block),
    ("one index", one_index),
    ("from a position on", from_a_position_on),
    ("every nth", every_nth),
];

fn everywhere(damage: &Damage) -> Option<String> {
    (damage.bad.iter().all(|bad| *bad)).then(|| "everywhere".into())
}

fn one_element(damage: &Damage) -> Option<String> {
    (damage.count() == 1).then(|| "one element".into())
}

/// One head, one row, one token: an index that all the damage shares, on any axis but the last.
fn one_index(damage: &Damage) -> Option<String> {
    let shared: Vec<String> = outer_axes(damage)
        .filter_map(|axis| {
            let (low, high) = range(damage, axis)?;
            (low == high).then(|| format!("one {} ({low})", damage.axes[axis].0))
        })
        .collect();
    (!shared.is_empty()).then(|| shared.join(", "))
}

/// Quantised blocks hold 32 elements, or 256 in sub-blocks.
fn one_block(damage: &Damage) -> Option<String> {
    let [first, last] = [damage.places().next()?, damage.places().last()?];
    let fits = |length: &usize| {
        damage.bad.len() > *length
            && damage.row().is_multiple_of(*length)
            && first / length == last / length
    };
    let length = [16, 32, 256].into_iter().find(fits)?;
    let element = first - first % length;
    let at = damage.coordinates(element).iter().map(usize::to_string).collect::<Vec<_>>();
    Some(format!("one block of {length} (from [{}])", at.join(", ")))
}

/// Nothing before some position of an axis, and something at every position after it.
fn from_a_position_on(damage: &Damage) -> Option<String> {
    (0..damage.axes.len()).find_map(|axis| {
        let (name, extent) = &damage.axes[axis];
        let (low, _) = range(damage, axis)?;
        let mut hit = vec![false; *extent];
        for at in damage.places() {
            hit[damage.coordinates(at)[axis]] = true;
        }
        let after = &hit[low..];
        (low > 0 && after.len() > 1 && after.iter().all(|hit| *hit))
            .then(|| format!("every {name} from {low} on"))
    })
}

fn every_nth(damage: &Damage) -> Option<String> {
    let row = damage.row();
    let columns: Vec<usize> = damage.places().map(|at| at % row).collect();
    let strided = |n: &usize| {
        let first = columns.first().map(|column| column % n);
        row >= 2 * n && columns.len() > 2 && columns.iter().all(|c| Some(c % n) == first)
    };
    let n = [32, 16, 8, 4, 2].into_iter().find(strided)?;
    let (name, _) = damage.axes.last()?;
    Some(format!("only where {name} % {n} = {}", columns[0] % n))
}

/// Axes whose index can be shared by chance only where there is another one to take.
fn outer_axes(damage: &Damage) -> impl Iterator<Item = usize> + '_ {
    let outer = 0..damage.axes.len().saturating_sub(1);
    outer.filter(|axis| damage.axes[*axis].1 > 1)
}

/// Lowest and highest damaged index along an axis.
pub(super) fn range(damage: &Damage, axis: usize) -> Option<(usize, usize)> {
    let indices = damage.places().map(|at| damage.coordinates(at)[axis]);
    indices.fold(None, |range, at| {
        let (low, high) = range.unwrap_or((at, at));
        Some((low.min(at), high.max(at)))
    })
}
