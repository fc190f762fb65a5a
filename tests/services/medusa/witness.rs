//! Stands between an engine and a shop: it writes down every write, and can stop at one of them,
//! before it arrives, after its work is done but before the answer is back, or right after the
//! answer. Each call has a connection of its own to the shop, so that one that the shop has let go
//! of is never taken for one that died.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;

use crate::site::relay::{Moment, message};

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_mins(2);

/// A write that came.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Without its query.
    pub(crate) path: String,
    pub(crate) body: Value,
    /// None while it is out, and when its answer was lost.
    pub(crate) status: Option<u16>,
}

#[derive(Default)]
struct State {
    writes: Vec<Written>,
    asked: usize,
    /// Stop at this moment of the write with this number, counted from zero.
    stop_at: Option<(Moment, usize)>,
    is_shut: bool,
    loses: bool,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

/// A witness at work.
pub(crate) struct Witness {
    pub(crate) url: String,
    gate: Arc<Gate>,
}

impl Witness {
    /// Stands before the shop at this address.
    pub(crate) fn before(target: &str) -> Self {
        let target = target.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gate = Arc::<Gate>::default();
        let witness = Self { url, gate: Arc::clone(&gate) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (gate, target) = (Arc::clone(&gate), target.clone());
                // Whatever goes wrong on one side, the other side is hung up on.
                std::thread::spawn(move || gate.serve(stream, &target));
            }
        });
        witness
    }

    /// Every write so far.
    pub(crate) fn writes(&self) -> Vec<Written> {
        self.gate.lock().writes.clone()
    }

    /// Calls so far, reads too.
    pub(crate) fn asked(&self) -> usize {
        self.gate.lock().asked
    }

    /// Forgets the writes so far.
    pub(crate) fn forget(&self) {
        self.gate.lock().writes.clear();
    }

    /// From now on: everything stops at this moment of the `count`-th write from now.
    pub(crate) fn stop_at(&self, moment: Moment, count: usize) {
        let mut state = self.gate.lock();
        state.stop_at = Some((moment, state.writes.len() + count - 1));
    }

    /// Waits until that moment.
    pub(crate) fn reached(&self) {
        let state = self.gate.lock();
        let waited = self.gate.changed.wait_timeout_while(state, HANGS, |state| !state.is_shut).unwrap();
        assert!(!waited.1.timed_out(), "the moment never came");
    }

    /// Goes on. With `loses`, writes that had not arrived never do; otherwise they arrive now.
    pub(crate) fn go_on(&self, loses: bool) {
        let mut state = self.gate.lock();
        (state.is_shut, state.stop_at, state.loses) = (false, None, loses);
        self.gate.changed.notify_all();
    }
}

/// How often each product was sent in these writes, by what it is called there: its external ID in
/// a create, its ID in an update or in a write of its parts.
pub(crate) fn sent(writes: &[Written]) -> BTreeMap<String, usize> {
    let mut sent = BTreeMap::new();
    for write in writes {
        let mut names: Vec<&str> = Vec::new();
        let rest = write.path.strip_prefix("/admin/products/").unwrap_or_default();
        match rest.split('/').next().unwrap_or_default() {
            "batch" => {
                for (list, name) in [("create", "external_id"), ("update", "id")] {
                    let listed = write.body[list].as_array().into_iter().flatten();
                    names.extend(listed.map(|product| product[name].as_str().unwrap_or_default()));
                }
            }
            "" => {}
            id => names.push(id),
        }
        for name in names {
            *sent.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    sent
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream, target: &str) {
        let mut engine = BufReader::new(stream);
        while let Ok(request) = message(&mut engine) {
            if self.call(&request, &mut engine, target).is_err() {
                return;
            }
        }
    }

    fn call(&self, request: &[u8], engine: &mut BufReader<TcpStream>, target: &str) -> io::Result<()> {
        let number = self.note(request);
        if !self.pass(Moment::Asked, number) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let mut server = TcpStream::connect(target)?;
        server.write_all(request)?;
        let answer = message(&mut BufReader::new(server))?;
        if let Some(number) = number {
            let status = String::from_utf8_lossy(&answer[..12]).split(' ').nth(1).unwrap().parse();
            if let Some(write) = self.lock().writes.get_mut(number) {
                write.status = status.ok();
            }
        }
        self.pass(Moment::Answering, number);
        engine.get_mut().write_all(&answer)?;
        self.pass(Moment::Answered, number);
        Ok(())
    }

    /// Writes a call down; a write of products gets a number.
    fn note(&self, request: &[u8]) -> Option<usize> {
        let text = String::from_utf8_lossy(request);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let mut state = self.lock();
        state.asked += 1;
        if method == "GET" || !path.starts_with("/admin/") {
            return None;
        }
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        state.writes.push(Written { path, body, status: None });
        Some(state.writes.len() - 1)
    }

    /// Passes a moment of a call; `false` when the call has to be dropped.
    fn pass(&self, moment: Moment, number: Option<usize>) -> bool {
        let mut state = self.lock();
        if number.is_some_and(|number| state.stop_at == Some((moment, number))) {
            state.is_shut = true;
            self.changed.notify_all();
        }
        if moment == Moment::Answered {
            return true;
        }
        let held = state.is_shut;
        let state = self.changed.wait_while(state, |state| state.is_shut).unwrap();
        !(held && state.loses && moment == Moment::Asked)
    }
}
