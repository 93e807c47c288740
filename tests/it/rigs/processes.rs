//! The rigs of the node and of the program: restarts, REST, output, environment, signals.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::program::{Program, RunningProgram};
use crate::support::scripts::Shape;
use crate::support::wait::PATIENCE;

#[test]
fn rest_is_on_unless_switched_off() {
    let mut node = Bitcoind::regtest();
    let (status, body) = node.rest("/rest/chaininfo.json");
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["blocks"], 0);
    let port = node.rpc_port();
    node.restart_with(&["-rest=0", "-blockfilterindex=1"]);
    assert_eq!(node.rest("/rest/chaininfo.json").0, 404);
    assert_eq!(node.rpc_port(), port);
    assert!(node.rpc("getindexinfo", json!([])).get("basic block filter index").is_some());
    let error = node.try_rpc("getblockhash", json!([1])).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (-8, "Block height out of range"));
}

#[test]
fn a_stopped_node_leaves_nothing_behind() {
    let mut node = Bitcoind::regtest();
    let datadir = node.datadir().to_owned();
    assert!(node.cookie_file().exists());
    node.stop();
    assert_eq!(node.pid(), None);
    drop(node);
    assert!(!datadir.exists());
}

#[test]
fn the_program_runs_in_an_environment_of_its_own() {
    let node = Bitcoind::regtest();
    let program = Program::new(&node, node.datadir().join("index"));
    let out = program.run(&["--help"]);
    assert_eq!(out.code, 0, "{out:?}");
    let chain = RegtestChain::regtest(0);
    let [one, none] = [chain.script(Shape::Witness(2), 1), chain.script(Shape::Empty, 0)];
    let path = program.watchlist(&[(&one, "a label of words"), (&none, "nothing")]);
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, format!("script:{} a label of words\nscript: nothing\n", one.to_hex_string()));
}

#[test]
fn runs_are_read_as_text_and_as_json_and_end_by_signals() {
    let node = Bitcoind::regtest();
    let program = Program::new(&node, "/nowhere/index").with_env("COINHOUND_LOG_LEVEL", "debug").with_script(
        // One command only, in the background: dash drops a signal that arrives while it starts a command.
        r#"for last; do :; done
        case $last in
        do-answer) echo "{\"arguments\":\"$*\"}" ;;
        do-fail) echo 'not json' >&2; echo '{"error":{"message":"no","causes":[]}}' >&2; exit 2 ;;
        do-lines) echo '{"n":1}'; echo '{"n":2}'; exit 3 ;;
        do-env) env ;;
        do-follow) sleep 60 >/dev/null 2>&1 & trap 'kill $!; echo stopped; echo log >&2; exit 0' TERM INT; echo started; wait $! ;;
        esac"#,
    );
    let (datadir, url) = (node.datadir().display(), node.rpc_url());
    let settings = format!("--chain regtest --bitcoin-datadir {datadir} --rpc-url {url} --index /nowhere/index");
    let answer = json!({"arguments": format!("{settings} --format json backfill do-answer")});
    assert_eq!(program.json(&["backfill", "do-answer"]), (0, answer));
    assert_eq!(program.json(&["do-fail"]), (2, json!({"error": {"message": "no", "causes": []}})));
    assert_eq!(program.jsonl(&["do-lines"]), (3, vec![json!({"n": 1}), json!({"n": 2})]));
    let variables = program.run(&["do-env"]).stdout;
    assert!(variables.contains("COINHOUND_LOG_LEVEL=debug\n"));
    assert!(variables.contains(&format!("HOME={}\n", program.home().display())));
    assert!(!variables.contains("CARGO"), "a variable of the test's own: {variables}");

    for stop in [RunningProgram::term as fn(&RunningProgram), RunningProgram::int] {
        let mut running = program.spawn(&["do-follow"]);
        assert_eq!(running.line(PATIENCE).as_deref(), Some("started"));
        assert_eq!(running.line(Duration::from_millis(50)), None);
        assert!(running.is_running());
        stop(&running);
        let out = running.wait(PATIENCE);
        assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (0, "started\nstopped\n", "log\n"));
    }
    let running = program.spawn(&["do-follow"]);
    running.kill();
    assert_eq!(running.wait(PATIENCE).code, -9);
}
