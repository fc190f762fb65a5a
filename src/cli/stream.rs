//! A stream that is written by a thread of its own: whoever does not read holds nobody up. What waits is
//! bounded; the oldest of it is left out first, counted, and said.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Most pieces of text that wait.
const WAITING_MAX: usize = 1_000;

/// The end of a stream that is written to. Whole lines are handed on.
pub(super) struct Stream {
    line: Vec<u8>,
    pipe: Pipe,
}

/// The same, to look at.
#[derive(Clone)]
pub(super) struct Pipe(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    /// Rings after each piece.
    left: Notify,
    left_too: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    left_out: u64,
    is_writing: bool,
    /// How many pieces have left.
    written: u64,
    failed: Option<(io::ErrorKind, String)>,
    is_closed: bool,
}

impl State {
    fn has_left(&self) -> bool {
        self.failed.is_some() || self.waiting.is_empty() && !self.is_writing
    }

    fn failure(&self) -> io::Result<()> {
        match &self.failed {
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => Ok(()),
        }
    }
}

impl Stream {
    /// Writes to `inner`, which is called `name`. What goes wrong is said on `talk`; without one, here.
    pub(super) fn of(
        inner: Box<dyn Write + Send>,
        name: &'static str,
        talk: Option<&Pipe>,
    ) -> io::Result<Self> {
        let shared = Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            left: Notify::new(),
            left_too: Condvar::new(),
        };
        let pipe = Pipe(Arc::new(shared));
        let (works, talk) = (pipe.clone(), talk.cloned());
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || works.work(inner, name, talk.as_ref()))?;
        Ok(Self { line: Vec::new(), pipe })
    }

    pub(super) fn pipe(&self) -> Pipe {
        self.pipe.clone()
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if self.line.ends_with(b"\n") {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    /// Hands on; it does not wait until it has left.
    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() { self.pipe.lock().failure() } else { self.pipe.put(line) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.pipe.lock().is_closed = true;
        self.pipe.0.filled.notify_all();
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: Vec<u8>) -> io::Result<()> {
        let mut state = self.lock();
        state.failure()?;
        if state.waiting.len() == WAITING_MAX {
            state.waiting.pop_front();
            state.left_out += 1;
        }
        state.waiting.push_back(line);
        drop(state);
        self.0.filled.notify_all();
        Ok(())
    }

    /// Writes until the other end is gone, or nothing can be written any more.
    fn work(&self, mut inner: Box<dyn Write + Send>, name: &str, talk: Option<&Self>) {
        while let Some((line, left_out)) = self.next() {
            let said = match talk {
                _ if left_out == 0 => Ok(()),
                // Nobody listening is no reason to stop.
                Some(talk) => talk.put(left_out_text(left_out, name)).or(Ok(())),
                None => inner.write_all(&left_out_text(left_out, name)),
            };
            let written = said.and_then(|()| inner.write_all(&line)).and_then(|()| inner.flush());
            let mut state = self.lock();
            state.is_writing = false;
            state.written += 1;
            if let Err(error) = written {
                if let (Some(talk), true) = (talk, error.kind() != io::ErrorKind::BrokenPipe) {
                    let _ = talk.put(format!("{name} is not written any more: {error}\n").into_bytes());
                }
                state.failed = Some((error.kind(), error.to_string()));
                state.waiting.clear();
            }
            let is_over = state.failed.is_some();
            drop(state);
            self.0.left.notify_waiters();
            self.0.left_too.notify_all();
            if is_over {
                return;
            }
        }
    }

    fn next(&self) -> Option<(Vec<u8>, u64)> {
        let mut state = self.lock();
        loop {
            if let Some(line) = state.waiting.pop_front() {
                state.is_writing = true;
                return Some((line, std::mem::take(&mut state.left_out)));
            }
            if state.is_closed {
                return None;
            }
            state = self.0.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns when all that was handed on has left, or nothing leaves any more.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn left(&self) -> io::Result<()> {
        loop {
            let mut left = std::pin::pin!(self.0.left.notified());
            left.as_mut().enable();
            {
                let state = self.lock();
                if state.has_left() {
                    return state.failure();
                }
            }
            left.await;
        }
    }

    /// The same, when somebody reads: at the latest when nothing has left for so long.
    pub(super) fn left_soon(&self, patience: Duration) {
        let mut state = self.lock();
        let (mut written, mut since) = (state.written, Instant::now());
        while !state.has_left() && since.elapsed() < patience {
            let wait = self.0.left_too.wait_timeout(state, patience);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
            if state.written > written {
                (written, since) = (state.written, Instant::now());
            }
        }
    }
}

fn left_out_text(lines: u64, name: &str) -> Vec<u8> {
    format!("{lines} pieces of {name} were left out: nobody read them in time\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes one piece when it is told to.
    struct Reader {
        goes_on: mpsc::Receiver<io::Result<()>>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.goes_on.recv().unwrap_or(Ok(()))?;
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn reader() -> (Box<Reader>, mpsc::Sender<io::Result<()>>, impl Fn() -> String) {
        let (go, goes_on) = mpsc::channel();
        let read = Arc::<Mutex<Vec<u8>>>::default();
        let text = Arc::clone(&read);
        let text = move || String::from_utf8(text.lock().unwrap().clone()).unwrap();
        (Box::new(Reader { goes_on, read }), go, text)
    }

    #[tokio::test]
    async fn nobody_who_reads_holds_up_nobody_and_what_is_left_out_is_counted() {
        let (talks, talk_goes, talk) = reader();
        let (reads, goes, data) = reader();
        let talks = Stream::of(talks, "talk", None).unwrap();
        let mut stream = Stream::of(reads, "data", Some(&talks.pipe())).unwrap();
        drop(talk_goes);
        for number in 0..WAITING_MAX + 100 {
            writeln!(stream, "{number}").unwrap();
        }
        stream.pipe().left_soon(Duration::ZERO);
        assert_eq!(data(), "", "nobody has read");
        drop(goes);
        stream.pipe().left().await.unwrap();
        talks.pipe().left().await.unwrap();
        let (data, talk) = (data(), talk());
        let lines: Vec<usize> = data.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(lines.last(), Some(&(WAITING_MAX + 99)), "the newest is told, last");
        assert!(lines.is_sorted());
        let left_out = WAITING_MAX + 100 - lines.len();
        assert_eq!(talk, format!("{left_out} pieces of data were left out: nobody read them in time\n"));
    }

    #[tokio::test]
    async fn a_stream_that_fails_says_so_once_and_takes_nothing_more() {
        let (talks, talk_goes, talk) = reader();
        let (reads, goes, _) = reader();
        let talks = Stream::of(talks, "talk", None).unwrap();
        let mut stream = Stream::of(reads, "data", Some(&talks.pipe())).unwrap();
        drop(talk_goes);
        goes.send(Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"))).unwrap();
        writeln!(stream, "one").unwrap();
        let failed = stream.pipe().left().await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
        assert!(writeln!(stream, "two").is_err());
        talks.pipe().left().await.unwrap();
        assert_eq!(talk(), "data is not written any more: no space left\n");
    }
}
