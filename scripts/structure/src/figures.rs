//! The figures by which the structure of the code is judged, before and after a change, as tables in Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::census::{Census, count};
use crate::circles;
use crate::tree::{Mention, Sources, Tree};

/// The page of figures for the sources in `src` and for those of the tests. Errors: a file can't be parsed.
pub fn page(src: &Sources, tests: &Sources) -> Result<String, String> {
    let tree = Tree::read(src)?;
    let groups = groups(&tree, src, tests)?;
    let mut page = String::new();
    for table in [files(src, tests), counts(&tree, &groups)] {
        page.push_str(&table);
        page.push('\n');
    }
    page.push_str(&details(&tree, &groups));
    Ok(page)
}

/// The code of `src`, its unit tests, and what lies in `tests`.
fn groups(tree: &Tree, src: &Sources, tests: &Sources) -> Result<[Census; 3], String> {
    let for_tests: BTreeSet<&str> =
        tree.modules.iter().filter(|module| module.is_test).map(|module| module.file.as_str()).collect();
    let for_code: BTreeSet<&str> =
        tree.modules.iter().filter(|module| !module.is_test).map(|module| module.file.as_str()).collect();
    let mut groups: [Census; 3] = Default::default();
    for (file, text) in src {
        let is_test = for_tests.contains(file.as_str()) && !for_code.contains(file.as_str());
        for (group, census) in groups.iter_mut().zip(count(&format!("src/{file}"), text, is_test)?) {
            group.add(census);
        }
    }
    for (file, text) in tests {
        for census in count(&format!("tests/{file}"), text, true)? {
            groups[2].add(census);
        }
    }
    Ok(groups)
}

impl Census {
    fn add(&mut self, other: Self) {
        self.functions.extend(other.functions);
        for (name, places) in other.types {
            self.types.entry(name).or_default().extend(places);
        }
        self.lets += other.lets;
        self.closures += other.closures;
        self.code_lines += other.code_lines;
        self.comment_lines += other.comment_lines;
        self.lines += other.lines;
    }

    fn longest(&self) -> String {
        self.functions
            .iter()
            .max_by_key(|function| function.lines)
            .map_or_else(|| "-".to_owned(), |function| format!("{} ({})", function.lines, function.name))
    }

    fn wide(&self) -> impl Iterator<Item = String> {
        let wide = self.functions.iter().filter(|function| function.parameters >= 7);
        wide.map(|function| format!("{} ({}, {})", function.name, function.parameters, function.place))
    }

    fn shared_names(&self) -> impl Iterator<Item = (&String, &Vec<String>)> {
        self.types.iter().filter(|(_, places)| places.len() > 1)
    }
}

/// Files and lines of every folder.
fn files(src: &Sources, tests: &Sources) -> String {
    let mut folders: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (root, sources) in [("src/", src), ("tests/", tests)] {
        for (file, text) in sources {
            let folder = file.rfind('/').map_or("", |slash| &file[..=slash]);
            let counted = folders.entry(format!("{root}{folder}")).or_default();
            *counted = (counted.0 + 1, counted.1 + text.lines().count());
        }
    }
    let mut table = "| folder | files | lines |\n|---|---:|---:|\n".to_owned();
    for (folder, (files, lines)) in &folders {
        row(&mut table, [folder.clone(), files.to_string(), lines.to_string()]);
    }
    table
}

fn counts(tree: &Tree, groups: &[Census; 3]) -> String {
    let mut table = "| | src | unit tests | tests |\n|---|---:|---:|---:|\n".to_owned();
    let mut line = |name: &str, cell: &dyn Fn(&Census) -> String| {
        row(&mut table, [name.to_owned(), cell(&groups[0]), cell(&groups[1]), cell(&groups[2])]);
    };
    line("lines", &|census| census.lines.to_string());
    line("functions", &|census| census.functions.len().to_string());
    line("longest function, lines", &Census::longest);
    line("functions over 70 lines", &|census| over(census, 70).to_string());
    line("functions of 7 parameters and more", &|census| census.wide().count().to_string());
    line("type names", &|census| census.types.len().to_string());
    line("type names of more than one type", &|census| census.shared_names().count().to_string());
    line("closures bound to a name", &|census| share(census.closures, census.lets, "`let`"));
    line("comments", &|census| share(census.comment_lines, census.code_lines, "code lines"));
    let circles = circles::between_files(tree);
    let files: usize = circles.iter().map(|circle| circle.files.len()).sum();
    let families = families(tree);
    let in_tests = families.iter().filter(|mention| mention.is_test).count();
    let cells = |name: &str, code: String, tests: String| [name.to_owned(), code, tests, "-".to_owned()];
    row(&mut table, cells("`Family::` outside index/", (families.len() - in_tests).to_string(), in_tests.to_string()));
    row(&mut table, cells("circles between files", format!("{} ({files} files)", circles.len()), "-".to_owned()));
    row(&mut table, cells("circles between folders", circles::between_folders(tree).len().to_string(), "-".to_owned()));
    table
}

