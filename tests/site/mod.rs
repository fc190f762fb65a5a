//! A place to run the real binary in: a folder of its own with a copy of the shipped workflows, a
//! state directory, stand-ins as their own process, and a relay between them that can stop time.

pub(crate) mod outside;
pub(crate) mod relay;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Longer than any command takes that works, also one that works with real servers.
const HANGS: Duration = Duration::from_mins(10);

/// Makes retries fast and names the stand-ins' addresses from outside, in the shipped workflow.
pub(crate) const OUTSIDE: &[(&str, &str)] = &[
    ("pim: { use: sandbox }", "pim: { use: sandbox, url: \"${env:PIM_URL}\" }"),
    ("shop: { use: sandbox }", "shop: { use: sandbox, url: \"${env:SHOP_URL}\" }"),
    ("initial: 1s", "initial: 10ms"),
    ("max: 30s", "max: 40ms"),
];

/// A folder with workflows and a state directory.
pub(crate) struct Site {
    dir: TempDir,
    /// What the commands that follow find in their environment.
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Site {
    /// A site with the shipped workflows and no state.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows"), &dir.path().join("workflows"));
        Self { dir, env: Vec::new() }
    }

    /// A site whose product workflow reaches its systems under these addresses.
    pub(crate) fn reaching(pim: &str, shop: &str) -> Self {
        let mut site = Self::new();
        site.env = vec![("PIM_URL", pim.to_owned()), ("SHOP_URL", shop.to_owned())];
        site.edit("product-sync.yaml", OUTSIDE);
        site
    }

    /// A path in the site.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaces text of a workflow; each must be there.
    pub(crate) fn edit(&self, workflow: &str, edits: &[(&str, &str)]) {
        let path = self.path("workflows").join(workflow);
        let mut text = fs::read_to_string(&path).unwrap();
        for (old, new) in edits {
            assert!(text.contains(old), "{workflow} no longer says {old}");
            text = text.replace(old, new);
        }
        fs::write(path, text).unwrap();
    }

    /// A command to be executed here.
    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("milepost"));
        command.args(line).current_dir(self.dir.path());
        for variable in ["MILEPOST_STATE", "MILEPOST_LOG", "MILEPOST_LOG_FORM"] {
            command.env_remove(variable);
        }
        command.envs(self.env.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Executes a command to its end.
    pub(crate) fn milepost(&self, line: &[&str]) -> Told {
        let mut child = self.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, talk) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Ending { line: line.join(" "), child, stdout: all_of(stdout), talk: all_of(talk) }.told()
    }

    /// What a command answers, one JSON value per line or one over many lines.
    pub(crate) fn json(&self, line: &[&str]) -> Vec<Value> {
        let told = self.milepost(line);
        let values = serde_json::Deserializer::from_str(&told.stdout).into_iter::<Value>();
        let values = values.collect::<Result<Vec<_>, _>>().unwrap_or_default();
        assert!(told.code == Some(0) && !values.is_empty(), "{line:?}: {told:?}");
        values
    }

    /// Starts `run` or `resume` and returns once it has said the run's ID.
    pub(crate) fn start(&self, line: &[&str]) -> Working {
        let mut child = self.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let talk = all_of(child.stderr.take().unwrap());
        let (said, first) = channel();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stdout = said_by(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            // Whoever waits for it may have given up.
            let _ = said.send(line);
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            rest
        });
        let ending = Ending { line: line.join(" "), child, stdout, talk };
        match first.recv_timeout(HANGS) {
            Ok(first) => Working { run: first.trim().to_owned(), pid: ending.child.id(), ending },
            Err(_) => ending.hangs("says no run"),
        }
    }
}

/// All that comes from there, when it has ended.
fn all_of(mut from: impl Read + Send + 'static) -> Receiver<String> {
    said_by(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    })
}

fn said_by(read: impl FnOnce() -> String + Send + 'static) -> Receiver<String> {
    let (sender, said) = channel();
    // Whoever waits for it may have given up.
    std::thread::spawn(move || drop(sender.send(read())));
    said
}

/// A process that is to end.
struct Ending {
    line: String,
    child: Child,
    stdout: Receiver<String>,
    talk: Receiver<String>,
}

impl Ending {
    /// Waits for its end: it has ended when nothing more can come.
    fn told(mut self) -> Told {
        let (Ok(stdout), Ok(stderr)) = (self.stdout.recv_timeout(HANGS), self.talk.recv_timeout(HANGS))
        else {
            self.hangs("does not end")
        };
        Told { code: self.child.wait().unwrap().code(), stdout, stderr }
    }

    /// Ends it, and says what it had said.
    fn hangs(mut self, what: &str) -> ! {
        self.child.kill().unwrap();
        let said = [self.stdout, self.talk].map(|stream| stream.recv_timeout(HANGS));
        panic!("`milepost {}` {what} within {HANGS:?}; it said {said:?}", self.line);
    }
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

/// Sends a process a signal by its name.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(sent.success(), "nobody is there for {name}");
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process that works on a run.
pub(crate) struct Working {
    /// The run's ID: its first line.
    pub(crate) run: String,
    /// Its process.
    pub(crate) pid: u32,
    ending: Ending,
}

impl Working {
    /// Sends it a signal by name: `INT` is Ctrl-C, `KILL` leaves it no last word.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid, name);
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> Told {
        self.ending.told()
    }
}
