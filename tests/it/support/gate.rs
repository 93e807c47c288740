//! A way to the node that can be made slow, or shut after so many answers: holds a run in the middle for as long as a test needs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A local port that passes everything on to another.
pub struct Gate {
    port: u16,
    state: Arc<GateState>,
}

#[derive(Default)]
struct GateState {
    /// Milliseconds that each piece of an answer waits.
    delay: AtomicU64,
    /// Pieces that may still pass.
    left: AtomicU64,
    passed: AtomicU64,
}

impl Gate {
    /// A gate before the port `to` of this machine, open and quick.
    pub fn before(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let state = Arc::new(GateState { left: AtomicU64::new(u64::MAX), ..GateState::default() });
        let shared = Arc::clone(&state);
        // Threads and sockets end with the test's process, or when either side hangs up.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let pair = |stream: &TcpStream| stream.try_clone().expect("a socket twice");
                let (client_in, server_out) = (pair(&client), pair(&server));
                std::thread::spawn(move || pass(client_in, server_out, || ()));
                let state = Arc::clone(&shared);
                std::thread::spawn(move || pass(server, client, || state.hold()));
            }
        });
        Self { port, state }
    }

    /// The URL that leads through it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes each piece of an answer wait.
    pub fn slow(&self, delay: Duration) {
        self.state.delay.store(u64::try_from(delay.as_millis()).expect("a short time"), Ordering::SeqCst);
    }

    /// Lets so many more pieces pass, then none.
    pub fn shut_after(&self, pieces: u64) {
        self.state.left.store(pieces, Ordering::SeqCst);
    }

    /// Lets everything pass.
    pub fn open(&self) {
        self.slow(Duration::ZERO);
        self.shut_after(u64::MAX);
    }

    /// Pieces of answers that passed.
    pub fn passed(&self) -> u64 {
        self.state.passed.load(Ordering::SeqCst)
    }

    /// Whether nothing passes any more.
    pub fn is_shut(&self) -> bool {
        self.state.left.load(Ordering::SeqCst) == 0
    }
}

impl GateState {
    fn hold(&self) {
        std::thread::sleep(Duration::from_millis(self.delay.load(Ordering::SeqCst)));
        let take = |left: u64| match left {
            u64::MAX => Some(left),
            left => left.checked_sub(1),
        };
        while self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.passed.fetch_add(1, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, hold: impl Fn()) {
    let mut piece = [0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        hold();
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    // Either side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