/// The names behind the counts.
fn details(tree: &Tree, groups: &[Census; 3]) -> String {
    let mut text = String::new();
    let mut list = |title: &str, names: Vec<String>| {
        if !names.is_empty() {
            _ = writeln!(text, "{title}: {}\n", names.join(", "));
        }
    };
    list("Functions of 7 parameters and more", groups.iter().flat_map(Census::wide).collect());
    for (group, name) in groups.iter().zip(["src", "unit tests", "tests"]) {
        let names = group.shared_names().map(|(name, places)| format!("{name} {}", places.len()));
        list(&format!("Type names of more than one type, {name}"), names.collect());
    }
    let mut all = Census::default();
    for group in groups {
        group.types.iter().for_each(|(name, places)| all.types.entry(name.clone()).or_default().extend(places.clone()));
    }
    let shared = all.shared_names().filter(|(name, _)| groups.iter().all(|group| !is_shared(group, name)));
    list("Type names of more than one type, between these three", shared.map(|(name, _)| name.clone()).collect());
    let circles = circles::between_files(tree).into_iter().chain(circles::between_folders(tree));
    circles.for_each(|circle| list("Circle", vec![circle.describe()]));
    text
}

fn is_shared(census: &Census, name: &str) -> bool {
    census.types.get(name).is_some_and(|places| places.len() > 1)
}

/// Where a family of the index is named outside the layer that lays out its rows.
fn families(tree: &Tree) -> Vec<&Mention> {
    tree.mentions
        .iter()
        .filter(|mention| {
            let is_outside = tree.modules[mention.module].path.first().is_none_or(|layer| layer != "index");
            is_outside && mention.path.names.iter().rev().skip(1).any(|name| name == "Family")
        })
        .collect()
}

fn over(census: &Census, lines: usize) -> usize {
    census.functions.iter().filter(|function| function.lines > lines).count()
}

/// A count, and its share in tenths of a percent.
fn share(part: usize, whole: usize, of: &str) -> String {
    let per_mille = (part * 1000 + whole / 2) / whole.max(1);
    format!("{part} ({}.{} % of {whole} {of})", per_mille / 10, per_mille % 10)
}

fn row<const N: usize>(table: &mut String, cells: [String; N]) {
    _ = writeln!(table, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn the_page_counts_code_unit_tests_and_tests_apart() {
        let src = sources(&[
            (
                "lib.rs",
                "pub mod a; pub mod index;\n// Why.\nfn wide(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) {}\n",
            ),
            ("a/mod.rs", "mod b;\n#[cfg(test)]\nmod tests;\npub struct Same(b::Other);\n"),
            (
                "a/b.rs",
                "pub struct Other(super::Same);\nfn f() { let g = || crate::index::Family::Coins; let h = 1; }\n",
            ),
            ("a/tests.rs", "struct Same;\nfn t() { let g = || 1; }\n"),
            ("index.rs", "pub enum Family { Coins }\nfn f() { Family::Coins; }\n"),
        ]);
        let page = page(&src, &sources(&[("it/main.rs", "struct Twice; mod m { struct Twice; }\n")])).unwrap();
        let expected = [
            "| src/a/ | 3 | 8 |",
            "| tests/it/ | 1 | 1 |",
            "| lines | 11 | 2 | 1 |",
            "| functions | 3 | 1 | 0 |",
            "| longest function, lines | 1 (wide) | 1 (t) | - |",
            "| functions of 7 parameters and more | 1 | 0 | 0 |",
            "| type names of more than one type | 0 | 0 | 1 |",
            "| closures bound to a name | 1 (50.0 % of 2 `let`) | 1 (100.0 % of 1 `let`) | 0 (0.0 % of 0 `let`) |",
            "| comments | 1 (10.0 % of 10 code lines) | 0 (0.0 % of 2 code lines) | 0 (0.0 % of 1 code lines) |",
            "| `Family::` outside index/ | 1 | 0 | - |",
            "| circles between files | 1 (2 files) | - | - |",
            "Functions of 7 parameters and more: wide (7, src/lib.rs:3)",
            "Type names of more than one type, tests: Twice 2",
            "Type names of more than one type, between these three: Same",
            "Circle: a/b.rs, a/mod.rs form a circle:",
        ];
        for line in expected {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
