//! The order of the house: modules use only what stands to their left, files use each other in no circle, every file says
//! what it is, and the tests are built on the crates of the tool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Left to right. The modules of one entry may use each other.
const ORDER: [&[&str]; 15] = [
    &["error", "atomic", "hash", "random", "progress"],
    &["data"],
    &["metrics"],
    &["vocab"],
    &["checkpoint"],
    &["kernels"],
    &["model"],
    &["align"],
    &["objective"],
    &["train"],
    &["generate"],
    &["index"],
    &["config"],
    &["workbench"],
    &["cli"],
];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                let name = path.strip_prefix(&root).expect("inside src").to_owned();
                files.push((name, text));
            }
        }
    }
    files.sort();
    assert!(files.len() > 20, "the sources were not found");
    files
}

fn position(module: &str) -> Option<usize> {
    ORDER.iter().position(|modules| modules.contains(&module))
}

/// The modules named after `crate::`, in code, one by one or in braces.
fn used_modules(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut modules = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            modules.extend(names_of_group(group));
        } else {
            modules.push(name_at_start(rest));
        }
    }
    modules
}

/// The first names of the entries of `a::b, c::{d, e}}…`.
fn names_of_group(group: &str) -> Vec<String> {
    let mut names = vec![name_at_start(group.trim_start())];
    let mut depth = 1;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name_at_start(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty()); // after a last comma
    names
}

fn name_at_start(text: &str) -> String {
    text.chars()
        .take_while(|&character| character.is_alphanumeric() || character == '_')
        .collect()
}

#[test]
fn modules_use_only_what_stands_to_their_left() {
    for (path, text) in sources() {
        let first = path.components().next().expect("a name").as_os_str();
        let module = Path::new(first)
            .file_stem()
            .expect("a name")
            .to_string_lossy();
        if matches!(&*module, "lib" | "main") {
            continue;
        }
        let own = position(&module).unwrap_or_else(|| panic!("{module} has no place in the order"));
        for used in used_modules(&text) {
            let Some(theirs) = position(&used) else {
                panic!(
                    "{}: crate::{used} has no place in the order",
                    path.display()
                )
            };
            assert!(
                theirs <= own,
                "{}: {module} uses {used}, which stands to its right",
                path.display()
            );
        }
    }
}

#[test]
fn the_scan_sees_uses_in_every_form() {
    let text = "// crate::comment\nuse crate::data::Pair;\nuse crate::{\n    error::{Error, Result},\n    vocab,\n};\n\
                fn f() { crate::model::kernel_path() }\n";
    assert_eq!(used_modules(text), ["data", "error", "vocab", "model"]);
}

/// The files of the crate as modules, by path: `["vocab", "align", "file"]`. Tests take no part: neither files named
/// `tests` nor what follows `#[cfg(test)]` in a file.
fn modules() -> BTreeMap<Vec<String>, String> {
    let mut modules = BTreeMap::new();
    for (path, text) in sources() {
        let mut name: Vec<String> = path
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        match name.last().map(String::as_str) {
            Some("tests" | "main") => continue,
            Some("mod" | "lib") => drop(name.pop()),
            _ => {}
        }
        modules.insert(name, code(&text));
    }
    modules
}

/// A file without its comments and its tests.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = before_tests.lines();
    lines
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Every path that begins at `text`, as its segments with the name it is used by, which is the last one or stands behind `as`:
/// `a::{b, c as d}` is `[a, b] b` and `[a, c] d`.
fn paths_at(text: &str) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    walk(text, &[], &mut found);
    found
}

