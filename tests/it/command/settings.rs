//! Settings: flag beats environment beats file beats default, for every key; paths; unknown keys; `config.example.toml`.

use std::path::PathBuf;

use coinhound::config::{ConfigError, Flags, LIST_SETTINGS, SETTINGS, Settings};
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::files::text;
use crate::support::program::Program;
use crate::support::small_index::{PAYER, SmallIndex, UNLISTED};

/// Every key with three valid values that aren't its default.
const VALUES: [(&str, [&str; 3]); 17] = [
    ("node.chain", ["regtest", "signet", "testnet4"]),
    ("node.datadir", ["/a", "/b", "/c"]),
    ("node.rpc_url", ["http://a:1", "http://b:2", "http://c:3"]),
    ("node.rpc_cookie_file", ["/a", "/b", "/c"]),
    ("node.rpc_user", ["ann", "bob", "eve"]),
    ("node.rpc_password_file", ["/a", "/b", "/c"]),
    ("node.lane", ["rpc", "rest", "filters"]),
    ("index.path", ["/a", "/b", "/c"]),
    ("scan.threads", ["11", "12", "13"]),
    ("scan.batch_blocks", ["21", "22", "23"]),
    ("trace.min_taint", ["1", "2", "3"]),
    ("trace.max_hops", ["4", "none", "6"]),
    ("trace.track", ["haircut", "fifo,lifo", "tiho"]),
    ("query.max_lag", ["3", "0", "5"]),
    ("query.max_age", ["4s", "none", "6s"]),
    ("log.level", ["error", "debug", "off"]),
    ("log.format", ["json", "text", "json"]),
];

/// The value of a key, as typed on the command line.
fn value(settings: &Settings, key: &str) -> Option<String> {
    let node = &settings.node;
    let path =
        |path: &Option<coinhound::node::Given<PathBuf>>| path.as_ref().map(|path| path.value.display().to_string());
    let word = |word: &Option<coinhound::node::Given<String>>| word.as_ref().map(|word| word.value.clone());
    match key {
        "node.chain" => Some(node.chain.value.to_string()),
        "node.datadir" => path(&node.datadir),
        "node.rpc_url" => word(&node.rpc_url),
        "node.rpc_cookie_file" => path(&node.rpc_cookie_file),
        "node.rpc_user" => word(&node.rpc_user),
        "node.rpc_password_file" => path(&node.rpc_password_file),
        "node.lane" => Some(node.lane.value.to_string()),
        "index.path" => Some(settings.index.display().to_string()),
        "scan.threads" => Some(settings.threads.to_string()),
        "scan.batch_blocks" => Some(settings.batch_blocks.to_string()),
        "trace.min_taint" => settings.trace.min_taint_sat.map(|sat| sat.to_string()),
        "trace.max_hops" => {
            settings.trace.max_hops.map(|hops| hops.most().map_or("none".to_owned(), |hops| hops.to_string()))
        }
        "trace.track" => {
            let names = |rules: &Vec<coinhound::trace::Rule>| rules.iter().map(|rule| rule.name()).collect::<Vec<_>>();
            settings.trace.rules.as_ref().map(|rules| names(rules).join(","))
        }
        "query.max_lag" => settings.max_lag.map(|lag| lag.to_string()),
        "query.max_age" => {
            settings.max_age.map(|age| age.map_or("none".to_owned(), |age| format!("{}s", age.as_secs())))
        }
        "log.level" => Some(settings.log_level.to_string().to_lowercase()),
        "log.format" => Some(format!("{:?}", settings.log_format).to_lowercase()),
        other => panic!("no key is called {other}"),
    }
}

/// A home folder.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Writes a file, with the folders above it.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a file of the test");
        std::fs::write(&path, text).expect("a file of the test");
        path
    }

    fn load(&self, flags: &Flags, environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let home = text(self.0.path()).to_owned();
        let lookup = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            found.or_else(|| (name == "HOME").then(|| home.clone()))
        };
        Settings::load(flags, &lookup)
    }

    fn error(&self, file: &str) -> String {
        let config = Some(self.write("bad.toml", file));
        self.load(&Flags { config, ..Flags::default() }, &[]).expect_err(file).to_string()
    }
}

