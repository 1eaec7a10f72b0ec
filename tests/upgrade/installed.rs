//! A server that is installed at a path of its own, where its program can be replaced.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use synctv_testkit::{
    log_book::LogLine,
    process::server_binary,
    server::{TestServer, program_at},
};
use tempfile::TempDir;

/// A running server, and the path that it was started by.
pub struct Installed {
    pub server: TestServer,
    program: PathBuf,
    upgrades: usize,
    _directory: TempDir,
}

impl Installed {
    /// Installs and starts the program under test, with further flags and environment variables.
    pub fn start(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the program");
        let program = directory.path().join("synctv-stream");
        symlink(server_binary(), &program).expect("the program can be installed");
        let mut command = program_at(&program);
        command.args(flags).envs(variables.iter().copied());
        let server = TestServer::of(command);
        Self { server, program, upgrades: 0, _directory: directory }
    }

    /// Upgrades it, and waits until it has.
    pub fn upgrade(&mut self) -> LogLine {
        self.server.signal("USR2");
        self.wait_until_upgraded()
    }

    /// Waits for the end of an upgrade that was ordered.
    pub fn wait_until_upgraded(&mut self) -> LogLine {
        self.upgrades += 1;
        self.server.log.find_nth(self.upgrades, "upgraded", |line| line.text("msg") == "upgraded")
    }

    /// Puts a shell script in the place of the program.
    pub fn replace_with_script(&self, script: &str) {
        let text = format!("#!/bin/sh\n{script}\n").replace("PROGRAM", &path_text(&server_binary()));
        self.replace_with(text.as_bytes());
    }

    /// Puts other contents in the place of the program.
    pub fn replace_with(&self, contents: &[u8]) {
        let new = self.program.with_extension("new");
        fs::write(&new, contents).expect("the file can be written");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
        fs::rename(&new, &self.program).expect("it can be put in place");
    }

    /// Orders an upgrade, and waits until it is given up. Returns the reason.
    pub fn upgrade_in_vain(&self) -> String {
        let given_up = |line: &LogLine| line.text("msg").starts_with("upgrade given up");
        let before = self.server.log.count(given_up);
        self.server.signal("USR2");
        self.server.log.find_nth(before + 1, "the upgrade is given up", given_up).text("reason")
    }
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("the build directory is text").to_owned()
}
