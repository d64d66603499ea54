//! The settings of runs beside each other: what they differ in.
//!
//! In: the texts of `config.toml` files, of any version of the tool. Out: settings by key, and the keys whose values are not the
//! same. A blend has files and a form of submission and no training, so it has no say in what differs. Checks nothing.

use std::collections::BTreeMap;

/// The list of stages.
pub const STAGES: &str = "stage";

/// `section.key` and its value as TOML.
pub type Settings = BTreeMap<String, String>;

/// Every key of a `config.toml` with its value; none of a text that is no TOML. An empty list of stages says nothing: where no preset
/// is named it is left out.
pub fn settings(config: &str) -> Settings {
    let mut settings = settings_of(&config.parse().unwrap_or_default());
    settings.retain(|key, value| key != STAGES || value != "[]");
    settings
}

/// Every key of a table and of the tables in it, with its value.
pub fn settings_of(table: &toml::Table) -> Settings {
    fn collect(prefix: &str, table: &toml::Table, into: &mut Settings) {
        for (name, value) in table {
            match value {
                toml::Value::Table(section) => collect(&format!("{prefix}{name}."), section, into),
                _ => {
                    into.insert(format!("{prefix}{name}"), value.to_string());
                }
            }
        }
    }
    let mut settings = Settings::new();
    collect("", table, &mut settings);
    settings
}

/// Whether these are those of a run that has trained, and not of a blend.
pub fn has_training(settings: &Settings) -> bool {
    settings.keys().any(|key| key.starts_with("train."))
}

/// The keys, in alphabetical order, in which the runs among `all` differ.
pub fn differing(all: &[&Settings]) -> Vec<String> {
    let runs: Vec<&&Settings> = all.iter().filter(|one| has_training(one)).collect();
    let mut keys: Vec<&String> = runs.iter().flat_map(|run| run.keys()).collect();
    keys.sort();
    keys.dedup();
    let differs = |key: &String| runs.iter().any(|run| run.get(key) != runs[0].get(key));
    let keys = keys.into_iter().filter(|key| differs(key));
    keys.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_as_on_the_command_line() {
        let found = settings("seed = 1\n[train]\nepochs = 3\n[data]\ntrain = [\"a\"]\n");
        let found: Vec<_> = found.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(found, ["data.train=[\"a\"]", "seed=1", "train.epochs=3"]);
    }

    #[test]
    fn no_stages_are_the_same_whether_they_are_written_or_not() {
        let run = |stages: &str| settings(&format!("{stages}seed = 1\n[train]\nepochs = 3\n"));
        assert!(differing(&[&run("stage = []\n"), &run("")]).is_empty());
        let one = run("stage = [{ name = \"a\" }]\n");
        assert_eq!(differing(&[&one, &run("stage = []\n")]), [STAGES]);
    }

    #[test]
    fn a_blend_has_no_say_in_what_differs() {
        let run = |seed: u32| settings(&format!("seed = {seed}\n[train]\nepochs = 3\n"));
        let blend = settings("[submit]\nformat = \"table\"\n");
        assert_eq!(differing(&[&run(0), &blend, &run(1)]), ["seed"]);
        assert!(differing(&[&run(0), &blend, &run(0)]).is_empty());
        assert!(differing(&[&blend]).is_empty());
    }
}
