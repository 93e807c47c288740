//! `trace`'s pictures, in the programs they are for: a real browser, and readers of XML and of Graphviz's language.

mod common;

use std::path::{Path, PathBuf};

use coinhound::output::picture::{Caption, Drawing, draw};
use common::browser::Browser;
use common::traces::Theft;
use serde_json::{Value, json};
use tempfile::TempDir;

const COMMAND: &str = "coinhound --watch fbi.txt trace 'label:Made-up theft' --rule haircut --rule fifo --format html";

fn drawn(drawing: Drawing, answer: &Value) -> String {
    let mut out = Vec::new();
    draw(&mut out, drawing, answer, &Caption { command: COMMAND.into() }).expect("it is drawn");
    String::from_utf8(out).expect("UTF-8")
}

fn page(folder: &TempDir, answer: &Value) -> PathBuf {
    let path = folder.path().join("trace.html");
    std::fs::write(&path, drawn(Drawing::Html, answer)).expect("the folder is ours");
    path
}

/// Keeps what a person should look at, where COINHOUND_PICTURES names a folder.
fn keep(name: &str, bytes: &[u8]) {
    if let Ok(folder) = std::env::var("COINHOUND_PICTURES") {
        std::fs::write(Path::new(&folder).join(name), bytes).expect("COINHOUND_PICTURES names a folder");
    }
}

#[test]
fn traces_of_every_size_are_drawn_whole_and_readable() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    for size in [10, 300, 5_000] {
        let theft = Theft::new(size, 7, "Made-up theft");
        let answer = theft.answer();
        let path = page(&folder, &answer);
        keep(&format!("{size}.html"), &std::fs::read(&path).expect("just written"));
        browser.open(&path);
        assert_eq!(browser.complaints, Vec::<String>::new());
        assert_eq!(browser.requests, [format!("file://{}", path.display())], "nothing is asked for but the page");
        assert_eq!(browser.eval("document.documentElement.dataset.drawn"), "yes");
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            keep(&format!("{size}-{scheme}.png"), &browser.screenshot(true));
        }
        keep(&format!("{size}.pdf"), &browser.pdf());
        let _ = json!({});
    }
}
