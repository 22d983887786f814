//! The metered operations: each charges the bytes it reads and makes, then does what Python does.
//! Knows values, not programs.

use super::names::{FILTERS as FILTER_NAMES, TESTS as TEST_NAMES};
use super::{json, python};
use minijinja::value::{Rest, Tuple, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::cmp::Ordering;

pub(super) use super::names::{FILTERS, TESTS};

pub(super) const ADD: &str = "+";
pub(super) const MULTIPLY: &str = "*";
pub(super) const CONCAT: &str = "~";
pub(super) const ITEM: &str = "[]";
pub(super) const SLICE: &str = "[:]";
pub(super) const KEEP: &str = "ns=";
pub(super) const IN: &str = "in ";

/// Deepest nesting of a value that a namespace may keep.
const NESTING_MAX: usize = 32;
/// What an element of a list or map costs beside its text.
const ELEMENT_BYTES: usize = 32;

/// What a rendering may still touch.
struct Meter {
    left: usize,
}

/// The budget of one rendering; the first charge puts it into the state.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// Bytes that all operations together may read and write.
    pub(super) work_bytes: usize,
    /// Longest text that may come to be.
    pub(super) text_bytes: usize,
}

impl Budget {
    /// Pays for `bytes`.
    pub(super) fn charge(self, state: &mut State, bytes: usize) -> Result<(), Error> {
        let meter = state.get_or_insert_extension_with(|| Meter { left: self.work_bytes });
        if bytes > meter.left {
            let detail = format!("the template touched more than {} bytes", self.work_bytes);
            return Err(Error::new(ErrorKind::OutOfFuel, detail));
        }
        meter.left -= bytes;
        Ok(())
    }

    /// Pays for a text of `bytes` that is about to be made.
    fn make(self, state: &mut State, bytes: usize) -> Result<(), Error> {
        if bytes > self.text_bytes {
            let detail = format!("a text of {bytes} bytes; at most {}", self.text_bytes);
            return Err(Error::new(ErrorKind::OutOfFuel, detail));
        }
        self.charge(state, bytes)
    }

    /// Pays for reading a value to its leaves.
    fn read(self, state: &mut State, value: &Value) -> Result<(), Error> {
        self.walk(state, value, NESTING_MAX * 4)
    }

