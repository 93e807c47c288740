//! Waiting for a new tip: a block comes or goes, the node restarts, or the wait is stopped.

use std::thread;
use std::time::Duration;

use bitcoin::BlockHash;
use coinhound::node::{Given, Node, NodeError, NodeSettings, Origin};
use coinhound::stop::Stop;
use serde_json::json;

use crate::support::bitcoind::Bitcoind;
use crate::support::gate::Gate;

/// Longer than any test takes: a wait of this length has missed the tip.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(300);

fn mine(node: &Bitcoind) -> BlockHash {
    node.rpc("generatetodescriptor", json!([1, "raw(51)"]));
    node.best()
}

/// The result of a wait that has begun before `change`, and the result of that.
fn waits_while<T>(handle: &Node, known: BlockHash, change: impl FnOnce() -> T) -> (Result<BlockHash, NodeError>, T) {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| handle.wait_for_tip(known, LONG));
        thread::sleep(SHORT);
        assert!(!waiting.is_finished(), "the wait ended without a new tip");
        let changed = change();
        (waiting.join().unwrap(), changed)
    })
}

#[test]
fn a_new_block_a_lower_tip_and_an_earlier_block_are_noticed() {
    let node = Bitcoind::regtest();
    let handle = node.handle();
    let genesis = node.best();
    let (found, first) = waits_while(&handle, genesis, || mine(&node));
    assert_eq!(found.unwrap(), first);
    assert_eq!(handle.wait_for_tip(genesis, LONG).unwrap(), first, "a block that came before the call");
    let (found, ()) = waits_while(&handle, first, || node.invalidate(first));
    assert_eq!(found.unwrap(), genesis, "a shorter chain has another tip");
    assert_eq!(handle.wait_for_tip(genesis, SHORT).unwrap(), genesis, "no new block");
    assert_eq!(handle.wait_for_tip(genesis, Duration::ZERO).unwrap(), genesis);
    assert_eq!(handle.wait_for_tip(first, Duration::ZERO).unwrap(), genesis, "a poll without a wait");
}

#[test]
fn the_wait_resumes_at_a_node_that_restarts_with_another_cookie() {
    let mut node = Bitcoind::regtest();
    let handle = node.handle();
    let known = mine(&node);
    let cookie = node.cookie();
    let (found, new) = waits_while(&handle, known, || {
        node.restart();
        thread::sleep(SHORT);
        node.stop();
        thread::sleep(SHORT);
        node.start();
        mine(&node)
    });
    assert_eq!(found.unwrap(), new);
    assert_ne!(node.cookie(), cookie);
}

#[test]
fn a_node_with_two_threads_and_a_queue_of_one_answers_other_calls() {
    let node = Bitcoind::regtest_with(&["-rpcthreads=2", "-rpcworkqueue=1"]);
    let handle = node.handle();
    let known = node.best();
    let (found, new) = waits_while(&handle, known, || {
        for _ in 0..20 {
            assert_eq!(handle.info_within(LONG).unwrap().best, known);
        }
        mine(&node)
    });
    assert_eq!(found.unwrap(), new);
}

#[test]
fn a_stop_ends_the_wait_with_and_without_hanging_up() {
    let node = Bitcoind::regtest();
    for hang_up in [false, true] {
        let stop = Stop::default();
        let handle = node.handle_with(node.settings(), stop.clone());
        let (found, ()) = waits_while(&handle, node.best(), || {
            stop.request();
            if hang_up {
                handle.hang_up();
            }
        });
        assert!(matches!(found, Err(NodeError::Stopped)), "{found:?}");
    }
}

#[test]
fn hanging_up_ends_a_wait_at_a_node_that_has_stopped_answering() {
    let node = Bitcoind::regtest();
    let gate = Gate::before(node.rpc_port());
    let stop = Stop::default();
    let settings = NodeSettings { rpc_url: Some(Given::new(gate.url(), Origin::Flag)), ..node.settings() };
    let handle = node.handle_with(settings, stop.clone());
    gate.shut_after(0);
    let (found, ()) = waits_while(&handle, node.best(), || {
        stop.request();
        handle.hang_up();
    });
    assert!(matches!(found, Err(NodeError::Stopped)), "{found:?}");
}
