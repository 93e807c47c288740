//! Waiting for the node's next best block: it comes, goes, the node restarts, or somebody asks to stop.

use std::thread;
use std::time::Duration;

use bitcoin::BlockHash;
use coinhound::chain::Chain;
use coinhound::node::{Given, Node as Asked, NodeAccess, NodeError, NodeSettings, Origin};
use coinhound::stop::Stop;
use serde_json::json;

use crate::support::bitcoind::Bitcoind;
use crate::support::gate::Gate;

/// Longer than any test may take: whoever waits it out has missed something.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(300);

fn asked_at(node: &Bitcoind, url: String, stop: &Stop) -> Asked {
    let settings = NodeSettings {
        datadir: Some(Given::new(node.datadir().to_owned(), Origin::Flag)),
        rpc_url: Some(Given::new(url, Origin::Flag)),
        ..NodeSettings::for_chain(Chain::Regtest)
    };
    Asked::new(NodeAccess::resolve(&settings).unwrap(), stop.clone())
}

fn asked(node: &Bitcoind) -> Asked {
    asked_at(node, node.rpc_url(), &Stop::default())
}

fn mine(node: &Bitcoind) -> BlockHash {
    node.rpc("generatetodescriptor", json!([1, "raw(51)"]));
    node.best()
}

/// What a wait that has begun comes back with after `change`.
fn waits_while<T>(asked: &Asked, known: BlockHash, change: impl FnOnce() -> T) -> (Result<BlockHash, NodeError>, T) {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| asked.wait_for_tip(known, LONG));
        thread::sleep(SHORT);
        assert!(!waiting.is_finished(), "there is nothing new yet");
        let changed = change();
        (waiting.join().unwrap(), changed)
    })
}

#[test]
fn a_new_block_a_lower_tip_and_one_that_came_before_the_call_are_noticed() {
    let node = Bitcoind::regtest();
    let asked = asked(&node);
    let genesis = node.best();
    let (told, first) = waits_while(&asked, genesis, || mine(&node));
    assert_eq!(told.unwrap(), first);
    assert_eq!(asked.wait_for_tip(genesis, LONG).unwrap(), first, "it came before the call");
    let (told, ()) = waits_while(&asked, first, || node.invalidate(first));
    assert_eq!(told.unwrap(), genesis, "a tip that gets shorter is another tip");
    assert_eq!(asked.wait_for_tip(genesis, SHORT).unwrap(), genesis, "nothing came");
    assert_eq!(asked.wait_for_tip(genesis, Duration::ZERO).unwrap(), genesis);
    assert_eq!(asked.wait_for_tip(first, Duration::ZERO).unwrap(), genesis, "a look without a wait");
}

#[test]
fn a_node_that_goes_away_and_comes_back_with_another_cookie_is_waited_at_again() {
    let mut node = Bitcoind::regtest();
    let asked = asked(&node);
    let known = mine(&node);
    let cookie = std::fs::read_to_string(node.cookie_file()).unwrap();
    let (told, new) = waits_while(&asked, known, || {
        node.restart();
        thread::sleep(SHORT);
        node.stop();
        thread::sleep(SHORT);
        node.start();
        mine(&node)
    });
    assert_eq!(told.unwrap(), new);
    assert_ne!(std::fs::read_to_string(node.cookie_file()).unwrap(), cookie);
}

#[test]
fn other_calls_are_answered_meanwhile_also_by_a_node_with_two_threads_and_a_queue_of_one() {
    let node = Bitcoind::regtest_with(&["-rpcthreads=2", "-rpcworkqueue=1"]);
    let asked = asked(&node);
    let known = node.best();
    let (told, new) = waits_while(&asked, known, || {
        for _ in 0..20 {
            assert_eq!(asked.info_within(LONG).unwrap().best, known);
        }
        mine(&node)
    });
    assert_eq!(told.unwrap(), new);
}

#[test]
fn a_stop_ends_the_wait_with_and_without_hanging_up() {
    let node = Bitcoind::regtest();
    for hang_up in [false, true] {
        let stop = Stop::default();
        let asked = asked_at(&node, node.rpc_url(), &stop);
        let (told, ()) = waits_while(&asked, node.best(), || {
            stop.request();
            if hang_up {
                asked.hang_up();
            }
        });
        assert!(matches!(told, Err(NodeError::Stopped)), "{told:?}");
    }
}

#[test]
fn hanging_up_ends_a_wait_at_a_node_that_has_stopped_answering() {
    let node = Bitcoind::regtest();
    let gate = Gate::before(node.rpc_port());
    let stop = Stop::default();
    let asked = asked_at(&node, gate.url(), &stop);
    gate.shut_after(0);
    let (told, ()) = waits_while(&asked, node.best(), || {
        stop.request();
        asked.hang_up();
    });
    assert!(matches!(told, Err(NodeError::Stopped)), "{told:?}");
}
