//! One page with all it needs inside: it opens offline, makes no request, and runs no script but those listed here.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hashes::{Hash, sha256};

use super::{Caption, data};
use crate::query::trace::TraceAnswer;

/// The page's scripts, in the order they run. `d3/` holds what d3's authors published, unmodified.
const SCRIPTS: [&str; 11] = [
    include_str!("assets/d3/d3-array.min.js"),
    include_str!("assets/d3/d3-path.min.js"),
    include_str!("assets/d3/d3-shape.min.js"),
    include_str!("assets/d3/d3-time.min.js"),
    include_str!("assets/d3/d3-sankey.min.js"),
    include_str!("assets/base.js"),
    include_str!("assets/flow.js"),
    include_str!("assets/picture.js"),
    include_str!("assets/chart.js"),
    include_str!("assets/tables.js"),
    include_str!("assets/page.js"),
];
const STYLE: &str = include_str!("assets/page.css");
const LICENSES: &str = include_str!("assets/d3/LICENSES.txt");

/// Writes the page.
pub fn write(out: &mut impl Write, trace: &TraceAnswer, caption: &Caption) -> io::Result<()> {
    let data = data::json(trace, caption).map_err(io::Error::other)?;
    let hashes: Vec<_> = SCRIPTS.iter().map(|script| hash(script)).collect();
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src {}; style-src {}; \
         base-uri 'none'; form-action 'none'\">",
        hashes.join(" "),
        hash(STYLE)
    )?;
    writeln!(out, "<meta name=\"referrer\" content=\"no-referrer\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(out, "<title>coinhound: a trace</title>\n<style>{STYLE}</style>\n</head>\n<body>")?;
    writeln!(out, "<noscript>This page draws itself with a script that is part of it; please allow it.</noscript>")?;
    writeln!(out, "<main id=\"page\"></main>")?;
    // Blocks of data, not scripts: the policy lets nothing run but what the hashes name.
    writeln!(out, "<script type=\"text/plain\" id=\"licences\">{LICENSES}</script>")?;
    writeln!(out, "<script type=\"application/json\" id=\"trace\">{data}</script>")?;
    for script in SCRIPTS {
        writeln!(out, "<script>{script}</script>")?;
    }
    writeln!(out, "</body>\n</html>")
}

/// A source expression of the policy that allows this text and no other.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(sha256::Hash::hash(text.as_bytes()).to_byte_array()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_assets_ends_their_element_or_reaches_out() {
        for asset in SCRIPTS.iter().chain([&STYLE, &LICENSES]) {
            for bad in ["</script", "</style", "<!--", "\r", "fetch(", "XMLHttpRequest", "import(", "@import", "url(h"]
            {
                assert!(!asset.contains(bad), "{bad} in {}…", &asset[..60]);
            }
        }
    }

    #[test]
    fn our_own_scripts_never_turn_text_into_markup() {
        for script in &SCRIPTS[5..] {
            for bad in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "javascript:",
            ] {
                assert!(!script.contains(bad), "{bad} in {}…", &script[..60]);
            }
        }
    }
}
