//! Keys that are set and that nobody reads: a run with them would be the same run without them.
//!
//! In: the stages and what each of them sets itself. Out: nothing, or the first value that asks for something and does nothing, with
//! its place. A value of `[objective]` or `[train]` is read where one stage has an objective that reads it; that of a `[[stage]]`
//! where its own has. Default values, and those that say what happens anyway, ask for nothing. Does not judge ranges. What another
//! value switches off is told and not refused: [`super::switched_off`].

use std::fmt::Display;

use super::Loaded;
use crate::config::stages::over;
use crate::config::{Experiment, Settings, Stage, StageConfig};
use crate::data::LabelKind;
use crate::error::{Error, Result};
use crate::objective::{Candidates, HeadChoice, ObjectiveName};

/// A key that some objectives do not read.
struct Key {
    section: &'static str,
    name: &'static str,
    /// What a stage asks for, as it is shown.
    asks: fn(&Stage) -> Option<String>,
    /// Whether its objective reads the key, for labels of this kind; none: for pairs of neighbouring lines.
    reads: fn(&Stage, Option<LabelKind>) -> bool,
    /// What to write where nobody reads it.
    nothing: &'static str,
    /// What no stage has, where nobody reads it.
    lacks: &'static str,
    /// Who reads it.
    readers: &'static str,
}

/// In the order of the sections.
const KEYS: [Key; 7] = [
    Key {
        section: "objective",
        name: "mlm_weight",
        asks: |stage| shown(stage.mlm_weight.unwrap_or(1.0), 1.0),
        reads: |stage, _| learns_labels(stage),
        nothing: "none",
        lacks: ONLY_MLM,
        readers: "it weighs the MLM beside labels",
    },
    Key {
        section: "objective",
        name: "head",
        asks: |stage| match stage.head {
            HeadChoice::Pooler => None,
            HeadChoice::Cls => Some("`cls`".to_owned()),
            HeadChoice::Mlm => Some("`mlm`".to_owned()),
        },
        reads: |stage, _| reads_head(stage),
        nothing: "none",
        lacks: "has the objective ce, bce, cosent or mse",
        readers: "other objectives have a head of their own",
    },
    Key {
        section: "objective",
        name: "corrupt_sources",
        asks: |stage| shown(stage.corrupt_sources.unwrap_or(0.0), 0.0),
        reads: |stage, _| stage.objective == ObjectiveName::Simbert,
        nothing: "none",
        lacks: "has the objective simbert",
        readers: "`simbert` alone damages what it reads; of the MLM it is `mask`",
    },
    Key {
        section: "objective",
        name: "candidates",
        asks: |stage| {
            let name = stage.candidates.map(Candidates::name);
            name.map(str::to_owned)
        },
        reads: |stage, _| stage.objective == ObjectiveName::Nsp,
        nothing: "none",
        lacks: "has the objective nsp",
        readers: "`nsp` alone compares candidates",
    },
    Key {
        section: "train",
        name: "r_drop",
        asks: |stage| shown(stage.options.r_drop, 0.0),
        reads: |stage, _| learns_labels(stage),
        nothing: "0",
        lacks: ONLY_MLM,
        readers: "it compares what two passes say of a label",
    },
    Key {
        section: "train",
        name: "dropout_samples",
        asks: |stage| shown(stage.options.dropout_samples, 1),
        reads: |stage, _| learns_labels(stage),
        nothing: "1",
        lacks: ONLY_MLM,
        readers: "it asks for a label several times",
    },
    Key {
        section: "train",
        name: "label_smoothing",
        asks: |stage| shown(stage.options.label_smoothing, 0.0),
        reads: |stage, labels| labels.is_some_and(|labels| is_smoothed(stage.objective, labels)),
        nothing: "0",
        lacks: "learns labels that it changes",
        readers: "`pet`, `ce`, `bce`, `nsp`, and `mse` of labels 0 and 1 read it",
    },
];

const ONLY_MLM: &str = "has another objective than mlm";

/// A value that is not the one that asks for nothing.
fn shown<V: PartialEq + Display>(value: V, nothing: V) -> Option<String> {
    (value != nothing).then(|| value.to_string())
}

fn learns_labels(stage: &Stage) -> bool {
    !stage.objective.labels().is_empty()
}

/// Whether the head is the objective's choice, or the one that it has in any case.
fn reads_head(stage: &Stage) -> bool {
    match stage.objective {
        ObjectiveName::Ce | ObjectiveName::Bce | ObjectiveName::Cosent | ObjectiveName::Mse => true,
        ObjectiveName::Mlm | ObjectiveName::Pet => stage.head == HeadChoice::Mlm,
        ObjectiveName::Nsp | ObjectiveName::Simbert => false,
    }
}

