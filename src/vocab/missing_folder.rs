//! What to do about a BERT folder that is not there.
//!
//! In: the path that a setting or an option gives. Out: a hint: the line that downloads it, where it is the name of a model on the
//! hub. Downloads nothing.

use std::path::Path;

/// The way out, where `dir` holds no BERT.
pub fn hint(dir: &Path) -> String {
    match name_on_the_hub(dir).filter(|_| !dir.exists()) {
        Some(name) => {
            let here = std::env::current_dir().unwrap_or_default();
            let folder = dir.strip_prefix(here).unwrap_or(dir).to_string_lossy();
            let folder = shlex::try_quote(&folder).unwrap_or_default();
            format!(
                "`{name}` is a name on the hub and no folder: `hf download {name} --local-dir {folder}` makes one"
            )
        }
        None => "name the folder of a BERT in the Hugging Face layout; `demo:` is the one inside the tool".to_owned(),
    }
}

/// `bert-base-chinese`, or `hfl/chinese-bert-wwm` where there is no such folder as `hfl` either.
fn name_on_the_hub(dir: &Path) -> Option<String> {
    let is_name = |text: &&str| {
        let mut characters = text.chars();
        characters.all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let name = dir.file_name()?.to_str().filter(is_name)?;
    if !name.to_lowercase().contains("bert") {
        return None;
    }
    let owner = dir.parent().filter(|parent| !parent.exists());
    let owner = owner.and_then(|parent| parent.file_name()?.to_str());
    Some(match owner.filter(is_name) {
        Some(owner) => format!("{owner}/{name}"),
        None => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_model_is_no_folder_and_the_line_that_downloads_it_is_given() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let shown = |name: &str| {
            let hint = hint(&folder.path().join(name));
            hint.replace(&format!("{}/", folder.path().display()), "")
        };
        assert_eq!(
            shown("bert-base-chinese"),
            "`bert-base-chinese` is a name on the hub and no folder: `hf download bert-base-chinese --local-dir \
             bert-base-chinese` makes one"
        );
        assert_eq!(
            shown("hfl/chinese-roberta-wwm-ext"),
            "`hfl/chinese-roberta-wwm-ext` is a name on the hub and no folder: `hf download hfl/chinese-roberta-wwm-ext \
             --local-dir hfl/chinese-roberta-wwm-ext` makes one"
        );
        for other in ["nowhere", "my bert", "bert$(x)"] {
            assert!(
                shown(other).starts_with("name the folder of a BERT"),
                "{other}"
            );
        }
        // A folder that is there and holds something else is not downloaded over.
        std::fs::create_dir(folder.path().join("bert")).expect("a folder");
        assert!(shown("bert").starts_with("name the folder of a BERT"));
    }
}
