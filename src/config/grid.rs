//! `[grid]`: lists of values that make several experiments of one.
//!
//! ```toml
//! [grid]
//! seed = [0, 1, 2]
//! "train.learning_rate" = [1e-4, 3e-4] # six experiments
//! ```
//!
//! In: the section of a file, `--set grid.seed=[0,1,2]`, or `--set grid={seed=[0,1,2]}`. Out: [`Axis`]es and their [`product`].
//! A value of the file for a key of the grid gives way to the grid; `--set KEY=VALUE` replaces the whole list. The cells' configs know nothing of
//! the grid, so that a cell is the same run as the experiment written out.

use std::collections::BTreeMap;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::checked::{Folder, checked_value, require_known};
use super::keys::join;
use super::settings::GRID;
use super::{Experiment, is_after_training};
use crate::error::{Error, Place, Result};

/// What its keys begin with in `--set`.
pub const PREFIX: &str = "grid.";

/// Cells of a grid: each is a run.
pub const MOST_CELLS: usize = 10_000;

/// A key and the values it takes.
pub struct Axis {
    /// A key of the experiment.
    pub key: String,
    /// One or more, all different, paths absolute.
    pub values: Vec<Value>,
    /// Where the list stands.
    pub place: Place,
}

impl Axis {
    /// Checks the key and every value.
    ///
    /// # Errors
    /// [`Error::Input`] for an unknown key, what is no list, an empty one, a value of the wrong type and one that
    /// stands there twice.
    pub fn new(key: &str, list: Value, place: Place, folder: &Folder) -> Result<Self> {
        require_known::<Experiment>(key, &place)?;
        if is_after_training(key) {
            let error = Error::input(place, "a key that changes a model", format!("`{key}`"));
            return Err(error.with_hint(format!(
                "train once; then `cipherpet run` with --set {key}=VALUE uses the same model"
            )));
        }
        let Value::Array(list) = list else {
            let found = format!("{list}");
            let error = Error::input(place, "a list of values", found);
            return Err(error.with_hint(format!("[grid] takes lists, such as {key} = [ … ]")));
        };
        let mut values = Vec::with_capacity(list.len());
        for value in list {
            let value = checked_value::<Experiment>(key, value, &place, folder)?;
            if values.contains(&value) {
                return Err(Error::input(
                    place,
                    "different values",
                    format!("{value} twice"),
                ));
            }
            values.push(value);
        }
        if values.is_empty() {
            return Err(Error::input(place, "one value or more", "none"));
        }
        Ok(Self {
            key: key.to_owned(),
            values,
            place,
        })
    }
}

/// Whether a key of a document belongs to the grid.
pub fn holds(key: &str) -> bool {
    key == GRID || key.starts_with(PREFIX)
}

/// Where each key of the grid stands in a document, if it has one. `at` makes a place of a byte offset.
pub fn places(document: &DeTable, at: &dyn Fn(usize) -> Place) -> BTreeMap<String, Place> {
    fn walk(
        table: &DeTable,
        section: &str,
        at: &dyn Fn(usize) -> Place,
        found: &mut BTreeMap<String, Place>,
    ) {
        for (name, value) in table {
            let key = join(section, name.get_ref());
            if let DeValue::Table(table) = value.get_ref() {
                walk(table, &key, at, found);
            }
            found.insert(key.clone(), at(name.span().start).field(key));
        }
    }
    let mut found = BTreeMap::new();
    if let Some((name, value)) = document.get_key_value(GRID) {
        let place = at(name.span().start).field(GRID);
        found.insert(GRID.to_owned(), place);
        if let DeValue::Table(table) = value.get_ref() {
            walk(table, GRID, at, &mut found);
        }
    }
    found
}