/// Reads one tree of a `use`, or one path of an expression; returns what follows.
fn walk<'a>(text: &'a str, before: &[String], found: &mut Vec<(Vec<String>, String)>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = walk(rest, before, found).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if !more.trim_start().starts_with('}') => rest = more,
                Some(more) => return more.trim_start().strip_prefix('}').unwrap_or(more),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let name = match text.strip_prefix('*') {
        Some(_) => "*".to_owned(),
        None => name_at_start(text),
    };
    if name.is_empty() {
        return text;
    }
    let rest = &text[name.len()..];
    let mut path = before.to_vec();
    if name != "self" || before.is_empty() {
        path.push(name);
    }
    if let Some(rest) = rest.strip_prefix("::") {
        let follows = rest.trim_start();
        if follows.starts_with(|c: char| c.is_alphabetic() || "_{*".contains(c)) {
            return walk(rest, &path, found);
        }
    }
    let mut used_as = path.last().cloned().unwrap_or_default();
    let mut rest = rest;
    if let Some(alias) = rest.trim_start().strip_prefix("as ") {
        used_as = name_at_start(alias.trim_start());
        rest = &alias.trim_start()[used_as.len()..];
    }
    found.push((path, used_as));
    rest
}

/// What a file says of others: the paths that it uses, and those that it only hands on (`pub use`), with their names.
#[derive(Default)]
struct Mentions {
    used: Vec<Vec<String>>,
    handed_on: Vec<(Vec<String>, String)>,
}

fn mentions(module: &[String], modules: &BTreeMap<Vec<String>, String>) -> Mentions {
    let code = &modules[module];
    let is_child = |name: &str| {
        let child: Vec<String> = module.iter().cloned().chain([name.to_owned()]).collect();
        modules.contains_key(&child)
    };
    let mut mentions = Mentions::default();
    let mut end = 0;
    for (at, _) in code.match_indices(|c: char| c.is_alphabetic() || c == '_') {
        let before = &code[..at];
        if at < end || before.ends_with(|c: char| c.is_alphanumeric() || "_:.'".contains(c)) {
            continue; // inside a name or a path
        }
        let name = name_at_start(&code[at..]);
        end = at + name.len();
        let leads_on = code[end..].starts_with("::");
        let is_path = leads_on && (matches!(&*name, "crate" | "super" | "self") || is_child(&name));
        if !is_path {
            continue;
        }
        let line = before
            .rsplit([';', '}'])
            .next()
            .unwrap_or_default()
            .trim_start();
        let is_use = line.split_whitespace().any(|word| word == "use");
        let paths = paths_at(&code[at..]);
        if is_use && line.trim_start().starts_with("pub") {
            mentions.handed_on.extend(paths);
        } else {
            mentions
                .used
                .extend(paths.into_iter().map(|(path, _)| path));
        }
    }
    mentions
}

/// The file that a path leads to from `module`, through what other files hand on.
fn file_of(
    path: &[String],
    module: &[String],
    all: &BTreeMap<Vec<String>, Mentions>,
) -> Option<Vec<String>> {
    let mut at = module.to_vec();
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ => break,
        }
        rest = after;
    }
    while let Some((first, after)) = rest.split_first() {
        at.push(first.clone());
        if !all.contains_key(&at) {
            at.pop();
            let handed_on = all.get(&at)?.handed_on.iter();
            let mut named = handed_on
                .filter(|(path, name)| name == first && path.last() != Some(&"*".to_owned()));
            return match named.next() {
                Some((path, _)) => file_of(path, &at, all),
                None => Some(at),
            };
        }
        rest = after;
    }
    Some(at)
}

/// A circle of files, each of which uses the next; none where there is none.
fn circle(uses: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Option<Vec<Vec<String>>> {
    fn visit<'a>(
        file: &'a Vec<String>,
        uses: &'a BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
        way: &mut Vec<&'a Vec<String>>,
        over: &mut BTreeSet<&'a Vec<String>>,
    ) -> Option<Vec<Vec<String>>> {
        if let Some(begin) = way.iter().position(|before| *before == file) {
            return Some(way[begin..].iter().map(|file| (*file).clone()).collect());
        }
        if over.contains(file) {
            return None;
        }
        way.push(file);
        for next in uses.get(file).into_iter().flatten() {
            if let Some(found) = visit(next, uses, way, over) {
                return Some(found);
            }
        }
        way.pop();
        over.insert(file);
        None
    }
    let mut over = BTreeSet::new();
    uses.keys()
        .find_map(|file| visit(file, uses, &mut Vec::new(), &mut over))
}

