//! The node layer against a stub that fails in ways in which a real node rarely does.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin::Block;
use bitcoin::consensus::{deserialize, serialize};
use coinhound::chain::{BlockId, Chain};
use coinhound::node::{FilterIndex, LaneChoice, NodeError};
use coinhound::stop::Stop;
use serde_json::json;

use crate::support::log_capture::logs_of;
use crate::support::stub::{Stub, half, healthy, http, rpc_error, rpc_result, worker_of};
use crate::support::wait;

const SECOND: Duration = Duration::from_secs(1);

fn genesis() -> BlockId {
    BlockId { height: 0, hash: Chain::Regtest.genesis_hash() }
}

#[test]
fn over_rest_temporary_failures_are_waited_out_and_logged_once() {
    let stub = Stub::start(|count, request| match count {
        0 | 1 => http(503, "text/plain", b"Service temporarily unavailable: Loading block index"),
        2 => http(503, "text/plain", b"Work queue depth exceeded"),
        3 => half(200, b"half a block"),
        4 => Some(Vec::new()),
        5 => http(429, "text/plain", b""),
        _ => healthy(request),
    });
    let mut worker = stub.worker(LaneChoice::Rest);
    let lines = logs_of(|| {
        let raw = worker.block(genesis()).unwrap();
        assert_eq!(deserialize::<Block>(&raw).unwrap().block_hash(), genesis().hash);
        assert_eq!(worker.block(genesis()).unwrap(), raw);
    });
    assert_eq!(stub.requests(), 8);
    let logged = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!((logged("Loading block index"), logged("answers again")), (1, 1), "{lines:#?}");
    assert!(lines.len() <= 4, "{lines:#?}");
}

