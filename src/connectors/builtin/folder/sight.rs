//! What is seen in a folder: which files are whole and have started nothing yet, and what of the marks is
//! no longer true.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use crate::core::fault::{Fault, name};
use crate::core::start;
use crate::core::time::Timestamp;
use crate::ports::Clock;

/// Which files are meant.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) prefix: String,
    pub(super) suffix: String,
}

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    /// When it was written, in nanoseconds since 1970; 0: nobody knows.
    written: u128,
    size: u64,
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Self {
        let written = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self { written: written.unwrap_or_default().as_nanos(), size: found.len() }
    }

    pub(super) fn text(self) -> String {
        format!("{}/{}", self.written, self.size)
    }

    /// When it was written, where that is known.
    pub(super) fn written(self) -> Option<Timestamp> {
        u64::try_from(self.written / 1_000_000).ok().filter(|millis| *millis > 0).map(Timestamp)
    }
}

/// What is remembered of a file: `WRITTEN/SIZE`, and `/GONE` behind it once the file is gone.
struct Mark<'a> {
    stamp: &'a str,
    /// Since when it is gone; `None`: it is there.
    gone: Option<Timestamp>,
}

impl<'a> Mark<'a> {
    fn read(text: &'a str) -> Self {
        let is_gone = text.bytes().filter(|byte| *byte == b'/').count() > 1;
        let (stamp, gone) = text.rsplit_once('/').filter(|_| is_gone).unwrap_or((text, ""));
        Self { stamp, gone: gone.parse().ok().map(Timestamp) }
    }

    /// What is to be remembered of it from now on. A file that is gone is not forgotten as long as the key
    /// of a run that has just ended is kept: what comes back when a volume is mounted again, or when a
    /// copy has been put in its place, starts nothing.
    fn changed(&self, is_there: bool, now: Timestamp) -> Change {
        match (is_there, self.gone) {
            (true, None) => Change::Nothing,
            (true, Some(_)) => Change::To(self.stamp.to_owned()),
            (false, None) => Change::To(format!("{}/{}", self.stamp, now.0)),
            (false, Some(gone)) if now.since(gone) >= start::KEEP => Change::Forget,
            (false, Some(_)) => Change::Nothing,
        }
    }
}

enum Change {
    Nothing,
    To(String),
    Forget,
}

/// What was found in a folder, by path; `None`: it is there, and nothing more can be said of it now.
pub(super) type Found = BTreeMap<PathBuf, Option<Stamp>>;

impl Place {
    /// What is there. What begins with a dot is not, and what is no file neither.
    pub(super) fn look(&self) -> Result<Found, Fault> {
        let folder = std::path::absolute(&self.folder).map_err(|error| self.fault(&error))?;
        let (mut found, mut troubles) = (Found::new(), Vec::new());
        for entry in fs::read_dir(&folder).map_err(|error| self.fault(&error))? {
            let entry = entry.map_err(|error| self.fault(&error))?;
            let file_name = entry.file_name();
            // What has no name in UTF-8 cannot be the input of a run.
            let Some(name) = file_name.to_str().filter(|name| self.takes(name)) else { continue };
            let stamp = match fs::metadata(entry.path()) {
                Ok(known) if known.is_file() => Some(Stamp::of(&known)),
                Ok(_) => continue,
                // It has gone in between.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    troubles.push(error);
                    None
                }
            };
            found.insert(folder.join(name), stamp);
        }
        match troubles.first() {
            // One file is in trouble: the others are not held up. All of them: the folder is.
            Some(trouble) if troubles.len() == found.len() => Err(self.fault(trouble)),
            _ => Ok(found),
        }
    }

    fn takes(&self, name: &str) -> bool {
        !name.starts_with('.') && name.starts_with(&self.prefix) && name.ends_with(&self.suffix)
    }

    fn fault(&self, error: &io::Error) -> Fault {
        let folder = self.folder.display();
        let message = match error.kind() {
            ErrorKind::NotFound => format!("there is no folder {folder}: mkdir {folder}"),
            _ => format!("failed to look into {folder}: {error}"),
        };
        Fault::new(name::UNREACHABLE, message)
    }
}

/// A file as it was at the last look.
struct Seen {
    stamp: Stamp,
    /// Since when it has been like this, as time passes: what a clock that is set says is no measure.
    since: Duration,
}

/// What looks at a folder, and what it saw.
pub(super) struct Sight {
    place: Place,
    settle: Duration,
    clock: Arc<dyn Clock>,
    looks: Mutex<Looks>,
}

#[derive(Default)]
struct Looks {
    seen: BTreeMap<PathBuf, Seen>,
    /// What is whole and has started nothing yet, as one look found it: what was written first comes first.
    due: VecDeque<(PathBuf, Stamp)>,
}

/// What came of a look.
pub(super) struct Looked {
    /// The next file that starts a run, until it is [done](Sight::done).
    pub(super) due: Option<(PathBuf, Stamp)>,
    /// What is to be remembered otherwise.
    pub(super) marks: BTreeMap<String, Option<String>>,
}

