//! Taking a backup while the engine works.
//!
//! The rows are copied in one go while the writer writes nothing, so they are of one moment. The
//! files that they name never change, and are copied while the engine goes on.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::core::care::Backup;
use crate::core::run::Run;
use crate::ports::StoreError;

use super::super::Store;
use super::super::cells;
use super::super::codec;
use super::super::error::Error;
use super::super::keys;
use super::super::pins::{digest_of_address, sync_dir};
use super::super::rows::Rows;
use super::parcel::Packer;
use super::{named_by, walk, words};

impl Store {
    /// Writes a backup of everything that was acknowledged before this call, and perhaps a little
    /// more, to `target`. When it returns, the file is whole and durable; a file that was there
    /// before is replaced by it. After an error there is no new file, and the store goes on.
    ///
    /// # Errors
    /// When the state is damaged, or `target` cannot be written.
    pub async fn backup(&self, target: PathBuf) -> Result<Backup, StoreError> {
        let _alone = self.0.care.lock().await;
        let draft = Draft::begin(&target)?;
        let file = draft.file.try_clone().map_err(Error::io("write the backup"))?;
        let (packer, addresses) = self.0.writer.look(move |rows| copy_rows(rows, file)).await??;
        let store = self.clone();
        let copied = tokio::task::spawn_blocking(move || copy_files(&store.0.rows, packer, &addresses));
        let said = copied.await.map_err(|error| StoreError(error.to_string()))??;
        draft.publish(&target)?;
        Ok(Backup { file: target.display().to_string(), ..said })
    }
}

/// Copies all rows; also says which files they name.
fn copy_rows(rows: &Rows, file: File) -> Result<(Packer, BTreeSet<String>), Error> {
    let mut packer = Packer::begin(file).map_err(Error::io("write the backup"))?;
    let mut addresses = BTreeSet::new();
    for raw in walk::rows(rows, b"") {
        let raw = raw?;
        let damaged = |what| Error::Damaged { key: words::place(&raw.key), what };
        codec::check(&raw.key, &raw.row).map_err(damaged)?;
        addresses.extend(raw.address());
        if raw.key.starts_with(keys::RUNS) {
            let run: Run = cells::from_json(&raw.payload(rows)?).map_err(codec::at(&raw.key))?;
            addresses.extend(named_by(&run).into_iter().map(|(_, address)| address));
        }
        packer.row(&raw.key, &raw.row).map_err(Error::io("write the backup"))?;
    }
    Ok((packer, addresses))
}

fn copy_files(rows: &Rows, mut packer: Packer, addresses: &BTreeSet<String>) -> Result<Backup, Error> {
    for address in addresses {
        let file = rows.files.open_address(address)?;
        let digest = digest_of_address(address).ok_or_else(|| Error::NotKept(address.clone()))?;
        packer.file(&digest, file).map_err(Error::io("write the backup"))?;
    }
    packer.end().map_err(Error::io("write the backup"))
}

/// A file under a passing name; gone unless it is published.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn begin(target: &Path) -> Result<Self, Error> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".unfinished");
        let path = target.with_file_name(name);
        let made = File::create(&path).map_err(Error::io(format!("create {}", path.display())))?;
        Ok(Self { path, file: made })
    }

    fn publish(self, target: &Path) -> Result<(), Error> {
        fs::rename(&self.path, target).map_err(Error::io(format!(
            "rename {} to {}",
            self.path.display(),
            target.display()
        )))?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_dir(parent.unwrap_or(Path::new(".")))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "an unfinished backup is left");
            }
            _ => {}
        }
    }
}
