//! Checks the modules of a crate against its map: arrows between layers, names that are kept in or out of places, circles.

use std::collections::{BTreeMap, BTreeSet};

use crate::map::{Map, Rule};
use crate::resolve::Meaning;
use crate::tree::{Mention, Sources, Tree, Usage};

/// All faults, one line each; empty where everything holds. Errors: the sources or the map can't be read.
pub fn faults(sources: &Sources) -> Result<Vec<String>, String> {
    let map = Map::read(sources.get("lib.rs").ok_or("there is no lib.rs")?)?;
    let tree = Tree::read(sources)?;
    let mut checks = Checks { tree: &tree, map: &map, arrows: BTreeMap::new(), faults: BTreeSet::new() };
    checks.modules();
    for mention in &tree.mentions {
        let meanings = tree.meanings(mention);
        checks.arrows(mention, &meanings);
        map.rules.iter().for_each(|rule| checks.rule(rule, mention, &meanings));
    }
    checks.drawn();
    Ok(checks.faults.into_iter().collect())
}

struct Checks<'a> {
    tree: &'a Tree,
    map: &'a Map,
    /// Where each arrow was first seen: file and line.
    arrows: BTreeMap<(String, String), String>,
    faults: BTreeSet<String>,
}

impl Checks<'_> {
    /// Every module below the root is a layer of the map, and every layer is such a module.
    fn modules(&mut self) {
        let mut modules: BTreeSet<&str> = BTreeSet::new();
        for module in self.tree.modules.iter().filter(|module| module.path.len() < 2) {
            match (module.path.first(), module.file.as_str()) {
                (Some(_), _) if module.is_test => {}
                (Some(_), "lib.rs") => {}
                (Some(name), _) => drop(modules.insert(name)),
                (None, "main.rs") => drop(modules.insert("main")),
                (None, _) => {}
            }
        }
        let layers: BTreeSet<&str> = self.map.layers.iter().map(|layer| layer.name.as_str()).collect();
        for name in modules.difference(&layers) {
            self.faults.insert(format!("lib.rs: the map lacks the layer {name}"));
        }
        for name in layers.difference(&modules) {
            self.faults.insert(format!("lib.rs: the map shows the layer {name}, which does not exist"));
        }
    }

    /// The layer of a module; none for `lib.rs`, which only lists the layers and hands on what is public.
    fn layer(&self, module: usize) -> Option<&str> {
        let module = &self.tree.modules[module];
        match (module.path.first(), module.file.as_str()) {
            (_, "lib.rs") => None,
            (Some(name), _) => Some(name),
            (None, file) => (file == "main.rs").then_some("main"),
        }
    }

    fn place(&self, mention: &Mention) -> String {
        format!("{}:{}", self.tree.modules[mention.module].file, mention.line)
    }

    /// Notes which layers a mention goes through, and that it may.
    fn arrows(&mut self, mention: &Mention, meanings: &[Meaning]) {
        let Some(from) = self.layer(mention.module).map(str::to_owned) else { return };
        for meaning in meanings {
            for module in &meaning.modules {
                let Some(to) = self.layer(*module).map(str::to_owned) else { continue };
                if to == from {
                    continue;
                }
                let place = self.place(mention);
                let is_drawn = self.map.layers.iter().any(|layer| layer.name == from && layer.names.contains(&to));
                if !is_drawn {
                    self.faults.insert(format!("{place}: {from} must not name {to}: {}", written(mention)));
                }
                self.arrows.entry((from.clone(), to)).or_insert(place);
            }
        }
    }

    /// Every arrow of the map exists.
    fn drawn(&mut self) {
        for layer in &self.map.layers {
            for name in &layer.names {
                if !self.arrows.contains_key(&(layer.name.clone(), name.clone())) {
                    let fault = format!("lib.rs: the map shows {} → {name}, which no file needs", layer.name);
                    self.faults.insert(fault);
                }
            }
        }
    }

    fn rule(&mut self, rule: &Rule, mention: &Mention, meanings: &[Meaning]) {
        if rule.spares_tests && mention.is_test {
            return;
        }
        let file = &self.tree.modules[mention.module].file;
        let is_there =
            rule.places.iter().any(|place| file == place || (place.ends_with('/') && file.starts_with(place)));
        if is_there == rule.is_only {
            return;
        }
        for name in rule.names.iter().filter(|name| is_named(name, mention, meanings)) {
            let verb = if rule.is_only { "belongs to" } else { "must stay out of" };
            let fault =
                format!("{}: {name} {verb} {}: {}", self.place(mention), rule.places.join(", "), written(mention));
            self.faults.insert(fault);
        }
    }
}

