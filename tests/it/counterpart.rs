//! An outside system that does as it is told, request by request, and writes down what reached it.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::site::relay::message;

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_mins(1);

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is carried out and answered.
    Given,
    /// It is carried out, and the connection breaks before the answer.
    Dropped,
    /// It is carried out, and no answer ever comes.
    Held,
}

type Rule = Box<dyn Fn(&str) -> Answer + Send>;

struct Inner {
    rule: Mutex<Rule>,
    heard: Mutex<Vec<(String, Answer)>>,
    changed: Condvar,
}

/// A system that listens until the test ends.
pub(crate) struct Counterpart {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

impl Counterpart {
    /// Starts one that answers every request by this rule; a request is named `POST /path`.
    pub(crate) fn start(rule: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (heard, changed) = (Mutex::default(), Condvar::new());
        let inner = Arc::new(Inner { rule: Mutex::new(Box::new(rule)), heard, changed });
        let serving = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let inner = Arc::clone(&serving);
                std::thread::spawn(move || inner.serve(stream));
            }
        });
        Self { url, inner }
    }

    /// Answers by another rule from now on.
    pub(crate) fn rule(&self, rule: impl Fn(&str) -> Answer + Send + 'static) {
        *self.inner.rule.lock().unwrap() = Box::new(rule);
    }

    /// Every request so far that got this answer, in order of the name.
    pub(crate) fn heard(&self, answer: Answer) -> Vec<String> {
        let heard = self.inner.heard.lock().unwrap();
        let mut names: Vec<String> =
            heard.iter().filter(|(_, given)| *given == answer).map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// How often a request with this name arrived.
    pub(crate) fn times(&self, name: &str) -> usize {
        self.inner.heard.lock().unwrap().iter().filter(|(heard, _)| heard == name).count()
    }

    /// Waits until so many requests are held.
    pub(crate) fn holds(&self, count: usize) {
        let heard = self.inner.heard.lock().unwrap();
        let held = |heard: &mut Vec<(String, Answer)>| {
            heard.iter().filter(|(_, answer)| *answer == Answer::Held).count() < count
        };
        let (_heard, waited) = self.inner.changed.wait_timeout_while(heard, HANGS, held).unwrap();
        assert!(!waited.timed_out(), "fewer than {count} requests came");
    }
}

impl Inner {
    fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Ok(request) = message(&mut stream) {
            let request = String::from_utf8_lossy(&request);
            let name = request.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
            let answer = (self.rule.lock().unwrap())(&name);
            self.heard.lock().unwrap().push((name, answer));
            self.changed.notify_all();
            let text = match answer {
                Answer::Given => "HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}",
                Answer::Dropped => return,
                Answer::Held => {
                    // Until whoever asked is gone.
                    let _ = stream.read_to_end(&mut Vec::new());
                    return;
                }
            };
            if stream.get_mut().write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }
}
