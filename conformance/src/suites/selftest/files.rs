//! What is read from files: vectors that cannot be judged, names, gates, lanes. Nothing may be
//! silently missing.

use crate::suites::vectors;
use crate::vector_tools::{format, lint};
use harness::case::{LANES, Lane, SMOKE};
use harness::gates::Gates;
use harness::{Case, Failure, Run, name, roots};
use std::path::Path;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn() -> Result<(), Failure>| {
        Case::new(format!("selftest::{name}"), move |_| body()).requirements(["C24"])
    };
    let discovered = DISCOVERED.iter().map(|(name, path, text, says)| {
        Case::new(format!("selftest::discover::{name}"), |_| unreadable(path, text, says))
            .requirements(["C24"])
    });
    let mut cases: Vec<Case> = discovered.collect();
    cases.extend([
        case("discover::no-folder", || red_cases(Path::new("no-such-folder"), "cannot be listed")),
        case("discover::readable", readable),
        case("names", names),
        case("patterns", patterns),
        case("gates", gates),
        case("lanes", lanes),
        case("vectors::format", formatting),
        case("vectors::lint", linting),
    ]);
    cases
}

const HEAD: &str =
    "suite = \"vector-file\"\nabout = \"a\"\nsource = { kind = \"hand\", ref = \"r\" }\n";

/// Case name, file, text, and what the one red case says. A path that ends in `/` is a folder.
const DISCOVERED: &[(&str, &str, &str, &str)] = &[
    ("empty-folder", "mxfp4/", "", "no vector file in this folder"),
    ("stray-file", "mxfp4/dequant.json", "{}", "neither a vector file (.toml) nor a folder"),
    ("not-toml", "mxfp4/dequant.toml", "suite = ", "not TOML"),
    ("no-suite", "mxfp4/dequant.toml", "about = \"a\"", "no string key `suite`"),
    ("unknown-suite", "mxfp4/dequant.toml", "suite = \"dequnat\"", "unknown suite 'dequnat'"),
    ("no-cases", "mxfp4/dequant.toml", "HEAD", "no [[case]]"),
    (
        "unknown-key",
        "mxfp4/dequant.toml",
        "HEAD[[case]]\nname = \"a\"\ntext = \"\"\nwnat = 1",
        "wnat",
    ),
    ("nan", "mxfp4/dequant.toml", "HEAD[[case]]\nname = \"a\"\ntext = [[nan]]", "decimal fraction"),
    ("decimal", "mxfp4/dequant.toml", "HEAD[[case]]\nname = \"a\"\nx.y = 0.1", "x.y is a decimal"),
];

/// One unreadable place makes red cases that name it, and nothing else.
fn unreadable(path: &str, text: &str, says: &str) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join(path);
    std::fs::create_dir_all(if path.ends_with('/') {
        &file
    } else {
        file.parent().unwrap_or(&file)
    })?;
    if !path.ends_with('/') {
        std::fs::write(&file, text.replace("HEAD", HEAD))?;
    }
    red_cases(folder.path(), says)
}

fn red_cases(root: &Path, says: &str) -> Result<(), Failure> {
    let mut said = Vec::new();
    for case in vectors::cases_under(root) {
        name::check(&case.name)?;
        match (case.body)(&mut Run::default()) {
            Ok(()) => return Err(format!("{} is green", case.name).into()),
            Err(failure) => said.push(failure.text().to_owned()),
        }
    }
    match said.iter().any(|text| text.contains(says)) {
        true => Ok(()),
        false => Err(format!("no case says {says:?}: {said:?}").into()),
    }
}

fn readable() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir_all(folder.path().join("area/deeper"))?;
    let text = HEAD.to_owned() + "[[case]]\nname = \"odd\"\ntext = \"x\"\nerror = [\"not TOML\"]\n";
    std::fs::write(folder.path().join("area/deeper/file.toml"), text)?;
    let cases = vectors::cases_under(folder.path());
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    expect(names == ["vectors::area::deeper::file::odd"], &format!("{names:?}"))?;
    (cases[0].body)(&mut Run::default())
}

fn names() -> Result<(), Failure> {
    for good in ["vectors::mxfp4::dequant::subnormal-neg", "golden::quant::Q4_K::decode", "a::1.5B"]
    {
        name::check(good)?;
    }
    for bad in ["", "alone", "a::", "::a", "a::b c", "a::b\n", "a:b", "a:::b", "a::ä", "[gpu] a::b"]
    {
        expect(name::check(bad).is_err(), &format!("{bad:?} is accepted"))?;
    }
    Ok(())
}