#[test]
fn over_rpc_temporary_failures_and_a_new_cookie_are_waited_out() {
    let dir = tempfile::tempdir().unwrap();
    let cookie = dir.path().join("cookie");
    let stub = Stub::start_in(dir, move |count, request| match count {
        0 => rpc_error(500, -28, "Verifying blocks…", &request.body["id"]),
        1 => http(500, "text/plain", b"Work queue depth exceeded"),
        2 => half(200, br#"{"result":"00"#),
        3 => {
            std::fs::write(&cookie, "__cookie__:canary-new").unwrap();
            http(401, "text/html", b"")
        }
        // Base64 of the new cookie: the old one is no longer accepted.
        _ if request.login.as_deref() == Some("Basic X19jb29raWVfXzpjYW5hcnktbmV3") => healthy(request),
        _ => http(401, "text/html", b""),
    });
    let mut worker = stub.worker(LaneChoice::Rpc);
    let lines = logs_of(|| assert!(worker.block(genesis()).is_ok()));
    assert_eq!(stub.requests(), 5);
    assert!(lines.iter().any(|line| line.contains("Verifying blocks")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("canary") || line.contains("X19j")), "{lines:#?}");
}

#[test]
fn a_node_of_an_older_version_is_understood() {
    let stub = Stub::start(|_, request| match request.path.as_str() {
        "/rest/chaininfo.json" => http(404, "text/html", b""),
        _ => healthy(request),
    });
    let node = stub.node();
    let info = node.info().unwrap();
    assert_eq!((info.version, info.warnings.len(), info.best), (270_100, 0, genesis().hash));
    let able = node.capabilities(&info).unwrap();
    assert_eq!((able.rest, able.transaction_prevouts, able.filter_index), (false, true, FilterIndex::Absent));
}

#[test]
fn an_answer_that_no_node_gives_is_asked_for_again_and_then_an_error_that_says_what_it_is() {
    let page = || http(200, "text/html", b"<html>Log in to your router</html>");
    let block_of_another = || {
        let other = bitcoin::constants::genesis_block(Chain::Main.network());
        http(200, "application/octet-stream", &serialize(&other))
    };
    type Answer = Box<dyn Fn() -> Option<Vec<u8>> + Send>;
    let cases: [(LaneChoice, Answer, &str); 10] = [
        (LaneChoice::Rest, Box::new(page), "web page"),
        (LaneChoice::Rpc, Box::new(page), "web page"),
        (LaneChoice::Rest, Box::new(|| http(200, "application/octet-stream", b"short")), "shorter than a header"),
        (LaneChoice::Rest, Box::new(block_of_another), "asked for block 0"),
        (
            LaneChoice::Rpc,
            Box::new(|| http(200, "application/json", br#"{"result":"zz","error":null,"id":0}"#)),
            "getblock",
        ),
        (LaneChoice::Rpc, Box::new(|| http(200, "application/json", b"{\"result\"")), "not JSON"),
        (LaneChoice::Rest, Box::new(|| Some(b"SSH-2.0-OpenSSH_9.2\r\n\r\n<cut>".to_vec())), "not bitcoind's HTTP"),
        (
            LaneChoice::Rest,
            Box::new(|| Some(b"HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n".to_vec())),
            "bytes",
        ),
        (LaneChoice::Rest, Box::new(|| http(302, "text/html", b"")), "302"),
        (LaneChoice::Rest, Box::new(|| http(403, "text/plain", b"")), "rpcallowip"),
    ];
    for (choice, answer, part) in cases {
        let stub = Stub::start(move |_, _| answer());
        let error = stub.worker(choice).block(genesis()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        // A refusal is no odd answer.
        let requests = if part == "rpcallowip" { 1 } else { 3 };
        assert_eq!(stub.requests(), requests, "{part}");
    }
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let stub =
        Stub::start(|_, _| http(200, "application/json", br#"{"result":{"version":270000},"error":null,"id":-5}"#));
    let error = stub.node().info().unwrap_err();
    assert!(matches!(error, NodeError::BadAnswer { .. }), "{error}");
}

#[test]
fn a_node_of_a_currency_that_forked_off_is_refused_though_it_calls_its_chain_main() {
    const FORK: u32 = 478_559;
    const BITCOIN: &str = "00000000000000000019f112ec0a9982926f1258cdcc558dd7c3b7e5dc7fa148";
    const BITCOIN_CASH: &str = "000000000000000000651ef99cb9fcbe0dadde1d424bd9f15ff20136191a5eec";
    // Up to the block before, all of them have one chain.
    let cases = [
        (BITCOIN, FORK, true),
        (BITCOIN_CASH, FORK, false),
        (BITCOIN_CASH, 900_000, false),
        (BITCOIN_CASH, FORK - 1, true),
    ];
    for (hash, blocks, is_bitcoin) in cases {
        let stub = Stub::start(move |_, request| {
            let genesis = Chain::Main.genesis_hash().to_string();
            match request.body["method"].as_str() {
                Some("getblockchaininfo") => {
                    let info = json!({"chain": "main", "blocks": blocks, "headers": blocks, "bestblockhash": genesis,
                        "initialblockdownload": false, "size_on_disk": 293, "pruned": false, "warnings": ""});
                    rpc_result(&info, request)
                }
                Some("getblockhash") if request.body["params"][0] == FORK => rpc_result(&json!(hash), request),
                Some("getblockhash") => rpc_result(&json!(genesis), request),
                _ => healthy(request),
            }
        });
        let node = stub.node_of(Chain::Main, Stop::default());
        match node.info() {
            Ok(info) => {
                assert!(is_bitcoin, "{hash} at {blocks}");
                assert!(node.confirm_chain(&info.signature()).is_ok(), "{hash} at {blocks}");
            }
            Err(error @ NodeError::WrongChain { .. }) => {
                assert!(!is_bitcoin && error.to_string().contains(hash), "{hash} at {blocks}: {error}");
            }
            Err(error) => panic!("{hash} at {blocks}: {error}"),
        }
    }
}

#[test]
fn a_node_too_old_to_serve_is_refused() {
    let stub = Stub::start(|_, request| {
        let reply = String::from_utf8(healthy(request)?).unwrap();
        Some(reply.replace("270100", "220000").into_bytes())
    });
    let error = stub.node().info().unwrap_err();
    assert!(matches!(error, NodeError::TooOld { version: 220_000 }), "{error}");
}

#[test]
fn a_node_that_never_answers_delays_no_call_beyond_its_limit() {
    let stub = Stub::start(|_, _| None);
    let began = Instant::now();
    let error = stub.node().info_within(SECOND / 2).unwrap_err();
    assert!(matches!(error, NodeError::Unreachable { .. }), "{error}");
    // A call without a limit ends after a minute.
    assert!(began.elapsed() < 30 * SECOND);

    let stop = Stop::default();
    let node = stub.node_with(stop.clone());
    let mut worker = worker_of(&node, LaneChoice::Rest);
    thread::scope(|scope| {
        let before = stub.requests();
        let waiting = scope.spawn(move || worker.block(genesis()));
        wait::until("the block is asked for", || stub.requests() > before);
        let began = Instant::now();
        stop.request();
        node.hang_up();
        assert!(matches!(waiting.join().unwrap(), Err(NodeError::Stopped)));
        assert!(began.elapsed() < 30 * SECOND);
    });
}

#[test]
fn a_block_of_which_the_node_has_only_the_header_is_waited_for() {
    let mut missing = 8;
    let stub = Stub::start(move |_, request| match request.body["method"].as_str() {
        None if missing > 0 => {
            missing -= 1;
            http(404, "text/plain", b"0f91 not available (not fully downloaded)")
        }
        Some("getblockheader") => rpc_result(&json!({"confirmations": 1, "height": 0}), request),
        _ => healthy(request),
    });
    let mut worker = stub.worker(LaneChoice::Rest);
    assert!(worker.block(genesis()).is_ok());
}

#[test]
fn a_cookie_that_stays_refused_is_reported_with_advice() {
    let refusing = || Stub::start(|_, _| http(401, "text/html", b""));
    let error = error_once_answered(&refusing);
    assert!(matches!(error, NodeError::Unauthorized { .. }), "{error}");
    let without_cookie = || {
        let stub = refusing();
        std::fs::remove_file(stub.cookie_file()).unwrap();
        stub
    };
    let error = error_once_answered(&without_cookie);
    assert!(error.to_string().contains("--bitcoin-datadir"), "{error}");
    // The last call may be cut short by the limit, which says nothing about the node.
    let silent_at_last = || Stub::start(|count, _| if count < 2 { http(401, "text/html", b"") } else { None });
    let error = error_once_answered(&silent_at_last);
    assert!(matches!(error, NodeError::Unauthorized { .. }), "{error}");
}

/// The error of a call within a limit, which is doubled while a busy machine has no answer from the stub by then.
fn error_once_answered(stub: &dyn Fn() -> Stub) -> NodeError {
    let mut limit = SECOND / 2;
    loop {
        let error = stub().node().info_within(limit).unwrap_err();
        if limit > wait::PATIENCE || !matches!(error, NodeError::Unreachable { .. }) {
            return error;
        }
        limit *= 2;
    }
}

#[test]
fn a_node_without_a_waiting_call_is_polled() {
    let (old, new) = (genesis().hash, Chain::Main.genesis_hash());
    let refusals = [(-1, "waitfornewblock ( timeout )"), (-8, "out of range"), (-32601, "Method not found")];
    for (code, message) in refusals {
        let mut looks = 0;
        let stub = Stub::start(move |_, request| match request.body["method"].as_str() {
            Some("getbestblockhash") => {
                looks += 1;
                let tip = if looks < 4 { old } else { new };
                rpc_result(&json!(tip), request)
            }
            _ => rpc_error(500, code, message, &request.body["id"]),
        });
        assert_eq!(stub.node().wait_for_tip(old, 600 * SECOND).unwrap(), new);
        assert_eq!(stub.requests(), 5, "one try to wait, and four polls");
    }
}

/// Stops a coin scan at a stub, and returns the calls that it got and the time from the stop to the end.
fn stop_scan(hang_up: bool) -> (Vec<String>, Duration) {
    let actions = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&actions);
    let mut aborts = 0;
    let stub = Stub::start(move |_, request| {
        let action = request.body["params"][0].as_str().unwrap().to_owned();
        seen.lock().unwrap().push(action.clone());
        if action == "start" {
            return None;
        }
        aborts += 1;
        // The first abort comes before the scan has begun, so the node aborts nothing.
        let body = json!({"result": aborts > 1, "error": null, "id": 0}).to_string();
        http(200, "application/json", body.as_bytes())
    });
    let stop = Stop::default();
    let node = stub.node_with(stop.clone());
    let took = thread::scope(|scope| {
        let scanning = scope.spawn(|| node.scan_unspent(&[vec![0x51].into()]));
        wait::until("the scan has begun", || !actions.lock().unwrap().is_empty());
        let began = Instant::now();
        stop.request();
        if hang_up {
            node.hang_up();
        }
        assert!(matches!(scanning.join().unwrap(), Err(NodeError::Stopped)));
        began.elapsed()
    });
    let actions = actions.lock().unwrap().clone();
    (actions, took)
}

#[test]
fn a_coin_scan_that_is_stopped_is_aborted_in_the_node_too() {
    for hang_up in [false, true] {
        let (mut actions, mut took) = stop_scan(hang_up);
        // The node is given a second or two for it, which on a busy machine may not be enough for two calls.
        for _ in 0..20 {
            if actions.len() >= 3 || took < SECOND {
                break;
            }
            (actions, took) = stop_scan(hang_up);
        }
        assert_eq!(actions, ["start", "abort", "abort"]);
    }
}

#[test]
fn a_coin_scan_waits_for_another_one_and_repeats_when_aborted() {
    let mut tries = 0;
    let stub = Stub::start(move |_, request| {
        tries += 1;
        if tries == 1 {
            return rpc_error(
                500,
                -8,
                "Scan already in progress, use action \"abort\" or \"status\"",
                &request.body["id"],
            );
        }
        let coin = json!({"txid": "11".repeat(32), "vout": 1, "scriptPubKey": "51", "desc": "raw(51)#x", "amount": 1, "height": 2});
        let result = json!({"success": tries > 2, "txouts": 1, "height": 7, "bestblock": genesis().hash,
            "unspents": [coin], "total_amount": 1});
        rpc_result(&result, request)
    });
    let scan = stub.node().scan_unspent(&[vec![0x51].into()]).unwrap();
    assert_eq!((scan.tip.height, scan.found.len(), scan.found[0].coinbase), (7, 1, None));
    assert_eq!(stub.requests(), 3);
}
