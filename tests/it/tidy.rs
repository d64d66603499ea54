//! The order of the house: modules use only what stands to their left, and every file says what it is.

use std::path::{Path, PathBuf};

/// Left to right. The modules of one entry may use each other.
const ORDER: [&[&str]; 13] = [
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

#[test]
fn every_file_opens_with_what_it_does() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not", path.display());
    }
}
