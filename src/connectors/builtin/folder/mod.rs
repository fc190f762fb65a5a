//! `file.created`: a file has appeared in a folder. A file that is still being written starts nothing: it
//! counts once its size and its time have stayed as they are for a while. Whoever writes it under another name and
//! renames it is on the safe side.

mod examine;
mod sight;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub(crate) use self::examine::examine;
use self::sight::{Looked, Place, Sight, Stamp};
use super::source::LOCAL;
use crate::connectors::listening::{Remembered, until_heard};
use crate::connectors::{BuildFault, Post, settings};
use crate::core::catalog::{Field, Kind, TriggerKind};
use crate::core::fault::Fault;
use crate::core::queue::Ticket;
use crate::core::time::Timestamp;
use crate::core::trigger::{Heard, Notice, Occasion};
use crate::core::version::Version;
use crate::ports::{Clock, Trigger};

/// How long a file stays as it is before it counts, when the workflow does not say.
const SETTLE: Duration = Duration::from_secs(2);
/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(500);

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
        let settle = settings::duration(with, "settle")?.unwrap_or(SETTLE);
        let sight = Sight::new(Place { folder, prefix, suffix }, settle, Arc::clone(&post.clock));
        let remembered = Remembered::new(&post.of, &post.marks);
        Ok(Folder { sight: Arc::new(sight), clock: Arc::clone(&post.clock), remembered })
    };
    read().map(|folder| Arc::new(folder) as Arc<dyn Trigger>).map_err(|fault| vec![fault])
}

struct Folder {
    sight: Arc<Sight>,
    clock: Arc<dyn Clock>,
    remembered: Remembered,
}

impl Folder {
    /// The file that was written first of those that are whole and have started nothing yet.
    async fn look(&self) -> Result<Option<Notice>, Fault> {
        let sight = Arc::clone(&self.sight);
        let Looked { due, marks } = self.remembered.look(move |marks| sight.look(marks)).await??;
        self.remembered.remember(marks).await?;
        Ok(due.map(|(path, stamp)| notice(&path, stamp, self.clock.now())))
    }
}

/// One run for each content of a file. The ticket is what is remembered of it.
fn notice(path: &Path, stamp: Stamp, now: Timestamp) -> Notice {
    let (subject, written) = (path.to_string_lossy().into_owned(), stamp.written());
    let identity = serde_json::json!([subject, stamp.text()]).to_string();
    let ticket = Ticket::Given(identity.as_str().into());
    // A machine whose clock is ahead may have written it: it is not newer than now.
    let version = written.map(|written| Version::of_object(written.min(now), &subject, None));
    Notice { occasions: vec![Occasion { subject, identity, version }], passed_over: Vec::new(), ticket }
}

#[async_trait]
impl Trigger for Folder {
    async fn next(&self) -> Result<Heard, Fault> {
        until_heard(&*self.clock, LOOK, || self.look()).await
    }

