//! `preset`: a recipe that lies under the settings of an experiment, as if it had been written there.
//!
//! In: a name. Out: the settings of its file in `presets/`. What the experiment or `--set` says goes over them; `config.toml` of the
//! run holds them all, so that it stays the same run whatever becomes of the preset. Says nothing of files, tasks and how labels are
//! learnt; a stage without labels may come first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The key.
pub const PRESET: &str = "preset";

/// How long to train, and how: chosen on 118,000 short pairs and two cores, 4 layers of 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// About ten minutes.
    Fast,
    /// About an hour.
    Good,
    /// About two hours.
    Best,
}

impl Preset {
    /// From the shortest to the longest.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Good, Self::Best];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Good => "good",
            Self::Best => "best",
        }
    }

    /// From what is written; none for another word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Its file.
    pub fn text(self) -> &'static str {
        match self {
            Self::Fast => include_str!("presets/fast.toml"),
            Self::Good => include_str!("presets/good.toml"),
            Self::Best => include_str!("presets/best.toml"),
        }
    }

    /// Its settings.
    ///
    /// # Panics
    /// Never: a test reads every file.
    pub fn settings(self) -> Table {
        self.text().parse().expect("a preset is TOML")
    }
}

/// Takes `train.max_rows` out of the settings of a preset: it limits their epochs, and who asks for others shall have them.
pub(super) fn forget_max_rows(settings: &mut Table) {
    if let Some(Value::Table(train)) = settings.get_mut("train") {
        train.remove("max_rows");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::Keys;
    use crate::config::{Experiment, Settings, load, load_cells};
    use crate::error::Result;

    fn loaded(text: &str, assignments: &[&str]) -> Result<Experiment> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(&file, text).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        Ok(load(Some(&file), &assignments)?.experiment)
    }

    #[test]
    fn every_preset_is_what_its_file_would_be_in_the_place_of_its_name() {
        for preset in Preset::ALL {
            assert_eq!(Preset::named(preset.name()), Some(preset));
            let name = format!("preset = \"{}\"\n", preset.name());
            let by_name = loaded(&name, &[]).expect("a preset");
            let written = loaded(preset.text(), &[]).expect("known keys with good values");
            let expected = Experiment {
                preset: Some(preset),
                ..written.clone()
            };
            assert_eq!(by_name, expected);
            assert_eq!(by_name.sha256().ok(), written.sha256().ok(), "one run");
            let config = by_name.to_toml().expect("UTF-8 paths");
            assert_eq!(loaded(&config, &[]).expect("our own text"), by_name);
        }
        assert_eq!(Preset::named("better"), None);
    }

    #[test]
    fn what_is_set_goes_over_the_preset_wherever_it_is_named() {
        let file = "[train]\nepochs = 5\n";
        let fast = loaded("preset = \"fast\"\n", &[]).expect("a preset").train;
        for experiment in [
            loaded(&("preset = \"fast\"\n".to_owned() + file), &[]),
            loaded(file, &["preset=fast"]),
            loaded(&("preset = \"best\"\n".to_owned() + file), &["preset=fast"]),
            loaded("preset = \"fast\"\n", &["train.epochs=5"]),
        ] {
            let train = experiment.expect("good").train;
            assert_eq!((train.epochs, train.max_rows), (5, 0));
            assert_eq!(train.learning_rate, fast.learning_rate);
        }
    }

    #[test]
    fn the_stages_of_a_preset_are_changed_one_by_one_or_replaced() {
        let good = "preset = \"good\"\n";
        let epochs = |assignments: &[&str], more: &str| -> Vec<(String, usize)> {
            let experiment = loaded(&(good.to_owned() + more), assignments).expect("known stages");
            let stages = experiment.stages().into_iter();
            stages.map(|s| (s.name, s.options.epochs)).collect()
        };
        let named = |mlm, labels| [("mlm".to_owned(), mlm), ("labels".to_owned(), labels)];
        assert_eq!(
            epochs(&["stage.mlm.epochs=2", "train.epochs=5"], ""),
            named(2, 5)
        );
        assert_eq!(
            epochs(&["stage.labels.epochs=5", "stage.mlm.epochs=1"], ""),
            named(1, 5)
        );
        let own = "[[stage]]\nname = \"own\"\nepochs = 4\n";
        assert_eq!(epochs(&[], own), [("own".to_owned(), 4)]);
    }

    /// A limit for 15 epochs is none for those that somebody asks for.
    #[test]
    fn own_epochs_take_the_limit_of_rows_of_a_preset_away() {
        let fast = "preset = \"fast\"\n";
        let limits = |text: &str, assignments: &[&str]| -> Vec<usize> {
            let experiment = loaded(&(fast.to_owned() + text), assignments).expect("known keys");
            let stages = experiment.stages().into_iter();
            stages.map(|stage| stage.options.max_rows).collect()
        };
        let limit = loaded(fast, &[]).expect("a preset").train.max_rows;
        assert!(limit > 0);
        assert_eq!(limits("", &["train.batch=32"]), [limit]);
        assert_eq!(limits("", &["train.epochs=5"]), [0]);
        assert_eq!(limits("", &["train.epochs=5", "train.max_rows=7"]), [7]);
        let stages = "[[stage]]\nname = \"own\"\nepochs = 4\n[[stage]]\nname = \"pet\"\n";
        assert_eq!(limits(stages, &[]), [0, limit]);
        assert_eq!(limits(stages, &["stage.own.max_rows=7"]), [7, limit]);
        let grid = ["preset=fast".to_owned(), "grid.train.epochs=[5]".to_owned()];
        let cells = load_cells(None, &grid).expect("a good grid");
        assert_eq!(cells[0].experiment.train.max_rows, 0);
    }

    /// A key that is left out where it is at its default would let the preset through: no preset has such a one.
    #[test]
    fn what_is_written_is_whole_whatever_goes_over_a_preset() {
        let keys = Keys::experiment();
        let written = Table::try_from(Experiment::default()).expect("UTF-8 paths");
        let defaults = keys.settings(&written);
        for preset in Preset::ALL {
            let mut over = vec!["stage=[]".to_owned()];
            for (key, _) in keys.settings(&preset.settings()) {
                if key.starts_with("stage[") {
                    continue; // the list is written as a whole
                }
                let default = defaults.iter().find(|(other, _)| *other == key);
                let (_, value) = default.unwrap_or_else(|| panic!("{key} may be left out"));
                over.push(format!("{key}={value}"));
            }
            let all: Vec<&str> = over.iter().map(String::as_str).collect();
            let single = all.iter().map(std::slice::from_ref);
            let name = format!("preset = \"{}\"\n", preset.name());
            for assignments in [&all[..0], &all[..]].into_iter().chain(single) {
                let experiment = loaded(&name, assignments).expect("known keys");
                let config = experiment.to_toml().expect("UTF-8 paths");
                let again = loaded(&config, &[]).expect("our own text");
                assert_eq!(again, experiment, "{name}{assignments:?}");
            }
        }
    }

    #[test]
    fn presets_may_be_a_grid() {
        let grid = ["grid.preset=[\"fast\", \"good\"]".to_owned()];
        let cells = load_cells(None, &grid).expect("a good grid");
        let epochs: Vec<usize> = (cells.iter())
            .map(|cell| cell.experiment.train.epochs)
            .collect();
        let of = |preset: &str| {
            let preset = format!("preset={preset}");
            loaded("", &[&preset]).expect("a preset").train.epochs
        };
        assert_eq!(epochs, [of("fast"), of("good")]);
    }

    #[test]
    fn another_word_is_refused() {
        let message = loaded("preset = \"better\"\n", &[])
            .expect_err("refused")
            .to_string();
        assert!(
            message.contains(
                "e.toml:1:preset: expected one of `fast`, `good`, `best`, found `better`"
            ),
            "{message}"
        );
    }
}
