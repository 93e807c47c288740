//! Passwords, cookies and private keys never appear in answers, logs, errors or the index, whose files only their owner can read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::files::text;
use crate::support::program::{Program, ProgramOutput};
use crate::support::small_index::{FIRST_PAYMENT, PAYER, SmallIndex, UNLISTED};

/// Private keys in all usual formats, from test vectors.
const KEYS: [&str; 5] = [
    "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
    "KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617",
    "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
    "6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg",
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
];
const HEX_KEY: &str = "c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a";
const PASSWORD: &str = "canary-password-31415";

fn assert_silent(out: &ProgramOutput, secrets: &[&str], what: &str) {
    for secret in secrets {
        for text in [&out.stdout, &out.stderr] {
            assert!(!text.contains(secret), "{what} shows {secret}: {text}");
        }
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).expect("it exists").map(|entry| entry.expect("it is readable").path());
    paths
        .flat_map(|path| if path.is_dir() { [vec![path.clone()], files(&path)].concat() } else { vec![path] })
        .collect()
}

fn assert_not_stored(folder: &Path, secrets: &[&str]) {
    for path in files(folder).into_iter().filter(|path| path.is_file()) {
        let bytes = fs::read(&path).expect("it is readable");
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds {secret}", path.display());
        }
    }
}

#[test]
fn private_keys_in_lists_and_targets_are_refused_and_never_repeated() {
    let small = SmallIndex::without_index(20);
    let secrets: Vec<&str> = KEYS.into_iter().chain([HEX_KEY]).collect();
    let plain: String = secrets.iter().map(|key| format!("{key} my key\n{UNLISTED} {key}\n")).collect();
    fs::write(small.program.home().join("keys.txt"), format!("script:51 good\n{plain}")).expect("a file of the test");
    let csv: String = secrets.iter().map(|key| format!("{UNLISTED},\"note {key}\"\n{key},x\n")).collect();
    fs::write(small.program.home().join("keys.csv"), format!("address,note\n{csv}{UNLISTED},good\n"))
        .expect("a file of the test");
    fs::write(small.program.home().join("only.txt"), KEYS.join("\n")).expect("a file of the test");
    let lists = ["-vv", "--watch", "keys.txt", "--watch", "keys.csv"];
    for format in ["table", "json", "jsonl", "csv"] {
        for command in
            [&["watch", "check"][..], &["watch", "check", "only.txt"], &["check"], &["backfill"], &["watch", "list"]]
        {
            let out = small.program.run(&[&["--format", format], &lists[..], command].concat());
            assert_silent(&out, &secrets, &format!("{command:?} as {format}"));
        }
        let out = small.program.run(&["-vv", "--format", format, "--watch", "only.txt", "backfill"]);
        assert_eq!(out.code, 1, "{out:#?}");
        assert_silent(&out, &secrets, "a list of nothing but keys");
    }
    assert_not_stored(small.program.index(), &secrets);
    for key in &secrets {
        let mut targets = vec![(*key).to_owned(), format!("wpkh({key})"), format!("label {key}"), format!(" {key},x")];
        if *key != HEX_KEY {
            // 64 hex digits are a good script.
            targets.push(format!("script:{key}"));
        }
        for target in targets {
            for command in ["balance", "history", "coins", "tx"] {
                // `tx` takes 64 hex digits for a transaction id, and repeats them.
                if command == "tx" && target == HEX_KEY {
                    continue;
                }
                let out = small.program.run(&["-vv", command, &target]);
                assert_eq!(out.code, 2, "{command} {target}: {out:#?}");
                assert_silent(&out, &[key], &format!("{command} {target}"));
            }
        }
    }
}

#[test]
fn password_and_cookie_never_appear_whatever_fails() {
    let small = SmallIndex::at(20);
    let cookie = fs::read_to_string(small.node.cookie_file()).expect("the node is up");
    let cookie_secret = cookie.split_once(':').expect("user and password").1.trim().to_owned();
    let password = small.program.home().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).expect("a file of the test");
    let password = text(&password);
    let secrets = [PASSWORD, cookie_secret.as_str()];
    let commands: [&[&str]; 7] = [
        &["check"],
        &["status"],
        &["backfill"],
        &["watch", "list"],
        &["balance", PAYER],
        &["tx", FIRST_PAYMENT],
        &["digest"],
    ];
    for command in commands {
        let out = small.program.run(&[&["-vv"], command].concat());
        assert_silent(&out, &secrets, &format!("{command:?} with the cookie"));
        let wrong = ["-vv", "--format", "json", "--rpc-user", "ann", "--rpc-password-file", password];
        let out = small.program.run(&[&wrong[..], command].concat());
        assert_silent(&out, &secrets, &format!("{command:?} with a password that is refused"));
        let url = format!("http://ann:{PASSWORD}@127.0.0.1:1");
        let program = Program::bare().with(&["-vv", "--rpc-url", &url, "--watch", text(&small.list)]);
        assert_silent(&program.run(command), &secrets, &format!("{command:?} with a password in the URL"));
    }
    let out = small.program.run(&["--rpc-user", "ann", "--rpc-password-file", password, "backfill"]);
    assert!(out.code == 1 && out.stderr.contains("refuses"), "{out:#?}");
    for flag in [format!("--rpc-password={PASSWORD}"), format!("--rpcpassword={PASSWORD}")] {
        let out = small.program.run(&[&flag, "status"]);
        assert_eq!(out.code, 2, "a password isn't accepted as an argument");
        assert_silent(&out, &secrets, &flag);
    }
    assert_not_stored(small.program.index(), &secrets);
}

#[test]
fn only_their_owner_can_read_an_index_and_a_backup() {
    let small = SmallIndex::without_index(20);
    // With this umask new files would be readable by everybody.
    let shell = Program::new(&small.node, small.program.index())
        .with(&["--watch", text(&small.list)])
        .with_script(&format!("umask 022; exec {} \"$@\"", env!("CARGO_BIN_EXE_coinhound")));
    assert_eq!(shell.run(&["backfill"]).code, 0);
    assert_eq!(shell.run(&["backfill"]).code, 0);
    let folder = small.program.index().parent().expect("a folder");
    let copy = folder.join("above/copy");
    assert_eq!(shell.run(&["backup", text(&copy)]).code, 0);
    let (mut seen, all) = (0, files(folder));
    for path in &all {
        let mode = fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode & !wanted, 0, "{}: {mode:o}", path.display());
        seen += 1;
    }
    assert!(seen > 10, "{all:?}");
}
