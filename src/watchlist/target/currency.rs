//! What a cell says about the currency or the chain of its row.

/// What a cell says of the row's currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Currency {
    /// Bitcoin.
    Bitcoin,
    /// A token that lives on bitcoin and elsewhere: the address decides.
    Token,
    /// Another currency.
    Other(Other),
    /// Nothing that is known here, or several currencies: decides nothing.
    Unknown,
}

/// Another currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Other {
    /// The name that its rows are counted under.
    pub name: &'static str,
    /// What its addresses look like.
    pub form: Form,
}

/// What the addresses of a currency look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Some like bitcoin's `1…` and `3…`.
    Bitcoin,
    /// Like Ethereum's: the address doesn't say which of these chains it is of.
    Ethereum,
    /// Like neither.
    Own,
}

/// Words for bitcoin.
const BITCOIN: [&str; 3] = ["btc", "xbt", "bitcoin"];
/// Words for tokens on several chains.
const TOKENS: [&str; 3] = ["usdt", "omni", "tether"];

/// What lists call other currencies: one to three words in lower case, without punctuation.
const OTHERS: [(&str, &[&str], Form); 53] = [
    ("Bitcoin Cash", &["bch", "bitcoin cash", "bitcoincash", "bcc"], Form::Bitcoin),
    ("Bitcoin SV", &["bsv", "bitcoin sv", "bitcoin satoshi vision", "bchsv"], Form::Bitcoin),
    ("Bitcoin Gold", &["btg", "bitcoin gold"], Form::Bitcoin),
    ("Bitcoin Diamond", &["bcd", "bitcoin diamond"], Form::Bitcoin),
    ("Bitcoin Private", &["btcp", "bitcoin private"], Form::Own),
    ("eCash", &["xec", "ecash", "bcha"], Form::Bitcoin),
    ("Litecoin", &["ltc", "litecoin"], Form::Bitcoin),
    ("Namecoin", &["nmc", "namecoin"], Form::Own),
    ("Groestlcoin", &["grs", "groestlcoin"], Form::Bitcoin),
    ("DigiByte", &["dgb", "digibyte"], Form::Bitcoin),
    ("Vertcoin", &["vtc", "vertcoin"], Form::Bitcoin),
    ("Liquid", &["lbtc", "liquid"], Form::Own),
    ("Cardano", &["ada", "cardano"], Form::Own),
    ("Algorand", &["algo", "algorand"], Form::Own),
    ("Aptos", &["apt", "aptos"], Form::Own),
    ("Cosmos", &["atom", "cosmos"], Form::Own),
    ("Dash", &["dash"], Form::Own),
    ("Dogecoin", &["doge", "dogecoin"], Form::Own),
    ("EOS", &["eos"], Form::Own),
    ("Filecoin", &["fil", "filecoin"], Form::Own),
    ("Hedera", &["hbar", "hedera"], Form::Own),
    ("Kusama", &["ksm", "kusama"], Form::Own),
    ("Monero", &["xmr", "monero"], Form::Own),
    ("NEAR", &["near"], Form::Own),
    ("Polkadot", &["dot", "polkadot"], Form::Own),
    ("Ravencoin", &["rvn", "ravencoin"], Form::Own),
    ("Solana", &["sol", "solana"], Form::Own),
    ("Stellar", &["xlm", "stellar"], Form::Own),
    ("Sui", &["sui"], Form::Own),
    ("Tezos", &["xtz", "tezos"], Form::Own),
    ("TON", &["ton", "toncoin", "the open network"], Form::Own),
    ("TRON", &["trx", "tron", "trc20", "trc 20", "trc10"], Form::Own),
    ("Verge", &["xvg", "verge"], Form::Own),
    ("XRP", &["xrp", "ripple"], Form::Own),
    ("Zcash", &["zec", "zcash"], Form::Own),
    ("Horizen", &["zen", "horizen"], Form::Own),
    ("Arbitrum", &["arb", "arbitrum", "arbitrum one"], Form::Ethereum),
    ("Avalanche", &["avax", "avalanche"], Form::Ethereum),
    ("Base", &["base chain", "base mainnet"], Form::Ethereum),
    ("BNB", &["bnb", "bsc", "bep20", "bep 20", "binance smart chain", "bnb smart chain", "bnb chain"], Form::Ethereum),
    ("Cronos", &["cro", "cronos"], Form::Ethereum),
    ("DAI", &["dai"], Form::Ethereum),
    ("Ethereum", &["eth", "ether", "ethereum", "erc20", "erc 20"], Form::Ethereum),
    ("Ethereum Classic", &["etc", "ethereum classic"], Form::Ethereum),
    ("Fantom", &["ftm", "fantom"], Form::Ethereum),
    ("Linea", &["linea"], Form::Ethereum),
    ("Optimism", &["optimism", "op mainnet"], Form::Ethereum),
    ("Polygon", &["matic", "polygon", "pol"], Form::Ethereum),
    ("USDC", &["usdc", "usd coin"], Form::Own),
    ("VeChain", &["vet", "vechain"], Form::Ethereum),
    ("Wrapped bitcoin", &["wbtc", "wrapped bitcoin", "wrapped btc"], Form::Ethereum),
    ("zkSync", &["zksync", "zk sync era"], Form::Ethereum),
    ("Harmony", &["harmony"], Form::Ethereum),
];

