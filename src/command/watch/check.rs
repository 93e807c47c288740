//! `coinhound watch check`: reads lists, and shows which rows were accepted and which were not.

use bitcoin::Address;
use serde::Serialize;

use crate::chain::Chain;
use crate::cli::WatchCheckArgs;
use crate::command::Context;
use crate::config::watch_flag;
use crate::error::{Error, Exit};
use crate::lists;
use crate::output;
use crate::output::page::Page;
use crate::watchlist::twins::missing_twins;
use crate::watchlist::{List, ListError, Report};

#[derive(Serialize)]
struct WatchCheckAnswer {
    files: Vec<ListAnswer>,
}

#[derive(Serialize)]
struct ListAnswer {
    #[serde(flatten)]
    report: Report,
    /// Addresses of listed public keys that are not listed themselves: their scripts differ, so they are not searched for.
    unlisted_addresses: Vec<String>,
}

impl ListAnswer {
    fn new(list: List, chain: Chain) -> Self {
        let twins = missing_twins(&list.listings);
        let addresses = twins.iter().filter_map(|twin| Address::from_script(&twin.missing, chain.network()).ok());
        Self { unlisted_addresses: addresses.map(|address| address.to_string()).collect(), report: list.report }
    }
}

pub fn run(context: &Context, args: &WatchCheckArgs) -> Result<Exit, Error> {
    let named = args.files.iter().map(|typed| watch_flag(typed)).collect::<Result<Vec<_>, _>>()?;
    let files = if named.is_empty() { &context.settings.watch } else { &named };
    if files.is_empty() {
        return Err(Error::Usage(
            "no list is named: pass `coinhound watch check FILE` or `--watch FILE`, or put [[watchlist]] into the settings"
                .into(),
        ));
    }
    let chain = context.settings.node.chain.value;
    let mut reports = Vec::new();
    let mut any_unusable = false;
    for file in files {
        match lists::read(file, chain) {
            Ok(read) => reports.push(ListAnswer::new(read.list, chain)),
            // Here the report on each row is the answer.
            Err(Error::List(ListError::NoValidRow { report })) => {
                any_unusable = true;
                reports.push(ListAnswer { report: *report, unlisted_addresses: Vec::new() });
            }
            Err(error) => return Err(error),
        }
    }
    let answer = WatchCheckAnswer { files: reports };
    output::object(context.format, &answer, || page(&answer))?;
    let quarantined = answer.files.iter().any(|file| !file.report.quarantined.is_empty());
    Ok(if any_unusable || (args.strict && quarantined) { Exit::Failed } else { Exit::Answered })
}

fn page(answer: &WatchCheckAnswer) -> Page {
    let mut page = Page::default();
    for ListAnswer { report, unlisted_addresses } in &answer.files {
        page.line(format!(
            "{} ({}): {} rows: {} accepted, {} duplicates, {} of other chains, {} quarantined, {} remarks",
            report.path,
            report.format,
            report.rows,
            report.accepted,
            report.duplicates,
            report.other_chain,
            report.quarantined.len(),
            report.remarks
        ));
        for (chain, count) in &report.other_chains {
            page.line(format!("  {count} of {chain}"));
        }
        for remark in &report.commented_out {
            page.line(format!("  line {}: a remark that holds an address: {}", remark.line, remark.text));
        }
        if report.hidden > 0 {
            page.line(format!("  {} cells may hold private keys and are not kept", report.hidden));
        }
        for row in &report.quarantined {
            page.line(format!("  line {}: {}: {}", row.line, row.text, row.reason));
        }
        for address in unlisted_addresses {
            page.line(format!(
                "  a public key is listed, but not its address {address}: list the address too if you mean both"
            ));
        }
    }
    page
}