/// Whether the loss is another one where a label is less sure. For `cosent` only the order of labels counts, for `simbert` only on which
/// side of one half they are; grades have no classes.
fn is_smoothed(objective: ObjectiveName, labels: LabelKind) -> bool {
    let is_of_classes = labels != LabelKind::Ordinal;
    match objective {
        ObjectiveName::Pet | ObjectiveName::Ce | ObjectiveName::Bce | ObjectiveName::Nsp => true,
        ObjectiveName::Mse => is_of_classes,
        ObjectiveName::Mlm | ObjectiveName::Cosent | ObjectiveName::Simbert => false,
    }
}

impl Key {
    /// The error for `key`, whose value nobody reads, as `who` says.
    fn unread<T: Settings>(
        &self,
        loaded: &Loaded<T>,
        key: &str,
        (who, found): (&str, String),
        labels: Option<LabelKind>,
    ) -> Error {
        let expected = format!("{}, as {who}", self.nothing);
        let error = Error::input(loaded.place(key), expected, found);
        match labels {
            Some(_) => error.with_hint(format!("leave it out: {}", self.readers)),
            None => error.with_hint("leave it out"),
        }
    }
}

impl<T: Settings> Loaded<T> {
    /// Refuses what no stage reads. `whole` is what holds where a stage sets nothing, `own` what the stages set themselves; `labels` is
    /// none for a pretraining.
    pub(super) fn check_unread(
        &self,
        whole: &Stage,
        stages: &[Stage],
        own: &[StageConfig],
        labels: Option<LabelKind>,
    ) -> Result<()> {
        let default = Experiment::default().whole_stage();
        for key in &KEYS {
            // A head is read or not by what it is, and that is the whole's.
            let reads = |stage: &Stage| {
                let head = whole.head;
                (key.reads)(
                    &Stage {
                        head,
                        ..stage.clone()
                    },
                    labels,
                )
            };
            if let Some(found) = (key.asks)(whole)
                && !stages.iter().any(reads)
            {
                let name = format!("{}.{}", key.section, key.name);
                let who = format!("no stage {}", key.lacks);
                return Err(key.unread(self, &name, (&who, found), labels));
            }
            // Over the defaults a stage asks for what it sets itself.
            for (stage, set) in stages.iter().zip(over(default.clone(), own)) {
                if let Some(found) = (key.asks)(&set)
                    && !(key.reads)(stage, labels)
                {
                    let name = format!("stage.{}.{}", stage.name, key.name);
                    let who = format!("`{}` does not read it", stage.objective.name());
                    return Err(key.unread(self, &name, (&who, found), labels));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Settings, load, load_cells};

    const TEXT: &str =
        "data.train = \"train.tsv\"\ndata.valid = \"none\"\nalign.method = \"scratch\"\n";

    /// The message of an otherwise good experiment, without the folder's name.
    fn refusal(more: &str, assignments: &[&str]) -> String {
        hinted(more, assignments).0
    }

    fn hinted(more: &str, assignments: &[&str]) -> (String, String) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(folder.path().join("train.tsv"), "1\t2\t0\n").expect("a small file");
        std::fs::write(&file, TEXT.to_owned() + more).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        let loaded = load(Some(&file), &assignments).expect("known keys of the right type");
        // What is refused is refused of its resolved config too, and the other way round.
        let text = loaded.experiment.to_toml().expect("UTF-8 paths");
        let resolved = folder.path().join("resolved.toml");
        std::fs::write(&resolved, text).expect("a small file");
        let again = load(Some(&resolved), &[]).expect("our own text").check();
        let Err(error) = loaded.check() else {
            assert!(again.is_ok(), "{again:?}");
            return ("good".to_owned(), String::new());
        };
        assert!(again.is_err());
        let message = error.to_string();
        let at = message.find("e.toml").unwrap_or(0);
        let hint = error.hint().unwrap_or_default().to_owned();
        (message[at..].to_owned(), hint)
    }

    #[test]
    fn what_no_objective_reads_is_refused() {
        let only_mlm = "as no stage has another objective than mlm";
        for (name, assignment, expected) in [
            (
                "mlm",
                "train.r_drop=0.5",
                format!("0, {only_mlm}, found 0.5"),
            ),
            (
                "mlm",
                "train.dropout_samples=4",
                format!("1, {only_mlm}, found 4"),
            ),
            (
                "mlm",
                "objective.mlm_weight=0",
                format!("none, {only_mlm}, found 0"),
            ),
            (
                "mlm",
                "train.label_smoothing=0.1",
                "0, as no stage learns labels that it changes, found 0.1".to_owned(),
            ),
            (
                "pet",
                "objective.corrupt_sources=0.5",
                "none, as no stage has the objective simbert, found 0.5".to_owned(),
            ),
            (
                "ce",
                "objective.candidates=first",
                "none, as no stage has the objective nsp, found first".to_owned(),
            ),
        ] {
            let objective = format!("objective.name={name}");
            let message = format!("--set {assignment}: expected {expected}");
            assert_eq!(refusal("", &[&objective, assignment]), message);
        }
        for (name, head) in [
            ("pet", "cls"),
            ("nsp", "cls"),
            ("nsp", "mlm"),
            ("simbert", "cls"),
        ] {
            let (objective, head) = (
                format!("objective.name={name}"),
                format!("objective.head={head}"),
            );
            let message = refusal("", &[&objective, &head]);
            let expected = "none, as no stage has the objective ce, bce, cosent or mse, found";
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(
            hinted("[objective]\ncorrupt_sources = 0.5\n", &[]),
            (
                "e.toml:5:objective.corrupt_sources: expected none, as no stage has the objective simbert, found 0.5".to_owned(),
                "leave it out: `simbert` alone damages what it reads; of the MLM it is `mask`".to_owned()
            )
        );
    }

    #[test]
    fn values_that_say_what_happens_anyway_ask_for_nothing() {
        for assignments in [
            &[
                "objective.name=mlm",
                "train.r_drop=0",
                "train.dropout_samples=1",
                "train.label_smoothing=0",
            ][..],
            &[
                "objective.name=mlm",
                "objective.mlm_weight=1",
                "objective.head=pooler",
            ],
            &["objective.corrupt_sources=0", "objective.head=pooler"],
            &["objective.head=mlm"], // as `pet` does
            &[
                "objective.name=simbert",
                "objective.corrupt_sources=0.5",
                "train.r_drop=1",
            ],
            &[
                "objective.name=nsp",
                "objective.candidates=first",
                "train.dropout_samples=4",
            ],
        ] {
            assert_eq!(refusal("", assignments), "good", "{assignments:?}");
        }
    }

    #[test]
    fn labels_are_smoothed_where_the_loss_changes_by_it() {
        let smoothing = "train.label_smoothing=0.1";
        let with = |name: &str, labels: &str| {
            let [name, labels] = [
                format!("objective.name={name}"),
                format!("task.labels={labels}"),
            ];
            refusal("", &[&name, &labels, smoothing])
        };
        for (name, labels) in [
            ("pet", "binary"),
            ("pet", "classes"),
            ("ce", "classes"),
            ("bce", "multilabel"),
            ("nsp", "binary"),
            ("mse", "binary"),
        ] {
            assert_eq!(with(name, labels), "good", "{name}, {labels}");
        }
        for (name, labels) in [
            ("cosent", "binary"),
            ("simbert", "binary"),
            ("cosent", "ordinal"),
            ("mse", "ordinal"),
        ] {
            let expected = "0, as no stage learns labels that it changes, found 0.1";
            let message = format!("--set {smoothing}: expected {expected}");
            assert_eq!(with(name, labels), message, "{name}, {labels}");
        }
    }

    #[test]
    fn one_stage_that_reads_it_is_enough_and_a_stage_reads_its_own() {
        let stages = "[[stage]]\nname = \"a\"\nobjective = \"mlm\"\n[[stage]]\nname = \"b\"\nobjective = \"ce\"\n";
        let all = [
            "train.r_drop=0.5",
            "train.dropout_samples=4",
            "train.label_smoothing=0.1",
            "objective.mlm_weight=0.5",
            "objective.head=cls",
        ];
        assert_eq!(refusal(stages, &all), "good");
        for (key, expected) in [
            ("r_drop=0.5", "0, as `mlm` does not read it, found 0.5"),
            ("dropout_samples=4", "1, as `mlm` does not read it, found 4"),
            (
                "label_smoothing=0.1",
                "0, as `mlm` does not read it, found 0.1",
            ),
            (
                "mlm_weight=0.5",
                "none, as `mlm` does not read it, found 0.5",
            ),
            (
                "corrupt_sources=0.5",
                "none, as `mlm` does not read it, found 0.5",
            ),
            (
                "head=\"cls\"",
                "none, as `mlm` does not read it, found `cls`",
            ),
            (
                "candidates=\"first\"",
                "none, as `mlm` does not read it, found first",
            ),
        ] {
            let message = format!("--set stage.a.{key}: expected {expected}");
            assert_eq!(refusal(stages, &[&format!("stage.a.{key}")]), message);
        }
        // Whoever reads it may have a value of its own.
        let own = [
            "train.r_drop=0.5",
            "stage.b.r_drop=0",
            "objective.head=mlm",
            "stage.b.head=cls",
        ];
        assert_eq!(refusal(stages, &own), "good");
        let good = [
            "preset=good",
            "train.r_drop=0.5",
            "train.label_smoothing=0.1",
        ];
        assert_eq!(refusal("", &good), "good");
    }

    #[test]
    fn each_cell_of_a_grid_is_judged_by_what_it_asks_for() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(folder.path().join("train.tsv"), "1\t2\t0\n").expect("a small file");
        let grid =
            "[grid]\nobjective.name = [\"ce\", \"cosent\"]\ntrain.label_smoothing = [0.0, 0.1]\n";
        std::fs::write(&file, TEXT.to_owned() + grid).expect("a small file");
        let cells = load_cells(Some(&file), &[]).expect("a good grid");
        let good: Vec<bool> = cells.iter().map(|cell| cell.check().is_ok()).collect();
        assert_eq!(good, [true, true, true, false]);
    }
}