fn one_key(key: &str, value: &str) -> String {
    let (section, name) = key.split_once('.').expect("section and name");
    let number = value.parse::<u32>().is_ok();
    if number { format!("[{section}]\n{name} = {value}\n") } else { format!("[{section}]\n{name} = \"{value}\"\n") }
}

#[test]
fn flag_beats_environment_beats_file_beats_default_for_every_key() {
    assert_eq!(VALUES.map(|(key, _)| key), SETTINGS.map(|setting| setting.key), "a key is missing here");
    for (key, [by_file, by_environment, by_flag]) in VALUES {
        let home = Home::new();
        let default = value(&home.load(&Flags::default(), &[]).expect("defaults"), key);
        let config = Some(home.write("settings.toml", &one_key(key, by_file)));
        let variable = format!("COINHOUND_{}", key.replace('.', "_").to_uppercase());
        let environment = [(variable.as_str(), by_environment)];
        let mut flags = Flags { config, ..Flags::default() };
        let file = value(&home.load(&flags, &[]).expect(key), key);
        assert_eq!(file.as_deref(), Some(by_file), "{key}");
        assert_ne!(file, default, "{key}: the file's value has no effect");
        assert_eq!(value(&home.load(&flags, &environment).expect(key), key).as_deref(), Some(by_environment), "{key}");
        flags.values.insert(key, by_flag.to_owned());
        assert_eq!(value(&home.load(&flags, &environment).expect(key), key).as_deref(), Some(by_flag), "{key}");
    }
}

#[test]
fn flags_and_variables_set_the_keys_that_they_name() {
    let node = Bitcoind::regtest();
    let (folder, cookie) = (node.datadir().display().to_string(), node.cookie_file().display().to_string());
    let url = node.rpc_url();
    let cases = [
        ("--chain", "node.chain", "regtest"),
        ("--bitcoin-datadir", "node.datadir", &folder),
        ("--rpc-url", "node.rpc_url", &url),
        ("--rpc-cookie-file", "node.rpc_cookie_file", &cookie),
        ("--lane", "node.lane", "rpc"),
    ];
    let variable = |key: &str| format!("COINHOUND_{}", key.replace('.', "_").to_uppercase());
    for by_flag in cases.map(|(flag, ..)| flag) {
        let (mut program, mut typed) = (Program::bare(), vec!["check"]);
        for (flag, key, value) in cases {
            match flag == by_flag {
                true => typed.extend([flag, value]),
                false => program = program.with_env(&variable(key), value),
            }
        }
        let (_, answer) = program.json(&typed);
        assert_eq!(answer["lane"], "rpc", "{answer}");
        let settings = answer["settings"].as_array().expect("settings");
        for (flag, key, value) in cases {
            let setting = settings.iter().find(|setting| setting["name"] == key).expect(key);
            let origin = if flag == by_flag { "command line".to_owned() } else { format!("({})", variable(key)) };
            assert!(setting["value"].as_str().is_some_and(|text| text.starts_with(value)), "{setting}");
            assert!(setting["origin"].as_str().is_some_and(|text| text.ends_with(&origin)), "{setting}");
        }
    }
}

#[test]
fn the_file_is_found_by_xdg_or_by_name_never_in_the_working_folder() {
    let home = Home::new();
    let folder = text(home.0.path());
    home.write(".config/coinhound/config.toml", "[scan]\nthreads = 31\n");
    home.write("xdg/coinhound/config.toml", "[scan]\nthreads = 32\n");
    let named = home.write("named.toml", "[scan]\nthreads = 33\n");
    let xdg = format!("{folder}/xdg");
    let flags = Flags { config: Some(named), ..Flags::default() };
    for (flags, environment, threads) in [
        (Flags::default(), vec![], 31),
        (Flags::default(), vec![("XDG_CONFIG_HOME", xdg.as_str())], 32),
        (Flags::default(), vec![("XDG_CONFIG_HOME", "xdg")], 31),
        (flags, vec![("XDG_CONFIG_HOME", xdg.as_str())], 33),
    ] {
        assert_eq!(home.load(&flags, &environment).expect("it is readable").threads, threads);
    }
    let program = Program::bare();
    for name in ["config.toml", "coinhound.toml", "coinhound/config.toml", ".config/config.toml"] {
        let path = program.home().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a file of the test");
        std::fs::write(path, "a stranger's file, which isn't even TOML").expect("a file of the test");
    }
    let out = program.run(&["status"]);
    assert!(out.stderr.contains("no index") && out.stderr.contains("data/coinhound/main"), "{out:?}");
}