fn patterns() -> Result<(), Failure> {
    for (pattern, name, fits) in [
        ("a::b", "a::b", true),
        ("a::b", "a::bc", false),
        ("a::*", "a::b", true),
        ("a::*", "a::b::c", false),
        ("a::**", "a::b::c", true),
        ("a::**", "a", false),
        ("**::q4_0::**", "cpu::op::q4_0::x", true),
        ("*::op::*-tail", "cuda::op::ragged-tail", true),
        ("*::op::*-tail", "cuda::op::ragged-tails", false),
        ("*", "a::b", false),
        ("**", "a::b", true),
        ("", "a", false),
    ] {
        let found = name::matches(pattern, name);
        expect(found == fits, &format!("{pattern:?} on {name:?} gives {found}"))?;
    }
    Ok(())
}

fn gates() -> Result<(), Failure> {
    for (text, says) in [
        ("", "no gate"),
        ("[gate-1]\nabout = \"a\"\ncases = []", "no pattern"),
        ("[gate-1]\nabout = \"a\"\ncases = [\"**\"]\nrequirement = []", "requirement"),
    ] {
        match Gates::parse(text) {
            Ok(_) => return Err(format!("{text:?} is accepted").into()),
            Err(what) => expect(what.contains(says), &what)?,
        }
    }
    let gates =
        Gates::parse("[gate-1]\nabout = \"\"\ncases = [\"a::*\"]\nrequirements = [\"C1\"]")?;
    let (_, gate) = gates.find("1")?;
    expect(gates.find("2").is_err() && gates.find("gate-1").is_ok(), "the wrong gate is found")?;
    let answering = Case::new("a::x", |_| Ok(())).requirements(["C1"]);
    let other = Case::new("b::x", |_| Ok(()));
    let empty = |case: &Case| gate.empty_patterns([case].into_iter()).len();
    expect((empty(&answering), empty(&other)) == (0, 1), "empty patterns are not found")?;
    let open = |case: &Case| gate.unanswered([case].into_iter()).len();
    expect((open(&answering), open(&other)) == (0, 1), "open requirements are not found")
}

/// nextest's groups are the lanes, and its filters their first words.
fn lanes() -> Result<(), Failure> {
    let path = roots::project().join(".config/nextest.toml");
    let config: toml::Table = std::fs::read_to_string(&path)?.parse()?;
    let groups = config["test-groups"].as_table().ok_or("no [test-groups]")?;
    let overrides = config["profile"]["default"]["overrides"].as_array().ok_or("no overrides")?;
    expect(groups.len() == LANES.len() && overrides.len() == LANES.len(), "other lanes there")?;
    for (lane, word, width) in LANES {
        let filter = format!("test(/^({SMOKE})?{word}::/)");
        let same = [format!("{word}::x"), format!("{SMOKE}{word}::x")].map(|name| Lane::of(&name));
        expect(same == [lane; 2], &format!("{lane:?}: {same:?}"))?;
        let of_lane = overrides.iter().find(|o| o["filter"].as_str() == Some(&filter));
        let group = of_lane.and_then(|o| o["test-group"].as_str());
        let group = group.ok_or_else(|| format!("{lane:?}: no test-group for {filter}"))?;
        let threads = groups[group]["max-threads"].as_integer();
        expect(threads == Some(width as i64), &format!("{group}: {threads:?}, lane {width}"))?;
    }
    Ok(())
}

const UGLY: &str = "\n\n# what this is\nabout   =   'a' # why\nsuite='s'\n\n\n[[case]]\n\n\n\
    want = [1,2 ,3]\n# the name\nname= 'x'\n  [[case]]\nname = 'y'\nat={a=1,b=2}\n\
    long = [\n  1, # one\n  2,\n]\n\n# end\n\n";
const FORMATTED: &str = "suite = 's'\n# what this is\nabout = 'a' # why\n\n[[case]]\n\
    # the name\nname = 'x'\nwant = [1, 2, 3]\n\n[[case]]\nname = 'y'\nat = { a = 1, b = 2 }\n\
    long = [\n  1, # one\n  2,\n]\n\n# end\n";

fn formatting() -> Result<(), Failure> {
    let once = format::format(UGLY)?;
    expect(once == FORMATTED, &format!("formatted to\n{once}"))?;
    expect(format::format(&once)? == once, "formatting twice changes more")
}

fn linting() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let text = HEAD.replace("\"a\"", "\"\"").replace("\"r\"", "\"\"")
        + "requires = [\"cuba\"]\n[flag.C1]\nbug = \"\"\neffect = \"\"\n\
           [[case]]\nname = \"a\"\ntext = \"\"\n";
    std::fs::write(folder.path().join("file.toml"), text)?;
    std::fs::write(folder.path().join("odd.toml"), "suite = 1")?;
    let found = lint::lint(folder.path()).join("\n");
    let wanted = ["about is empty", "source.ref is empty", "[flag.C1] is of no case"];
    let more = ["[flag.C1] explains nothing", "requires 'cuba'", "no string key `suite`"];
    let missing = wanted.iter().chain(&more).find(|part| !found.contains(*part));
    expect(missing.is_none(), &format!("does not say {missing:?}:\n{found}"))
}

fn expect(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