    fn walk(self, state: &mut State, value: &Value, levels: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::String => self.charge(state, value.as_str().map_or(0, str::len)),
            ValueKind::Bytes => self.charge(state, value.len().unwrap_or(0)),
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
                if levels == 0 {
                    return Err(wrong("a value nests too deeply"));
                }
                self.charge(state, ELEMENT_BYTES)?;
                let Ok(items) = value.try_iter() else {
                    return Ok(());
                };
                for item in items {
                    self.walk(state, &item, levels - 1)?;
                    if value.kind() == ValueKind::Map {
                        self.walk(state, &value.get_item(&item)?, levels - 1)?;
                    }
                    self.charge(state, ELEMENT_BYTES)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The value as a list, paid per element; a lazy sequence ends here.
    fn list(self, state: &mut State, value: &Value) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        for item in value.try_iter()? {
            self.charge(state, ELEMENT_BYTES)?;
            items.push(item);
        }
        Ok(items)
    }
}

/// Puts every metered operation, filter, test and method into the environment.
pub(super) fn register(environment: &mut Environment, budget: Budget) {
    let binary = [
        (ADD, add as fn(Budget, &mut State, &Value, &Value) -> Result<Value, Error>),
        (MULTIPLY, multiply),
        (CONCAT, concat),
        (ITEM, item),
        (IN, contains),
        ("==", |b, s, l, r| compare(b, s, l, r, |order| order == Ordering::Equal)),
        ("!=", |b, s, l, r| compare(b, s, l, r, |order| order != Ordering::Equal)),
        ("<", |b, s, l, r| compare(b, s, l, r, Ordering::is_lt)),
        ("<=", |b, s, l, r| compare(b, s, l, r, Ordering::is_le)),
        (">", |b, s, l, r| compare(b, s, l, r, Ordering::is_gt)),
        (">=", |b, s, l, r| compare(b, s, l, r, Ordering::is_ge)),
    ];
    for (name, verb) in binary {
        environment.add_function(name, move |state: &mut State, left: Value, right: Value| {
            verb(budget, state, &left, &right)
        });
        if let Some((_, _, chained)) = CHAINED.iter().find(|(_, plain, _)| *plain == name) {
            environment.add_function(*chained, move |s: &mut State, left: Value, right: Value| {
                let mut verdict = verb(budget, s, &left, &right)?;
                if *chained == NOT_IN {
                    verdict = Value::from(!verdict.is_true());
                }
                Ok::<_, Error>(Value::from(vec![verdict, right]))
            });
        }
    }
    environment.add_function(SLICE, move |state: &mut State, operands: Rest<Value>| {
        slice(budget, state, &operands)
    });
    environment
        .add_function(KEEP, move |state: &mut State, value: Value| keep(budget, state, value));
    for (name, function) in FILTER_NAMES {
        environment.add_function(function, move |state: &mut State, a: Rest<ValueOrKwargs>| {
            filter(budget, state, name, &a.into_values())
        });
    }
    for (name, function) in TEST_NAMES {
        environment.add_function(function, move |state: &mut State, a: Rest<ValueOrKwargs>| {
            let operands = a.into_values();
            for operand in &operands {
                budget.read(state, operand)?;
            }
            state.perform_test(name, &operands)
        });
    }
    register_hooks(environment, budget);
}

/// What the engine calls on its own: namespaces, methods of Python, printing.
fn register_hooks(environment: &mut Environment, budget: Budget) {
    let namespace = environment.globals().find(|(name, _)| *name == "namespace");
    if let Some(original) = namespace.map(|(_, function)| function) {
        environment.add_function("namespace", move |state: &mut State, a: Rest<ValueOrKwargs>| {
            let operands = a.into_values();
            for operand in &operands {
                keep(budget, state, operand.clone())?;
            }
            original.call(state, &operands)
        });
    }
    environment.set_unknown_method_callback(move |state, value, name, operands| {
        for operand in operands.iter().chain([value]) {
            budget.read(state, operand)?;
        }
        budget.make(state, python::growth(name, value, operands))?;
        let made = python::method(state, value, name, operands)?;
        budget.read(state, &made)?;
        Ok(made)
    });
    environment.set_formatter(move |out, state, value| {
        budget.read(state, value)?;
        let text = python::text(value);
        budget.make(state, text.len())?;
        out.write_str(&text).map_err(Error::from)
    });
}

const NOT_IN: &str = "not in …";

/// A comparison in a chain: how the engine calls it, the plain verb, the verb that answers with
/// the verdict and, for the next link, its right side.
const CHAINED: [(&str, &str, &str); 8] = [
    ("Eq", "==", "== …"),
    ("Ne", "!=", "!= …"),
    ("Lt", "<", "< …"),
    ("Lte", "<=", "<= …"),
    ("Gt", ">", "> …"),
    ("Gte", ">=", ">= …"),
    ("In", IN, "in …"),
    ("NotIn", IN, NOT_IN),
];

/// The verb for a link of a chain. An operator that is not in the table becomes an unknown
/// function, which is an error and not a wrong answer.
pub(super) fn chained(operator: &str) -> &'static str {
    let known = CHAINED.iter().find(|(name, _, _)| *name == operator);
    known.map_or("unknown comparison", |(_, _, verb)| verb)
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail.into())
}

fn impossible(verb: &str, left: &Value, right: &Value) -> Error {
    let (left, right) = (left.kind(), right.kind());
    wrong(format!("{left} {verb} {right} is not possible"))
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn sequence(items: Vec<Value>, tuple: bool) -> Value {
    if tuple { Value::from(Tuple::from(items)) } else { Value::from(items) }
}

fn add(budget: Budget, state: &mut State, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        budget.make(state, a.len().saturating_add(b.len()))?;
        return Ok(Value::from([a, b].concat()));
    }
    if is_list(left) && is_list(right) {
        let mut items = budget.list(state, left)?;
        items.extend(budget.list(state, right)?);
        return Ok(sequence(items, left.is_tuple()));
    }
    match (python::number(left), python::number(right)) {
        (Some(a), Some(b)) => python::arithmetic(a, b, i128::checked_add, |a, b| a + b),
        _ => Err(impossible(ADD, left, right)),
    }
}

fn multiply(
    budget: Budget,
    state: &mut State,
    left: &Value,
    right: &Value,
) -> Result<Value, Error> {
    let (repeated, times) = match (left.as_str(), is_list(left)) {
        (None, false) => (right, left),
        _ => (left, right),
    };
    if let Some(text) = repeated.as_str() {
        let times = python::repetitions(times)?;
        budget.make(state, text.len().saturating_mul(times))?;
        return Ok(Value::from(text.repeat(times)));
    }
    if is_list(repeated) {
        let times = python::repetitions(times)?;
        let items = budget.list(state, repeated)?;
        budget.charge(state, items.len().saturating_mul(times).saturating_mul(ELEMENT_BYTES))?;
        let repetition = std::iter::repeat_n(items, times).flatten().collect();
        return Ok(sequence(repetition, repeated.is_tuple()));
    }
    match (python::number(left), python::number(right)) {
        (Some(a), Some(b)) => python::arithmetic(a, b, i128::checked_mul, |a, b| a * b),
        _ => Err(impossible(MULTIPLY, left, right)),
    }
}

