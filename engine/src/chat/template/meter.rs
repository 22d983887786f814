//! Makes a compiled template pay for what it touches.
//!
//! The engine's fuel counts instructions, but one instruction may copy or compare megabytes, and
//! `{% set ns.x = ns.x ~ ns.x %}` doubles a string each time. So after compilation every operation
//! whose cost depends on the size of its operands is replaced by a call of a function that charges
//! those bytes to a budget first. Knows instructions; what the functions do stands in `verbs`.

use super::verbs::{self, FILTERS, TESTS};
use minijinja::Value;
use minijinja::machinery::{Instruction, Instructions};

/// The same program with metered operations. Function names hold characters that no identifier
/// has, so a template can neither call nor shadow them.
pub(super) fn metered<'s>(
    program: &Instructions<'s>,
    name: &'s str,
    source: &'s str,
) -> Instructions<'s> {
    let mut out = Instructions::new(name, source);
    let mut moved = Vec::new();
    let mut at = 0;
    while let Some(instruction) = program.get(at) {
        let line = program.get_line(at).unwrap_or(0) as u16;
        let mut first = None;
        for step in replacement(instruction) {
            let index = out.add_with_line(step, line);
            first.get_or_insert(index);
        }
        moved.push(first.unwrap_or_default());
        at += 1;
    }
    // A jump may aim one past the end.
    let mut end = 0;
    while out.get(end).is_some() {
        end += 1;
    }
    moved.push(end);
    for index in 0..end {
        if let Some(target) = out.get_mut(index).and_then(target) {
            *target = moved.get(*target as usize).copied().unwrap_or(end);
        }
    }
    out
}

fn target<'a>(instruction: &'a mut Instruction<'_>) -> Option<&'a mut u32> {
    match instruction {
        Instruction::Jump(target)
        | Instruction::JumpIfFalse(target)
        | Instruction::JumpIfFalseOrPop(target)
        | Instruction::JumpIfTrueOrPop(target)
        | Instruction::Iterate(target)
        | Instruction::BuildMacro(_, target, _) => Some(target),
        _ => None,
    }
}

fn replacement<'s>(instruction: &Instruction<'s>) -> Vec<Instruction<'s>> {
    use Instruction as I;
    let call = |name: &'static str, operands: u16| I::CallFunction(name, Some(operands));
    match instruction {
        I::Add => vec![call(verbs::ADD, 2)],
        I::Mul => vec![call(verbs::MULTIPLY, 2)],
        I::StringConcat => vec![call(verbs::CONCAT, 2)],
        I::Eq => vec![call("==", 2)],
        I::Ne => vec![call("!=", 2)],
        I::Lt => vec![call("<", 2)],
        I::Lte => vec![call("<=", 2)],
        I::Gt => vec![call(">", 2)],
        I::Gte => vec![call(">=", 2)],
        I::In => vec![call(verbs::IN, 2)],
        I::GetItem => vec![call(verbs::ITEM, 2)],
        I::Slice => vec![call(verbs::SLICE, 4)],
        // `a < b < c` needs the right side again: the function answers with both.
        I::CompareAndPreserve(op) => {
            vec![call(verbs::chained(&format!("{op:?}")), 2), I::UnpackList(2)]
        }
        // Raw text is charged where other text is: in the formatter.
        I::EmitRaw(text) => vec![I::LoadConst(Value::from(*text)), I::Emit],
        // A namespace is the only thing that outlives an iteration, so a value that grows without
        // end must pass here.
        I::SetAttr(name) => vec![I::Swap, call(verbs::KEEP, 1), I::Swap, I::SetAttr(name)],
        I::ApplyFilter(name, operands, _) => match FILTERS.iter().find(|(own, _)| own == name) {
            Some((_, function)) => vec![I::CallFunction(function, *operands)],
            None => vec![instruction.clone()],
        },
        I::PerformTest(name, operands, _) => match TESTS.iter().find(|(own, _)| own == name) {
            Some((_, function)) => vec![I::CallFunction(function, *operands)],
            None => vec![instruction.clone()],
        },
        other => vec![other.clone()],
    }
}
