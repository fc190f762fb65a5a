//! The journal itself is damaged, deleted, cut: by somebody else, while it is open and between two
//! lives. Never a new beginning where something was, never an acknowledgement of what is not there.

use std::fs;
use std::path::Path;

use crate::core::care::Verified;
use crate::core::change::Change;
use crate::core::id::RunId;
use crate::ports::{Journal, Pins};
use crate::store::tests::{RUN, event};
use crate::store::{OpenError, Store};

use super::super::{Inspection, walk};
use super::{clock, filled, inspect, open, plan};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn rows(inspection: &Inspection) -> Rows {
    let rows = walk::rows(&inspection.rows, b"").filter_map(Result::ok);
    rows.map(|raw| (raw.key.to_vec(), raw.row.to_vec())).collect()
}

/// What opening and checking a damaged directory come to.
enum Seen {
    Refused(String),
    Found(Verified),
    Sound(Rows),
}

fn seen(dir: &Path) -> Seen {
    match Inspection::open(dir, &*clock()) {
        Err(error) => Seen::Refused(error.to_string()),
        Ok(inspection) => {
            let verified = inspection.verify(&plan);
            if verified.sound { Seen::Sound(rows(&inspection)) } else { Seen::Found(verified) }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy(&path, &to) } else { drop(fs::copy(path, to).unwrap()) }
    }
}

#[tokio::test]
async fn experiment() {
    let (dir, ..) = filled().await;
    let before = rows(&inspect(dir.path()));
    let db = fs::read(dir.path().join("journal/db")).unwrap();
    println!(
        "db {} bytes, {:?}",
        db.len(),
        fs::read_dir(dir.path().join("journal"))
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect::<Vec<_>>()
    );
    let last = db.iter().rposition(|b| *b != 0).unwrap();
    println!("last nonzero {last}");
    let scratch = tempfile::tempdir().unwrap();
    let mut tell = |what: String, bytes: &[u8], number: usize| {
        let place = scratch.path().join(number.to_string());
        copy(dir.path(), &place);
        fs::write(place.join("journal/db"), bytes).unwrap();
        let said = match seen(&place) {
            Seen::Refused(text) => format!("refused: {}", text.chars().take(300).collect::<String>()),
            Seen::Found(found) => format!("found {:?}", found.counts),
            Seen::Sound(there) if there == before => "same".to_owned(),
            Seen::Sound(there) => format!("SOUND WITH OTHER ROWS: {} of {}", there.len(), before.len()),
        };
        println!("{what}: {said}");
        fs::remove_dir_all(place).unwrap();
    };
    for number in 0..60usize {
        let at = number * last / 60;
        let mut flipped = db.clone();
        flipped[at] ^= 0x41;
        tell(format!("flip {at}"), &flipped, number);
    }
    for number in 0..40usize {
        let at = number * db.len() / 40;
        tell(format!("cut {at}"), &db[..at], 100 + number);
    }
    let _ = (RunId(1), RUN, event("x"), Change::Watermark(RUN, 1), open as fn(&Path) -> Store);
    let _: Option<OpenError> = None;
}
