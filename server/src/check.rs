//! Checks a data directory, before a node runs on it or instead.
//!
//! Damaged files may ask their reader for more memory than there is, which ends a process without a
//! word to its operator. So a start reads an existing directory in a process of its own first; if
//! that one dies, the start is refused like any other.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::anyhow;
use peerage_io::{DataDir, StoreError};

/// Why a node may not start.
pub(crate) struct Refusal {
    pub(crate) error: anyhow::Error,
    /// The exit code of the check, if it came that far.
    pub(crate) code: Option<u8>,
}

/// Opens the directory, which reads every row, and tells what is there.
pub(crate) fn check(data: &Path) -> Result<String, StoreError> {
    let opened = DataDir::open_existing(data)?;
    Ok(format!(
        "{}: {} records after {} commits, all as they were written",
        data.display(),
        opened.rows.len(),
        opened.store.commits()
    ))
}

/// Checks an existing directory in a process of its own.
pub(crate) fn ahead(data: &Path) -> Result<(), Refusal> {
    if !DataDir::exists(data) {
        return Ok(());
    }
    let Ok(program) = std::env::current_exe() else {
        return Ok(());
    };
    let mut command = Command::new(program);
    command.arg("check").arg("--data").arg(data);
    // Where no process can be started, the directory is read by this one alone.
    let Ok(output) = command.stdin(Stdio::null()).stdout(Stdio::null()).output() else {
        return Ok(());
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let code = output
        .status
        .code()
        .and_then(|code| u8::try_from(code).ok());
    let error = match code {
        Some(_) => anyhow!(said.trim().trim_start_matches("error: ").to_owned()),
        None => anyhow!(StoreError::unreadable(data).to_string()),
    };
    Err(Refusal { error, code })
}