/// The axes of a file's section. `"train.batch" = […]`, `train.batch = […]` and `[grid.train]` are the same.
///
/// # Errors
/// Those of [`Axis::new`]; [`Error::Input`] where the section is none.
pub fn axes(
    grid: Value,
    places: &BTreeMap<String, Place>,
    file: &Place,
    folder: &Folder,
) -> Result<Vec<Axis>> {
    let place = |key: &str| places.get(key).unwrap_or(file).clone();
    if !grid.is_table() {
        return Err(Error::input(place(GRID), "a section", grid)
            .with_hint("write [grid], and under it lists such as seed = [0, 1]"));
    }
    let mut lists = Vec::new();
    flatten("", grid, &mut lists);
    let mut axes: Vec<Axis> = Vec::with_capacity(lists.len());
    for (key, list) in lists {
        let place = place(&join(GRID, &key));
        if axes.iter().any(|other| other.key == key) {
            let found = format!("`{key}` twice");
            return Err(Error::input(place, "different keys", found)
                .with_hint("write all its values in one list"));
        }
        axes.push(Axis::new(&key, list, place, folder)?);
    }
    Ok(axes)
}

/// The keys of a section of any depth, with what stands there.
fn flatten(section: &str, value: Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                flatten(&join(section, &name), value, found);
            }
        }
        value => found.push((section.to_owned(), value)),
    }
}