/// Longest cell that is taken for a currency, in characters.
const LONGEST: usize = 80;
/// Most words of one name.
const WORDS: usize = 3;

/// What a cell means. Words that aren't known decide nothing, and neither do two currencies in one cell.
pub fn currency(cell: &str) -> Currency {
    if cell.len() > LONGEST {
        return Currency::Unknown;
    }
    let lower = cell.to_lowercase();
    let words: Vec<&str> =
        lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut found: Option<Currency> = None;
    let mut at = 0;
    while at < words.len() {
        let mut longest = (1..=WORDS.min(words.len() - at)).rev();
        let Some((length, meaning)) = longest.find_map(|length| Some((length, name(&words[at..at + length])?))) else {
            at += 1;
            continue;
        };
        at += length;
        found = match found {
            None => Some(meaning),
            Some(before) if before == meaning => Some(before),
            // A token's chain says more than the token.
            Some(Currency::Token) => Some(meaning),
            Some(before) if meaning == Currency::Token => Some(before),
            Some(_) => return Currency::Unknown,
        };
    }
    found.unwrap_or(Currency::Unknown)
}

/// Whether a cell is a currency's ticker or its plain name, and nothing else: only then it is one in a column without a name. Names that
/// are also those of companies or common words, such as Liquid, don't count there.
pub fn is_currency_name(cell: &str) -> bool {
    const PLAIN: [&str; 4] = ["ethereum", "monero", "tron", "tether"];
    let cell = cell.trim();
    let lower = cell.to_lowercase();
    let words: Vec<&str> = lower.split(' ').collect();
    let is_ticker = !cell.chars().any(char::is_lowercase);
    let is_plain = lower.starts_with("bitcoin") || lower.ends_with("coin") || PLAIN.contains(&lower.as_str());
    cell.len() <= LONGEST && words.len() <= WORDS && (is_ticker || is_plain) && name(&words).is_some()
}

fn name(words: &[&str]) -> Option<Currency> {
    let is = |known: &[&str]| words.len() == 1 && known.contains(&words[0]);
    if is(&BITCOIN) {
        return Some(Currency::Bitcoin);
    }
    if is(&TOKENS) {
        return Some(Currency::Token);
    }
    let (name, _, form) =
        OTHERS.iter().find(|(_, names, _)| names.iter().any(|known| known.split(' ').eq(words.iter().copied())))?;
    Some(Currency::Other(Other { name, form: *form }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_and_unknown_ones_decide_nothing() {
        let bitcoin =
            ["XBT", " Bitcoin ", "Bitcoin mainnet", "BTC (SegWit)", "Digital Currency Address - XBT", "bitcoin core"];
        for cell in bitcoin {
            assert_eq!(currency(cell), Currency::Bitcoin, "{cell}");
        }
        let unknown = [
            "",
            "n/a",
            "Unknown",
            "Foo",
            "mainnet",
            "testnet",
            "BTC/ETH",
            "bitcoin, monero",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        ];
        for cell in unknown {
            assert_eq!(currency(cell), Currency::Unknown, "{cell}");
        }
        let other = [
            ("bch", "Bitcoin Cash", Form::Bitcoin),
            ("Bitcoin Cash (BCH)", "Bitcoin Cash", Form::Bitcoin),
            ("Bitcoin SV", "Bitcoin SV", Form::Bitcoin),
            ("ETH", "Ethereum", Form::Ethereum),
            ("Ethereum mainnet", "Ethereum", Form::Ethereum),
            ("ethereum classic", "Ethereum Classic", Form::Ethereum),
            ("USDT (TRC20)", "TRON", Form::Own),
            ("TRC-20 USDT", "TRON", Form::Own),
            ("Digital Currency Address - XMR", "Monero", Form::Own),
        ];
        for (cell, name, form) in other {
            assert_eq!(currency(cell), Currency::Other(Other { name, form }), "{cell}");
        }
        assert_eq!(currency("USDT"), Currency::Token);
        assert_eq!(currency("Omni USDT"), Currency::Token);
    }

    #[test]
    fn only_a_name_alone_is_a_currency_without_a_header() {
        for cell in ["BTC", "BCH", "Bitcoin Cash", "bitcoin", "Litecoin", "XMR "] {
            assert!(is_currency_name(cell), "{cell}");
        }
        for cell in
            ["", "Bitcoin thief", "paid in BTC", "n/a", "Liquid", "Harmony", "Stellar", "a long label of many words"]
        {
            assert!(!is_currency_name(cell), "{cell}");
        }
    }
}
