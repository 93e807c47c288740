//! The map that the documentation of `lib.rs` draws, in its blocks fenced with "```text":
//!
//! ```text
//! index       RocksDB: one batch a step        a layer and its job; layers further down come later
//!           → chain, trace                     the layers it names, all of them further down
//! rocksdb            only in index/            code outside index/ must not name the crate
//! std::fs, File::open()  never in chain/       code in chain/ must not; its unit tests may
//! ```
//!
//! A rule's names are paths (`index::Family` is of this crate, `std::fs` of another one), functions and methods by their last name
//! with `()`, and macros with `!`. Its places are files and folders below `src`; `tests` stands for all unit tests.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The map as drawn.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// From the top down.
    pub layers: Vec<Layer>,
    /// What may be named where.
    pub rules: Vec<Rule>,
}

/// A layer, and the layers that it names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Its module below the root; `main` is the program's crate.
    pub name: String,
    /// In the order they are written.
    pub names: Vec<String>,
}

/// Names that are kept in or out of some places.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Paths, `function()`, `macro!`.
    pub names: Vec<String>,
    /// Only in the places, or never in them.
    pub is_only: bool,
    /// Files, and folders with a slash at the end.
    pub places: Vec<String>,
    /// Unit tests may name them wherever they are.
    pub spares_tests: bool,
}

impl Map {
    /// Reads the map from the text of `lib.rs`. Errors: a line of a fenced block is neither layer, arrows nor rule; an arrow that
    /// points up, or to no layer.
    pub fn read(text: &str) -> Result<Self, String> {
        let file = syn::parse_file(text).map_err(|error| format!("lib.rs: {error}"))?;
        let mut map = Self::default();
        let mut is_inside = false;
        for line in file.attrs.iter().filter_map(documentation) {
            match line.trim() {
                "```text" => is_inside = true,
                "```" => is_inside = false,
                "" => {}
                line if is_inside => map.add(line).ok_or_else(|| format!("lib.rs: no line of a map: '{line}'"))?,
                _ => {}
            }
        }
        map.check()?;
        Ok(map)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let rule = [(" only in ", true), (" never in ", false)]
            .into_iter()
            .find_map(|(verb, is_only)| line.split_once(verb).map(|(names, places)| (names, is_only, places)));
        if let Some((names, is_only, places)) = rule {
            let (mut places, names) = (list(places), list(names));
            let spares_tests = !is_only || places.iter().any(|place| place == "tests");
            places.retain(|place| place != "tests");
            self.rules.push(Rule { names, is_only, places, spares_tests });
        } else if let Some(names) = line.strip_prefix('→') {
            self.layers.last_mut()?.names.extend(list(names));
        } else {
            let name = line.split_whitespace().next()?;
            if !name.chars().all(|char| char.is_ascii_lowercase() || char == '_') {
                return None;
            }
            self.layers.push(Layer { name: name.to_owned(), names: Vec::new() });
        }
        Some(())
    }

    fn check(&self) -> Result<(), String> {
        for (at, layer) in self.layers.iter().enumerate() {
            for name in &layer.names {
                match self.layers.iter().position(|other| other.name == *name) {
                    Some(other) if other > at => {}
                    Some(_) => return Err(format!("lib.rs: the arrow {} → {name} does not point down", layer.name)),
                    None => return Err(format!("lib.rs: {} names {name}, which is no layer", layer.name)),
                }
            }
        }
        match self.layers.is_empty() {
            true => Err("lib.rs draws no map".to_owned()),
            false => Ok(()),
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The line of a `//!` or `///` comment.
fn documentation(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) if pair.path.is_ident("doc") => Some(line.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Map, String> {
        let lines: String = lines.iter().map(|line| format!("//! {line}\n")).collect();
        Map::read(&format!("//! ```text\n{lines}//! ```\npub mod chain;\n"))
    }

    #[test]
    fn layers_arrows_and_rules_are_read() {
        let map = read(&[
            "index     records and rows, in RocksDB",
            "        → chain, trace",
            "        → stop",
            "trace",
            "stop",
            "chain     only what the chain says",
            "",
            "rocksdb                 only in index/",
            "std::fs, println!       never in chain/, stop.rs",
            "to_be_bytes()           only in index/, tests",
        ])
        .unwrap();
        let layers: Vec<_> = map.layers.iter().map(|layer| (layer.name.as_str(), layer.names.join(" "))).collect();
        assert_eq!(layers[0], ("index", "chain trace stop".to_owned()));
        assert_eq!(layers[1..].iter().map(|layer| layer.0).collect::<Vec<_>>(), ["trace", "stop", "chain"]);
        let rules: Vec<_> = map.rules.iter().map(|rule| (&rule.names, rule.is_only, &rule.places)).collect();
        let (index, above) = (vec!["index/".to_owned()], vec!["chain/".to_owned(), "stop.rs".to_owned()]);
        let names = [vec!["rocksdb"], vec!["std::fs", "println!"], vec!["to_be_bytes()"]]
            .map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(rules, [(&names[0], true, &index), (&names[1], false, &above), (&names[2], true, &index)]);
        assert_eq!(map.rules.iter().map(|rule| rule.spares_tests).collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn a_map_that_cannot_be_right_is_refused() {
        let cases = [
            (&["chain", "index", "→ chain"][..], "lib.rs: the arrow index → chain does not point down"),
            (&["chain", "→ chain"], "lib.rs: the arrow chain → chain does not point down"),
            (&["chain", "→ nothing"], "lib.rs: chain names nothing, which is no layer"),
            (&["→ chain"], "lib.rs: no line of a map: '→ chain'"),
            (&["Chain"], "lib.rs: no line of a map: 'Chain'"),
            (&[], "lib.rs draws no map"),
        ];
        for (lines, error) in cases {
            assert_eq!(read(lines).unwrap_err(), error);
        }
    }
}
