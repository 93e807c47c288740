//! A proxy to the node that can be slowed down, or shut after some answers: it stops a run in the middle for as long as a test needs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A local port that forwards to another.
pub struct Gate {
    port: u16,
    state: Arc<GateState>,
}

#[derive(Default)]
struct GateState {
    /// Milliseconds that each piece of an answer is held back.
    delay: AtomicU64,
    /// Pieces that may still pass.
    left: AtomicU64,
    passed: AtomicU64,
    /// Pieces that wait until the gate opens.
    waiting: AtomicU64,
}

impl Gate {
    /// An open gate in front of the port `to` of this machine.
    pub fn before(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let state = Arc::new(GateState { left: AtomicU64::new(u64::MAX), ..GateState::default() });
        let shared = Arc::clone(&state);
        // Threads and sockets end with the process, or when either side hangs up.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let twin = |stream: &TcpStream| stream.try_clone().expect("a second handle to a socket");
                let (client_in, server_out) = (twin(&client), twin(&server));
                std::thread::spawn(move || pass(client_in, server_out, || ()));
                let state = Arc::clone(&shared);
                std::thread::spawn(move || pass(server, client, || state.hold()));
            }
        });
        Self { port, state }
    }

    /// The URL of the node behind the gate.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Delays each piece of an answer.
    pub fn slow(&self, delay: Duration) {
        self.state.delay.store(u64::try_from(delay.as_millis()).expect("a short time"), Ordering::SeqCst);
    }

    /// Lets `pieces` more pieces of answers pass, then none.
    pub fn shut_after(&self, pieces: u64) {
        self.state.left.store(pieces, Ordering::SeqCst);
    }

    /// Lets some more pieces pass; does nothing to an open gate.
    pub fn let_through(&self, pieces: u64) {
        let more = |left: u64| (left != u64::MAX).then(|| left.saturating_add(pieces));
        // An open gate has no number to change.
        self.state.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok();
    }

    /// Lets everything pass without delay.
    pub fn open(&self) {
        self.slow(Duration::ZERO);
        self.shut_after(u64::MAX);
    }

    /// Number of pieces of answers that have passed.
    pub fn passed(&self) -> u64 {
        self.state.passed.load(Ordering::SeqCst)
    }

    /// Whether an answer waits until the gate opens.
    pub fn holds_back(&self) -> bool {
        self.state.waiting.load(Ordering::SeqCst) > 0
    }

    /// Whether the gate has let through what it was to let through.
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
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
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
