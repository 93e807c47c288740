//! What OFAC's lists say, whichever file says it: digital currency addresses of parties.

use crate::watchlist::builder::{ListBuilder, Row, RowOutcome, Target};
use crate::watchlist::target::refusal::Refusal;
use crate::watchlist::target::script;

/// Most addresses of a file that are held before they are judged: a hundred times what the list has.
pub const MOST_WALLETS: usize = 100_000;

/// Who is listed.
#[derive(Clone, Debug, Default)]
pub struct Party {
    /// OFAC's number of the entry.
    pub uid: String,
    /// The name.
    pub name: String,
    /// Individual, entity, vessel, aircraft.
    pub kind: String,
    /// The programs that it is listed under.
    pub programs: Vec<String>,
    /// The list, where the file holds several.
    pub list: String,
    /// The day of its listing, where the file says.
    pub listed_on: String,
}

/// One id of a party.
#[derive(Clone, Debug, Default)]
pub struct Wallet {
    /// Its line.
    pub line: u64,
    /// What it is, such as `Digital Currency Address - XBT`.
    pub kind: String,
    /// The address.
    pub number: String,
}

/// Whether ids of this kind are addresses.
pub fn is_wallet_kind(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    ["digital currency", "virtual currency", "cryptocurrency", "crypto currency"].iter().any(|name| kind.contains(name))
}

/// Whether an id of another kind is nevertheless an address: no such row may vanish.
pub fn is_address(number: &str, list: &ListBuilder) -> bool {
    (26..=90).contains(&number.len()) && script::parse(number, list.chain(), None).is_ok()
}

/// Puts an id into the list.
pub fn put(wallet: &Wallet, party: &Party, list: &mut ListBuilder) {
    let programs = party.programs.join(", ");
    let published = list.published().unwrap_or_default().to_owned();
    let parts = [&wallet.kind, &wallet.number, &party.name, &party.uid, &programs, &party.kind];
    let text = parts.map(String::as_str).join(" ");
    let row = Row {
        line: wallet.line,
        text: text.trim_end(),
        named: true,
        targets: vec![Target { text: &wallet.number, is_script: false }],
        label: Some(&party.name),
        source: Some(if party.list.is_empty() { "OFAC" } else { &party.list }),
        category: Some("sanction"),
        currencies: vec![&wallet.kind],
        extra: vec![
            ("currency", &wallet.kind),
            ("program", &programs),
            ("uid", &party.uid),
            ("type", &party.kind),
            ("listed on", &party.listed_on),
            ("published", &published),
        ],
        ..Row::default()
    };
    let outcome =
        if is_wallet_kind(&wallet.kind) { list.judge(&row) } else { RowOutcome::Quarantined(Refusal::UnnamedWallet) };
    list.put(wallet.line, text.trim_end(), outcome);
}

/// A date of three numbers as `YYYY-MM-DD`.
pub fn date(year: &str, month: &str, day: &str) -> Option<String> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let fits = (1900..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    fits.then(|| format!("{year:04}-{month:02}-{day:02}"))
}
