//! What can keep a node from starting, or end it. Every message says what to do.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use peerage_core::RestoreError;
use peerage_core::rows::RowError;

/// Why a data directory cannot be used, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory's files are not what was once acknowledged.
    #[error(
        "the data directory {} is damaged: {what}. The node did not start. Restore the directory from \
         a backup; or, to start with nothing but the same identity, copy identity.key and \
         identity.pem into an empty directory and give that as --data",
        dir.display()
    )]
    Damaged {
        /// The data directory.
        dir: PathBuf,
        /// What is missing or wrong.
        what: String,
    },
    /// Another process has the directory open.
    #[error(
        "the data directory {} is in use by another peerage process. Stop that one, or give this \
         one a directory of its own with --data",
        dir.display()
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// The operating system refuses.
    #[error("cannot {action} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The directory was written by a release that this one does not understand.
    #[error(
        "the data directory {} was written by a newer peerage (format {found}, this one reads \
         {known}). Run that release, or give this one another directory with --data",
        dir.display()
    )]
    Newer {
        /// The data directory.
        dir: PathBuf,
        /// The format found.
        found: u64,
        /// The newest format that this release reads.
        known: u64,
    },
    /// A write failed. What it carried is not acknowledged, and nothing is from then on.
    #[error(
        "the store failed: {what}. Nothing was acknowledged since; check the disk, then restart"
    )]
    WriteFailed {
        /// How.
        what: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(dir: &Path, what: impl Into<String>) -> Self {
        Self::Damaged {
            dir: dir.to_owned(),
            what: what.into(),
        }
    }

    /// The directory's files cannot even be read to the end.
    #[must_use]
    pub fn unreadable(dir: &Path) -> Self {
        Self::damaged(
            dir,
            "reading the directory rows ends the process that reads it",
        )
    }

    /// A row that cannot be read: of a newer release, or damaged.
    pub(crate) fn row(dir: &Path, error: &RowError) -> Self {
        Self::damaged(dir, error.to_string())
    }
}

fn hint(error: &io::Error) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other kinds have no hint"
    )]
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ". Give this user the right to read and write it, or choose another directory with --data"
        }
        io::ErrorKind::ReadOnlyFilesystem => ". Choose a directory that can be written with --data",
        io::ErrorKind::StorageFull => ". Make room on that disk",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            ". --data must name a directory"
        }
        _ => "",
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be had.
    #[error(
        "cannot listen on {addr} for the {listener} listener: {source}. {}",
        listen_hint(flag, source)
    )]
    Listen {
        /// Which listener.
        listener: &'static str,
        /// The flag that moves it.
        flag: &'static str,
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The P2P listener has no address that others could call.
    #[error(
        "the P2P listener listens on every address ({addr}), so other nodes cannot be told where to \
         find this one: say it with --public HOST:PORT"
    )]
    PublicMissing {
        /// What the listener was given.
        addr: SocketAddr,
    },
    /// The directory is of another chain than the settings.
    #[error("the data directory {}: {source}", dir.display())]
    OtherChain {
        /// The data directory.
        dir: PathBuf,
        /// Which chains.
        source: RestoreError,
    },
    /// Durable rows do not make a node.
    #[error(
        "the data directory {} is damaged: {source}. The node did not start; restore the directory from a backup",
        dir.display()
    )]
    Restore {
        /// The data directory.
        dir: PathBuf,
        /// Which row.
        source: RestoreError,
    },
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// TLS could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

fn listen_hint(flag: &str, source: &io::Error) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other kinds have no hint of their own"
    )]
    match source.kind() {
        io::ErrorKind::AddrInUse => format!(
            "Something listens there already: stop it, or choose another port with {flag} (port 0 \
             takes a free one)"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("This machine does not have that address: choose one it has with {flag}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("This user may not use that port: choose one above 1023 with {flag}")
        }
        _ => format!("Choose another address with {flag}"),
    }
}