    async fn done(&self, ticket: &Ticket) -> Result<(), Fault> {
        let Ticket::Given(ticket) = ticket else { return Ok(()) };
        let Ok((path, stamp)) = serde_json::from_str::<(PathBuf, String)>(ticket) else { return Ok(()) };
        let subject = path.to_string_lossy().into_owned();
        self.remembered.remember(BTreeMap::from([(subject, Some(stamp.clone()))])).await?;
        self.sight.done(&path, &stamp);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::connectors::listening::tests::Waited;
    use crate::core::start::KEEP;
    use crate::ports::Marks;
    use crate::store::MemoryStore;

    fn watched(folder: &Path, marks: &Arc<MemoryStore>) -> Folder {
        watched_by(folder, marks, Arc::new(Waited::default()))
    }

    fn watched_by(folder: &Path, marks: &Arc<MemoryStore>, clock: Arc<dyn Clock>) -> Folder {
        let place = Place { folder: folder.to_owned(), prefix: String::new(), suffix: ".json".to_owned() };
        let sight = Arc::new(Sight::new(place, SETTLE, Arc::clone(&clock)));
        Folder { sight, clock, remembered: Remembered::new("incoming", &(Arc::clone(marks) as _)) }
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
        // Another life knows what was dealt with; what is gone is forgotten after a while.
        fs::remove_file(dir.path().join("c.json")).unwrap();
        let folder = watched(dir.path(), &marks);
        assert_eq!(heard(&folder).await, None);
        assert_eq!(marks.marks("incoming").unwrap().len(), 2);
        folder.clock.sleep_until(folder.clock.now().after(KEEP)).await;
        assert_eq!(heard(&folder).await, None);
        assert_eq!(marks.marks("incoming").unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_cannot_be_seen_for_a_while_and_comes_back_starts_nothing_again() {
        let dir = tempfile::tempdir().unwrap();
        let (there, away) = (dir.path().join("incoming"), dir.path().join("unmounted"));
        fs::create_dir(&there).unwrap();
        fs::write(there.join("a.json"), "[]").unwrap();
        let marks = Arc::new(MemoryStore::new(Arc::new(Waited::default())));
        let folder = watched(&there, &marks);
        assert_eq!(heard(&folder).await.as_deref(), Some("a.json"));
        // The place where it was mounted is empty, or not there at all.
        fs::rename(&there, &away).unwrap();
        assert!(folder.next().await.is_err());
        fs::create_dir(&there).unwrap();
        assert_eq!(heard(&folder).await, None);
        fs::remove_dir(&there).unwrap();
        fs::rename(&away, &there).unwrap();
        assert_eq!(heard(&watched(&there, &marks)).await, None, "another life knows it, too");
        // It is there, and cannot be looked at: here, because it leads to itself.
        let hidden = dir.path().join("hidden");
        fs::rename(there.join("a.json"), &hidden).unwrap();
        std::os::unix::fs::symlink("a.json", there.join("a.json")).unwrap();
        let fault = folder.next().await.unwrap_err();
        assert!(fault.message.starts_with("failed to look into"), "{fault}");
        fs::write(there.join("b.json"), "[]").unwrap();
        assert_eq!(heard(&folder).await.as_deref(), Some("b.json"), "the others are not held up");
        let known = marks.marks("incoming").unwrap();
        assert!(known.values().all(|mark| mark.split('/').count() == 2), "it is not gone: {known:?}");
        fs::rename(&hidden, there.join("a.json")).unwrap();
        assert_eq!(heard(&folder).await, None);
    }

    #[tokio::test]
    async fn the_files_of_one_look_come_in_the_order_in_which_they_were_written_and_as_old_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Arc::new(MemoryStore::new(Arc::new(Waited::default())));
        let folder = watched(dir.path(), &marks);
        let names = ["c.json", "a.json", "d.json", "b.json"];
        for (second, name) in (1_000..).zip(names) {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(second)).unwrap();
        }
        folder.clock.sleep_until(Timestamp(1_001_500)).await;
        let Heard::Notice(first) = folder.next().await.unwrap() else { panic!("a file is there") };
        assert_eq!(Heard::Notice(first.clone()), folder.next().await.unwrap(), "until it is done");
        assert_eq!(first.occasions[0].version, Some(Version("1000000".to_owned())));
        let looked = folder.clock.now();
        folder.done(&first.ticket).await.unwrap();
        fs::remove_file(dir.path().join("d.json")).unwrap();
        assert_eq!(heard(&folder).await.as_deref(), Some("a.json"));
        let Heard::Notice(last) = folder.next().await.unwrap() else { panic!("b.json is there") };
        assert!(last.occasions[0].subject.ends_with("b.json"), "what has gone is left out: {last:?}");
        assert_eq!(folder.clock.now(), looked, "of one look");
        // As new as now, though a clock that is ahead says more.
        let now = Timestamp(1_002_500);
        let ahead =
            notice(Path::new("b.json"), Stamp::of(&fs::metadata(dir.path().join("b.json")).unwrap()), now);
        assert_eq!(ahead.occasions[0].version, Some(Version("1002500".to_owned())));
    }

    /// Time goes by, and the time of day is put back at every wait.
    #[derive(Default)]
    struct PutBack(Waited);

    #[async_trait]
    impl Clock for PutBack {
        fn now(&self) -> Timestamp {
            Timestamp(1_000_000_000 - self.0.now().0)
        }

        fn passed(&self) -> Duration {
            Duration::from_millis(self.0.now().0)
        }

        async fn sleep_until(&self, until: Timestamp) {
            self.0.sleep_until(self.0.now().after(until.since(self.now()))).await;
        }
    }

    #[tokio::test]
    async fn a_file_becomes_whole_though_the_clock_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.json"), "[]").unwrap();
        let marks = Arc::new(MemoryStore::new(Arc::new(Waited::default())));
        let folder = watched_by(dir.path(), &marks, Arc::new(PutBack::default()));
        assert_eq!(heard(&folder).await.as_deref(), Some("a.json"));
        assert_eq!(folder.clock.passed(), SETTLE);
        assert_eq!(heard(&folder).await, None, "and nothing has its end");
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_said_with_what_to_type() {
        let marks = Arc::new(MemoryStore::new(Arc::new(Waited::default())));
        let folder = watched(Path::new("/nonexistent/incoming"), &marks);
        let fault = folder.next().await.unwrap_err();
        assert_eq!(fault.message, "there is no folder /nonexistent/incoming: mkdir /nonexistent/incoming");
    }
}
