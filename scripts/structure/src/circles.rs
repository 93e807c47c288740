//! Files, and folders, that need one another: a change to one of them can break any other, and none can be understood first.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Tree, Usage};

/// Files that all reach each other.
#[derive(Debug)]
pub struct Circle {
    /// In the order of their names.
    pub files: Vec<String>,
    /// One line for every pair of which the first names something of the second: where, and what.
    pub reasons: Vec<String>,
}

impl Circle {
    /// The circle in one line and its reasons below it.
    pub fn describe(&self) -> String {
        format!("{} form a circle:\n    {}", self.files.join(", "), self.reasons.join("\n    "))
    }
}

/// For each file or folder, those of which it names something, and where it does so first.
type Needs = BTreeMap<String, BTreeMap<String, String>>;

/// The circles among a crate's files, unit tests left out. A re-export alone is no need: whoever uses it needs the file behind it.
pub fn between_files(tree: &Tree) -> Vec<Circle> {
    among(&needs(tree))
}

/// The circles among the folders and files that lie in one folder, where a folder needs what any file in it needs. Circles of
/// files alone are left out, which [`between_files`] finds, and so are a folder's `mod.rs` and the roots.
pub fn between_folders(tree: &Tree) -> Vec<Circle> {
    let mut by_folder: BTreeMap<&str, Needs> = BTreeMap::new();
    let needs = needs(tree);
    for (from, others) in &needs {
        for (to, reason) in others {
            let (folder, from, to) = apart(from, to);
            if [from, to].iter().any(|name| ["mod.rs", "lib.rs", "main.rs"].contains(name)) {
                continue;
            }
            let needs = by_folder.entry(folder).or_default().entry(format!("{folder}{from}")).or_default();
            needs.entry(format!("{folder}{to}")).or_insert_with(|| reason.clone());
        }
    }
    let circles = by_folder.values().flat_map(among);
    circles.filter(|circle| circle.files.iter().any(|name| name.ends_with('/'))).collect()
}

/// The folder that two files have in common, and the file or folder within it that leads to each.
fn apart<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str, &'a str) {
    let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let common = one[..same].rfind('/').map_or(0, |slash| slash + 1);
    (&one[..common], first_name(&one[common..]), first_name(&other[common..]))
}

/// Up to the first slash, which stays.
fn first_name(path: &str) -> &str {
    path.find('/').map_or(path, |slash| &path[..=slash])
}

fn among(needs: &Needs) -> Vec<Circle> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        needs.keys().map(|file| (file.as_str(), reach(needs, file))).collect();
    let mut circles = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for (file, others) in &reached {
        if !others.contains(file) || done.contains(file) {
            continue;
        }
        let files: Vec<&str> = others.iter().filter(|other| reaches(&reached, other, file)).copied().collect();
        done.extend(&files);
        let reasons = files.iter().flat_map(|from| {
            needs[*from].iter().filter(|(to, _)| files.contains(&to.as_str())).map(|(_, reason)| reason.clone())
        });
        circles
            .push(Circle { reasons: reasons.collect(), files: files.iter().map(|file| (*file).to_owned()).collect() });
    }
    circles
}

fn reaches(reached: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    reached.get(from).is_some_and(|others| others.contains(to))
}

fn needs(tree: &Tree) -> Needs {
    let mut needs = Needs::new();
    for mention in tree.mentions.iter().filter(|mention| !mention.is_test && mention.usage != Usage::Reexport) {
        let from = &tree.modules[mention.module].file;
        for meaning in tree.meanings(mention).iter().filter(|meaning| !meaning.rest.is_empty()) {
            let Some(defining) = meaning.modules.last() else { continue };
            let to = &tree.modules[*defining].file;
            if to != from {
                let name = meaning.spellings.last().map_or("", String::as_str);
                let reason = || format!("{from}:{} names {name}", mention.line);
                needs.entry(from.clone()).or_default().entry(to.clone()).or_insert_with(reason);
            }
        }
    }
    needs
}

/// Every file that can be reached from `file` in one step and more.
fn reach<'a>(needs: &'a Needs, file: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = vec![file];
    while let Some(file) = next.pop() {
        for to in needs.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to.as_str()) {
                next.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Sources;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let sources: Sources = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        Tree::read(&sources).unwrap()
    }

    fn files(circles: &[Circle]) -> Vec<String> {
        circles.iter().map(|circle| circle.files.join(" ")).collect()
    }

    #[test]
    fn files_that_reach_each_other_form_a_circle() {
        let tree = tree(&[
            ("lib.rs", "pub mod a; pub mod b; pub mod c; pub mod d;"),
            ("a.rs", "pub struct A(crate::b::B);"),
            ("b.rs", "use super::c; pub struct B; fn f() { c::C; }"),
            ("c.rs", "use crate::a::*; pub struct C(A, crate::d::D);"),
            ("d.rs", "pub struct D; #[cfg(test)] mod tests { use crate::a::A; }"),
        ]);
        let circles = between_files(&tree);
        assert_eq!(files(&circles), ["a.rs b.rs c.rs"]);
        let reasons = ["a.rs:1 names crate::b::B", "b.rs:1 names crate::c::C", "c.rs:1 names crate::a::A"];
        assert_eq!(circles[0].reasons, reasons);
    }

    #[test]
    fn a_re_export_is_no_circle_but_what_a_parent_defines_is_one() {
        let through = [
            ("lib.rs", "pub mod a;"),
            ("a/mod.rs", "mod one; mod two; pub use one::One; pub use two::Two;"),
            ("a/one.rs", "pub struct One(super::Two);"),
            ("a/two.rs", "pub struct Two;"),
        ];
        assert_eq!(files(&between_files(&tree(&through))), [""; 0]);
        let mut of_parent = through;
        of_parent[1].1 = "mod one; mod two; pub use one::One; pub struct Two(One);";
        assert_eq!(files(&between_files(&tree(&of_parent))), ["a/mod.rs a/one.rs"]);
    }

    #[test]
    fn folders_form_a_circle_where_their_files_do_not() {
        let tree = tree(&[
            ("lib.rs", "pub mod a;"),
            ("a/mod.rs", "pub mod low; pub mod high;"),
            ("a/low/mod.rs", "pub mod one; pub mod two;"),
            ("a/low/one.rs", "pub struct One(crate::a::high::High);"),
            ("a/low/two.rs", "pub struct Two;"),
            ("a/high.rs", "pub struct High(super::low::two::Two);"),
        ]);
        assert_eq!(files(&between_files(&tree)), [""; 0]);
        assert_eq!(files(&between_folders(&tree)), ["a/high.rs a/low/"]);
    }
}
