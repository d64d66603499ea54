//! What a field of labels says, whatever the task is.
//!
//! In: a field without spaces around it. Out: the label 0 or 1, or that there is none. Knows no columns and no classes.

/// How tables write that a value is not there, in lower case.
const MISSING: [&str; 6] = ["", "nan", "null", "none", "na", "n/a"];

/// Label 0 or 1, also with a fraction of zeros, as tables of floats have it: `1.0`, `0.`; `None` for all else.
pub fn zero_or_one(field: &str) -> Option<bool> {
    let (whole, fraction) = field.split_once('.').unwrap_or((field, ""));
    let is_one = match whole {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    fraction
        .bytes()
        .all(|digit| digit == b'0')
        .then_some(is_one)
}

/// Whether the field is empty, or says in a word that it is: `NaN`. Such a word may be the name of a class, where the other labels
/// are names too.
pub fn is_missing(field: &str) -> bool {
    MISSING.contains(&field.to_ascii_lowercase().as_str())
}

/// A number; `None` for all else, `nan` and infinity too.
pub fn finite(field: &str) -> Option<f64> {
    field.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_zero_and_one_are_labels() {
        for (field, expected) in [
            ("0", Some(false)),
            ("1", Some(true)),
            ("0.0", Some(false)),
            ("1.000", Some(true)),
            ("1.", Some(true)),
            ("1.0000000000000000000001", None),
            ("0.5", None),
            ("01", None),
            ("-0", None),
            (".0", None),
            ("1e0", None),
            ("", None),
        ] {
            assert_eq!(zero_or_one(field), expected, "{field}");
        }
    }

    #[test]
    fn words_for_nothing() {
        assert!(
            ["", "NaN", "NULL", "None", "NA", "n/a"]
                .into_iter()
                .all(is_missing)
        );
        assert!(!["0", "no", "-", "nano"].into_iter().any(is_missing));
    }
}
