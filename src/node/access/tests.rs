//! Which endpoint and credentials follow from which settings.

use super::*;

fn flag<T>(value: T) -> Option<Given<T>> {
    Some(Given::new(value, Origin::Flag))
}

fn file<T>(value: T) -> Option<Given<T>> {
    Some(Given::new(value, Origin::File("/c/config.toml".into())))
}

fn found(access: &NodeAccess, name: &str) -> Option<(String, String)> {
    let report = access.report().iter().find(|report| report.name == name)?;
    Some((report.value.clone(), report.origin.to_string()))
}

struct NodeHome(tempfile::TempDir);

impl NodeHome {
    fn with_conf(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bitcoin.conf"), text).unwrap();
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn resolve(&self, settings: &NodeSettings) -> Result<NodeAccess, NodeError> {
        resolve_from(settings, Some(self.path()))
    }
}

#[test]
fn each_chain_has_cores_port_and_folder() {
    let home = NodeHome::with_conf("");
    let cases = [
        (Chain::Main, 8332, ""),
        (Chain::Test, 18332, "testnet3"),
        (Chain::Testnet4, 48332, "testnet4"),
        (Chain::Signet, 38332, "signet"),
        (Chain::Regtest, 18443, "regtest"),
    ];
    for (chain, port, folder) in cases {
        let access = home.resolve(&NodeSettings::for_chain(chain)).unwrap();
        assert_eq!(access.url(), format!("http://127.0.0.1:{port}"));
        let expected = home.path().join(folder).join(".cookie");
        assert!(matches!(access.auth(), Auth::Cookie(path) if *path == expected), "{:?}", access.auth());
        let mut settings = NodeSettings::for_chain(chain);
        settings.rpc_url = flag("localhost".into());
        assert_eq!(home.resolve(&settings).unwrap().url(), format!("http://localhost:{port}"));
    }
}

#[test]
fn settings_in_bitcoin_conf_are_used_and_reported_with_their_line() {
    let home =
        NodeHome::with_conf("rpcuser=u\nrpcpassword=canary\nrpcport=1\n[regtest]\nrpcport=2222\nrpcconnect=::1\n");
    let access = home.resolve(&NodeSettings::for_chain(Chain::Regtest)).unwrap();
    assert_eq!(access.url(), "http://[::1]:2222");
    assert!(matches!(access.auth(), Auth::User { name, password } if name == "u" && password.expose() == "canary"));
    let conf = home.path().join("bitcoin.conf").display().to_string();
    assert_eq!(found(&access, "node.rpc_url").unwrap().1, format!("{conf} line 6"));
    assert_eq!(found(&access, "node.rpc_user").unwrap(), ("u".into(), format!("{conf} line 2")));
    assert!(!format!("{access:?}").contains("canary"));
}

#[test]
fn a_relative_cookie_file_of_bitcoin_conf_lies_in_the_chains_folder() {
    let home = NodeHome::with_conf("rpccookiefile=my.cookie\n");
    let access = home.resolve(&NodeSettings::for_chain(Chain::Signet)).unwrap();
    let expected = home.path().join("signet/my.cookie");
    assert!(matches!(access.auth(), Auth::Cookie(path) if *path == expected));
}

#[test]
fn the_datadir_in_bitcoin_conf_counts_unless_one_is_given() {
    let data = tempfile::tempdir().unwrap();
    let home = NodeHome::with_conf(&format!("datadir={}\n", data.path().display()));
    let access = home.resolve(&NodeSettings::for_chain(Chain::Regtest)).unwrap();
    assert_eq!(access.directory().unwrap(), data.path().join("regtest"));
    assert!(found(&access, "node.datadir").unwrap().1.ends_with("bitcoin.conf line 1"));

    let mut settings = NodeSettings::for_chain(Chain::Regtest);
    settings.datadir = flag(home.path());
    let access = home.resolve(&settings).unwrap();
    assert_eq!(access.directory().unwrap(), home.path().join("regtest"));
    assert_eq!(found(&access, "node.datadir").unwrap().1, "command line");
}

#[test]
fn a_cookie_found_by_default_is_only_sent_to_this_machine() {
    let home = NodeHome::with_conf("");
    for (url, sent) in
        [("127.3.2.1", true), ("[::1]:5", true), ("localhost", true), ("10.0.0.1", false), ("n.lan", false)]
    {
        let mut settings = NodeSettings::for_chain(Chain::Main);
        settings.rpc_url = flag(url.into());
        let result = home.resolve(&settings);
        match result {
            Ok(_) => assert!(sent, "{url}"),
            Err(error) => {
                assert!(!sent && error.is_usage(), "{url}: {error}");
                assert!(error.to_string().contains("--rpc-cookie-file"), "{error}");
            }
        }
        settings.rpc_cookie_file = flag("/x/.cookie".into());
        assert!(home.resolve(&settings).is_ok(), "a cookie file that is given goes to the url that is given: {url}");
    }
}

#[test]
fn the_password_in_bitcoin_conf_is_sent_to_the_host_in_bitcoin_conf_and_no_other() {
    let home = NodeHome::with_conf("rpcuser=u\nrpcpassword=p\nrpcconnect=10.0.0.1\n");
    let mut settings = NodeSettings::for_chain(Chain::Main);
    assert_eq!(home.resolve(&settings).unwrap().url(), "http://10.0.0.1:8332");
    settings.rpc_url = flag("10.0.0.2".into());
    assert!(home.resolve(&settings).unwrap_err().is_usage());
    settings.rpc_url = flag("127.0.0.1".into());
    assert!(home.resolve(&settings).is_ok());

    let remote_cookie = NodeHome::with_conf("rpcconnect=10.0.0.1\n");
    assert!(remote_cookie.resolve(&NodeSettings::for_chain(Chain::Main)).unwrap_err().is_usage());
}

#[test]
fn credentials_must_be_complete_and_of_one_kind() {
    let home = NodeHome::with_conf("");
    let password = home.path().join("password");
    std::fs::write(&password, "p\n").unwrap();
    let base = NodeSettings::for_chain(Chain::Main);
    let cookie = || PathBuf::from("/x/.cookie");
    let user = || "u".to_owned();

    // cookie, user, password file → the setting that wins, or part of the refusal
    type LoginCase =
        (Option<Given<PathBuf>>, Option<Given<String>>, Option<Given<PathBuf>>, Result<&'static str, &'static str>);
    let cases: [LoginCase; 9] = [
        (None, None, None, Ok("node.rpc_cookie_file")),
        (flag(cookie()), None, None, Ok("node.rpc_cookie_file")),
        (None, flag(user()), flag(password.clone()), Ok("node.rpc_user")),
        (None, file(user()), flag(password.clone()), Ok("node.rpc_user")),
        (file(cookie()), flag(user()), flag(password.clone()), Ok("node.rpc_user")),
        (flag(cookie()), file(user()), file(password.clone()), Ok("node.rpc_cookie_file")),
        (flag(cookie()), flag(user()), flag(password.clone()), Err("not both")),
        (None, flag(user()), None, Err("--rpc-password-file")),
        (None, None, flag(password.clone()), Err("--rpc-user")),
    ];
    for (index, (rpc_cookie_file, rpc_user, rpc_password_file, expected)) in cases.into_iter().enumerate() {
        let settings = NodeSettings { rpc_cookie_file, rpc_user, rpc_password_file, ..base.clone() };
        match (home.resolve(&settings), expected) {
            (Ok(access), Ok(name)) => assert!(found(&access, name).is_some(), "case {index}"),
            (Err(error), Err(part)) => {
                assert!(error.is_usage() && error.to_string().contains(part), "{index}: {error}")
            }
            (other, expected) => panic!("case {index}: {other:?}, expected {expected:?}"),
        }
    }
    let settings = NodeSettings { rpc_user: flag("a:b".into()), rpc_password_file: flag(password), ..base };
    assert!(home.resolve(&settings).unwrap_err().is_usage());
}

#[test]
fn a_directory_that_is_given_must_exist_unless_nothing_is_needed_from_it() {
    let home = NodeHome::with_conf("");
    let mut settings = NodeSettings::for_chain(Chain::Main);
    settings.datadir = flag(home.path().join("none"));
    assert!(home.resolve(&settings).unwrap_err().to_string().contains("--bitcoin-datadir"));
    settings.rpc_url = flag("127.0.0.1".into());
    settings.rpc_cookie_file = flag("/x/.cookie".into());
    assert!(home.resolve(&settings).is_ok());
}

#[test]
fn without_a_home_directory_credentials_must_be_given() {
    let mut settings = NodeSettings::for_chain(Chain::Main);
    assert!(resolve_from(&settings, None).unwrap_err().to_string().contains("--rpc-cookie-file"));
    settings.rpc_cookie_file = flag("/x/.cookie".into());
    assert_eq!(resolve_from(&settings, None).unwrap().url(), "http://127.0.0.1:8332");
}
