//! The documents against the tree: every file, link and type that a page names is there.

use std::fs;
use std::path::{Path, PathBuf};

/// Where pages name files from.
const FOLDERS: [&str; 6] = ["src/", "tests/", "docs/", "scripts/", "benches/", "examples/"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The pages that people read, with their texts.
fn pages() -> Vec<(PathBuf, String)> {
    let docs =
        fs::read_dir(root().join("docs")).expect("docs/ is there").map(|file| file.expect("it can be listed").path());
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    let pages = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).chain(top);
    pages.map(|path| (path.clone(), fs::read_to_string(&path).expect("a page is text"))).collect()
}

/// The files of the tree that a text names, but for those that it says are new.
fn named_files(text: &str) -> Vec<&str> {
    let is_of_path = |letter: char| letter.is_ascii_alphanumeric() || "_./-".contains(letter);
    let mut found = Vec::new();
    for quoted in text.split('`').skip(1).step_by(2) {
        let is_path = FOLDERS.iter().any(|folder| quoted.starts_with(folder));
        let path = quoted.split(|letter| !is_of_path(letter)).next().unwrap_or_default();
        let after = &text[quoted.as_ptr() as usize + quoted.len() - text.as_ptr() as usize..];
        if is_path && !after.starts_with("`** (new)") {
            found.push(path.trim_end_matches('.'));
        }
    }
    found
}

/// The targets of a page's links.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("://")).collect()
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = letters.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let mut seen = 0;
    for (page, text) in pages() {
        for file in named_files(&text) {
            assert!(root().join(file).exists(), "{} names {file}, which is not there", page.display());
            seen += 1;
        }
    }
    assert!(seen > 100, "the pages name only {seen} files");
}

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in pages() {
        for link in links(&text) {
            let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { page.clone() } else { page.parent().expect("a folder").join(file) };
            assert!(target.exists(), "{} links to {link}, which is not there", page.display());
            if let Some(heading) = heading {
                let text = fs::read_to_string(&target).expect("only pages have headings");
                let found = text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(found, "{} links to {link}, and there is no such heading", page.display());
            }
        }
    }
}

#[test]
fn every_function_that_a_page_names_with_its_file_is_in_that_file() {
    let mut seen = 0;
    for (page, text) in pages() {
        let quoted: Vec<&str> = text.split('`').collect();
        for part in quoted.windows(3) {
            let [name, between, file] = part else { continue };
            let is_name = name.bytes().all(|letter| letter == b'_' || letter.is_ascii_alphanumeric());
            let joins = matches!(between.split_whitespace().collect::<Vec<_>>()[..], ["in"] | ["in", "["]);
            if is_name && joins && file.starts_with("src/") {
                let source = fs::read_to_string(root().join(file)).unwrap_or_default();
                let found =
                    ["fn ", "struct ", "enum ", "const "].iter().any(|kind| source.contains(&[*kind, *name].concat()));
                assert!(found, "{} has {name} in {file}, which is not there", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "the pages name only {seen} functions");
}

/// The parts of a row with their lengths, `height[4]` say, by the row's family; of the lines of a table.
fn row_layouts(table: &str) -> Vec<(String, Vec<String>)> {
    let rows = table.lines().filter_map(|line| line.trim_start_matches("//! ").strip_prefix("| `"));
    let layout = |row: &str| {
        let plain = row.replace('\\', "");
        let words = plain.split(|letter: char| letter.is_whitespace() || ",;.".contains(letter));
        let has_length = |word: &&str| word.contains('[') && word.ends_with(']') && !word.contains('(');
        words.filter(has_length).map(str::to_owned).collect()
    };
    rows.filter_map(|row| row.split_once('`')).map(|(family, row)| (family.to_owned(), layout(row))).collect()
}

#[test]
fn the_page_lays_rows_out_as_the_schema_does() {
    let schema = fs::read_to_string(root().join("src/index/schema.rs")).expect("source is text");
    let page = fs::read_to_string(root().join("docs/formats.md")).expect("a page is text");
    let start = page.find("| family | key | value |").expect("the page has the table");
    let table = &page[start..start + page[start..].find("\n\n").expect("the table ends")];
    let layouts = row_layouts(table);
    assert_eq!(layouts.len(), 14, "a row for each family");
    let comment: Vec<&str> = schema.lines().filter(|line| line.starts_with("//!")).collect();
    assert_eq!(layouts, row_layouts(&comment.join("\n")));
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let tests = source(&root().join("src")) + &source(&root().join("tests"));
    for (page, text) in pages() {
        let is_name =
            |word: &&str| word.len() > 20 && word.bytes().all(|letter| letter == b'_' || letter.is_ascii_lowercase());
        for name in text.split('`').skip(1).step_by(2).filter(is_name).filter(|name| name.matches('_').count() > 3) {
            assert!(
                tests.contains(&format!("fn {name}(")),
                "{} names the test {name}, which is not there",
                page.display()
            );
        }
    }
}

/// The source, as one text.
fn source(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder of the source") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            text += &source(&path);
        } else if path.extension().is_some_and(|end| end == "rs") {
            text += &fs::read_to_string(&path).expect("source is text");
        }
    }
    text
}

#[test]
fn every_type_that_a_page_names_is_in_the_source() {
    let source = source(&root().join("src"));
    let words: std::collections::BTreeSet<&str> = source.split(|letter: char| !letter.is_alphanumeric()).collect();
    let is_type = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.chars().any(|letter| letter.is_ascii_lowercase())
            && word.chars().all(|letter| letter.is_ascii_alphanumeric())
    };
    // Of a library that the bench measures.
    let of_others = ["FilterIter"];
    for (page, text) in pages() {
        for quoted in text.split('`').skip(1).step_by(2).filter(|quoted| is_type(quoted)) {
            assert!(
                words.contains(quoted) || of_others.contains(&quoted),
                "{} names {quoted}, which the source has not",
                page.display()
            );
        }
    }
}
