//! Values that another setting switches off: the decay of an average that nobody takes.
//!
//! In: a [`Loaded`] experiment or pretraining. Out: a line each, for the start of a run. They are not refused, as the other setting may
//! be an axis of a grid, or of `--set`, that switches them on: a cell cannot be told from an experiment that says the same. What no
//! objective there can read is refused by [`super::unread`]. Default values, and so those of presets, ask for nothing.

use serde::Serialize;
use toml::Value;

use super::Loaded;
use crate::config::stages::over;
use crate::config::{DistillConfig, Experiment, Pretraining, Settings, Stage, StageConfig};
use crate::objective::ObjectiveName;
use crate::train::average::AverageKind;
use crate::train::step::Adversarial;

/// A key that another one switches on.
struct Key {
    section: &'static str,
    name: &'static str,
    value: fn(&Stage) -> String,
    /// Whether a stage reads it.
    is_on: fn(&Stage) -> bool,
    /// What switches it on.
    switch: &'static str,
}

const TRAIN: &str = "train";

/// In the order of the sections.
const KEYS: [Key; 7] = [
    Key {
        section: "objective",
        name: "mask",
        value: |stage| shown(stage.masking.share),
        is_on: hides_tokens,
        switch: HIDDEN,
    },
    Key {
        section: "objective",
        name: "mask_unit",
        value: |stage| shown(stage.masking.unit),
        is_on: hides_tokens,
        switch: HIDDEN,
    },
    Key {
        section: "objective",
        name: "mask_replacement",
        value: |stage| shown(stage.masking.replacement),
        is_on: hides_tokens,
        switch: HIDDEN,
    },
    Key {
        section: TRAIN,
        name: "adversarial_epsilon",
        value: |stage| shown(stage.options.adversarial_epsilon),
        is_on: |stage| stage.options.adversarial != Adversarial::None,
        switch: "adversarial = \"fgm\" or \"pgd\"",
    },
    Key {
        section: TRAIN,
        name: "adversarial_steps",
        value: |stage| shown(stage.options.adversarial_steps),
        is_on: |stage| stage.options.adversarial == Adversarial::Pgd,
        switch: "adversarial = \"pgd\"",
    },
    Key {
        section: TRAIN,
        name: "average_decay",
        value: |stage| shown(stage.options.average_decay),
        is_on: |stage| stage.options.average == AverageKind::Ema,
        switch: "average = \"ema\"",
    },
    Key {
        section: TRAIN,
        name: "average_epochs",
        value: |stage| shown(stage.options.average_epochs),
        is_on: |stage| stage.options.average == AverageKind::Swa,
        switch: "average = \"swa\"",
    },
];

const HIDDEN: &str = "hidden tokens (mlm_weight above 0, or corrupt_sources of simbert)";

fn hides_tokens(stage: &Stage) -> bool {
    let damages_sources = stage.corrupt_sources.is_some_and(|share| share > 0.0);
    stage.learns_without_labels() || stage.objective == ObjectiveName::Simbert && damages_sources
}

/// As TOML writes it.
fn shown(value: impl Serialize) -> String {
    Value::try_from(value).map_or_else(|_| String::new(), |value| value.to_string())
}

impl Loaded {
    /// What is set and changes nothing as another setting is off: a line each, to be said when a run starts.
    pub fn switched_off_lines(&self) -> Vec<String> {
        let Experiment { stage, distill, .. } = &self.experiment;
        let (whole, stages) = (self.experiment.whole_stage(), self.experiment.stages());
        let mut lines = self.lines_of_keys(&whole, &stages, stage);
        lines.extend(self.dropped_lines(&stages));
        if distill.from.is_empty() {
            let values = |distill: &DistillConfig| {
                [
                    ("distill.weight", shown(distill.weight)),
                    ("distill.temperature", shown(distill.temperature)),
                    ("distill.test", shown(distill.test)),
                ]
            };
            let default = values(&DistillConfig::default());
            let set = values(distill).into_iter();
            let set = set.filter(|value| !default.contains(value));
            lines.extend(set.map(|(key, found)| self.idle_line(key, &found, "distill.from")));
        }
        lines
    }
}

impl Loaded<Pretraining> {
    /// As for an experiment. Held-out lines are judged by a share of hidden tokens of their own.
    pub fn switched_off_lines(&self) -> Vec<String> {
        let settings = &self.experiment;
        let (whole, stages) = (settings.whole_stage(), settings.stages());
        self.lines_of_keys(&whole, &stages, &settings.stage)
    }
}

impl<T: Settings> Loaded<T> {
    /// `whole` is what holds where a stage sets nothing, `own` what the stages set themselves.
    fn lines_of_keys(&self, whole: &Stage, stages: &[Stage], own: &[StageConfig]) -> Vec<String> {
        let default = Experiment::default().whole_stage();
        let own = over(default.clone(), own);
        let mut lines = Vec::new();
        for key in KEYS {
            let asks = |stage: &Stage| {
                let found = (key.value)(stage);
                (found != (key.value)(&default)).then_some(found)
            };
            if let Some(found) = asks(whole)
                && !stages.iter().any(key.is_on)
            {
                let name = format!("{}.{}", key.section, key.name);
                lines.push(self.idle_line(&name, &found, key.switch));
            }
            // Over the defaults a stage asks for what it sets itself.
            for (stage, set) in stages.iter().zip(&own) {
                if let Some(found) = asks(set)
                    && !(key.is_on)(stage)
                {
                    let name = format!("stage.{}.{}", stage.name, key.name);
                    lines.push(self.idle_line(&name, &found, key.switch));
                }
            }
        }
        lines
    }