/// Every choice of one value an axis, the last axis fastest; one empty choice without axes.
///
/// # Errors
/// [`Error::Input`] at the axis with which they become more than [`MOST_CELLS`].
pub fn product(axes: &[Axis]) -> Result<Vec<Vec<(&Axis, &Value)>>> {
    let mut cells = vec![Vec::new()];
    for axis in axes {
        let n_cells = cells.len().saturating_mul(axis.values.len());
        if n_cells > MOST_CELLS {
            let expected = format!("a grid of at most {MOST_CELLS} cells");
            let error = Error::input(axis.place.clone(), expected, n_cells);
            return Err(error.with_hint("each cell is a run; make several grids"));
        }
        cells = cells
            .iter()
            .flat_map(|cell| {
                axis.values.iter().map(move |value| {
                    let mut longer: Vec<_> = cell.clone();
                    longer.push((axis, value));
                    longer
                })
            })
            .collect();
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use crate::config::{Loaded, load, load_cells};
    use crate::error::Result;

    fn cells(text: &str, assignments: &[&str]) -> Result<Vec<Loaded>> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(&file, text).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        load_cells(Some(&file), &assignments)
    }

    fn names(text: &str, assignments: &[&str]) -> Vec<String> {
        let cells = cells(text, assignments).expect("a good grid");
        cells.into_iter().map(|cell| cell.cell).collect()
    }

    fn refusal(text: &str, assignments: &[&str]) -> String {
        let message = cells(text, assignments)
            .expect_err("a bad grid")
            .to_string();
        let at = message.find("e.toml").unwrap_or(0); // without the folder's name
        message[at..].to_owned()
    }

    #[test]
    fn a_grid_of_too_many_cells_is_refused_before_they_are_made() {
        let seeds: Vec<String> = (0..3000).map(|seed| seed.to_string()).collect();
        let list = seeds.join(", ");
        let text = format!(
            "[grid]\nseed = [{list}]\n\"train.batch\" = [{}]\n\"train.warmup_steps\" = [{list}]\n",
            list.replacen('0', "9999", 1)
        );
        let message = refusal(&text, &[]);
        assert!(
            message.ends_with("expected a grid of at most 10000 cells, found 9000000"),
            "{message}"
        );
    }

    #[test]
    fn the_product_in_order_the_last_axis_fastest() {
        let text = "seed = 9\n[grid]\nseed = [0, 1]\n\"train.batch\" = [8, 16]\n";
        assert_eq!(
            names(text, &[]),
            [
                "seed = 0, train.batch = 8",
                "seed = 0, train.batch = 16",
                "seed = 1, train.batch = 8",
                "seed = 1, train.batch = 16"
            ]
        );
        let last = cells(text, &[]).expect("a good grid").pop().expect("four");
        assert_eq!((last.experiment.seed, last.experiment.train.batch), (1, 16));
        let written_out = load(None, &["seed=1".into(), "train.batch=16".into()]);
        let written_out = written_out.expect("known keys").experiment;
        assert_eq!(last.experiment.sha256().ok(), written_out.sha256().ok());
    }

    #[test]
    fn without_a_grid_there_is_one_cell() {
        assert_eq!(names("seed = 3\n", &[]), [""]);
    }

    #[test]
    fn keys_may_be_quoted_dotted_or_in_a_section() {
        for text in [
            "[grid]\n\"train.batch\" = [8]\n",
            "[grid]\ntrain.batch = [8]\n",
            "[grid.train]\nbatch = [8]\n",
        ] {
            assert_eq!(names(text, &[]), ["train.batch = 8"], "{text}");
        }
    }

    #[test]
    fn set_lies_over_the_grid() {
        let text = "[grid]\nseed = [0, 1]\ntrain.batch = [8, 16]\n";
        assert_eq!(
            names(text, &["seed=5"]),
            ["train.batch = 8", "train.batch = 16"]
        );
        assert_eq!(
            names(text, &["grid.seed=[7]", "train.batch=4"]),
            ["seed = 7"]
        );
        assert_eq!(
            names("", &["grid.align.method=[\"random\", \"scratch\"]"]),
            ["align.method = \"random\"", "align.method = \"scratch\""]
        );
    }

    #[test]
    fn the_whole_section_may_be_set() {
        let text = "[grid]\nseed = [0, 1]\ntrain.batch = [8, 16]\n";
        assert_eq!(
            names(text, &["grid={seed=[7], train={batch=[4, 2]}}"]),
            ["seed = 7, train.batch = 4", "seed = 7, train.batch = 2"]
        );
        assert_eq!(names("", &["grid={seed=[7]}"]), ["seed = 7"]);
        let refused = cells("", &["grid=3"]).expect_err("no section").to_string();
        assert_eq!(refused, "--set grid=3: expected a section, found 3");
    }

    #[test]
    fn paths_of_a_grid_are_relative_to_the_file() {
        let cells = cells(
            "[grid]\n\"data.test\" = [\"a.tsv\", \"demo:test.tsv\"]\n",
            &[],
        );
        let tests: Vec<_> = cells
            .expect("a good grid")
            .into_iter()
            .map(|cell| cell.experiment.data.test.expect("set"))
            .collect();
        assert!(tests[0].is_absolute() && tests[0].ends_with("a.tsv"));
        assert_eq!(tests[1].to_str(), Some("demo:test.tsv"));
    }

    #[test]
    fn bad_grids_are_refused_at_their_line() {
        let cases = [
            (
                "[grid]\nsed = [0]\n",
                "e.toml:2:grid.sed: expected a known key, found `sed`",
            ),
            (
                "[grid]\nseed = 3\n",
                "e.toml:2:grid.seed: expected a list of values, found 3",
            ),
            (
                "[grid]\nseed = []\n",
                "e.toml:2:grid.seed: expected one value or more, found none",
            ),
            (
                "[grid]\nseed = [1, 1]\n",
                "e.toml:2:grid.seed: expected different values, found 1 twice",
            ),
            (
                "[grid]\nseed = [0]\n\"train.batch\" = [8, \"x\"]\n",
                "e.toml:3:grid.train.batch: expected a whole number, 0 or more, found string \"x\"",
            ),
            (
                "[grid]\n\"train.batch\" = [8]\n[grid.train]\nbatch = [9]\n",
                "e.toml:4:grid.train.batch: expected different keys, found `train.batch` twice",
            ),
            ("grid = 3\n", "e.toml:1:grid: expected a section, found 3"),
            (
                "[train]\nepochs = \"x\"\n[grid]\nseed = [0]\n",
                "e.toml:2:train.epochs: expected a whole number, 0 or more, found string \"x\"",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(refusal(text, &[]), message, "{text}");
        }
        assert_eq!(
            refusal("", &["grid.seed=3"]),
            "--set grid.seed=3: expected a list of values, found 3"
        );
    }
}
