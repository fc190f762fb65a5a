//! A stream that is written by a thread of its own: whoever does not read holds nobody up. What waits is
//! bounded; the oldest of it is left out first, counted, and said.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Most pieces of text that wait.
const WAITING_MAX: usize = 1_000;

/// Where it is said what became of a stream: that some of it was left out, or that it is not written any more.
pub(super) enum Notices {
    /// In it, between its lines; this makes a line of a text.
    Here(Box<dyn Fn(&str) -> String + Send>),
    /// Elsewhere.
    Elsewhere(Box<dyn Fn(&str) + Send>),
}

impl Notices {
    /// Between the lines, as it is.
    pub(super) fn between() -> Self {
        Self::Here(Box::new(|text| format!("{text}\n")))
    }

    /// In another stream.
    pub(super) fn on(talk: Pipe) -> Self {
        // Nobody listening is no reason to stop.
        Self::Elsewhere(Box::new(move |text| drop(talk.put(format!("{text}\n").into_bytes()))))
    }
}

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
    /// How long whoever writes waits for room while nothing leaves.
    patience: Duration,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    left_out: u64,
    is_writing: bool,
    /// How many pieces have left.
    written: u64,
    /// When a piece left last, or there was something to write again.
    moved: Option<Instant>,
    failed: Option<(io::ErrorKind, String)>,
    is_closed: bool,
}

impl State {
    fn has_left(&self) -> bool {
        self.failed.is_some() || self.waiting.is_empty() && !self.is_writing
    }

    /// How much longer something may leave before nobody is said to read.
    fn hope(&self, patience: Duration) -> Duration {
        self.moved.map_or(Duration::ZERO, |moved| patience.saturating_sub(moved.elapsed()))
    }

    fn failure(&self) -> io::Result<()> {
        match &self.failed {
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => Ok(()),
        }
    }
}