#[test]
fn the_index_lies_in_the_xdg_data_folder_by_chain() {
    let home = Home::new();
    let folder = home.0.path();
    let aliases = [("main", "main"), ("mainnet", "main"), ("bitcoin", "main"), ("test", "test"), ("testnet3", "test")];
    for (typed, chain) in aliases.into_iter().chain(["testnet4", "signet", "regtest"].map(|name| (name, name))) {
        let environment = [("COINHOUND_NODE_CHAIN", typed)];
        let settings = home.load(&Flags::default(), &environment).expect(typed);
        assert_eq!(settings.index, folder.join(".local/share/coinhound").join(chain), "{typed}");
        assert_eq!(settings.node.chain.value.name(), chain);
    }
    let settings = home.load(&Flags::default(), &[("XDG_DATA_HOME", "/data")]).expect("it is readable");
    assert_eq!(settings.index, PathBuf::from("/data/coinhound/main"));
}

#[test]
fn relative_paths_in_a_file_start_from_its_folder() {
    let home = Home::new();
    let text = "[node]\ndatadir = \"node\"\nrpc_cookie_file = \"/abs\"\n[index]\npath = \"../idx\"\n\
                [[watchlist]]\npath = \"lists/a,b.txt\"\nrole = \"service\"\nfrom = 7\nlabel = \"x\"\n";
    let config = Some(home.write("etc/c.toml", text));
    let settings = home.load(&Flags { config, ..Flags::default() }, &[]).expect("it is readable");
    let folder = home.0.path().join("etc");
    assert_eq!(value_of(&settings, "node.datadir"), folder.join("node").display().to_string());
    assert_eq!(value_of(&settings, "node.rpc_cookie_file"), "/abs");
    assert_eq!(settings.index, folder.join("../idx"));
    assert_eq!(settings.watch[0].path, folder.join("lists/a,b.txt"));
    assert_eq!(settings.watch[0].options.from, Some(7));
}

fn value_of(settings: &Settings, key: &str) -> String {
    value(settings, key).expect(key)
}

#[test]
fn wrong_files_are_refused_with_the_line_and_the_nearest_name() {
    let home = Home::new();
    for (file, words) in [
        ("nonsense", "line 1"),
        ("[nod]\n", "did you mean 'node'?"),
        ("[node]\nrpc_ulr = \"x\"\n", "did you mean 'node.rpc_url'?"),
        ("[scan]\nthread = 1\n", "did you mean 'scan.threads'?"),
        ("node = 3\n", "[node]"),
        ("[node]\nrpc_url = [\"x\"]\n", "'node.rpc_url' must be a text"),
        ("[scan]\nthreads = 1.5\n", "'scan.threads' must be"),
        ("[scan]\nthreads = 0\n", "from 1 to 65535"),
        ("[scan]\nbatch_blocks = -1\n", "from 1 to 65535"),
        ("[log]\nlevel = \"loud\"\n", "log.level"),
        ("[node]\nchain = \"dogecoin\"\n", "no chain is called 'dogecoin'"),
        ("[[watchlist]]\nfile = \"x\"\n", "unknown key 'file'"),
        ("[[watchlist]]\nrole = \"service\"\n", "missing field `path`"),
        ("[[watchlist]]\npath = \"x\"\nrole = \"king\"\n", "flagged, service"),
        ("[watchlist]\npath = \"x\"\n", "[[watchlist]]"),
    ] {
        let said = home.error(file);
        assert!(said.contains(words) && said.contains("bad.toml"), "{file}: {said}");
    }
    let program = Program::bare();
    std::fs::write(program.home().join("bad.toml"), "[node]\nnonsense").expect("a file of the test");
    let out = program.run(&["--config", "bad.toml", "status"]);
    assert!(out.code == 2 && out.stderr.contains("line 2") && !out.stderr.contains("\\u{a}"), "{out:?}");
}

