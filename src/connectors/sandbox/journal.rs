//! The journal of a stand-in: one JSON line per call, appended and synced by one thread, which
//! takes together whatever arrived during the last sync. What a stand-in holds is what replaying
//! its journal gives.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

use super::SandboxError;

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it arrived, in milliseconds since 1970.
    pub at: u64,
    /// What was called: a Data Hub operation, or a method and a route.
    pub call: String,
    /// The keys (SKU, external ID) it was about.
    pub keys: Vec<String>,
    /// The keys it wrote, once for each write; empty when it wrote nothing.
    pub wrote: Vec<String>,
    /// The HTTP status.
    pub status: u16,
    /// Whether the answer was sent; `false` when it was dropped after the work.
    pub answered: bool,
    /// What replaying it changes. Left out of `GET /sandbox/journal`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Value>,
}

/// A line to append; the sender is told when it is on disk, and dropped when it never will be.
type Line = (Vec<u8>, oneshot::Sender<()>);

/// An open journal. No other process can open it meanwhile.
pub(super) struct Journal {
    /// Unbounded, but each open HTTP connection has at most one line in it.
    lines: Option<Sender<Line>>,
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens or makes a journal and hands every entry to `each`. A last line that was cut off by
    /// a kill is removed: its call was never answered.
    pub(super) fn open(path: &Path, each: &mut dyn FnMut(Entry)) -> Result<Self, SandboxError> {
        let io = || SandboxError::io(format!("open {}", path.display()));
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io())?;
        file.try_lock().map_err(|_| SandboxError::Held(path.parent().unwrap_or(path).to_owned()))?;
        let whole = read(path, each)?;
        file.set_len(whole).map_err(io())?;
        file.seek(SeekFrom::Start(whole)).map_err(io())?;
        file.sync_all().map_err(io())?;
        if let Some(parent) = path.parent() {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(io())?;
        }
        let (lines, received) = channel();
        let writer = std::thread::Builder::new()
            .name("sandbox-journal".to_owned())
            .spawn(move || append(&mut file, &received))
            .map_err(io())?;
        Ok(Self { lines: Some(lines), writer: Some(writer) })
    }

    /// Queues an entry behind all before it. The receiver ends with `Ok` once it is on disk, with
    /// an error when it never will be.
    pub(super) fn append(&self, entry: &Entry) -> oneshot::Receiver<()> {
        let (done, on_disk) = oneshot::channel();
        if let (Ok(mut line), Some(lines)) = (serde_json::to_vec(entry), &self.lines) {
            line.push(b'\n');
            // When the writer is gone the sender goes with the line, which says so.
            let _ = lines.send((line, done));
        }
        on_disk
    }
}

impl Drop for Journal {
    /// Waits for the last sync, so that the file is unlocked afterwards.
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The writer thread. It ends at the first error: what the disk then holds is not known, so
/// nothing more may be called written.
fn append(file: &mut File, lines: &Receiver<Line>) {
    let mut bytes = Vec::new();
    while let Ok(first) = lines.recv() {
        bytes.clear();
        let mut waiting = Vec::new();
        for (line, done) in std::iter::once(first).chain(lines.try_iter()) {
            bytes.extend_from_slice(&line);
            waiting.push(done);
        }
        if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        for done in waiting {
            // A caller that hung up does not wait any more.
            let _ = done.send(());
        }
    }
}

/// Reads a journal, hands every entry to `each`, and returns the length of its whole lines in
/// bytes. No file is an empty journal.
pub(super) fn read(path: &Path, each: &mut dyn FnMut(Entry)) -> Result<u64, SandboxError> {
    let io = || SandboxError::io(format!("read {}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(io()(error)),
    };
    let mut reader = BufReader::new(file);
    let mut whole = 0;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(io())?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let entry = serde_json::from_slice(&line).map_err(|error| SandboxError::Damaged {
            path: path.to_owned(),
            line: number,
            reason: error.to_string(),
        })?;
        each(entry);
        whole += length as u64;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> Entry {
        Entry {
            at: 5,
            call: "createProduct".to_owned(),
            keys: vec![key.to_owned()],
            wrote: vec![key.to_owned()],
            status: 200,
            answered: true,
            changes: vec![Value::from(key)],
        }
    }

    #[test]
    fn a_line_cut_off_by_a_kill_is_dropped_and_the_next_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pim.jsonl");
        let journal = Journal::open(&path, &mut |_| ()).unwrap();
        journal.append(&entry("A")).blocking_recv().unwrap();
        drop(journal);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\":6,\"ca").unwrap();

        let mut seen = Vec::new();
        let journal = Journal::open(&path, &mut |entry| seen.push(entry)).unwrap();
        assert_eq!(seen, [entry("A")]);
        journal.append(&entry("B")).blocking_recv().unwrap();
        drop(journal);
        let mut keys = Vec::new();
        read(&path, &mut |entry| keys.extend(entry.keys)).unwrap();
        assert_eq!(keys, ["A", "B"]);
    }

    #[test]
    fn a_journal_has_one_owner_and_a_damaged_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pim.jsonl");
        let journal = Journal::open(&path, &mut |_| ()).unwrap();
        assert!(matches!(Journal::open(&path, &mut |_| ()), Err(SandboxError::Held(_))));
        drop(journal);
        std::fs::write(&path, "nonsense\n").unwrap();
        let Err(SandboxError::Damaged { line: 1, .. }) = Journal::open(&path, &mut |_| ()) else {
            panic!("opened a damaged journal")
        };
    }
}