impl Stream {
    /// Writes to `inner`, which is called `name`. Where there is no room any more, whoever writes waits until
    /// nothing has left for `patience`; then it is as if nobody read, until somebody does.
    pub(super) fn of(
        inner: Box<dyn Write + Send>,
        name: &'static str,
        patience: Duration,
        notices: Notices,
    ) -> io::Result<Self> {
        let shared = Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            left: Notify::new(),
            left_too: Condvar::new(),
            patience,
        };
        let pipe = Pipe(Arc::new(shared));
        let works = pipe.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || works.work(inner, name, &notices))?;
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

    /// Hands on a piece.
    ///
    /// # Errors
    /// Nothing is written any more, and why.
    pub(super) fn put(&self, line: Vec<u8>) -> io::Result<()> {
        let mut state = self.lock();
        if state.has_left() {
            state.moved = Some(Instant::now());
        }
        while state.waiting.len() == WAITING_MAX {
            let hope = state.hope(self.0.patience);
            if hope.is_zero() {
                break;
            }
            state = self.0.left_too.wait_timeout(state, hope).unwrap_or_else(PoisonError::into_inner).0;
        }
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
    fn work(&self, mut inner: Box<dyn Write + Send>, name: &str, notices: &Notices) {
        while let Some((line, left_out)) = self.next() {
            let said = match notices {
                _ if left_out == 0 => Ok(()),
                Notices::Here(line_of) => inner.write_all(line_of(&left_out_text(left_out, name)).as_bytes()),
                Notices::Elsewhere(tell) => {
                    tell(&left_out_text(left_out, name));
                    Ok(())
                }
            };
            let written = said.and_then(|()| inner.write_all(&line)).and_then(|()| inner.flush());
            if let (Err(error), Notices::Elsewhere(tell)) = (&written, notices)
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                tell(&format!("{name} is not written any more: {error}"));
            }
            let mut state = self.lock();
            state.is_writing = false;
            state.written += 1;
            state.moved = Some(Instant::now());
            if let Err(error) = written {
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
                let left_out = std::mem::take(&mut state.left_out);
                // There is room for another one.
                self.0.left_too.notify_all();
                return Some((line, left_out));
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

fn left_out_text(lines: u64, name: &str) -> String {
    format!("{lines} pieces of {name} were left out: nobody read them in time")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes one piece when it is told to.
    struct Reader {
        begins: mpsc::Sender<()>,
        goes_on: mpsc::Receiver<io::Result<()>>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Nobody has to look.
            let _ = self.begins.send(());
            self.goes_on.recv().unwrap_or(Ok(()))?;
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A reader, with what tells that it has a piece, what lets it take that, and all that it has taken.
    struct Told<T> {
        reader: Box<Reader>,
        begun: mpsc::Receiver<()>,
        goes: mpsc::Sender<io::Result<()>>,
        text: T,
    }

    fn reader() -> Told<impl Fn() -> String> {
        let ((begins, begun), (goes, goes_on)) = (mpsc::channel(), mpsc::channel());
        let read = Arc::<Mutex<Vec<u8>>>::default();
        let text = Arc::clone(&read);
        let text = move || String::from_utf8(text.lock().unwrap().clone()).unwrap();
        Told { reader: Box::new(Reader { begins, goes_on, read }), begun, goes, text }
    }

    #[tokio::test]
    async fn nobody_who_reads_holds_up_nobody_and_what_is_left_out_is_counted() {
        let (talk, data) = (reader(), reader());
        let talks = Stream::of(talk.reader, "talk", Duration::ZERO, Notices::between()).unwrap();
        let notices = Notices::on(talks.pipe());
        let mut stream = Stream::of(data.reader, "data", Duration::ZERO, notices).unwrap();
        drop(talk.goes);
        writeln!(stream, "0").unwrap();
        data.begun.recv().unwrap();
        for number in 1..WAITING_MAX + 100 {
            writeln!(stream, "{number}").unwrap();
        }
        stream.pipe().left_soon(Duration::ZERO);
        assert_eq!((data.text)(), "", "nobody has read");
        drop(data.goes);
        stream.pipe().left().await.unwrap();
        talks.pipe().left().await.unwrap();
        let (data, talk) = ((data.text)(), (talk.text)());
        let lines: Vec<usize> = data.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(lines.last(), Some(&(WAITING_MAX + 99)), "the newest is told, last");
        assert!(lines.is_sorted());
        let left_out = WAITING_MAX + 100 - lines.len();
        assert_eq!(talk, format!("{left_out} pieces of data were left out: nobody read them in time\n"));
    }

    fn log(reader: Box<Reader>, patience: Duration) -> Stream {
        let notices = Notices::Here(Box::new(|text| format!("[{text}]\n")));
        Stream::of(reader, "log", patience, notices).unwrap()
    }

    fn fill(pipe: &Pipe, numbers: std::ops::Range<usize>) {
        for number in numbers {
            pipe.put(format!("{number}\n").into_bytes()).unwrap();
        }
    }

    #[test]
    fn a_reader_who_is_slow_is_waited_for() {
        let log_reader = reader();
        let stream = log(log_reader.reader, Duration::from_mins(1));
        let pipe = stream.pipe();
        std::thread::scope(|scope| {
            scope.spawn(|| fill(&pipe, 0..WAITING_MAX + 11));
            (0..11).for_each(|_| log_reader.goes.send(Ok(())).unwrap());
        });
        drop(log_reader.goes);
        pipe.left_soon(Duration::from_mins(1));
        let read = (log_reader.text)();
        assert!(!read.contains("left out") && read.lines().count() == WAITING_MAX + 11, "{read}");
    }

    #[test]
    fn a_reader_who_stands_still_is_waited_for_once() {
        const PATIENCE: Duration = Duration::from_millis(100);
        let log_reader = reader();
        let stream = log(log_reader.reader, PATIENCE);
        let pipe = stream.pipe();
        fill(&pipe, 0..1);
        log_reader.begun.recv().unwrap();
        let began = Instant::now();
        fill(&pipe, 1..WAITING_MAX + 101);
        assert!(began.elapsed() < 50 * PATIENCE, "it was not waited for with each of a hundred");
        drop(log_reader.goes);
        pipe.left_soon(Duration::from_mins(1));
        let read = (log_reader.text)();
        assert_eq!(read.matches("[100 pieces of log were left out: ").count(), 1, "{read}");
        assert_eq!(read.lines().count(), WAITING_MAX + 2, "each of the others is there");
    }

    #[tokio::test]
    async fn a_stream_that_fails_says_so_once_and_takes_nothing_more() {
        let (talk, data) = (reader(), reader());
        let talks = Stream::of(talk.reader, "talk", Duration::ZERO, Notices::between()).unwrap();
        let notices = Notices::on(talks.pipe());
        let mut stream = Stream::of(data.reader, "data", Duration::ZERO, notices).unwrap();
        drop(talk.goes);
        data.goes.send(Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"))).unwrap();
        writeln!(stream, "one").unwrap();
        let failed = stream.pipe().left().await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
        assert!(writeln!(stream, "two").is_err());
        talks.pipe().left().await.unwrap();
        assert_eq!((talk.text)(), "data is not written any more: no space left\n");
    }
}
