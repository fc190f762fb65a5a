//! Nobody reads what is told: whoever asks for an end is heard all the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use super::serve::server::until;
use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{Site, WORKFLOW};

/// What a pipe holds before whoever writes has to wait.
const PIPE: usize = 65_536;

/// A process whose stdout is a pipe that is full, and that nobody reads.
struct Unread {
    child: Child,
    _reader: std::io::PipeReader,
}

impl Unread {
    fn start(site: &Site, line: &[&str]) -> Self {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&vec![b'.'; PIPE]).unwrap();
        let mut command = site.command(line);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, _reader: reader }
    }

    fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// How it ended, when it does.
    fn ended(&mut self) -> Option<i32> {
        until_some(|| self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until_some<T>(look: impl FnMut() -> Option<T>) -> T {
    let look = std::cell::RefCell::new(look);
    until(|| look.borrow_mut()())
}

#[test]
fn a_run_whose_data_nobody_reads_is_stopped_by_a_signal() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 60);
    let mut run = Unread::start(&site, &["run", WORKFLOW]);
    relay.reached();
    run.terminate();
    let mut said = BufReader::new(run.child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("stopping: ") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it was not heard");
    }
    relay.go_on(false, false);
    std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
    assert_eq!(run.ended(), Some(3));
    assert_eq!(site.json(&["show", "@latest", "--json"])[0]["status"], "interrupted");
}

#[test]
fn a_server_whose_data_nobody_reads_works_on_and_is_stopped_by_a_signal() {
    let site = Site::new();
    let mut server =
        Unread::start(&site, &["serve", "workflows/hello.yaml", "--listen", "127.0.0.1:0", "--json"]);
    let mut said = BufReader::new(server.child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Ctrl-C ends it") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it does not serve");
    }
    std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
    for _ in 0..3 {
        let told = site.milepost(&["run", "workflows/hello.yaml"]);
        assert_eq!(told.code, Some(0), "{told:?}");
    }
    server.terminate();
    assert_eq!(server.ended(), Some(0));
}
