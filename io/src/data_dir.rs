//! The data directory: one process at a time, one identity, one store.
//!
//! ```text
//! lock            held while a process runs
//! manifest        format, who the node is, whether the directory was completely made
//! identity.key    32 bytes: the Ed25519 secret key
//! identity.pem    the certificate made from it, once
//! grin.seed       32 bytes: the seed of the wallet that mined coins go to, once there is one
//! watermark       which commit was the last to be acknowledged
//! rows/           fjall
//! ```
//!
//! The manifest is written first as incomplete and, once everything else is durable, as complete.
//! So a first start that was cut off begins again, and any file that is missing later is a loss, and
//! refused. An identity alone, without the other files, is the beginning of a new directory.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use peerage_core::Row;
use peerage_core::ids::{Fingerprint, PeerId};
use xxhash_rust::xxh3::xxh3_64;

use crate::clock;
use crate::error::StoreError;
use crate::files;
use crate::store::{ROWS, Store, WATERMARK};
use crate::tls::{self, NodeIdentity};

/// The newest format that this release reads, and the one it writes.
const FORMAT: u64 = 1;
const MANIFEST: &str = "manifest";
const KEY: &str = "identity.key";
const CERTIFICATE: &str = "identity.pem";
const LOCK: &str = "lock";
const GRIN_SEED: &str = "grin.seed";

/// An open data directory.
#[derive(Debug)]
pub struct DataDir {
    /// Who the node is.
    pub identity: NodeIdentity,
    /// The node's id in the cluster family, minted once.
    pub cluster_peer_id: PeerId,
    /// The store, not written to yet.
    pub store: Store,
    /// Every row that is durable.
    pub rows: Vec<Row>,
}

/// Keeps other processes out of a data directory until it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DataDir {
    /// Opens the directory, or makes it. `names` are the host names for the certificate, should one
    /// have to be made.
    ///
    /// # Errors
    /// [`StoreError`] if the directory is in use, newer, damaged or cannot be written.
    pub fn open(dir: &Path, names: &[String]) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| StoreError::io("make the data directory", dir, source))?;
        let lock = lock(dir)?;
        match Manifest::read(dir)? {
            Some(manifest) if manifest.complete => Self::reopen(dir, manifest, lock),
            Some(_) => {
                remove_partial(dir)?;
                Self::make(dir, names, lock)
            }
            None => {
                for name in [ROWS, WATERMARK] {
                    if files::exists(&dir.join(name))? {
                        let what = format!("the file {MANIFEST} is missing, but there is {name}");
                        return Err(StoreError::damaged(dir, what));
                    }
                }
                Self::make(dir, names, lock)
            }
        }
    }

    /// Opens a directory that was completely made; makes nothing.
    ///
    /// # Errors
    /// As [`Self::open`], and if there is no such directory.
    pub fn open_existing(dir: &Path) -> Result<Self, StoreError> {
        if !Self::exists(dir) {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(StoreError::io("read", &dir.join(MANIFEST), missing));
        }
        Self::open(dir, &[])
    }

    /// Whether there is a data directory, good or damaged.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        [MANIFEST, ROWS, WATERMARK]
            .iter()
            .any(|name| dir.join(name).exists())
    }

    fn make(dir: &Path, names: &[String], lock: DirLock) -> Result<Self, StoreError> {
        let key = match files::read(&dir.join(KEY))? {
            Some(bytes) => secret(dir, &bytes)?,
            None => {
                let secret: [u8; 32] = tls::random();
                files::write_atomically(&dir.join(KEY), &secret, 0o600)?;
                secret
            }
        };
        let pem = match files::read(&dir.join(CERTIFICATE))? {
            Some(bytes) => bytes,
            None => {
                let pem = tls::make_certificate(&key, names).into_bytes();
                files::write_atomically(&dir.join(CERTIFICATE), &pem, 0o644)?;
                pem
            }
        };
        let identity =
            NodeIdentity::new(key, &pem).map_err(|what| StoreError::damaged(dir, what))?;
        let random: [u8; 16] = tls::random();
        let mut manifest = Manifest {
            cluster_peer_id: PeerId::from_parts(
                clock::wall().as_micros() / 1000,
                u128::from_be_bytes(random),
            ),
            complete: false,
            fingerprint: identity.fingerprint,
            salt: u64::from_be_bytes(tls::random()),
        };
        manifest.write(dir)?;
        let store = Store::create(dir, manifest.salt, lock)?;
        manifest.complete = true;
        manifest.write(dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            files::sync_dir(parent)?;
        }
        Ok(Self {
            identity,
            cluster_peer_id: manifest.cluster_peer_id,
            store,
            rows: Vec::new(),
        })
    }

    fn reopen(dir: &Path, manifest: Manifest, lock: DirLock) -> Result<Self, StoreError> {
        let read = |name: &str| -> Result<Vec<u8>, StoreError> {
            let missing = || {
                StoreError::damaged(
                    dir,
                    format!("the file {name} is missing: the node's identity"),
                )
            };
            files::read(&dir.join(name))?.ok_or_else(missing)
        };
        let key = secret(dir, &read(KEY)?)?;
        let identity = NodeIdentity::new(key, &read(CERTIFICATE)?)
            .map_err(|what| StoreError::damaged(dir, what))?;
        if identity.fingerprint != manifest.fingerprint {
            let what =
                format!("{CERTIFICATE} is not the certificate that the directory was made with");
            return Err(StoreError::damaged(dir, what));
        }
        let (store, rows) = Store::open(dir, manifest.salt, lock)?;
        Ok(Self {
            identity,
            cluster_peer_id: manifest.cluster_peer_id,
            store,
            rows,
        })
    }
}

