//! Rows without a label that a stage names for itself and learns nothing from: it would drop them.
//!
//! In: a stage, and what it sets itself. Out: nothing, or a refusal with the place; where the weight of the MLM is set to 0, as an axis of
//! a grid may do, a line instead. Rows of `train.unlabelled` join the stages that learn from them, and ask nothing of the others.

use super::Loaded;
use crate::config::{Stage, StageConfig, StageRows};
use crate::error::{Error, Result};

const ROWS: &str = "rows";
const FILES: &str = "files";

impl Loaded {
    /// `own` is what the stage sets itself.
    pub(super) fn check_dropped(&self, own: &StageConfig, stage: &Stage) -> Result<()> {
        let Some((name, found)) = self.dropped(own, stage).filter(|_| !is_off(stage)) else {
            return Ok(());
        };
        let allowed = match name {
            ROWS => "\"labelled\" alone",
            _ => "none",
        };
        let objective = stage.objective.name();
        let expected =
            format!("{allowed}, as `{objective}` learns nothing from rows without a label");
        let place = self.place(&key(stage, name));
        Err(
            Error::input(place, expected, found).with_hint(match has_switch(stage) {
                true => "leave them out, or set mlm_weight above 0: the MLM learns from them",
                false => "leave them out, or name them in a stage of `mlm`",
            }),
        )
    }

    /// Of stages whose MLM is switched off.
    pub(super) fn dropped_lines(&self, stages: &[Stage]) -> Vec<String> {
        let stages = self.experiment.stage.iter().zip(stages);
        let off = stages.filter(|(_, stage)| is_off(stage));
        let line = |(own, stage): (&StageConfig, &Stage)| {
            let (name, found) = self.dropped(own, stage)?;
            Some(self.idle_line(&key(stage, name), &found, "mlm_weight above 0"))
        };
        off.filter_map(line).collect()
    }

    /// The key and what it names. Test rows that a teacher speaks of are labelled rows.
    fn dropped(&self, own: &StageConfig, stage: &Stage) -> Option<(&'static str, String)> {
        if stage.learns_without_labels() {
            return None;
        }
        let has_teacher = !self.experiment.distill.from.is_empty();
        let is_dropped = |rows: &&StageRows| match rows {
            StageRows::Labelled => false,
            StageRows::Test => !has_teacher,
            StageRows::Valid | StageRows::Extra => true,
        };
        let rows = own.rows.iter().flatten().filter(is_dropped);
        let rows: Vec<String> = rows.map(|rows| format!("\"{}\"", rows.name())).collect();
        match own.files.len() {
            _ if !rows.is_empty() => Some((ROWS, rows.join(", "))),
            0 => None,
            1 => Some((FILES, "1 file".to_owned())),
            n => Some((FILES, format!("{n} files"))),
        }
    }
}

fn key(stage: &Stage, name: &str) -> String {
    format!("stage.{}.{name}", stage.name)
}

/// Whether a weight of the MLM lets it learn from rows without a label.
fn has_switch(stage: &Stage) -> bool {
    stage.objective.learns_without_labels(1.0)
}

/// Whether that weight is set to nothing.
fn is_off(stage: &Stage) -> bool {
    has_switch(stage) && stage.mlm_weight == Some(0.0)
}

#[cfg(test)]
mod tests {
    use crate::config::{Settings, load, load_cells};

    const TEXT: &str = "data = { train = \"train.tsv\", test = \"train.tsv\", unlabelled = \"train.tsv\" }\n\
                        align.method = \"scratch\"\n[[stage]]\nname = \"a\"\n";

    /// Message and hint, `good` where there are none, and the lines of an otherwise good experiment whose stage goes on like this.
    fn judged(stage: &str, assignments: &[&str]) -> (String, String, Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(folder.path().join("train.tsv"), "1\t2\t0\n").expect("a small file");
        std::fs::write(&file, TEXT.to_owned() + stage).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        let loaded = load(Some(&file), &assignments).expect("known keys of the right type");
        let text = loaded.experiment.to_toml().expect("UTF-8 paths");
        let resolved = folder.path().join("resolved.toml");
        std::fs::write(&resolved, text).expect("a small file");
        let again = load(Some(&resolved), &[]).expect("our own text").check();
        let checked = loaded.check();
        assert_eq!(checked.is_ok(), again.is_ok(), "{again:?}");
        let prefix = format!("{}/", folder.path().display());
        let clean = |text: String| text.replace(&prefix, "");
        let lines = loaded.switched_off_lines().into_iter().map(clean).collect();
        match checked {
            Ok(()) => ("good".to_owned(), String::new(), lines),
            Err(error) => {
                let hint = error.hint().unwrap_or_default().to_owned();
                (clean(error.to_string()), hint, lines)
            }
        }
    }

