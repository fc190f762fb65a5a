//! A relay between an engine and the stand-ins, so that a story can stop at the n-th call: before
//! it arrives, after its work is done but before the answer is back, or right after the answer.
//! No clock is involved: the moment is an event, and everything else stands still meanwhile.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Where in a call the relay stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The call is out, and has not arrived.
    Asked,
    /// The work is done, the answer is on its way.
    Answering,
    /// The answer was handed over.
    Answered,
}

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_mins(1);

#[derive(Default)]
struct State {
    stop_at: Option<(Moment, u64)>,
    counts: [u64; 3],
    shut: bool,
    loses: bool,
    open_calls: u64,
    connections: u64,
}

struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    reached: Mutex<Sender<()>>,
}

/// A relay for both stand-ins.
pub(crate) struct Relay {
    pub(crate) pim: String,
    pub(crate) shop: String,
    gate: Arc<Gate>,
    reached: Receiver<()>,
}

impl Relay {
    /// Relays to these addresses; nothing is stopped.
    pub(crate) fn to(pim: &str, shop: &str) -> Self {
        let (sender, reached) = channel();
        let gate = Gate { state: Mutex::default(), changed: Condvar::new(), reached: Mutex::new(sender) };
        let gate = Arc::new(gate);
        Self { pim: listen(pim, &gate), shop: listen(shop, &gate), gate, reached }
    }

    /// From now on: everything stops at this moment of the `count`-th call from now.
    pub(crate) fn stop_at(&self, moment: Moment, count: u64) {
        let mut state = self.gate.lock();
        state.counts = [0; 3];
        state.stop_at = Some((moment, count));
    }

    /// Waits until that moment.
    pub(crate) fn reached(&self) {
        self.reached.recv_timeout(HANGS).expect("the moment never came");
    }

    /// How many calls the engine has out.
    pub(crate) fn open_calls(&self) -> u64 {
        self.gate.lock().open_calls
    }

    /// Goes on. When the engine was killed meanwhile, this waits until everything that it had out
    /// has come to its end, so that what follows is in order; with `loses`, calls that had not
    /// arrived never do.
    pub(crate) fn go_on(&self, killed: bool, loses: bool) {
        let mut state = self.gate.lock();
        (state.shut, state.stop_at, state.loses) = (false, None, loses);
        self.gate.changed.notify_all();
        if killed {
            let ended = self.gate.changed.wait_timeout_while(state, HANGS, |state| state.connections > 0);
            ended.unwrap().0.loses = false;
        }
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Passes a moment of a call; `false` when the call has to be dropped.
    fn pass(&self, moment: Moment) -> bool {
        let mut state = self.lock();
        let at = moment as usize;
        state.counts[at] += 1;
        if state.stop_at == Some((moment, state.counts[at])) {
            state.shut = true;
            self.reached.lock().unwrap().send(()).unwrap();
        }
        if moment == Moment::Answered {
            return true;
        }
        let held = state.shut;
        let state = self.changed.wait_while(state, |state| state.shut).unwrap();
        !(held && state.loses && moment == Moment::Asked)
    }

    fn count(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

fn listen(target: &str, gate: &Arc<Gate>) -> String {
    let target = target.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gate = Arc::clone(gate);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (gate, target) = (Arc::clone(&gate), target.clone());
            gate.count(|state| state.connections += 1);
            std::thread::spawn(move || {
                // Whichever side ends a connection, ends both.
                let _ = connection(stream, &target, &gate);
                gate.count(|state| state.connections -= 1);
            });
        }
    });
    url
}

fn connection(stream: TcpStream, target: &str, gate: &Gate) -> io::Result<()> {
    let mut server = BufReader::new(TcpStream::connect(target)?);
    let mut engine = BufReader::new(stream);
    loop {
        let request = message(&mut engine)?;
        gate.count(|state| state.open_calls += 1);
        let done = call(&request, &mut engine, &mut server, gate);
        gate.count(|state| state.open_calls -= 1);
        done?;
    }
}

fn call(
    request: &[u8],
    engine: &mut BufReader<TcpStream>,
    server: &mut BufReader<TcpStream>,
    gate: &Gate,
) -> io::Result<()> {
    if !gate.pass(Moment::Asked) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    server.get_mut().write_all(request)?;
    let answer = message(server)?;
    gate.pass(Moment::Answering);
    engine.get_mut().write_all(&answer)?;
    gate.pass(Moment::Answered);
    Ok(())
}

/// Reads one HTTP message, head and body, as far as both sides use it.
pub(crate) fn message(from: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut length = 0;
    loop {
        let begin = bytes.len();
        if from.read_until(b'\n', &mut bytes)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&bytes[begin..]).trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
        }
        if line.is_empty() {
            break;
        }
    }
    from.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