    /// `found` of `key` changes nothing where there is no `switch`.
    pub(super) fn idle_line(&self, key: &str, found: &str, switch: &str) -> String {
        let place = self.place(key);
        format!("warning: {place}: {found} changes nothing without {switch}")
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Loaded, Preset, Pretraining, Settings, load, load_as, load_cells};

    fn loaded(assignments: &[&str]) -> Loaded {
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        load(None, &assignments).expect("known keys of the right type")
    }

    /// The lines, which the resolved config has too, at places of its own.
    fn lines(assignments: &[&str]) -> Vec<String> {
        let loaded = loaded(assignments);
        let lines = loaded.switched_off_lines();
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("resolved.toml");
        let text = loaded.experiment.to_toml().expect("UTF-8 paths");
        std::fs::write(&file, text).expect("a small file");
        let resolved = load(Some(&file), &[]).expect("our own text");
        assert_eq!(resolved.switched_off_lines().len(), lines.len());
        lines
    }

    const TWO: &str =
        "stage=[{ name = \"a\", objective = \"mlm\" }, { name = \"b\", average = \"ema\" }]";

    #[test]
    fn what_another_setting_switches_off_is_named_with_its_place() {
        let hidden = "hidden tokens (mlm_weight above 0, or corrupt_sources of simbert)";
        for (others, assignment, found, switch) in [
            (
                &[][..],
                "train.average_decay=0.9",
                "0.9",
                "average = \"ema\"",
            ),
            (
                &["train.average=swa"],
                "train.average_decay=0.9",
                "0.9",
                "average = \"ema\"",
            ),
            (
                &["train.average=ema"],
                "train.average_epochs=2",
                "2",
                "average = \"swa\"",
            ),
            (
                &[],
                "train.adversarial_epsilon=0.1",
                "0.1",
                "adversarial = \"fgm\" or \"pgd\"",
            ),
            (
                &["train.adversarial=fgm"],
                "train.adversarial_steps=5",
                "5",
                "adversarial = \"pgd\"",
            ),
            (&["objective.name=ce"], "objective.mask=0.3", "0.3", hidden),
            (
                &["objective.mlm_weight=0"],
                "objective.mask_unit=pmi",
                "\"pmi\"",
                hidden,
            ),
            (
                &["objective.name=simbert"],
                "objective.mask_replacement=similar",
                "\"similar\"",
                hidden,
            ),
            (&[], "distill.weight=0.2", "0.2", "distill.from"),
            (&[], "distill.temperature=2", "2.0", "distill.from"),
            (&[], "distill.test=false", "false", "distill.from"),
            (
                &[TWO],
                "stage.a.average_decay=0.9",
                "0.9",
                "average = \"ema\"",
            ),
        ] {
            let expected =
                format!("warning: --set {assignment}: {found} changes nothing without {switch}");
            assert_eq!(lines(&[others, &[assignment]].concat()), [expected]);
        }
    }

    #[test]
    fn what_is_read_and_what_asks_for_nothing_is_not() {
        for assignments in [
            &["train.average=ema", "train.average_decay=0.9"][..],
            &["train.average=swa", "train.average_epochs=2"],
            &["train.adversarial=fgm", "train.adversarial_epsilon=0.1"],
            &["train.adversarial=pgd", "train.adversarial_steps=5"],
            &["objective.mask=0.3", "objective.mask_unit=pmi"],
            &[
                "objective.name=ce",
                "objective.mlm_weight=0.1",
                "objective.mask=0.3",
            ],
            &[
                "objective.name=simbert",
                "objective.corrupt_sources=0.5",
                "objective.mask=0.3",
            ],
            &["distill.from=teacher", "distill.weight=0.2"],
            // One stage is enough.
            &[TWO, "train.average_decay=0.9"],
            &[TWO, "stage.b.objective=ce", "objective.mask=0.3"],
            &["preset=good", "train.average_decay=0.9"],
            // These are the defaults.
            &["train.average_decay=0.999", "train.adversarial_steps=3"],
            &[
                "objective.name=ce",
                "objective.mask=0.15",
                "distill.weight=0.5",
            ],
        ] {
            assert_eq!(lines(assignments), [""; 0], "{assignments:?}");
        }
        for preset in Preset::ALL {
            let name = format!("preset={}", preset.name());
            assert_eq!(lines(&[&name]), [""; 0], "{name}");
            assert_eq!(lines(&[&name, "objective.name=ce"]), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_grid_that_switches_it_on_has_both_cells() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(folder.path().join("train.tsv"), "1\t2\t0\n").expect("a small file");
        let text = "data.train = \"train.tsv\"\nalign.method = \"scratch\"\ntrain.average_decay = 0.9\n\
                    [grid]\ntrain.average = [\"none\", \"ema\"]\n";
        std::fs::write(&file, text).expect("a small file");
        let cells = load_cells(Some(&file), &[]).expect("a good grid");
        let lines: Vec<usize> = (cells.iter())
            .map(|cell| {
                cell.check().expect("nothing is refused");
                cell.switched_off_lines().len()
            })
            .collect();
        assert_eq!(lines, [1, 0]);
    }

    #[test]
    fn a_pretraining_says_it_too() {
        let assignments = [
            "objective.name=nsp",
            "objective.mlm_weight=0",
            "objective.mask=0.3",
            "train.average_decay=0.9",
        ];
        let loaded = load_as::<Pretraining>(None, &assignments.map(str::to_owned));
        let expected = [
            "warning: --set objective.mask=0.3: 0.3 changes nothing without hidden tokens (mlm_weight above 0, or corrupt_sources of simbert)",
            "warning: --set train.average_decay=0.9: 0.9 changes nothing without average = \"ema\"",
        ];
        let loaded = loaded.expect("known keys");
        assert_eq!(loaded.switched_off_lines(), expected);
    }
}
