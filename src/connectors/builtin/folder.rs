//! `file.created`: a file has appeared in a folder. A file that is still being written starts nothing: it
//! counts once its size and its time have stayed as they are for a while. Whoever writes it under another name and
//! renames it is on the safe side.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::source::LOCAL;
use crate::connectors::{BuildFault, Diagnosis, Post, settings};
use crate::core::catalog::{Field, Kind, TriggerKind};
use crate::core::fault::{Fault, name};
use crate::core::queue::Ticket;
use crate::core::time::Timestamp;
use crate::core::trigger::{Heard, Notice, Occasion};
use crate::ports::{Clock, Marks, StoreError, Trigger};

/// How long a file stays as it is before it counts, when the workflow does not say.
const SETTLE: Duration = Duration::from_secs(2);
/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long nothing happens before that is said.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// What `file.created` is.
pub const FILE_CREATED: TriggerKind = TriggerKind {
    uses: "file.created",
    summary: "a file has appeared in a folder of this machine",
    connections: &[LOCAL.name],
    needs_input: true,
    fields: &[
        Field { name: "folder", kind: Kind::Plain, required: true },
        Field { name: "prefix", kind: Kind::Plain, required: false },
        Field { name: "suffix", kind: Kind::Plain, required: false },
        Field { name: "settle", kind: Kind::Duration, required: false },
    ],
};

/// Makes what looks at a folder.
///
/// # Errors
/// A field is wrong.
pub fn build(post: &Post<'_>) -> Result<Arc<dyn Trigger>, Vec<BuildFault>> {
    let with = &post.trigger.with;
    let read = || {
        let text = |name| settings::text(with, name).map(|text| text.unwrap_or_default().to_owned());
        let (prefix, suffix) = (text("prefix")?, text("suffix")?);
        let folder = post.base.join(settings::required(with, "folder")?);
        Ok(Folder {
            place: Place { folder, prefix, suffix },
            settle: settings::duration(with, "settle")?.unwrap_or(SETTLE),
            seen: Mutex::default(),
            of: post.of.clone(),
            clock: Arc::clone(&post.clock),
            marks: Arc::clone(&post.marks),
        })
    };
    read().map(|folder| Arc::new(folder) as Arc<dyn Trigger>).map_err(|fault| vec![fault])
}

/// Whether the folder can be looked at, and each file in it be read. Nothing is written there: files stay
/// where they are, and what has started a run is remembered in the state.
pub(crate) fn examine(with: &Map<String, Value>, base: &Path, state: &Path) -> Vec<Diagnosis> {
    let text = |name| settings::text(with, name).ok().flatten().unwrap_or_default().to_owned();
    let folder = base.join(text("folder"));
    let place = Place { folder: folder.clone(), prefix: text("prefix"), suffix: text("suffix") };
    let what = format!("folder {}", folder.display());
    let files = match place.look() {
        Ok(files) => files,
        Err(_) if !folder.exists() => {
            return vec![Diagnosis::wrong(
                format!("{what}: it is not there"),
                format!("mkdir -p {}", folder.display()),
            )];
        }
        Err(fault) => {
            let next = format!("ls -ld {}; it has to be a folder that this user can list", folder.display());
            return vec![Diagnosis::wrong(fault.message, next)];
        }
    };
    let mut found = Vec::new();
    if let (Ok(within), Ok(state)) = (folder.canonicalize(), state.canonicalize())
        && within.starts_with(&state)
    {
        let next = "name a folder outside of it: what lies in the state belongs to the engine";
        found.push(Diagnosis::wrong(format!("{what}: it is in the state directory"), next));
    }
    for file in files.keys() {
        if let Err(error) = fs::File::open(file) {
            let file = file.display();
            found.push(Diagnosis::wrong(format!("{file}: {error}"), format!("chmod u+r {file}")));
        }
    }
    if found.is_empty() {
        let files = files.len();
        found.push(Diagnosis::good(format!("{what}: it can be watched; {files} in it now that would count")));
    }
    found
}

/// Which files are meant.
#[derive(Clone)]
struct Place {
    folder: PathBuf,
    prefix: String,
    suffix: String,
}

/// What tells one content of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    /// When it was written, in nanoseconds since 1970.
    written: u128,
    size: u64,
}

impl Stamp {
    fn text(&self) -> String {
        format!("{}/{}", self.written, self.size)
    }
}

