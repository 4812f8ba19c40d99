//! A copy of the sources in which faults are planted and the simulator is built.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::fault::Fault;

/// One worker's copy. It is remade at every start, what was built for it is kept.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    copy: PathBuf,
    build: PathBuf,
    /// Files that a fault has changed, to be taken from the original again.
    changed: Vec<String>,
}

/// What came of building.
#[derive(Debug)]
pub(crate) struct Built {
    /// The simulator, or what the compiler said.
    pub(crate) program: Result<PathBuf, String>,
    pub(crate) seconds: f64,
}

impl Tree {
    /// Copies all files that git knows, as they are now.
    pub(crate) fn prepare(root: &Path, number: usize) -> Result<Self, String> {
        let place = |name: &str| match number {
            0 => root.join("target/mutants").join(name),
            _ => root.join("target/mutants").join(format!("{name}-{number}")),
        };
        let tree = Self {
            root: root.to_owned(),
            copy: place("tree"),
            build: place("build"),
            changed: Vec::new(),
        };
        let listed = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()
            .map_err(|error| format!("git: {error}"))?;
        if !listed.status.success() {
            let text = String::from_utf8_lossy(&listed.stderr);
            return Err(format!("git does not list the sources: {text}"));
        }
        for file in listed.stdout.split(|byte| *byte == 0) {
            let file = String::from_utf8_lossy(file);
            if !file.is_empty() && root.join(&*file).is_file() {
                tree.take(&file)?;
            }
        }
        Ok(tree)
    }

    /// Applies a fault.
    pub(crate) fn plant(&mut self, fault: &Fault) -> Result<(), String> {
        self.changed = fault
            .diff
            .lines()
            .filter_map(|line| line.strip_prefix("+++ b/"))
            .map(str::to_owned)
            .collect();
        let wrong = |text: String| format!("{} does not apply: {text}", fault.name);
        let mut git = Command::new("git")
            .args(["apply", "--whitespace=nowarn", "-"])
            .current_dir(&self.copy)
            // The copy lies within a repository, where git would look for other files.
            .env(
                "GIT_CEILING_DIRECTORIES",
                self.copy.parent().unwrap_or(&self.root),
            )
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| wrong(error.to_string()))?;
        if let Some(mut stdin) = git.stdin.take() {
            stdin
                .write_all(fault.diff.as_bytes())
                .map_err(|error| wrong(error.to_string()))?;
        }
        let output = git
            .wait_with_output()
            .map_err(|error| wrong(error.to_string()))?;
        if !output.status.success() {
            return Err(wrong(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let planted = |file: &String| {
            let read = |folder: &Path| fs::read(folder.join(file)).ok();
            read(&self.copy) != read(&self.root)
        };
        if self.changed.iter().any(planted) {
            Ok(())
        } else {
            Err(wrong("nothing has changed".to_owned()))
        }
    }

    /// Takes the fault out again.
    pub(crate) fn restore(&mut self) -> Result<(), String> {
        for file in std::mem::take(&mut self.changed) {
            self.take(&file)?;
        }
        Ok(())
    }

    /// Builds the simulator as it is released, but for the linker's optimisations, which take longer
    /// than all seeds together.
    pub(crate) fn build(&self) -> Result<Built, String> {
        let begun = Instant::now();
        let output = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--package", "peerage-sim"])
            .args(["--jobs", "2", "--quiet"])
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &self.build)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        let program = if output.status.success() {
            Ok(self.build.join("release/peerage-sim"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        };
        Ok(Built {
            program,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    /// Copies one file, unless the copy is as it should be: what is not written is not built again.
    fn take(&self, file: &str) -> Result<(), String> {
        let said = |error: std::io::Error| format!("{file}: {error}");
        let (from, to) = (self.root.join(file), self.copy.join(file));
        let bytes = fs::read(&from).map_err(said)?;
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(said)?;
        }
        fs::write(&to, bytes).map_err(said)
    }
}
