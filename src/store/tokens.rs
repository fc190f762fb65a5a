//! The tokens of a state directory, in a file of its own beside the journal: a backup of the runs is
//! handed to more people than may act on them, and holds no tokens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::core::token::Token;
use crate::ports::StoreError;

use super::error::Error;
use super::pins::sync_dir;

/// The file.
const NAME: &str = "tokens.json";

/// The tokens of a state directory. Whoever changes them holds the directory.
pub struct Tokens {
    path: PathBuf,
    known: Mutex<Vec<Token>>,
}

impl Tokens {
    /// Reads the tokens of a state directory; none, when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, or is no list of tokens.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(NAME);
        let known = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| StoreError(format!("{} is damaged: {error}", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StoreError(format!("failed to read {}: {error}", path.display()))),
        };
        Ok(Self { path, known: Mutex::new(known) })
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Token> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes them, alone: nobody else does between what `change` sees and what it leaves. Returns what it
    /// returned. When that is true what it left is durable, and only its owner can read the file; else
    /// nothing was changed.
    ///
    /// # Errors
    /// The disk failed: what a restart will find is what is known now.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Token>) -> bool) -> Result<bool, StoreError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = known.clone();
        if !change(&mut changed) {
            return Ok(false);
        }
        let draft = self.path.with_extension("json~");
        let write = || -> io::Result<()> {
            match fs::remove_file(&draft) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(&serde_json::to_vec_pretty(&changed)?)?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)
        };
        write().map_err(Error::io(format!("write {}", self.path.display())))?;
        *known = changed;
        sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::core::time::Timestamp;
    use crate::core::token::Scope;

    #[test]
    fn tokens_outlive_the_process_and_only_the_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let token = Token {
            name: "ci".to_owned(),
            scope: Scope::Operate,
            sha256: "00".to_owned(),
            created_at: Timestamp(1),
            created_by: "ana".to_owned(),
        };
        let tokens = Tokens::open(dir.path()).unwrap();
        let add = |all: &mut Vec<Token>| {
            all.push(token.clone());
            true
        };
        assert!(tokens.change(add).unwrap());
        assert!(!tokens.change(|all| all.pop().is_none()).unwrap(), "what is not wanted is not kept");
        assert_eq!(Tokens::open(dir.path()).unwrap().all(), [token]);
        let mode = fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(dir.path().join(NAME), "[{").unwrap();
        assert!(Tokens::open(dir.path()).is_err(), "a damaged file lets nobody in, and is not overwritten");
    }
}
