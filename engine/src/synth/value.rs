//! Metadata values as a TOML file writes them. A whole number is a u32, a fraction an f32, an array
//! of whole numbers holds i32, because that is what llama.cpp's converters write; any other type is
//! named: `{ u64 = 3 }`, `{ u32 = [4, 4] }`.

use crate::loader::gguf::{Strings, Value};
use toml::Value as Toml;

/// The value that a TOML value stands for, or why it stands for none.
pub fn value(toml: &Toml) -> Result<Value, String> {
    match toml {
        Toml::String(text) => Ok(text.as_str().into()),
        Toml::Boolean(yes) => Ok((*yes).into()),
        Toml::Integer(_) => typed("u32", toml),
        Toml::Float(_) => typed("f32", toml),
        Toml::Array(items) => match items.first() {
            Some(Toml::String(_)) => strings(items),
            Some(Toml::Boolean(_)) => bools(items),
            Some(Toml::Float(_)) => typed("f32", toml),
            _ => typed("i32", toml),
        },
        Toml::Table(table) => match table.iter().next() {
            Some((name, inner)) if table.len() == 1 => typed(name, inner),
            _ => Err("a table must hold one type and its value, as { u64 = 3 }".into()),
        },
        Toml::Datetime(_) => Err("a date is no value of GGUF".into()),
    }
}

fn strings(items: &[Toml]) -> Result<Value, String> {
    let text = |item: &Toml| item.as_str().map(str::to_owned).ok_or(mixed("string"));
    let all: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
    Ok(all.iter().collect::<Strings>().into())
}

fn bools(items: &[Toml]) -> Result<Value, String> {
    let yes = |item: &Toml| item.as_bool().ok_or(mixed("bool"));
    Ok(items.iter().map(yes).collect::<Result<Vec<bool>, _>>()?.into())
}

fn mixed(wanted: &str) -> String {
    format!("an array that starts with a {wanted} holds something else")
}

fn typed(name: &str, toml: &Toml) -> Result<Value, String> {
    match name {
        "u8" => numbers(toml, whole::<u8>),
        "i8" => numbers(toml, whole::<i8>),
        "u16" => numbers(toml, whole::<u16>),
        "i16" => numbers(toml, whole::<i16>),
        "u32" => numbers(toml, whole::<u32>),
        "i32" => numbers(toml, whole::<i32>),
        "u64" => numbers(toml, whole::<u64>),
        "i64" => numbers(toml, whole::<i64>),
        "f32" => numbers(toml, |toml| fraction(toml).map(|x| x as f32)),
        "f64" => numbers(toml, fraction),
        "string" => match toml {
            Toml::Array(items) => strings(items),
            _ => Err("{ string = … } is for arrays; a text is written as it is".into()),
        },
        _ => Err(format!("no type {name:?}: u8 to u64, i8 to i64, f32, f64 or string")),
    }
}

fn numbers<N>(toml: &Toml, number: impl Fn(&Toml) -> Result<N, String>) -> Result<Value, String>
where
    Value: From<N> + From<Vec<N>>,
{
    match toml {
        Toml::Array(items) => Ok(items.iter().map(number).collect::<Result<Vec<N>, _>>()?.into()),
        _ => Ok(number(toml)?.into()),
    }
}

fn whole<N: TryFrom<i64>>(toml: &Toml) -> Result<N, String> {
    let number = toml.as_integer().ok_or_else(|| format!("{toml} is no whole number"))?;
    let name = std::any::type_name::<N>();
    N::try_from(number).map_err(|_| format!("{number} does not fit {name}"))
}

fn fraction(toml: &Toml) -> Result<f64, String> {
    match toml {
        Toml::Float(number) => Ok(*number),
        Toml::Integer(number) => Ok(*number as f64),
        _ => Err(format!("{toml} is no number")),
    }
}