fn concat(budget: Budget, state: &mut State, left: &Value, right: &Value) -> Result<Value, Error> {
    budget.read(state, left)?;
    budget.read(state, right)?;
    let mut text = python::text(left);
    text += &python::text(right);
    budget.make(state, text.len())?;
    Ok(Value::from(text))
}

fn item(budget: Budget, state: &mut State, value: &Value, key: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::String {
        budget.read(state, value)?;
    }
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, format!("no item {key} of undefined")));
    }
    Ok(value.get_item(key).unwrap_or_default())
}

fn contains(
    budget: Budget,
    state: &mut State,
    left: &Value,
    right: &Value,
) -> Result<Value, Error> {
    // Looking a key up reads the key alone; everything else is searched.
    budget.read(state, left)?;
    if right.kind() != ValueKind::Map {
        budget.read(state, right)?;
    }
    let asked_of = match right.kind() {
        ValueKind::String => left.kind() == ValueKind::String,
        kind => !matches!(kind, ValueKind::None | ValueKind::Bool | ValueKind::Number),
    };
    if !asked_of {
        return Err(impossible("in", left, right));
    }
    let found = state.perform_test("in", &[left.clone(), right.clone()])?;
    Ok(Value::from(found))
}

fn compare(
    budget: Budget,
    state: &mut State,
    left: &Value,
    right: &Value,
    wanted: fn(Ordering) -> bool,
) -> Result<Value, Error> {
    // Values of different kinds differ at once, and texts of different lengths nearly so.
    if left.kind() == right.kind() {
        budget.read(state, left)?;
        budget.read(state, right)?;
    }
    let order = if left == right {
        Ordering::Equal
    } else if left < right {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    Ok(Value::from(wanted(order)))
}

fn slice(budget: Budget, state: &mut State, operands: &[Value]) -> Result<Value, Error> {
    let [value, start, stop, step] = operands else {
        return Err(wrong("a slice needs a value, a start, a stop and a step"));
    };
    let bounds = [python::bound_of(start)?, python::bound_of(stop)?, python::bound_of(step)?];
    if let Some(text) = value.as_str() {
        budget.charge(state, text.len())?;
        let chars: Vec<char> = text.chars().collect();
        let picked = python::slice(chars.len(), bounds)?;
        return Ok(Value::from(picked.map(|index| chars[index]).collect::<String>()));
    }
    if value.is_undefined() || value.is_none() {
        return Err(impossible("[:]", value, start));
    }
    let tuple = value.is_tuple();
    let items = budget.list(state, value)?;
    let picked = python::slice(items.len(), bounds)?;
    Ok(sequence(picked.map(|index| items[index].clone()).collect(), tuple))
}

/// What a namespace keeps: no lazy sequences, no other namespace (their links could form a ring),
/// and nothing that nests deeper than data does.
fn keep(budget: Budget, state: &mut State, value: Value) -> Result<Value, Error> {
    budget.walk(state, &value, NESTING_MAX)?;
    if holds_namespace(&value) {
        return Err(wrong("a namespace cannot keep a namespace"));
    }
    match value.kind() {
        ValueKind::Iterable => Ok(Value::from(budget.list(state, &value)?)),
        _ => Ok(value),
    }
}

fn holds_namespace(value: &Value) -> bool {
    let own = value.as_object().is_some_and(|o| o.type_name().ends_with("Namespace"));
    let nested = matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map);
    own || nested
        && value.try_iter().into_iter().flatten().any(|item| {
            let under = value.get_item(&item).unwrap_or_default();
            holds_namespace(&item) || value.kind() == ValueKind::Map && holds_namespace(&under)
        })
}

fn filter(
    budget: Budget,
    state: &mut State,
    name: &str,
    operands: &[Value],
) -> Result<Value, Error> {
    for operand in operands {
        budget.read(state, operand)?;
    }
    if let Some((value, rest)) = operands.split_first() {
        budget.make(state, python::growth(name, value, rest))?;
    }
    let made = state.apply_filter(name, operands)?;
    budget.read(state, &made)?;
    Ok(made)
}

/// The filter `tojson`, which needs the budget to stop early.
pub(super) fn register_tojson(environment: &mut Environment, budget: Budget) {
    environment.add_filter("tojson", move |value: Value, arguments: minijinja::value::Kwargs| {
        json::tojson(&value, &arguments, budget.text_bytes).map(Value::from)
    });
}
