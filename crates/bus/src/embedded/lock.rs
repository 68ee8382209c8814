//! One process owns the file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::failure::file;
use crate::BusError;

/// Held for as long as this process may write. The system lets go of it however the process ends.
pub(super) struct OwnerLock {
    _file: File,
}

impl OwnerLock {
    /// Takes the lock beside `path`, and writes down who holds it.
    pub(super) fn take(path: &Path) -> Result<Self, BusError> {
        let beside = lock_path(path);
        let unusable =
            |error: std::io::Error| file(&beside, format!("{error}; check the folder's rights"));
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&beside)
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(path, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        lock.set_len(0).map_err(unusable)?;
        write!(lock, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { _file: lock })
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn taken(path: &Path, lock: &mut File) -> BusError {
    let mut owner = String::new();
    let read = lock.read_to_string(&mut owner);
    let owner = match read {
        Ok(_) if !owner.is_empty() => format!("process {owner}"),
        _ => "another process".to_owned(),
    };
    let advice = "use that node, stop it first, or open beside it with `?mode=ro`";
    file(path, format!("{owner} owns this bus; {advice}"))
}