/// Whether a mention is of what a rule calls `name`.
fn is_named(name: &str, mention: &Mention, meanings: &[Meaning]) -> bool {
    if let Some(function) = name.strip_suffix("()") {
        return mention.usage != Usage::Macro && mention.path.names.last().is_some_and(|last| last == function);
    }
    if let Some(called) = name.strip_suffix('!') {
        return mention.usage == Usage::Macro && mention.path.names.last().is_some_and(|last| last == called);
    }
    meanings.iter().flat_map(|meaning| &meaning.spellings).any(|spelling| {
        [spelling.as_str(), spelling.strip_prefix("crate::").unwrap_or_default()]
            .into_iter()
            .filter_map(|spelling| spelling.strip_prefix(name))
            .any(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn written(mention: &Mention) -> String {
    mention.path.names.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "
        //! ```text
        //! main     → sync
        //! sync
        //!        → index, scan, chain
        //! index
        //!        → chain
        //! scan
        //! chain
        //!
        //! rocksdb                 only in index/
        //! println!, std::io::stdout only in scan/print.rs
        //! index::Family, to_be_bytes() only in index/, tests
        //! std::fs, std::time      never in chain/
        //! ```
        pub mod chain; pub mod index; pub mod scan; pub mod sync;";

    /// A small crate in which everything holds, and one more text in `file`.
    fn with(file: &str, text: &str) -> Sources {
        let files = [
            ("lib.rs", LIB.replace("main     → sync", "main\n//!      → sync").replace("        //!", "//!")),
            ("main.rs", "fn main() { coinhound::sync::run() }".to_owned()),
            ("chain/mod.rs", "pub mod more; pub struct Height; pub mod header { pub struct Header; }".to_owned()),
            ("chain/more.rs", String::new()),
            (
                "index/mod.rs",
                "pub mod rows; mod family; pub use family::Family; pub use rocksdb::DB; use crate::chain::Height;"
                    .to_owned(),
            ),
            ("index/family.rs", "pub enum Family { Coins }".to_owned()),
            ("index/rows.rs", String::new()),
            ("scan/mod.rs", "mod print;".to_owned()),
            ("scan/print.rs", "fn print() { println!(); }".to_owned()),
            (
                "sync/mod.rs",
                "pub mod walk; pub mod more; pub fn run() {} pub use crate::scan as looking; use crate::chain::Height;"
                    .to_owned(),
            ),
            ("sync/more.rs", "use crate::index::rows;".to_owned()),
            ("sync/walk.rs", "pub struct Walk; pub use crate::chain::header::Header;".to_owned()),
        ];
        let mut sources: Sources = files.into_iter().map(|(file, text)| (file.to_owned(), text)).collect();
        sources.entry(file.to_owned()).or_default().push_str(text);
        sources
    }

    fn faults_with(file: &str, text: &str) -> Vec<String> {
        faults(&with(file, text)).unwrap()
    }

    #[test]
    fn the_small_crate_holds() {
        assert_eq!(faults_with("index/rows.rs", ""), [""; 0]);
    }

    #[test]
    fn an_arrow_upward_is_caught_however_it_is_written() {
        let texts = [
            "use crate::sync::walk::Walk;",
            "use crate::{\n    chain::Height,\n    sync::walk,\n};",
            "use crate::{chain::{Height, more}, sync::{self, walk::{Walk as Way}}};",
            "use crate as all; fn f(_: all::sync::walk::Walk) {}",
            "use crate::{self as all}; fn f(_: all::sync::walk::Walk) {}",
            "use super::super::sync::walk::Walk;",
            "use super::super::sync as above; fn f(_: above::walk::Walk) {}",
            "use super::super as all; use all::sync::walk;",
            "extern crate self as all; fn f() { all::sync::run(); }",
            "extern crate self as all; use all::sync;",
            "use crate::sync::*;",
            "use crate::*; fn f() { sync::run(); }",
            "fn f() { crate::sync::run(); }",
            "fn f() { self::super::super::sync::run(); }",
            "fn f(_: Vec<crate::sync::walk::Walk>) {}",
            "fn f() { use crate::sync; sync::run(); }",
            "fn f<T: Into<crate::sync::walk::Walk>>() {}",
            "impl From<crate::sync::walk::Walk> for u8 { fn from(_: crate::sync::walk::Walk) -> u8 { 0 } }",
            "pub use crate::sync::walk::Walk;",
            "pub(crate) use crate::sync::walk::Walk as Way;",
            "type Way = <crate::sync::walk::Walk as Iterator>::Item;",
            "fn f() { assert!(crate::sync::run() == ()); }",
            "fn f() { vec![1, [super::super::sync::run()]]; }",
            "macro_rules! m { () => { $crate::sync::run() } }",
            "macro_rules! m { () => { use crate::{chain, sync::{walk}}; } }",
            "#[derive(Clone)] #[serde(with = \"crate::sync::walk\")] struct S;",
            "struct S { #[serde(skip_serializing_if = \"crate::sync::run\")] field: u8 }",
            "mod inner { use super::super::super::sync::run; }",
            "mod inner { use super::*; fn f() { all::sync::run() } } use crate as all;",
            "#[cfg(test)] mod tests { use crate::sync::walk::Walk; }",
            "#[cfg(feature = \"testing\")] pub use crate::sync::walk::Walk;",
        ];
        for text in texts {
            let faults = faults_with("index/rows.rs", text);
            assert!(faults.iter().any(|fault| fault.contains("index must not name sync")), "{text}: {faults:?}");
            assert!(faults.iter().all(|fault| fault.starts_with("index/rows.rs:")), "{text}: {faults:?}");
        }
    }

    #[test]
    fn going_through_a_layer_that_hands_on_is_an_arrow_too() {
        let faults = faults_with("index/rows.rs", "use crate::sync::walk::Header;");
        assert_eq!(faults, ["index/rows.rs:1: index must not name sync: crate::sync::walk::Header"]);
        let faults = faults_with("chain/more.rs", "use crate::sync::looking;");
        assert!(
            faults.contains(&"chain/more.rs:1: chain must not name scan: crate::sync::looking".to_owned()),
            "{faults:?}"
        );
    }

    #[test]
    fn words_that_only_look_like_a_layer_are_none() {
        let texts = [
            "// use crate::sync;\n/// [`crate::sync::walk::Walk`]\nfn f() {}",
            "fn f() { let _ = \"crate::sync::run()\"; }",
            "fn f(sync: u8) -> u8 { sync }",
            "mod sync { pub fn run() {} } fn f() { sync::run() }",
            "use super::family; use self::inner::sync; mod inner { pub mod sync {} }",
            "use other::sync; use ::sync::walk;",
            "pub(in crate::index) fn f() {}",
        ];
        for text in texts {
            assert_eq!(faults_with("index/rows.rs", text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_belongs_to_one_place_is_caught_in_others() {
        let cases = [
            ("sync/more.rs", "use rocksdb::DB;", "rocksdb belongs to index/"),
            ("sync/more.rs", "use {rocksdb as store}; type T = store::DB;", "rocksdb belongs to index/"),
            ("sync/more.rs", "fn f(_: ::rocksdb::DB) {}", "rocksdb belongs to index/"),
            ("sync/more.rs", "use crate::index::DB;", "rocksdb belongs to index/"),
            ("sync/more.rs", "#[derive(rocksdb::Row)] struct S;", "rocksdb belongs to index/"),
            ("sync/more.rs", "extern crate rocksdb as store;", "rocksdb belongs to index/"),
            ("sync/more.rs", "#[cfg(test)] mod tests { use rocksdb::DB; }", "rocksdb belongs to index/"),
            ("scan/mod.rs", "fn f() { println!(\"{}\", 1) }", "println! belongs to scan/print.rs"),
            ("scan/mod.rs", "fn f() { std::println!() }", "println! belongs to scan/print.rs"),
            ("scan/mod.rs", "macro_rules! m { () => { println!() } }", "println! belongs to scan/print.rs"),
            ("scan/mod.rs", "use std::io; fn f() { io::stdout(); }", "std::io::stdout belongs to scan/print.rs"),
            ("sync/more.rs", "use crate::index::Family;", "index::Family belongs to index/"),
            ("sync/more.rs", "use crate::index; fn f() { index::Family::Coins; }", "index::Family belongs to index/"),
            ("sync/more.rs", "use crate::index::*; fn f() { Family::Coins; }", "index::Family belongs to index/"),
            ("sync/more.rs", "fn f() { 7_u32.to_be_bytes(); }", "to_be_bytes() belongs to index/"),
            ("sync/more.rs", "fn f() { x(u32::to_be_bytes) }", "to_be_bytes() belongs to index/"),
            ("sync/more.rs", "fn f() { assert_eq!(7_u32.to_be_bytes(), []); }", "to_be_bytes() belongs to index/"),
            ("chain/more.rs", "use std::{fs::File, io};", "std::fs must stay out of chain/"),
            ("chain/more.rs", "fn f() { std::time::Instant::now(); }", "std::time must stay out of chain/"),
            (
                "chain/more.rs",
                "use std as all; fn f() { all::time::Instant::now(); }",
                "std::time must stay out of chain/",
            ),
        ];
        for (file, text, fault) in cases {
            let faults = faults_with(file, text);
            assert!(faults.iter().any(|found| found.starts_with(file) && found.contains(fault)), "{text}: {faults:?}");
        }
        let allowed = [
            ("index/rows.rs", "use rocksdb::DB; fn f() { super::Family::Coins; 7_u32.to_be_bytes(); }"),
            ("chain/more.rs", "#[cfg(test)] mod tests { use std::fs; }"),
            ("sync/more.rs", "use std::fs; #[cfg(test)] mod tests { fn f() { 7_u32.to_be_bytes(); } }"),
            (
                "sync/more.rs",
                "use other::rocksdb; struct Family; fn f(rocksdb: u8) { rocksdb; Family::new(); println(); }",
            ),
        ];
        for (file, text) in allowed {
            assert_eq!(faults_with(file, text), [""; 0], "{text}");
        }
    }

    #[test]
    fn the_map_and_the_modules_are_the_same() {
        let mut sources = with("chain/mod.rs", "");
        let lib = sources["lib.rs"].clone();
        sources.insert("lib.rs".to_owned(), lib.replace("//! scan\n", "//! scan\n//!  → chain\n"));
        assert_eq!(faults(&sources).unwrap(), ["lib.rs: the map shows scan → chain, which no file needs"]);
        sources.insert("lib.rs".to_owned(), lib.replace("//! chain\n", "//! chain\n//! trace\n"));
        assert_eq!(faults(&sources).unwrap(), ["lib.rs: the map shows the layer trace, which does not exist"]);
        sources.insert("lib.rs".to_owned(), format!("{lib} mod trace;"));
        sources.insert("trace.rs".to_owned(), String::new());
        assert_eq!(faults(&sources).unwrap(), ["lib.rs: the map lacks the layer trace"]);
        sources.remove("trace.rs");
        sources.insert(
            "lib.rs".to_owned(),
            format!("{lib} pub use sync::run; pub mod program {{ pub use crate::sync::run; }}"),
        );
        assert_eq!(faults(&sources).unwrap(), [""; 0], "lib.rs may hand on anything");
    }

    #[test]
    fn a_file_that_no_module_leads_to_is_an_error() {
        let error = faults(&with("sync/lost.rs", "")).unwrap_err();
        assert_eq!(error, "sync/lost.rs: no `mod` leads to this file");
        let error = faults(&with("sync/mod.rs", "mod missing;")).unwrap_err();
        assert_eq!(error, "sync/missing/mod.rs: a `mod` leads to this file, but it is missing");
        let error = faults(&with("sync/walk.rs", "fn")).unwrap_err();
        assert!(error.starts_with("sync/walk.rs:1:"), "{error}");
    }
}