#[test]
fn lists_of_the_command_line_have_options_and_add_to_those_of_the_file() {
    let small = SmallIndex::without_index(20);
    let odd = small.program.home().join("odd, name=1,x.csv");
    std::fs::write(&odd, format!("{UNLISTED}\n")).expect("a file of the test");
    let typed = format!("{},label=From a, b,from=5,format=plain,role=flagged", odd.display());
    let file = small.program.home().join("config/coinhound/config.toml");
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a file of the test");
    std::fs::write(small.program.home().join("config/coinhound/more.txt"), "script:51 by file\n")
        .expect("a file of the test");
    std::fs::write(&file, "[[watchlist]]\npath = \"more.txt\"\n").expect("a file of the test");
    let out = small.program.run(&["--watch", &typed, "backfill"]);
    assert_eq!(out.code, 0, "{out:?}");
    let (_, list) = small.program.json(&["--watch", &typed, "watch", "list"]);
    let rows = list["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 4, "{list}");
    let row = rows.iter().find(|row| row["address"] == UNLISTED).expect("the odd file's");
    assert_eq!((&row["from"], &row["label_texts"]), (&5.into(), &serde_json::json!(["From a, b"])));
    assert!(rows.iter().any(|row| row["script"] == "51"), "{list}");
    assert_eq!(small.program.run(&["--watch", &typed, "history", PAYER]).code, 0);
}

#[test]
fn the_example_names_every_key_and_its_values_are_the_defaults() {
    let example = include_str!("../../../config.example.toml");
    let home = Home::new();
    let config = Some(home.write("as-it-is.toml", example));
    let defaults = home.load(&Flags::default(), &[]).expect("defaults");
    let as_it_is = home.load(&Flags { config, ..Flags::default() }, &[]).expect("it is readable");
    // A setting's line is `# key = value`; what explains it has a second blank or no equals sign.
    let setting = |line: &&str| {
        let rest = line.strip_prefix("# ").unwrap_or_default();
        rest.starts_with("[[") || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    let settings: Vec<&str> = example.lines().filter(setting).map(|line| &line[2..]).collect();
    let uncommented: String = example
        .lines()
        .map(|line| if setting(&line) { format!("{}\n", &line[2..]) } else { format!("{line}\n") })
        .collect();
    let table: toml::Table = uncommented.parse().expect("it is TOML without its marks too");
    for key in SETTINGS.map(|setting| setting.key) {
        let (section, name) = key.split_once('.').expect("section and name");
        assert!(table[section].as_table().is_some_and(|table| table.contains_key(name)), "{key} isn't in the example");
    }
    let list = table["watchlist"][0].as_table().expect("a list");
    for key in LIST_SETTINGS.map(|setting| setting.key) {
        assert!(list.contains_key(key), "watchlist.{key} isn't in the example");
    }
    assert!(settings.len() >= SETTINGS.len() + LIST_SETTINGS.len(), "{settings:?}");
    let config = Some(home.write("uncommented.toml", &uncommented));
    let uncommented = home.load(&Flags { config, ..Flags::default() }, &[]).expect("it is readable");
    // Those whose default depends on the machine, the node or the index say so, and show an example.
    let shown_only = [
        "node.datadir",
        "node.rpc_url",
        "node.rpc_cookie_file",
        "node.rpc_user",
        "node.rpc_password_file",
        "index.path",
        "scan.threads",
        "trace.min_taint",
        "trace.max_hops",
        "trace.track",
        "query.max_lag",
        "query.max_age",
    ];
    for key in SETTINGS.map(|setting| setting.key) {
        assert_eq!(value(&as_it_is, key), value(&defaults, key), "{key}");
        if !shown_only.contains(&key) {
            assert_eq!(value(&uncommented, key), value(&defaults, key), "{key}");
        }
    }
    assert!(as_it_is.watch.is_empty());
}
