//! The API on a Unix socket that only the owner of the state directory can open.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::Service;
use super::network::serve_socket;
use crate::config::Options;

/// Longest path a socket can have everywhere: macOS allows 104 bytes with the final zero, Linux
/// 108.
const PATH_BYTES_MAX: usize = 100;
/// A socket is bound under a name with this at its end, made private, and only then renamed: it
/// is never seen with wider rights, and a stale one is replaced in the same step.
const DRAFT_SUFFIX: &str = "~";

/// The socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither the state directory nor the temporary directory has a path that is short enough.
    #[error(
        "the path of a socket must stay under {PATH_BYTES_MAX} bytes, and both {} and {} are longer; \
         choose a shorter --state or TMPDIR",
        state.display(), temporary.display()
    )]
    TooLong {
        /// In the state directory.
        state: PathBuf,
        /// In the temporary directory.
        temporary: PathBuf,
    },
    /// The system refused.
    #[error("failed to serve the socket {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket that is being served. Dropping it ends that and removes the socket.
#[derive(Debug)]
pub struct Serving {
    place: Place,
    task: JoinHandle<()>,
}

impl Serving {
    /// The socket.
    pub fn path(&self) -> &Path {
        &self.place.path
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A socket that is not served yet: whoever asks waits. Dropping it removes the socket.
#[derive(Debug)]
pub struct Bound {
    place: Place,
    listener: UnixListener,
}

impl Bound {
    /// Serves the API there.
    pub fn serve(self, service: Service) -> Serving {
        Serving { place: self.place, task: serve_socket(self.listener, service) }
    }
}

/// Where a socket is, and the file that says so when that is not the usual place.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    note: Option<PathBuf>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whatever cannot be removed is stale, and the next engine replaces it.
        let _ = fs::remove_file(&self.path);
        if let Some(note) = &self.note {
            let _ = fs::remove_file(note);
            let _ = self.path.parent().map(fs::remove_dir);
        }
    }
}

/// Serves the API on the socket of this state directory, as [`bind`] says.
///
/// # Errors
/// [`Error`].
pub fn listen(options: &Options, service: Service) -> Result<Serving, Error> {
    Ok(bind(options)?.serve(service))
}

/// Makes the socket of this state directory. To be called by the engine that owns the directory and by no
/// other: a socket that is there already is taken for stale and replaced.
///
/// # Errors
/// [`Error`].
pub fn bind(options: &Options) -> Result<Bound, Error> {
    let (path, note) = place(options)?;
    let place = Place { path, note };
    let io = |path: &PathBuf, source| Error::Io { path: path.clone(), source };
    let listener = bind_to(&place.path).map_err(|source| io(&place.path, source))?;
    match &place.note {
        Some(note) => {
            fs::write(note, place.path.as_os_str().as_bytes()).map_err(|source| io(note, source))?;
        }
        None => drop(fs::remove_file(options.socket_note())),
    }
    Ok(Bound { place, listener })
}

/// Where the socket goes, and the file that says so when that is not the usual place.
fn place(options: &Options) -> Result<(PathBuf, Option<PathBuf>), Error> {
    let usual = options.socket();
    if fits(&usual) {
        return Ok((usual, None));
    }
    let name = format!("milepost-{}", uuid::Uuid::now_v7().simple());
    let directory = std::env::temp_dir().join(name);
    let short = directory.join("sock");
    if !fits(&short) {
        return Err(Error::TooLong { state: usual, temporary: short });
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&directory)
        .map_err(|source| Error::Io { path: directory, source })?;
    Ok((short, Some(options.socket_note())))
}

fn fits(path: &Path) -> bool {
    path.as_os_str().len() + DRAFT_SUFFIX.len() <= PATH_BYTES_MAX
}

fn bind_to(path: &Path) -> io::Result<UnixListener> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(DRAFT_SUFFIX);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&draft)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
    fs::rename(&draft, path)?;
    Ok(listener)
}
