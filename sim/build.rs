//! Tells the program from which commit it was built, for the head of its reports.

use std::process::Command;

fn main() {
    let git = |args: &[&str]| -> Option<String> {
        let output = Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let mut lines = vec!["cargo:rerun-if-changed=build.rs".to_owned()];
    // Grows with every commit and every change of branch.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && std::path::Path::new(&log).exists()
    {
        lines.push(format!("cargo:rerun-if-changed={log}"));
    }
    if let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) {
        lines.push(format!("cargo:rustc-env=PEERAGE_COMMIT={commit}"));
    }
    let _ = std::io::Write::write_all(&mut std::io::stdout(), lines.join("\n").as_bytes());
}
