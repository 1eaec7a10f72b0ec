//! Python packages that distributions lack or have too old.

use std::process::{Command, Stdio};

/// The Python environment that `make test` prepares.
const VENV_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-tools/bin/python3");

/// Returns a Python that has a module. A test that needs it fails without it, and names the package to install.
pub fn python_with(module: &str, package: &str) -> Command {
    let can_import = |python: &&str| {
        let tried = Command::new(python).args(["-c", &format!("import {module}")]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let Some(python) = [VENV_PYTHON, "python3"].into_iter().find(can_import) else {
        panic!(
            "the Python package {package} is missing: `make test` installs it, and so does `python3 -m pip install {package}`"
        );
    };
    let mut command = Command::new(python);
    command.stdin(Stdio::null());
    command
}
