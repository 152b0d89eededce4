//! A gate before a server: who comes through it waits until it is opened.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A gate on a port of its own.
pub(crate) struct Gate {
    pub(crate) url: String,
    is_open: IsOpen,
}

type IsOpen = Arc<(Mutex<bool>, Condvar)>;

/// Waits until the gate is open.
fn await_open(is_open: &IsOpen) {
    let (lock, opened) = &**is_open;
    drop(opened.wait_while(lock.lock().unwrap(), |is_open| !*is_open).unwrap());
}

impl Gate {
    /// A closed gate before the server with this URL, `http://` and an address.
    pub(crate) fn before(url: &str) -> Self {
        Self::new(url, false, None)
    }

    /// An open one that closes behind the answer to the first request that begins so.
    pub(crate) fn that_closes_behind(url: &str, request: &str) -> Self {
        Self::new(url, true, Some(Arc::from(request)))
    }

    fn new(url: &str, is_open: bool, last: Option<Arc<str>>) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let is_open = Arc::new((Mutex::new(is_open), Condvar::new()));
        let gate = Self { url: format!("http://{}", listener.local_addr().unwrap()), is_open };
        let is_open = Arc::clone(&gate.is_open);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (is_open, last) = (Arc::clone(&is_open), last.clone());
                thread::spawn(move || {
                    await_open(&is_open);
                    let server = TcpStream::connect(server).unwrap();
                    let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let is_last = Arc::new(AtomicBool::new(false));
                    let (asked, waits) = (Arc::clone(&is_last), Arc::clone(&is_open));
                    let request = move |bytes: &[u8]| {
                        await_open(&waits);
                        if last.as_ref().is_some_and(|last| bytes.starts_with(last.as_bytes())) {
                            asked.store(true, Ordering::SeqCst);
                        }
                    };
                    thread::spawn(move || pass(from_client, to_server, request));
                    pass(server, client, |bytes| {
                        // What only says that it may go on is no answer.
                        if is_last.load(Ordering::SeqCst) && bytes.starts_with(b"HTTP/1.1 200") {
                            *is_open.0.lock().unwrap() = false;
                        }
                    });
                });
            }
        });
        gate
    }

    pub(crate) fn open(&self) {
        let (lock, opened) = &*self.is_open;
        *lock.lock().unwrap() = true;
        opened.notify_all();
    }
}

/// Passes bytes on until either side hangs up, each once `before` has seen them.
fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8])) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        before(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}
