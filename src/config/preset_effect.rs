//! What is left of a preset once everything that is set lies over it.
//!
//! In: its settings, what they became, and the places of the keys. Out: a [`PresetEffect`]: which of its keys gave way, and
//! whether any is left. Does not merge and refuses nothing.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::keys::Keys;
use super::preset::PRESET;
use crate::error::{Error, Place, Result};

/// The list of stages, which is replaced whole or changed one by one.
const STAGE: &str = "stage";

/// A preset under the settings of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PresetEffect {
    name: String,
    /// Where the values were set that go over its own, in the order of the keys.
    over: Vec<Place>,
    /// All is as it would be without it, and something goes over it.
    is_idle: bool,
}

impl PresetEffect {
    /// Of the preset `preset` of settings `under` everything, which became `merged`; without it they are `without`, where there
    /// is such a thing.
    pub(super) fn of(
        preset: &Value,
        (under, merged, without): (&Table, &Table, Option<&Table>),
        (keys, places): (&Keys, &BTreeMap<String, Place>),
    ) -> Self {
        let ours = keys.settings(merged);
        let mut over: Vec<Place> = Vec::new();
        for setting in keys.settings(under) {
            if ours.contains(&setting) {
                continue;
            }
            let key = match setting.0.split_once('[') {
                Some((list, _)) => list,
                None => &setting.0,
            };
            let own = places.iter().find(|(other, _)| *other == key);
            let below = || places.iter().find(|(other, _)| is_stage(other, key));
            let found = own.or_else(below).map(|(_, place)| place.clone());
            over.extend(found.filter(|place| !over.contains(place)));
        }
        let is_idle = !over.is_empty() && without.is_some_and(|without| without == merged);
        Self {
            name: preset.as_str().unwrap_or_default().to_owned(),
            over,
            is_idle,
        }
    }

    fn places(&self) -> String {
        let places = self.over.iter().map(Place::to_string);
        places.collect::<Vec<_>>().join(", ")
    }

    /// What is to be said when a run starts; none where nothing goes over the preset.
    pub(super) fn line(&self) -> Option<String> {
        let (name, places) = (&self.name, self.places());
        if self.over.is_empty() {
            return None;
        }
        Some(match self.is_idle {
            true => format!(
                "warning: {PRESET} = \"{name}\" changes nothing: all that it sets is set anyway ({places})"
            ),
            false => format!("{PRESET} \"{name}\": what is set goes over it ({places})"),
        })
    }

    /// Refuses a preset that was asked for at `place`, on the command line, and changes nothing.
    pub(super) fn require_some(&self, place: &Place) -> Result<()> {
        if !self.is_idle {
            return Ok(());
        }
        let found = format!(
            "\"{}\", whose keys are all set already ({})",
            self.name,
            self.places()
        );
        let error = Error::input(place.clone(), "a preset that changes something", found);
        Err(error.with_hint("take those keys out of the file, or leave the preset out"))
    }
}

/// `stage.mlm.epochs` or `stage[1].epochs`, for the key `stage`.
fn is_stage(key: &str, list: &str) -> bool {
    let rest = key.strip_prefix(STAGE).filter(|_| list == STAGE);
    rest.is_some_and(|rest| rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use crate::config::{Experiment, Loaded, load};

    fn loaded(text: &str, assignments: &[&str]) -> Loaded {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(&file, text).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        load(Some(&file), &assignments).expect("a good file")
    }

    /// Without the folder of the file.
    fn line(text: &str, assignments: &[&str]) -> Option<String> {
        let line = loaded(text, assignments).preset_line()?;
        let (before, rest) = line.split_once('(').expect("places");
        let places = rest.split(", ").map(|place| match place.rfind('/') {
            Some(at) => &place[at + 1..],
            None => place,
        });
        Some(format!(
            "{before}({}",
            places.collect::<Vec<_>>().join(", ")
        ))
    }

    #[test]
    fn what_goes_over_a_preset_is_named_with_its_place() {
        assert_eq!(line("preset = \"best\"\n", &[]), None);
        assert_eq!(line("[train]\nepochs = 3\n", &[]), None);
        let same = "preset = \"best\"\n[train]\nepochs = 48\n";
        assert_eq!(line(same, &[]), None);
        assert_eq!(
            line(
                "[train]\nepochs = 3\n",
                &["preset=best", "train.average=none"]
            )
            .as_deref(),
            Some(
                "preset \"best\": what is set goes over it (e.toml:2:train.epochs, --set train.average=none)"
            )
        );
        let stages = ["stage.mlm.epochs=2"];
        assert_eq!(
            line("preset = \"good\"\n", &stages).as_deref(),
            Some("preset \"good\": what is set goes over it (--set stage.mlm.epochs=2)")
        );
        let own = "preset = \"good\"\n[[stage]]\nname = \"own\"\n";
        let said = line(own, &[]).expect("other stages");
        assert!(said.contains("(e.toml:"), "{said}");
    }

    #[test]
    fn a_preset_that_changes_nothing_is_refused_where_it_was_asked_for() {
        let all = "[train]\nepochs = 3\nlearning_rate = 1e-4\naverage = \"none\"\n";
        let asked = loaded(all, &["preset=best"]);
        let error = asked.require_preset().expect_err("refused").to_string();
        assert!(
            error.starts_with("--set preset=best: expected a preset that changes something, found \"best\", whose keys are all set already ("),
            "{error}"
        );
        // In a file it may be one of many keys, as in the config.toml of a run.
        let written = loaded(&format!("preset = \"best\"\n{all}"), &[]);
        written.require_preset().expect("a warning is enough");
        let line = written.preset_line().expect("a warning");
        assert!(
            line.starts_with("warning: preset = \"best\" changes nothing"),
            "{line}"
        );
        let config = |experiment: &Experiment| {
            use crate::config::Settings;
            experiment.to_toml().expect("UTF-8 paths")
        };
        let resolved = loaded("", &["preset=best"]).experiment;
        let again = loaded(&config(&resolved), &["preset=best"]);
        again.require_preset().expect("it is what the preset says");
        assert_eq!(again.preset_line(), None);
    }

    #[test]
    fn the_default_experiment_sets_what_fast_and_best_set() {
        let demo = crate::config::DEFAULT_EXPERIMENT.as_ref();
        for (preset, changes) in [("fast", false), ("good", true), ("best", false)] {
            let loaded = load(Some(demo), &[format!("preset={preset}")]).expect("a preset");
            assert_eq!(loaded.require_preset().is_ok(), changes, "{preset}");
        }
    }
}