impl Sight {
    pub(super) fn new(place: Place, settle: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { place, settle, clock, looks: Mutex::default() }
    }

    /// The next file that is due. The folder is listed when none is left of those that were due.
    pub(super) fn look(&self, marks: &BTreeMap<String, String>) -> Result<Looked, Fault> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((path, stamp)) = looks.due.front() {
            if fs::metadata(path).is_ok_and(|found| found.is_file() && Stamp::of(&found) == *stamp) {
                return Ok(Looked { due: Some((path.clone(), *stamp)), marks: BTreeMap::new() });
            }
            // It is another one meanwhile, or gone: the next listing says.
            looks.due.pop_front();
        }
        let before = self.clock.passed();
        let found = self.place.look()?;
        let changed = self.changed(marks, &found);
        let mut settled = looks.settled(found, before, self.clock.passed(), self.settle);
        let is_new = |path: &Path, stamp: Stamp| {
            let known = path.to_str().and_then(|path| marks.get(path));
            known.is_none_or(|known| Mark::read(known).stamp != stamp.text())
        };
        settled.retain(|(path, stamp)| is_new(path, *stamp));
        settled.sort_by(|(path, stamp), (other, another)| (stamp, path).cmp(&(another, other)));
        looks.due = settled.into();
        Ok(Looked { due: looks.due.front().cloned(), marks: changed })
    }

    /// A file has started its run.
    pub(super) fn done(&self, path: &Path, stamp: &str) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.due.retain(|(due, known)| due != path || known.text() != stamp);
    }

    fn changed(&self, marks: &BTreeMap<String, String>, found: &Found) -> BTreeMap<String, Option<String>> {
        let now = self.clock.now();
        let changes = marks.iter().filter_map(|(path, mark)| {
            let change = Mark::read(mark).changed(found.contains_key(Path::new(path)), now);
            match change {
                Change::Nothing => None,
                Change::To(mark) => Some((path.clone(), Some(mark))),
                Change::Forget => Some((path.clone(), None)),
            }
        });
        changes.collect()
    }
}

impl Looks {
    /// The files that have stayed as they are for long enough, from `after` one look to `before` the next.
    fn settled(
        &mut self,
        found: Found,
        before: Duration,
        after: Duration,
        settle: Duration,
    ) -> Vec<(PathBuf, Stamp)> {
        let mut known = std::mem::take(&mut self.seen);
        let mut settled = Vec::new();
        for (path, stamp) in found {
            let Some(stamp) = stamp else { continue };
            let since = known.remove(&path).filter(|seen| seen.stamp == stamp).map(|seen| seen.since);
            if since.map_or(settle.is_zero(), |since| before.saturating_sub(since) >= settle) {
                settled.push((path.clone(), stamp));
            }
            self.seen.insert(path, Seen { stamp, since: since.unwrap_or(after) });
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_is_not_whole_until_it_has_stopped() {
        let mut looks = Looks::default();
        let mut at = |millis, size: Option<u64>| {
            let found = size.map(|size| (PathBuf::from("a.json"), Some(Stamp { written: 1, size })));
            let now = Duration::from_millis(millis);
            looks.settled(found.into_iter().collect(), now, now, Duration::from_secs(2)).len()
        };
        let mut grows = |millis, size| at(millis, Some(size));
        let sizes = [grows(0, 1), grows(1_900, 2), grows(3_800, 3), grows(5_700, 3), grows(5_800, 3)];
        assert_eq!(sizes, [0, 0, 0, 0, 1]);
        assert_eq!(grows(6_000, 4), 0);
        assert_eq!([at(7_000, None), at(9_000, Some(4))], [0, 0], "it went and came again");
    }

    #[test]
    fn a_look_that_takes_long_counts_as_none_of_the_time_that_a_file_stays() {
        let mut looks = Looks::default();
        let mut look = |before, after| {
            let found = BTreeMap::from([(PathBuf::from("a.json"), Some(Stamp { written: 1, size: 1 }))]);
            let [before, after] = [before, after].map(Duration::from_secs);
            looks.settled(found, before, after, Duration::from_secs(2)).len()
        };
        assert_eq!([look(0, 5), look(6, 11), look(7, 8)], [0, 0, 1]);
    }

    #[test]
    fn a_mark_stays_for_a_while_when_its_file_is_gone_and_an_older_build_wrote_it() {
        let next = |mark: &str, is_there, now| match Mark::read(mark).changed(is_there, Timestamp(now)) {
            Change::Nothing => "as it is".to_owned(),
            Change::To(mark) => mark,
            Change::Forget => "forgotten".to_owned(),
        };
        let keep = u64::try_from(start::KEEP.as_millis()).unwrap();
        assert_eq!(next("17/4", true, 100), "as it is");
        assert_eq!(next("17/4", false, 100), "17/4/100");
        assert_eq!(next("17/4/100", false, 99 + keep), "as it is");
        assert_eq!(next("17/4/100", false, 100 + keep), "forgotten");
        assert_eq!(next("17/4/100", true, 100 + keep), "17/4");
        assert_eq!(Mark::read("17/4/100").stamp, "17/4");
    }
}
