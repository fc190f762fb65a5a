//! Nobody reads what is told, or what is logged: whoever asks for an end is heard all the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use super::serve::server::until;
use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::site::signal;
use super::{Site, WORKFLOW};

/// What a pipe holds before whoever writes has to wait.
const PIPE: usize = 65_536;

/// A process one of whose streams is a pipe that is full, and that nobody reads.
struct Unread {
    child: Child,
    _reader: std::io::PipeReader,
}

impl Unread {
    /// Nobody reads its data.
    fn data(command: &mut Command) -> Self {
        Self::of(command.stderr(Stdio::piped()), Command::stdout)
    }

    /// Nobody reads its log.
    fn log(command: &mut Command) -> Self {
        Self::of(command.stdout(Stdio::null()), Command::stderr)
    }

    fn of(command: &mut Command, stream: fn(&mut Command, std::io::PipeWriter) -> &mut Command) -> Self {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&vec![b'.'; PIPE]).unwrap();
        let child = stream(command, writer).spawn().unwrap();
        Self { child, _reader: reader }
    }

    fn terminate(&self) {
        signal(self.child.id(), "TERM");
    }

    /// How it ended, when it does.
    fn ended(&mut self) -> Option<i32> {
        until(|| self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_run_whose_data_nobody_reads_is_stopped_by_a_signal() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 60);
    let mut run = Unread::data(&mut site.command(&["run", WORKFLOW]));
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
fn a_run_whose_log_nobody_reads_is_stopped_by_a_signal_and_a_second_one_ends_it_at_once() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 60);
    let mut run = Unread::log(&mut site.command(&["run", WORKFLOW, "--log", "json", "--log-level", "debug"]));
    relay.reached();
    // Nothing that it says tells when the first one was heard, and the call that is out never comes back.
    let ended = until(|| {
        if run.child.try_wait().unwrap().is_none() {
            run.terminate();
        }
        run.child.try_wait().unwrap()
    });
    assert_eq!(ended.code(), Some(130));
    relay.go_on(true, false);
    assert_eq!(site.json(&["show", "@latest", "--json"])[0]["status"], "interrupted");
}

#[test]
fn a_server_whose_data_nobody_reads_works_on_and_is_stopped_by_a_signal() {
    let site = Site::new();
    let line = ["serve", "workflows/hello.yaml", "--listen", "127.0.0.1:0", "--json"];
    let mut server = Unread::data(&mut site.command(&line));
    let mut said = BufReader::new(server.child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Ctrl-C ends it") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it does not serve");
    }
    std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
    works_on_and_is_stopped(&site, server);
}

#[test]
fn a_server_whose_log_nobody_reads_works_on_and_is_stopped_by_a_signal() {
    let site = Site::new();
    let line = ["serve", "workflows/hello.yaml", "--listen", "127.0.0.1:0", "--log", "json"];
    let mut command = site.command(&line);
    let server = Unread::log(command.args(["--log-level", "trace"]));
    until(|| UnixStream::connect(site.path("state/milepost.sock")).ok());
    works_on_and_is_stopped(&site, server);
}

fn works_on_and_is_stopped(site: &Site, mut server: Unread) {
    for _ in 0..3 {
        let told = site.milepost(&["run", "workflows/hello.yaml"]);
        assert_eq!(told.code, Some(0), "{told:?}");
    }
    server.terminate();
    assert_eq!(server.ended(), Some(0));
}
