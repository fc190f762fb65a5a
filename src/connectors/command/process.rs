//! One process: its pipes, its words for people, and its end. It leads a group of its own, so that what
//! it starts ends with it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::program::Program;
use super::protocol::{self, BYE, LINE_BYTES_MAX, Said};

/// How long a process may take to leave when it is asked to.
const GRACE: Duration = Duration::from_secs(2);
/// How long we wait for the last words of a process that is gone.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long after its last word the end of a process may come.
const LEAVING: Duration = Duration::from_millis(100);
/// Longest line for people, in bytes; the rest of a longer one is left out.
const WORDS_BYTES_MAX: usize = 4096;
/// What is read of a line at most: enough that a secret is whole wherever a part of it could be shown.
const LINE_READ_MAX: u64 = 64 * 1024;

/// What the one who keeps a process hears.
pub(super) enum Note {
    /// There is something to do.
    Nudge,
    /// The process with this number said something, or something that cannot be understood.
    Said(u64, Result<Said, String>),
    /// It says no more.
    Ended(u64),
}

/// A process that was started.
pub(super) struct Process {
    /// Tells its notes from those of the one before it.
    pub(super) number: u64,
    child: Child,
    /// Lines to it; `None`: its input has ended.
    input: Option<Sender<Vec<u8>>>,
    last_words: Arc<Mutex<String>>,
    silent: Receiver<()>,
}

impl Process {
    /// Starts it and greets it. Its environment is what the program says and nothing else.
    ///
    /// # Errors
    /// The system's own: no such file, not executable.
    pub(super) fn start(program: &Arc<Program>, number: u64, notes: &Sender<Note>) -> io::Result<Self> {
        let (first, others) = program.words.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut child = Command::new(first)
            .args(others)
            .current_dir(&program.folder)
            .env_clear()
            .envs(&program.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (input, lines) = mpsc::channel();
        let (speaking, silent) = mpsc::channel();
        let process = Self { number, child, input: Some(input), last_words: Arc::default(), silent };
        if let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) {
            let named = || thread::Builder::new().name(format!("command {}", program.step));
            named().spawn(move || write(stdin, &lines))?;
            let notes = notes.clone();
            named().spawn(move || listen(stdout, number, &notes))?;
            let (program, last) = (Arc::clone(program), Arc::clone(&process.last_words));
            named().spawn(move || {
                relay(stderr, &program, &last);
                drop(speaking);
            })?;
        }
        process.send(program.greeting.clone());
        Ok(process)
    }

    /// Sends it a line. One that is gone says so by its notes.
    pub(super) fn send(&self, line: Vec<u8>) {
        if let Some(input) = &self.input {
            let _ = input.send(line);
        }
    }

    /// Asks it to leave, and ends it when it does not.
    pub(super) fn dismiss(mut self, notes: &Receiver<Note>) {
        self.send(BYE.to_vec());
        self.input = None;
        let until = Instant::now() + GRACE;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match notes.recv_timeout(left) {
                Ok(Note::Ended(number)) if number == self.number => break,
                Ok(Note::Ended(_) | Note::Said(..) | Note::Nudge) => {}
                Err(_) => break,
            }
        }
    }

    /// Ends it and all that it started; says how it ended, and its last words.
    pub(super) fn end(mut self) -> String {
        let ended = self.left().map(|status| status.to_string()).unwrap_or_default();
        self.kill();
        let _ = self.silent.recv_timeout(LAST_WORDS);
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        match (ended.is_empty(), words.is_empty()) {
            (true, true) => String::new(),
            (false, true) => format!(" ({ended})"),
            (true, false) => format!("; its last words: {words}"),
            (false, false) => format!(" ({ended}); its last words: {words}"),
        }
    }

    /// How it ended by itself. Its pipes close a moment before the system knows of its end.
    fn left(&mut self) -> Option<ExitStatus> {
        let process = Pid::from_raw(i32::try_from(self.child.id()).ok()?)?;
        let (tell, told) = mpsc::channel();
        // One that does not end is waited for until its group is ended, which is soon.
        thread::spawn(move || {
            let _ = waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            let _ = tell.send(());
        });
        let _ = told.recv_timeout(LEAVING);
        self.child.try_wait().ok().flatten()
    }

    /// The leader is not waited for before its group is ended: until then nobody else gets its number.
    fn kill(&mut self) {
        self.input = None;
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Writes lines until there are no more, or nobody reads them: that is told by the other pipe.
fn write(mut stdin: impl Write, lines: &Receiver<Vec<u8>>) {
    while let Ok(mut batch) = lines.recv() {
        for line in lines.try_iter() {
            batch.extend(line);
        }
        if stdin.write_all(&batch).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Reads what it says until it says no more.
fn listen(stdout: impl Read, number: u64, notes: &Sender<Note>) {
    let mut reader = BufReader::with_capacity(64 * 1024, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let said = match (&mut reader).take(most).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) if line.len() >= LINE_BYTES_MAX => {
                Err(format!("a line of more than {} MiB", LINE_BYTES_MAX / 1024 / 1024))
            }
            Ok(_) if line.iter().all(u8::is_ascii_whitespace) => continue,
            Ok(_) => protocol::read(&line),
        };
        let is_over = said.is_err();
        if notes.send(Note::Said(number, said)).is_err() || is_over {
            break;
        }
    }
    let _ = notes.send(Note::Ended(number));
}

/// What it says for people goes to our log, line by line, and the last of it is remembered.
fn relay(stderr: impl Read, program: &Program, last: &Mutex<String>) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LINE_READ_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(read) if read as u64 == LINE_READ_MAX && line.last() != Some(&b'\n') => {
                if reader.skip_until(b'\n').is_err() {
                    return;
                }
            }
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        // Secrets go first: a cut must not leave a part of one.
        let mut text = program.hushed(text.trim_end());
        if text.len() > WORDS_BYTES_MAX {
            text.truncate(text.floor_char_boundary(WORDS_BYTES_MAX));
            text.push('…');
        }
        if text.is_empty() {
            continue;
        }
        tracing::info!(step = program.step, "{text}");
        *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}