impl Place {
    /// The files that are there, by path. What begins with a dot is none.
    fn look(&self) -> Result<BTreeMap<PathBuf, Stamp>, Fault> {
        let folder = std::path::absolute(&self.folder).map_err(|error| self.fault(&error))?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|error| self.fault(&error))? {
            let entry = entry.map_err(|error| self.fault(&error))?;
            let file_name = entry.file_name();
            // What has no name in UTF-8 cannot be the input of a run.
            let Some(name) = file_name.to_str().filter(|name| self.takes(name)) else { continue };
            // It may have gone in between, and then it is none.
            let Ok(found) = fs::metadata(entry.path()) else { continue };
            let written = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            if found.is_file() {
                let written = written.unwrap_or_default().as_nanos();
                files.insert(folder.join(name), Stamp { written, size: found.len() });
            }
        }
        Ok(files)
    }

    fn takes(&self, name: &str) -> bool {
        !name.starts_with('.') && name.starts_with(&self.prefix) && name.ends_with(&self.suffix)
    }

    fn fault(&self, error: &io::Error) -> Fault {
        let folder = self.folder.display();
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no folder {folder}: mkdir {folder}"),
            _ => format!("failed to look into {folder}: {error}"),
        };
        Fault::new(name::UNREACHABLE, message)
    }
}

/// A file as it was at the last look.
struct Seen {
    stamp: Stamp,
    /// Since when it has been like this.
    since: Timestamp,
}

struct Folder {
    place: Place,
    settle: Duration,
    seen: Mutex<BTreeMap<PathBuf, Seen>>,
    /// The name under which it remembers.
    of: String,
    clock: Arc<dyn Clock>,
    marks: Arc<dyn Marks>,
}

impl Folder {
    /// The file that was written first of those that are whole and have started nothing yet.
    async fn look(&self) -> Result<Option<Notice>, Fault> {
        let place = self.place.clone();
        let looked = tokio::task::spawn_blocking(move || place.look()).await;
        let files = looked.map_err(|error| Fault::new(name::DEFECT, error.to_string()))??;
        let marks = self.marks.marks(&self.of).map_err(|error| unremembered(&error))?;
        let gone = marks.keys().filter(|path| !files.contains_key(Path::new(path.as_str())));
        let forgotten: BTreeMap<String, Option<String>> = gone.map(|path| (path.clone(), None)).collect();
        if !forgotten.is_empty() {
            self.marks.mark(&self.of, forgotten).await.map_err(|error| unremembered(&error))?;
        }
        let is_new = |path: &Path, stamp: &Stamp| {
            path.to_str().and_then(|path| marks.get(path)).is_none_or(|known| *known != stamp.text())
        };
        let settled = self.settled(files, self.clock.now());
        let first = settled.into_iter().filter(|(path, stamp)| is_new(path, stamp));
        Ok(first.min_by(|(_, one), (_, other)| one.cmp(other)).map(|(path, stamp)| notice(&path, &stamp)))
    }

    /// The files that have stayed as they are for long enough.
    fn settled(&self, files: BTreeMap<PathBuf, Stamp>, now: Timestamp) -> Vec<(PathBuf, Stamp)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *seen);
        let mut settled = Vec::new();
        for (path, stamp) in files {
            let since =
                before.remove(&path).filter(|seen| seen.stamp == stamp).map_or(now, |seen| seen.since);
            if now.since(since) >= self.settle {
                settled.push((path.clone(), stamp.clone()));
            }
            seen.insert(path, Seen { stamp, since });
        }
        settled
    }
}

/// One run for each content of a file. The ticket is what is remembered of it.
fn notice(path: &Path, stamp: &Stamp) -> Notice {
    let (subject, stamp) = (path.to_string_lossy().into_owned(), stamp.text());
    let identity = serde_json::json!([subject, stamp]).to_string();
    let ticket = Ticket::Given(identity.as_str().into());
    Notice { occasions: vec![Occasion { subject, identity, version: None }], passed_over: Vec::new(), ticket }
}

#[async_trait]
impl Trigger for Folder {
    async fn next(&self) -> Result<Heard, Fault> {
        let until = self.clock.now().after(WAIT_MAX);
        loop {
            if let Some(notice) = self.look().await? {
                return Ok(Heard::Notice(notice));
            }
            let now = self.clock.now();
            if now >= until {
                return Ok(Heard::Nothing);
            }
            self.clock.sleep_until(now.after(LOOK)).await;
        }
    }

