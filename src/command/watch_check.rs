//! `coinhound watch check`.

use serde::Serialize;

use super::{Context, lists};
use crate::cli::WatchCheck;
use crate::config::watch_flag;
use crate::error::{Error, Exit};
use crate::output;
use crate::output::page::Page;
use crate::watchlist::{ListError, Report};

#[derive(Serialize)]
struct Answer {
    files: Vec<Report>,
}

pub fn run(context: &Context, args: &WatchCheck) -> Result<Exit, Error> {
    let named = args.files.iter().map(|typed| watch_flag(typed)).collect::<Result<Vec<_>, _>>()?;
    let files = if named.is_empty() { &context.settings.watch } else { &named };
    if files.is_empty() {
        return Err(Error::Usage(
            "no list is named: `coinhound watch check FILE`, `--watch FILE`, or [[watchlist]] in the configuration"
                .into(),
        ));
    }
    let mut reports = Vec::new();
    let mut useless = false;
    for file in files {
        match lists::read(file, context.settings.node.chain.value) {
            Ok(list) => reports.push(list.report),
            // What is wrong with each row is the answer here.
            Err(Error::List(ListError::NoValidRow { report })) => {
                useless = true;
                reports.push(*report);
            }
            Err(error) => return Err(error),
        }
    }
    let answer = Answer { files: reports };
    output::object(context.format, &answer, || page(&answer))?;
    let quarantined = answer.files.iter().any(|report| !report.quarantined.is_empty());
    Ok(if useless || (args.strict && quarantined) { Exit::Failed } else { Exit::Answered })
}

fn page(answer: &Answer) -> Page {
    let mut page = Page::default();
    for report in &answer.files {
        page.line(format!(
            "{} ({}): {} accepted, {} duplicates, {} of other chains, {} quarantined",
            report.path,
            report.format,
            report.accepted,
            report.duplicates,
            report.other_chain,
            report.quarantined.len()
        ));
        for (chain, count) in &report.other_chains {
            page.line(format!("  {count} of {chain}"));
        }
        for row in &report.quarantined {
            page.line(format!("  line {}: {}: {}", row.line, row.text, row.reason));
        }
    }
    page
}
