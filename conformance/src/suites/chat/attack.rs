//! Templates that try to use up memory, time or stack (X12, HJ41). Each must end as a
//! `TemplateError`, or as text, within its limits: a model file must not be able to stop a worker.

use engine::chat::template::Input;
use engine::chat::{Clock, Limits, Message, Role, Template};
use engine::error::{Class, Result};
use harness::{Case, Failure, Run};
use serde_json::Map;
use std::time::Instant;

/// The slowest takes four seconds on one old core; what hangs takes for ever.
const SECONDS_MAX: f64 = 60.0;

/// How an attack must end.
enum End {
    /// Refused, saying this.
    Refused(&'static str),
    /// Rendered as this text.
    Text(&'static str),
}

struct Attack {
    name: &'static str,
    template: fn() -> Vec<u8>,
    end: End,
}

const ATTACKS: &[Attack] = &[
    refused("one-mebibyte", || vec![b'x'; 1 << 20], "1048576 bytes"),
    refused("ten-thousand-ifs", || nest("{% if true %}", "{% endif %}", 10_000), "more than"),
    refused("nested-ifs", || nest("{% if true %}", "{% endif %}", 4_000), "recursion"),
    refused("nested-parentheses", || one(&nest_text("(", "1", ")", 500)), "recursion"),
    refused("elif-chain", || elif_chain(12_000), "more than"),
    text("elif-chain-allowed", || elif_chain(4_000), ""),
    refused("long-sum", || one(&vec!["x"; 50_000].join(" ~ ")), "words"),
    refused("long-attributes", || one(&format!("x{}", ".a".repeat(100_000))), "words"),
    refused("long-filters", || one(&format!("x{}", "|trim".repeat(50_000))), "words"),
    refused("not-not-not", || one(&format!("{}x", "not ".repeat(50_000))), "words"),
    text("longest-allowed-sum", || one(&format!("{}1", "0 + ".repeat(500))), "1"),
    refused("huge-range", || body("{% for i in range(10**9) %}x{% endfor %}"), "range"),
    refused("nested-ranges", || body(&loops("25000", "x")), "fuel"),
    refused("empty-nested-ranges", || body(&loops("99999", "")), "fuel"),
    refused("repeat", || body("{{ 'a' * 10**9 }}"), "1000000000 bytes"),
    refused("repeat-constant", || one(&vec!["'a' * 99999999"; 60].join(" ~ ")), "bytes"),
    refused("repeat-list", || body("{{ ([1] * 10**9) | length }}"), "touched"),
    refused("doubling", || doubling("ns.x ~ ns.x"), "bytes"),
    refused("doubling-sum", || doubling("ns.x + ns.x"), "bytes"),
    refused("doubling-join", || doubling("[ns.x, ns.x] | join"), "bytes"),
    refused("doubling-method", || doubling("''.join([ns.x, ns.x])"), "bytes"),
    refused("doubling-format", || doubling("'%s%s' | format(ns.x, ns.x)"), "bytes"),
    refused("doubling-replace", || doubling("ns.x | replace('a', 'aa')"), "bytes"),
    refused("doubling-map", || doubling("[ns.x] | map('replace', 'a', 'aa') | first"), "bytes"),
    refused("doubling-json", || doubling("[ns.x, ns.x] | tojson"), "bytes"),
    refused("doubling-list", || doubling("[ns.x, ns.x]"), "touched"),
    refused("chain-of-lists", || doubling("[ns.x]"), "nests too deeply"),
    refused("chain-of-slices", || growing("ns.l[0:] + [1]"), "bytes"),
    refused("ring", || body("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}"), "namespace"),
    refused("ring-in-list", || body("{% set ns = namespace() %}{% set ns.x = [ns] %}"), "keep"),
    refused("capture", capture, "bytes"),
    refused("wide-indent", || body("{{ 'a' | indent(10**9) }}"), "bytes"),
    refused("wide-indent-named", || body("{{ 'a' | indent(width=10**9) }}"), "bytes"),
    refused("wide-format", || body("{{ '%999999999d' | format(1) }}"), "bytes"),
    refused("wide-format-method", || body("{{ '{:>999999999}'.format(1) }}"), "bytes"),
    refused("wide-format-star", || body("{{ '%*d' | format(999999999, 1) }}"), ""),
    refused("wide-json", || body("{{ [1] | tojson(indent=10**9) }}"), "indent"),
    refused("wide-batch", || body("{{ [1] | batch(10**9, 0) | list }}"), "bytes"),
    refused("replace-nothing", || body("{{ ('a' * 10**6) | replace('', 'b' * 10**3) }}"), "bytes"),
    refused("search-loop", || search("big in big"), "touched"),
    refused("compare-loop", || search("big == big ~ ''"), "touched"),
    refused("compare-chain-loop", || search("big == big == big"), "touched"),
    refused("upper-loop", || search("big | upper"), "touched"),
    refused("index-loop", || search("big[-1]"), "touched"),
    refused("test-loop", || search("big is eq big"), "touched"),
    refused("recursive-macro", || body("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), ""),
    refused("recursive-caller", recursive_caller, ""),
    refused("recursive-loop", recursive_loop, ""),
    refused("big-power", || body("{{ 10 ** 1000 }}"), "line 1"),
    refused("big-integer", || body("{{ 10**38 * 10 }}"), "128 bits"),
    refused("invalid-utf8", || vec![b'a', b'\n', 0xff, b'{'], "line 2"),
    refused("unclosed", || body("{{ 'a"), "line 1"),
    refused("nul", || body("{{ \0 }}"), "line 1"),
    text("nul-text", || body("\0"), "\0"),
];

const fn refused(name: &'static str, template: fn() -> Vec<u8>, says: &'static str) -> Attack {
    Attack { name, template, end: End::Refused(says) }
}

const fn text(name: &'static str, template: fn() -> Vec<u8>, says: &'static str) -> Attack {
    Attack { name, template, end: End::Text(says) }
}

fn body(template: &str) -> Vec<u8> {
    template.as_bytes().to_vec()
}

fn one(expression: &str) -> Vec<u8> {
    body(&format!("{{{{ {expression} }}}}"))
}

fn nest_text(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

fn nest(open: &str, close: &str, levels: usize) -> Vec<u8> {
    body(&nest_text(open, "x", close, levels))
}

fn elif_chain(links: usize) -> Vec<u8> {
    body(&format!("{{%if 0%}}{}{{%endif%}}", "{%elif 0%}".repeat(links)))
}

fn loops(count: &str, inner: &str) -> String {
    let open = format!("{{% for i in range({count}) %}}");
    nest_text(&open, inner, "{% endfor %}", 3)
}

fn growing(next: &str) -> Vec<u8> {
    body(&format!(
        "{{% set ns = namespace(l=[0], x='a') %}}{{% for i in range(99999) %}}\
         {{% set ns.l = {next} %}}{{% endfor %}}{{{{ ns.l | length }}}}"
    ))
}

fn doubling(next: &str) -> Vec<u8> {
    body(&format!(
        "{{% set ns = namespace(x='a') %}}{{% for i in range(99999) %}}\
         {{% set ns.x = {next} %}}{{% endfor %}}{{{{ ns.x | length }}}}"
    ))
}

fn search(expression: &str) -> Vec<u8> {
    body(&format!(
        "{{% set big = 'a' * 10**6 %}}{{% for i in range(99999) %}}{{% for j in range(99) %}}\
         {{% if {expression} %}}{{% endif %}}{{% endfor %}}{{% endfor %}}"
    ))
}

fn capture() -> Vec<u8> {
    let raw = "raw text ".repeat(20_000);
    body(&format!("{{% set x %}}{{% for i in range(99999) %}}{raw}{{% endfor %}}{{% endset %}}"))
}

fn recursive_caller() -> Vec<u8> {
    body(
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}\
         {% call m() %}x{% endcall %}",
    )
}

fn recursive_loop() -> Vec<u8> {
    body("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}")
}

fn render(template: &[u8]) -> Result<String> {
    let template = Template::from_bytes(template, Limits::default())?;
    template.render(&Input {
        messages: &[Message::new(Role::User, "Hi")],
        tools: &[],
        add_generation_prompt: true,
        special_tokens: &[],
        extra: &Map::new(),
        clock: Clock { unix_seconds: 0 },
    })
}

impl Attack {
    fn judge(&self, run: &mut Run) -> std::result::Result<(), Failure> {
        let template = (self.template)();
        let start = Instant::now();
        let outcome = render(&template);
        let seconds = start.elapsed().as_secs_f64();
        run.figure("seconds", seconds, "s");
        if seconds > SECONDS_MAX {
            return Err(format!("took {seconds:.1} s").into());
        }
        match (outcome, &self.end) {
            (Ok(text), End::Text(want)) if text == *want => Ok(()),
            (Err(error), End::Refused(says)) if error.class() == Some(Class::TemplateError) => {
                match error.to_string().contains(says) {
                    true => Ok(()),
                    false => Err(format!("refused without saying {says:?}: {error}").into()),
                }
            }
            (Ok(text), _) => Err(format!("rendered {} bytes", text.len()).into()),
            (Err(error), _) => Err(format!("wrong refusal: {error}").into()),
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |attack: &'static Attack| {
        let name = format!("chat::attack::{}", attack.name);
        Case::new(name, |run| attack.judge(run)).requirements(["X12", "HJ41"])
    };
    let mut cases: Vec<Case> = ATTACKS.iter().map(case).collect();
    cases.push(Case::new("chat::attack::drops-the-user", drops_the_user).requirements(["X12"]));
    cases
}

fn drops_the_user(_: &mut Run) -> std::result::Result<(), Failure> {
    for (source, times) in [("{{ bos_token }}", 0), ("{{ messages[0].content * 2 }}", 2)] {
        let template = Template::compile(source, Limits::default())?;
        let Err(error) = template.self_test(&[]) else {
            return Err(format!("{source} passed its self-test").into());
        };
        if !error.to_string().contains(&format!("appears {times} times")) {
            return Err(format!("{source}: {error}").into());
        }
    }
    let template = Template::compile("{{ messages[0].content }}", Limits::default())?;
    Ok(template.self_test(&[])?)
}
