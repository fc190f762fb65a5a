//! The HTTP server of a case: it answers by its script, and keeps what it was asked.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::generated::Script;
use crate::site::relay::message;

/// A server that answers by a script for as long as the process lives.
pub(crate) struct Server {
    /// Its address: the input `url` of the case.
    pub(crate) url: String,
    calls: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Server {
    /// Starts one.
    pub(crate) fn start(script: &Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(BTreeMap::new()));
        let (script, counted) = (Arc::new(script.clone()), Arc::clone(&calls));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, calls) = (Arc::clone(&script), Arc::clone(&counted));
                std::thread::spawn(move || serve(stream, &script, &calls));
            }
        });
        Self { url, calls }
    }

    /// How often each address was asked.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: TcpStream, script: &Script, calls: &Mutex<BTreeMap<String, usize>>) {
    let mut stream = BufReader::new(stream);
    while let Ok(request) = message(&mut stream) {
        let request = String::from_utf8_lossy(&request).into_owned();
        let Some(path) = request.split(' ').nth(1) else { return };
        let call = {
            let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
            let call = calls.entry(path.to_owned()).or_default();
            *call += 1;
            *call
        };
        let status = script.get(path).and_then(|statuses| statuses.get(call - 1)).copied().unwrap_or(200);
        let body = format!("{{\"path\":\"{path}\",\"call\":{call}}}");
        let answer = format!(
            "HTTP/1.1 {status} as scripted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
