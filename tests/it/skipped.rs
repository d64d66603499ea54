//! Tests that do not run, as the machine lacks what they need: said at once, and listed once more at the end.
//!
//! In: a reason. Out: a line past the capture of the test harness, and a list behind its result, with what the unit tests have
//! left in the file. Fails nothing.

use std::io::{Write, stderr};
use std::sync::{Mutex, Once, PoisonError};

/// What the unit tests have skipped; they run before these.
const OF_UNIT_TESTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/skipped.txt");

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Says why the test of this thread does not run, or not in full.
pub fn skipped(reason: &str) {
    list_at_end();
    let line = match std::thread::current().name() {
        Some(test) => format!("skipped: {test}: {reason}"),
        None => format!("skipped: {reason}"),
    };
    let _ = writeln!(stderr(), "{line}");
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(line);
}

/// From now on the end of this process prints the list.
pub fn list_at_end() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function is there as long as the program, and unwinds nowhere.
        #[cfg(target_os = "linux")]
        unsafe {
            libc::atexit(print);
        }
    });
}

#[cfg(target_os = "linux")]
extern "C" fn print() {
    let before = std::fs::read_to_string(OF_UNIT_TESTS).unwrap_or_default();
    let _ = std::fs::remove_file(OF_UNIT_TESTS); // the next tests begin a new one
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    lines.append(&mut LINES.lock().unwrap_or_else(PoisonError::into_inner));
    lines.sort();
    lines.dedup();
    if !lines.is_empty() {
        let _ = writeln!(stderr(), "Not tested here:\n  {}\n", lines.join("\n  "));
    }
}