    const LABELLED_AND_TEST: &str = "rows = [\"labelled\", \"test\"]\n";
    const FILES: &str = "files = [\"train.tsv\"]\n";

    #[test]
    fn rows_that_an_objective_of_labels_would_drop_are_refused() {
        let way_out = "leave them out, or set mlm_weight above 0: the MLM learns from them";
        for (rows, found) in [
            ("\"labelled\", \"test\"", "\"test\""),
            ("\"valid\", \"labelled\"", "\"valid\""),
            ("\"labelled\", \"test\", \"extra\"", "\"test\", \"extra\""),
        ] {
            let stage = format!("objective = \"ce\"\nrows = [{rows}]\n");
            let (message, hint, _) = judged(&stage, &[]);
            let expected = "\"labelled\" alone, as `ce` learns nothing from rows without a label";
            assert_eq!(
                message,
                format!("e.toml:6:stage.a.rows: expected {expected}, found {found}")
            );
            assert_eq!(hint, way_out);
        }
        let (message, hint, _) = judged(&format!("objective = \"bce\"\n{FILES}"), &[]);
        assert_eq!(
            message,
            "e.toml:6:stage.a.files: expected none, as `bce` learns nothing from rows without a label, found 1 file"
        );
        assert_eq!(hint, way_out);
        // Its weight is that of generation.
        let simbert = format!("objective = \"simbert\"\nmlm_weight = 0.5\n{FILES}");
        let (message, hint, _) = judged(&simbert, &[]);
        assert!(message.contains("as `simbert` learns nothing"), "{message}");
        assert_eq!(hint, "leave them out, or name them in a stage of `mlm`");
    }

    #[test]
    fn rows_that_are_learnt_from_are_not() {
        let labels = "[[stage]]\nname = \"b\"\n";
        for stage in [
            format!("objective = \"mlm\"\n{LABELLED_AND_TEST}{FILES}{labels}"),
            format!("objective = \"pet\"\n{LABELLED_AND_TEST}{FILES}"),
            format!("objective = \"ce\"\nmlm_weight = 0.1\n{LABELLED_AND_TEST}{FILES}"),
            "objective = \"ce\"\nrows = [\"labelled\"]\n".to_owned(),
            "objective = \"ce\"\n".to_owned(), // those of train.unlabelled are asked for by nobody
        ] {
            let (message, _, lines) = judged(&stage, &[]);
            assert_eq!((&*message, &lines[..]), ("good", &[][..]), "{stage}");
        }
    }

    #[test]
    fn test_rows_that_a_teacher_speaks_of_have_labels() {
        let stage = format!("objective = \"ce\"\n{LABELLED_AND_TEST}");
        let from = "distill.from=teacher";
        assert_eq!(judged(&stage, &[from]).0, "good");
        let (message, ..) = judged(&stage, &[from, "stage.a.rows=[\"labelled\", \"valid\"]"]);
        assert!(message.ends_with(", found \"valid\""), "{message}");
    }

    #[test]
    fn a_weight_of_nothing_is_told_and_may_be_one_of_a_grid() {
        for name in ["pet", "ce"] {
            let stage = format!("objective = \"{name}\"\nmlm_weight = 0\n{LABELLED_AND_TEST}");
            let (message, _, lines) = judged(&stage, &[]);
            assert_eq!(message, "good");
            let expected = "warning: e.toml:7:stage.a.rows: \"test\" changes nothing without mlm_weight above 0";
            assert_eq!(lines, [expected]);
        }
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(folder.path().join("train.tsv"), "1\t2\t0\n").expect("a small file");
        let grid = "[grid]\nstage.a.mlm_weight = [0.0, 0.5]\n";
        let text = format!("{TEXT}objective = \"ce\"\n{FILES}{grid}");
        std::fs::write(&file, text).expect("a small file");
        let cells = load_cells(Some(&file), &[]).expect("a good grid");
        for (cell, n_lines) in cells.iter().zip([1, 0]) {
            cell.check().expect("nothing is refused");
            assert_eq!(cell.switched_off_lines().len(), n_lines, "{}", cell.cell);
        }
    }
}
