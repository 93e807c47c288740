//! What becomes of single rows: their reasons, their chains, private keys in them, and rows that say the same twice.

use super::*;

#[test]
fn bad_rows_are_told_with_their_reason() {
    let xpub = XPUB;
    let table = [
        (format!("{}b", &A[..33]), "mistyped"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn".to_owned(), "belongs to a test network, but the chain is main"),
        (A[..25].to_owned(), "part of it is missing"),
        (KEY.to_owned(), "write pk(KEY)"),
        (xpub.to_owned(), "write a descriptor"),
        ("script:zz".to_owned(), "hex"),
        (format!("wpkh({xpub}/*)"), "range"),
        (format!("pkh({KEY})#aaaaaaaa"), "checksum"),
        (format!("{A}\0"), "zero byte"),
        ("hello world".to_owned(), "no address"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8F3T4".to_owned(), "upper and lower case"),
    ];
    for (row, reason) in table {
        let report = report(format!("{B}\n{row}\n{C}\n"));
        assert_eq!(report.accepted, 2, "{row}");
        let [quarantined] = &report.quarantined[..] else { panic!("{row}: {report:?}") };
        assert_eq!(quarantined.line, 2);
        assert!(quarantined.reason.contains(reason), "{row}: {}", quarantined.reason);
        assert_eq!(quarantined.text, row.replace('\0', "\u{fffd}"));
    }
    let found = report(format!("address,role,from\n{A},boss,\n{A},,-1\n{A},,soon\n{A},SERVICE,0\n{A},,4294967296\n"));
    assert_eq!((found.accepted, lines(&found)), (1, vec![2, 3, 4, 6]));
}

#[test]
fn long_rows_are_refused_and_shown_shortened() {
    let found = report(format!("{}\n{A} {}\n{B}\n", "x".repeat(5000), "y".repeat(lines::MAX_LINE)));
    assert_eq!((found.accepted, lines(&found)), (1, vec![1, 2]));
    assert!(found.quarantined.iter().all(|row| row.text.chars().count() <= 121));
    let script = format!("script:{}", "51".repeat(400_000));
    assert_eq!(list(&script).listings[0].script.len(), 400_000);
}

#[test]
fn private_keys_are_never_repeated() {
    let xprv = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
    let hash = "e9873d79c6d87dc0fb6a5778633389f4453213303da61f20bd67fc233aa33262";
    let seed = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let secrets = [
        (WIF.to_owned(), &WIF[4..20]),
        (format!("{}1", &WIF[..50]), &WIF[4..20]),
        (WIF[..49].to_owned(), &WIF[4..20]),
        (xprv.to_owned(), &xprv[10..30]),
        (hash.to_owned(), &hash[4..20]),
        (format!("0x{hash}"), &hash[4..20]),
        (hash[..63].to_owned(), &hash[4..20]),
        ("S6c56bnXQiBjk9mqSYE7ykVQ7NzrRy".to_owned(), "6c56bnXQiBjk9"),
        (seed.to_owned(), "sausage"),
    ];
    for (secret, canary) in secrets {
        // In place of an address: nothing can be taken.
        for row in [secret.clone(), format!("pkh({secret})"), format!("{secret} label"), format!("{secret}\0")] {
            let found = report(format!("{A}\n{row}\n"));
            assert_eq!((found.accepted, lines(&found)), (1, vec![2]), "{row}");
            assert!(!format!("{found:?}").contains(canary), "{row}: {found:?}");
            let error = with(&row, &ListOptions::default()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(canary), "{row}: {error}");
        }
        // 64 hex digits in a note are a transaction more often than a key, and 63 of them neither.
        let hides = !secret.contains(&hash[..63]);
        let hidden = u64::from(hides);
        for row in [format!("{C} {secret}"), format!("{C} the key: \"{secret}\"."), format!("{C} # {secret}")] {
            let found = list(format!("{A}\n{row}\n"));
            assert_eq!((found.report.accepted, found.report.hidden), (2, hidden), "{row}");
            assert!(!hides || !format!("{found:?}").contains(canary), "{row}: {found:?}");
        }
        let header = "address,label,source,memo,list\n";
        let found = report(format!("{header}{A},,,,\n{secret},x,,,\n"));
        assert_eq!((found.accepted, lines(&found)), (1, vec![3]), "{secret}");
        assert!(!format!("{found:?}").contains(canary), "{found:?}");
        for row in [
            format!("{C},x,{secret},,"),
            format!("{C},x,,{secret},"),
            format!("{C},\"x\n{secret}\",,,z"),
            format!("{C},{secret},,,"),
        ] {
            let found = list(format!("{header}{A},,,,\n{row}\n"));
            assert_eq!((found.report.accepted, found.report.hidden), (2, hidden), "{row}");
            assert!(!hides || !format!("{found:?}").contains(canary), "{row}: {found:?}");
        }
        let found = report(format!("{header}{A},,,,\n{C},x,,,,,{secret}\n"));
        assert_eq!((found.accepted, lines(&found)), (1, vec![3]), "{secret}");
        assert!(secret.len() == 63 || !format!("{found:?}").contains(&secret), "{found:?}");
    }
    let words = seed.replace(' ', ",");
    let found = list(format!("{A},{words}\n"));
    assert_eq!((found.report.accepted, found.report.hidden), (1, 12), "a phrase with a word in each cell: {found:?}");
    assert!(!format!("{found:?}").contains("sausage"));
    let found = list(format!("{A} swept {hash}\n"));
    assert_eq!(found.listings[0].label.label.as_deref(), Some("swept e9873d79…3aa33262"));
    let mut latin = format!("{A}\n{WIF} caf").into_bytes();
    latin.push(0xe9);
    assert!(!format!("{:?}", report(&latin)).contains(&WIF[4..20]));
}

#[test]
fn the_currency_column_and_the_address_decide_together() {
    let text = format!(
        "address,currency\n{A},BTC\n{B},xbt\n{C},\n1K1rgZ1dz9w7dsR1HGS1drmzfUHMtqx1Tc,BCH\n{A},BSV\n1CF46Rfbp97absrs7zb7dFfZS6qBXUm9EP,USDT\n{TRON},USDT\n\
         {TRON},\n{TRON},TRX\n{C},ETH\n{C},BCH\nwhatever,XMR\nwhatever,Foo\n{A},Foo\nwhatever,BTC\n{WIF},XMR\n{},ETH\n{},LTC\n\
         0x175d44451403Edf28469dF03A9280c1197ADb92c,Polygon\n",
        &A[..33],
        &B[..30]
    );
    let found = list(&text);
    assert_eq!(found.report.accepted, 4, "BTC, XBT, none, and USDT on bitcoin: {:?}", found.report);
    assert_eq!(found.report.duplicates, 1, "an unknown word decides nothing");
    let others = [("Monero", 1), ("Polygon", 1), ("TRON", 3)];
    let others: BTreeMap<_, _> = others.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(found.report.other_chains, others);
    // Forms that other chains share, bitcoin addresses that are called something else, what is no address, a key, addresses with errors.
    assert_eq!(lines(&found.report), [5, 6, 11, 12, 14, 16, 17, 18, 19]);
    assert!(found.report.quarantined[0].reason.contains("Bitcoin Cash"), "{:?}", found.report);
    assert_eq!(found.listings[0].label.extra["currency"], "BTC");
}

#[test]
fn cells_that_contradict_each_other_send_no_row_away() {
    let text = format!(
        "address,currency,network\n1K1rgZ1dz9w7dsR1HGS1drmzfUHMtqx1Tc,BCH,mainnet\n{A},BTC,Litecoin\n{A},ETH,BCH\nwhatever,BTC,XMR\n\
         {A},BTC,mainnet\nwhatever,XMR,mainnet\n"
    );
    let found = list(&text);
    assert_eq!((found.report.accepted, lines(&found.report)), (1, vec![2, 3, 4, 5]));
    assert_eq!(found.report.other_chains.get("Monero"), Some(&1));
}

#[test]
fn a_duplicate_says_nothing_new() {
    let text = format!("address,label,role,from,id\n{A},x,,,1\n{A},x,,,2\n{A},y,,,3\n{A},x,service,,4\n{A},x,,7,5\n");
    let found = list(&text);
    assert_eq!((found.report.accepted, found.report.duplicates, found.listings.len()), (4, 1, 4));
    let both = list(format!("combo({KEY})\nwpkh({KEY})\n"));
    assert_eq!((both.report.accepted, both.report.duplicates, both.listings.len()), (1, 1, 4));
}
