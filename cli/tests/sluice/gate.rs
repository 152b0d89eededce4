//! A gate before a server: who comes through it waits until it is opened.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A gate on a port of its own; closed at first.
pub(crate) struct Gate {
    pub(crate) url: String,
    is_open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// A gate before the server with this URL, `http://` and an address.
    pub(crate) fn before(url: &str) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self { url: format!("http://{}", listener.local_addr().unwrap()), is_open: Arc::default() };
        let is_open = Arc::clone(&gate.is_open);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let is_open = Arc::clone(&is_open);
                thread::spawn(move || {
                    let (lock, opened) = &*is_open;
                    drop(opened.wait_while(lock.lock().unwrap(), |is_open| !*is_open).unwrap());
                    let server = TcpStream::connect(server).unwrap();
                    let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    thread::spawn(move || pass(from_client, to_server));
                    pass(server, client);
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

/// Passes bytes on until either side hangs up.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}