/// Which file uses which others. What a file uses of a folder that it stands in (`super::Thing`, from the folder's `mod.rs`) is
/// no use of another file: what all files of a folder share may stand there, and the folder's own file puts them to work. What a
/// folder's file only hands on (`pub use child::Thing`) is a use of `child` by whoever names it.
fn uses_of_files() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let modules = modules();
    let all: BTreeMap<Vec<String>, Mentions> = modules
        .keys()
        .map(|module| (module.clone(), mentions(module, &modules)))
        .collect();
    let of = |module: &Vec<String>, mentions: &Mentions| -> BTreeSet<Vec<String>> {
        let files = mentions.used.iter();
        files
            .filter_map(|path| file_of(path, module, &all))
            .filter(|file| !module.starts_with(file))
            .collect()
    };
    all.iter()
        .map(|(module, mentions)| (module.clone(), of(module, mentions)))
        .collect()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    if let Some(found) = circle(&uses_of_files()) {
        let names: Vec<String> = found.iter().map(|file| file.join("::")).collect();
        panic!(
            "files use each other in a circle: {} -> {}",
            names.join(" -> "),
            names[0]
        );
    }
}

#[test]
fn paths_of_a_use_and_of_an_expression_are_read() {
    let read = |text: &str| -> Vec<String> {
        let paths = paths_at(text).into_iter();
        paths
            .map(|(path, name)| format!("{} {name}", path.join("::")))
            .collect()
    };
    assert_eq!(
        read("super::{\n    a::{self, B},\n    c as d,\n    e::*,\n};"),
        ["super::a a", "super::a::B B", "super::c d", "super::e::* *"]
    );
    assert_eq!(read("crate::a::b(x, y::z)"), ["crate::a::b b"]);
    assert_eq!(read("self::a::B::<u8>::new()"), ["self::a::B B"]);
}

#[test]
fn a_circle_is_found_and_named_in_its_order() {
    let file = |name: &str| vec![name.to_owned()];
    let uses = |of: &[(&str, &str)]| {
        let mut uses = BTreeMap::<_, BTreeSet<_>>::new();
        for (one, other) in of {
            uses.entry(file(one)).or_default().insert(file(other));
        }
        uses
    };
    assert_eq!(circle(&uses(&[("a", "b"), ("a", "c"), ("b", "c")])), None);
    let found = circle(&uses(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]));
    assert_eq!(found, Some(vec![file("b"), file("c"), file("d")]));
}

#[test]
fn every_file_opens_with_what_it_does() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not", path.display());
    }
}

#[test]
fn every_link_of_a_page_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in [
        "README.md",
        "README.zh.md",
        "experiments/README.md",
        "CHANGELOG.md",
    ] {
        let text = std::fs::read_to_string(root.join(page)).expect("a page");
        let folder = root.join(page).parent().expect("a folder").to_owned();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{page}: {link}");
            }
        }
    }
}

/// The crates below this one with their features, `name version [features]`; `edges` are the kinds of dependencies, as `cargo tree` names them.
fn crates_with_features(edges: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = ["tree", "--offline", "--prefix", "none", "--no-dedupe"];
    let found = Command::new(cargo)
        .args(tree)
        .args(["--format", "{p} [{f}]", "--edges", edges])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo, which has built this test");
    let errors = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success(), "{errors}");
    let text = String::from_utf8(found.stdout).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

/// A crate that the tests want with another feature is built twice by whoever runs the tool and then the tests, and so is all that
/// stands on it: the tool too.
#[test]
fn the_tests_ask_for_no_feature_that_the_tool_is_built_without() {
    let of_tool = crates_with_features("normal,build");
    let of_tests = crates_with_features("normal,build,dev");
    let twice: Vec<_> = of_tool.difference(&of_tests).collect();
    assert!(of_tool.len() > 100, "{of_tool:?}");
    assert!(twice.is_empty(), "built twice: {twice:#?}");
}
