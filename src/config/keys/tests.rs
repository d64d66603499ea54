//! Tests of [`super`], on types deeper than an experiment.

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Deep {
    seed: u64,
    outer: Outer,
    part: Vec<Part>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Outer {
    middle: Middle,
    size: Option<usize>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Middle {
    inner: f64,
    #[schemars(extend("x-path" = true, "x-words" = ["none"]))]
    file: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
struct Part {
    name: String,
    size: Option<usize>,
    #[serde(default)]
    #[schemars(extend("x-path" = true))]
    files: Vec<String>,
}

fn keys() -> Keys {
    Keys::of::<Deep>()
}

fn table(text: &str) -> Table {
    text.parse().expect("TOML")
}

#[test]
fn keys_of_any_depth_are_found_in_the_order_of_the_fields() {
    let keys = keys();
    let mut found = Vec::new();
    keys.list("", "", &mut found);
    assert_eq!(
        found,
        [
            "seed",
            "outer.middle.inner",
            "outer.middle.file",
            "outer.size",
            "part.NAME.name",
            "part.NAME.size",
            "part.NAME.files"
        ]
    );
    assert!(matches!(keys.find("outer.middle.inner"), Some(Node::Value)));
    assert!(matches!(keys.find("outer.middle"), Some(Node::Section(_))));
    assert!(matches!(keys.find("part.a.files"), Some(Node::Path(_))));
    for unknown in ["outer.inner", "seed.x", "part.a", "part.a.b", ""] {
        assert!(keys.find(unknown).is_none(), "{unknown}");
    }
}

#[test]
fn hints_reach_every_depth() {
    let keys = keys();
    let cases = [
        ("outer.middle.iner", "did you mean `outer.middle.inner`?"),
        ("outer.inner", "did you mean `outer.middle.inner`?"),
        ("part.first.sizes", "did you mean `part.first.size`?"),
        ("part[2].fils", "did you mean `part[2].files`?"),
        ("outr", "did you mean `outer`?"),
        ("outer.size", "write `outer.size` without quotes"),
        ("outer.part", "[outer] has middle, size"),
        (
            "sode",
            "sections are outer, part and grid; `seed` stands above them",
        ),
        ("outer.middle.unlike", "[outer.middle] has inner, file"),
        ("part.first.unlike", "[[part]] has name, size, files"),
        ("part[1].unlike", "[[part]] has name, size, files"),
        (
            "unlike.all",
            "sections are outer, part and grid; `seed` stands above them",
        ),
    ];
    for (key, hint) in cases {
        assert_eq!(keys.hint(key, &["grid"]), hint, "{key}");
    }
}

#[test]
fn entries_name_elements_and_what_is_not_known() {
    let text = "seed = 1\n[outer.middle]\niner = 2\n[[part]]\nname = \"a\"\nsize = 3\n[[part]]\nsise = 4\n[other]\nx = 1\n";
    let document = DeTable::parse(text).expect("TOML");
    let entries = keys().entries(document.get_ref());
    let line = |entry: &Entry| 1 + text[..entry.start].matches('\n').count();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| (line(entry), entry.key.as_str(), entry.is_known))
        .collect();
    assert_eq!(
        shown[..2],
        [(1, "seed", true), (3, "outer.middle.iner", false)]
    );
    for expected in [
        (4, "part", true),
        (4, "part.a", true),
        (5, "part.a.name", true),
        (6, "part.a.size", true),
        (7, "part[2]", true),
        (8, "part[2].sise", false),
        (9, "other", false),
    ] {
        assert!(
            shown.contains(&expected),
            "{expected:?} is not in {shown:?}"
        );
    }
}

#[test]
fn set_reaches_every_depth_and_keeps_the_rest() {
    let keys = keys();
    let mut there =
        table("[outer]\nsize = 1\n[[part]]\nname = \"a\"\nsize = 2\n[[part]]\nname = \"b\"\n");
    let set = |there: &mut Table, key: &str, value: &str| {
        keys.set(there, key, table(&format!("x = {value}"))["x"].clone())
    };
    assert_eq!(set(&mut there, "outer.middle.inner", "0.5"), Ok(()));
    assert_eq!(
        set(&mut there, "outer", "{ middle = { file = \"f\" } }"),
        Ok(())
    );
    assert_eq!(set(&mut there, "part.b.size", "7"), Ok(()));
    let expected = "[outer]\nsize = 1\nmiddle = { inner = 0.5, file = \"f\" }\n\
                    [[part]]\nname = \"a\"\nsize = 2\n[[part]]\nname = \"b\"\nsize = 7\n";
    assert_eq!(there, table(expected));
    let (list, names) = ("part".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(
        set(&mut there, "part.c.size", "7"),
        Err(NoElement { list, names })
    );
    assert_eq!(set(&mut there, "part", "[{ name = \"c\" }]"), Ok(()));
    assert_eq!(there["part"].as_array().map(Vec::len), Some(1));
}

#[test]
fn alone_makes_the_way_to_a_key() {
    let keys = keys();
    assert_eq!(
        keys.alone("outer.middle.inner", 1.into()),
        table("outer.middle.inner = 1")
    );
    assert_eq!(
        keys.alone("part.a.size", 1.into()),
        table("part = [{ name = \"a\", size = 1 }]")
    );
}

#[test]
fn paths_of_every_depth_are_changed_and_are_no_settings() {
    let keys = keys();
    let mut there = table(
        "[outer.middle]\nfile = \"f\"\ninner = 1.5\n[[part]]\nname = \"a\"\nfiles = [\"g\", \"h\"]\n",
    );
    keys.each_path(&mut there, &mut |path| path.insert(0, '/'));
    assert_eq!(there["outer"]["middle"]["file"].as_str(), Some("/f"));
    assert_eq!(there["part"][0]["files"][1].as_str(), Some("/h"));
    let settings = keys.settings(&there);
    let settings: Vec<&str> = settings.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(settings, ["outer.middle.inner", "part[1].name"]);

    there["outer"]["middle"]["file"] = "none".into();
    keys.each_path(&mut there, &mut |path| path.insert(0, '/'));
    assert_eq!(there["outer"]["middle"]["file"].as_str(), Some("none"));
    assert_eq!(keys.settings(&there).len(), 3);
}