/// The seed of the node's Grin wallet: 32 bytes, as stock wallets keep them. Made at the first call; two
/// processes that make it at the same time get the same one.
///
/// It is a file of its own, so that an operator can bring a seed along, or keep a copy of this one
/// without the node's identity.
///
/// # Errors
/// [`StoreError`] if there is no data directory, or the file cannot be read, written, or is no seed.
pub fn grin_seed(dir: &Path) -> Result<[u8; 32], StoreError> {
    let path = dir.join(GRIN_SEED);
    loop {
        if let Some(bytes) = files::read(&path)? {
            let len = bytes.len();
            return bytes.try_into().map_err(|_| {
                let what = format!("{GRIN_SEED} holds {len} bytes instead of the 32 of a seed");
                StoreError::damaged(dir, what)
            });
        }
        let fresh: [u8; 32] = tls::random();
        files::write_once(&path, &fresh, 0o600)?;
    }
}

fn secret(dir: &Path, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| {
        let len = bytes.len();
        StoreError::damaged(
            dir,
            format!("{KEY} holds {len} bytes instead of the 32 of a key"),
        )
    })
}

fn lock(dir: &Path) -> Result<DirLock, StoreError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| StoreError::io("open", &path, source))?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(DirLock { _file: file }),
            Err(TryLockError::WouldBlock) if begin.elapsed() < LOCK_PATIENCE => {
                thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    dir: dir.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StoreError::io("lock", &path, source));
            }
        }
    }
}

/// A process that was killed, or a child between its birth and its program, may hold the lock a
/// moment longer than it should.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Clears away what a first start left that never acknowledged anything.
fn remove_partial(dir: &Path) -> Result<(), StoreError> {
    let gone = |result: std::io::Result<()>, path: PathBuf| match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| StoreError::io("remove", &path, source)),
    };
    gone(fs::remove_dir_all(dir.join(ROWS)), dir.join(ROWS))?;
    gone(fs::remove_file(dir.join(WATERMARK)), dir.join(WATERMARK))
}

/// What the directory is. Lines of text, so that an operator can read it.
#[derive(Debug)]
struct Manifest {
    cluster_peer_id: PeerId,
    complete: bool,
    fingerprint: Fingerprint,
    /// Tells the directory's files from those of another.
    salt: u64,
}

impl Manifest {
    fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = files::read(&dir.join(MANIFEST))? else {
            return Ok(None);
        };
        let damaged = || StoreError::damaged(dir, format!("the file {MANIFEST} is not readable"));
        let text = String::from_utf8(bytes).map_err(|_| damaged())?;
        let found: u64 = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("peerage data directory, format "))
            .and_then(|number| number.parse().ok())
            .ok_or_else(damaged)?;
        if found > FORMAT {
            return Err(StoreError::Newer {
                dir: dir.to_owned(),
                found,
                known: FORMAT,
            });
        }
        Self::parse(&text).map(Some).ok_or_else(damaged)
    }

    fn parse(text: &str) -> Option<Self> {
        let (body, check) = text.rsplit_once("checksum ")?;
        if u64::from_str_radix(check.trim_end(), 16).ok()? != xxh3_64(body.as_bytes()) {
            return None;
        }
        let field = |name: &str| body.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            cluster_peer_id: field("cluster-peer-id ")?.parse().ok()?,
            complete: field("complete ")?.parse().ok()?,
            fingerprint: field("fingerprint ")?.parse().ok()?,
            salt: u64::from_str_radix(field("store ")?, 16).ok()?,
        })
    }

    fn write(&self, dir: &Path) -> Result<(), StoreError> {
        let Self {
            cluster_peer_id,
            complete,
            fingerprint,
            salt,
        } = self;
        let body = format!(
            "peerage data directory, format {FORMAT}\ncluster-peer-id {cluster_peer_id}\n\
             complete {complete}\nfingerprint {fingerprint}\nstore {salt:016x}\n"
        );
        let text = format!("{body}checksum {:016x}\n", xxh3_64(body.as_bytes()));
        files::write_atomically(&dir.join(MANIFEST), text.as_bytes(), 0o644)
    }
}
