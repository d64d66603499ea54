//! `pip install .`: a wheel that holds the command.

use std::path::Path;
use std::process::Command;

use crate::python::Python;
use crate::workspace::{Workspace, skipped};

/// Runs and expects success.
fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Whether the crates of every platform in the lock file are here: maturin asks for all, cargo builds without.
fn has_all_crates() -> bool {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--offline", "--format-version=1"]);
    metadata.current_dir(env!("CARGO_MANIFEST_DIR"));
    metadata
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn a_wheel_installs_the_command_into_a_fresh_environment() {
    let Some(python) = Python::with(&["pip", "venv", "maturin"]) else {
        return;
    };
    if !has_all_crates() {
        skipped("crates of other platforms are missing; `cargo fetch` brings them");
        return;
    }
    let workspace = Workspace::with_pairs();
    // A target folder of its own, so that the command that other tests run is not built anew under them. Unoptimised, so
    // that it is built in a minute or two; nothing is fetched.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wheel");
    let wheels = workspace.path("wheels");
    let mut build = Command::new(&python.program);
    build
        .args([
            "-m",
            "pip",
            "wheel",
            "--no-index",
            "--no-deps",
            "--no-build-isolation",
            "--quiet",
        ])
        .args(["--disable-pip-version-check", "--no-cache-dir"])
        .arg("--wheel-dir")
        .arg(&wheels)
        .arg(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", python.path(&[]))
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("MATURIN_NO_INSTALL_RUST", "1")
        .env("MATURIN_PEP517_ARGS", "--profile dev");
    succeed(&mut build);
    let names = workspace.names("wheels");
    let [wheel] = &names[..] else {
        panic!("one wheel: {names:?}")
    };
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        wheel.starts_with(&format!("cipherpet-{version}-py3-none-")),
        "{wheel}"
    );

    let fresh = workspace.path("fresh");
    let mut make = Command::new(&python.program);
    succeed(make.args(["-m", "venv", "--without-pip"]).arg(&fresh));
    let mut install = Command::new(&python.program);
    install
        .args(["-m", "pip", "--python"])
        .arg(fresh.join("bin/python"))
        .args([
            "install",
            "--no-index",
            "--no-deps",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .arg(wheels.join(wheel));
    succeed(&mut install);
    let cipherpet = || {
        let mut command = Command::new(fresh.join("bin/cipherpet"));
        command.current_dir(workspace.path("")).env_remove("PATH");
        command
    };
    assert_eq!(
        succeed(cipherpet().arg("--version")),
        format!("cipherpet {version}\n")
    );
    succeed(cipherpet().args([
        "run",
        "experiment.toml",
        "--out",
        "out",
        "--set",
        "train.max_steps=2",
    ]));
    assert_eq!(workspace.text("out/submission.csv").lines().count(), 40);
}