    async fn done(&self, ticket: &Ticket) -> Result<(), Fault> {
        let Ticket::Given(ticket) = ticket else { return Ok(()) };
        let Ok((path, stamp)) = serde_json::from_str(ticket) else { return Ok(()) };
        self.marks
            .mark(&self.of, BTreeMap::from([(path, Some(stamp))]))
            .await
            .map_err(|error| unremembered(&error))
    }
}

fn unremembered(error: &StoreError) -> Fault {
    Fault::new(name::NO_ANSWER, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::MemoryStore;

    /// Time goes by only when somebody waits for it.
    #[derive(Default)]
    struct Waited(AtomicU64);

    #[async_trait]
    impl Clock for Waited {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }

        async fn sleep_until(&self, until: Timestamp) {
            self.0.fetch_max(until.0, Ordering::SeqCst);
        }
    }

    fn watched(folder: &Path, marks: &Arc<MemoryStore>) -> Folder {
        let place = Place { folder: folder.to_owned(), prefix: String::new(), suffix: ".json".to_owned() };
        let (seen, of) = (Mutex::default(), "incoming".to_owned());
        let clock = Arc::new(Waited::default());
        Folder { place, settle: SETTLE, seen, of, clock, marks: Arc::clone(marks) as _ }
    }

    /// The name of the next file that starts a run, which is then dealt with.
    async fn heard(folder: &Folder) -> Option<String> {
        let Heard::Notice(notice) = folder.next().await.unwrap() else { return None };
        folder.done(&notice.ticket).await.unwrap();
        let path = Path::new(&notice.occasions[0].subject);
        Some(path.file_name().unwrap().to_string_lossy().into_owned())
    }

    #[tokio::test]
    async fn a_file_is_told_once_for_each_content_and_none_before_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Arc::new(MemoryStore::new(Arc::new(Waited::default())));
        let folder = watched(dir.path(), &marks);
        assert_eq!(heard(&folder).await, None);
        for (name, text) in [("a.json", "[]"), (".b.json", "[]"), ("c.json.part", "[")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        fs::create_dir(dir.path().join("d.json")).unwrap();
        assert_eq!(heard(&folder).await.as_deref(), Some("a.json"));
        assert!(folder.clock.now().0 >= 2_000, "it was looked at for so long");
        assert_eq!(heard(&folder).await, None);
        fs::rename(dir.path().join("c.json.part"), dir.path().join("c.json")).unwrap();
        fs::write(dir.path().join("a.json"), "[1]").unwrap();
        let mut both = [heard(&folder).await.unwrap(), heard(&folder).await.unwrap()];
        both.sort();
        assert_eq!(both, ["a.json", "c.json"]);
        // Another life knows what was dealt with; what came and went is forgotten.
        fs::remove_file(dir.path().join("c.json")).unwrap();
        let folder = watched(dir.path(), &marks);
        assert_eq!(heard(&folder).await, None);
        assert_eq!(marks.marks("incoming").unwrap().len(), 1);
    }

    #[test]
    fn a_file_that_grows_is_not_whole_until_it_has_stopped() {
        let marks = Arc::new(MemoryStore::new(Arc::new(Waited::default())));
        let folder = watched(Path::new("."), &marks);
        let at = |millis, size| {
            let file = (PathBuf::from("a.json"), Stamp { written: 1, size });
            folder.settled(BTreeMap::from([file]), Timestamp(millis)).len()
        };
        assert_eq!([at(0, 1), at(1_900, 2), at(3_800, 3), at(5_700, 3), at(5_800, 3)], [0, 0, 0, 0, 1]);
        assert_eq!(at(6_000, 4), 0);
        assert!(folder.settled(BTreeMap::new(), Timestamp(7_000)).is_empty());
        assert_eq!(at(9_000, 4), 0, "it went and came again");
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_said_with_what_to_type() {
        let marks = Arc::new(MemoryStore::new(Arc::new(Waited::default())));
        let folder = watched(Path::new("/nonexistent/incoming"), &marks);
        let fault = folder.next().await.unwrap_err();
        assert_eq!(fault.message, "there is no folder /nonexistent/incoming: mkdir /nonexistent/incoming");
    }
}
