//! Each published format: real files with their exact counts, labels and reasons, and small ones for what these don't show.

use super::*;

/// The counts of a report: accepted, duplicates, other chains by name, remarks, quarantined lines.
type Counts = (u64, u64, Vec<(String, u64)>, u64, Vec<u64>);

fn counts(report: &Report) -> Counts {
    counted(report);
    let others = report.other_chains.clone().into_iter().collect();
    (report.accepted, report.duplicates, others, report.remarks, lines(report))
}

fn others(chains: &[(&str, u64)]) -> Vec<(String, u64)> {
    chains.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn reasons(report: &Report) -> Vec<&str> {
    report.quarantined.iter().map(|row| row.reason.as_str()).collect()
}

fn extra<'l>(label: &'l Label, name: &str) -> &'l str {
    label.extra.get(name).map_or("", String::as_str)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/watchlists/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn sdn_xml_has_its_addresses_with_name_program_and_uid() {
    let found = data("sdn_legacy_shape.xml");
    // Of seven addresses under USDT two are Ethereum's, and four stand under XBT too.
    assert_eq!(counts(&found.report), (15, 4, others(&[("Ethereum", 6)]), 0, vec![]));
    assert_eq!((found.report.format, found.report.published.as_deref()), ("ofac-sdn-xml", Some("2024-09-27")));
    let label = &found.listings[0].label;
    assert_eq!(label.label.as_deref(), Some("SUEX OTC, S.R.O."));
    assert_eq!((label.source.as_deref(), label.category.as_deref()), (Some("OFAC"), Some("sanction")));
    assert_eq!((extra(label, "program"), extra(label, "uid"), extra(label, "type")), ("CYBER2", "33151", "Entity"));
    assert_eq!((extra(label, "published"), label.line), ("2024-09-27", 9));
    assert_eq!(extra(label, "currency"), "Digital Currency Address - XBT");
    let last = found.listings.last().unwrap();
    assert_eq!((extra(&last.label, "currency"), last.label.line), ("Digital Currency Address - USDT", 33));
}

/// SDN.XML with one entry of these ids.
fn sdn(ids: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<a:sdnList xmlns:a=\"urn:x\"><a:sdnEntry><a:uid>7</a:uid><a:lastName>A &amp; B</a:lastName>\
         <a:firstName>C&#x2e;</a:firstName><a:idList>{ids}</a:idList></a:sdnEntry></a:sdnList>\n"
    )
}

fn id(kind: &str, number: &str) -> String {
    format!("<id>\n<idType>{kind}</idType><idNumber>{number}</idNumber></id>")
}

#[test]
fn sdn_xml_is_read_whatever_its_namespace_and_no_address_vanishes() {
    let ids = [
        id("Digital Currency Address - XBT", A),
        id("Digital Currency Address - XBT", &A[..30]),
        id("Digital Currency Address - LTC", B),
        id("Digital Currency Address - XMR", "whatever"),
        id("Digital Currency Address - FOO", &format!("<![CDATA[{C}]]>")),
        id("Passport", "1234567890"),
        id("Virtual Wallet", A),
        id("Digital Currency Address - XBT", ""),
        id("Digital Currency Address - XBT", WIF),
        id("Digital Currency Address - TRX", TRON),
    ];
    let found = list(sdn(&ids.concat()));
    assert_eq!(counts(&found.report), (2, 0, others(&[("Monero", 1), ("TRON", 1)]), 0, vec![3, 4, 8, 9, 10]));
    let said = reasons(&found.report);
    assert!(
        said[0].contains("missing") && said[1].contains("Litecoin") && said[2].contains("isn't called"),
        "{said:?}"
    );
    assert!(said[3].contains("no address") && said[4].contains("private key"), "{said:?}");
    assert!(!format!("{found:?}").contains(&WIF[4..20]));
    assert_eq!(found.listings[0].label.label.as_deref(), Some("A & B, C."));
}

#[test]
fn a_record_count_that_differs_stops_the_run() {
    let text =
        String::from_utf8(bytes("sdn_legacy_shape.xml")).unwrap().replace("<Record_Count>1<", "<Record_Count>2<");
    let error = damaged(&text);
    assert!(error.contains("has 1 entries, but its Record_Count says 2"), "{error}");
}

/// The error of a file that can't be read on, with its source.
fn damaged(text: impl AsRef<[u8]>) -> String {
    match with(text, &ListOptions::default()).unwrap_err() {
        ListError::Damaged { source, .. } => source.to_string(),
        error => panic!("{error}"),
    }
}

#[test]
fn damaged_xml_is_an_error_with_its_line_and_nothing_is_half_loaded() {
    let good = id("Digital Currency Address - XBT", A);
    let whole = sdn(&good);
    let bomb = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE x [<!ENTITY a \"{A}\"><!ENTITY b \"&a;&a;\">]>\n{}",
        sdn(&id("Digital Currency Address - XBT", "&b;")).split_once('\n').unwrap().1
    );
    let external = "<?xml version=\"1.0\"?>\n<!DOCTYPE sdnList SYSTEM \"file:///etc/passwd\">\n<sdnList/>".to_owned();
    let table = [
        (bomb, "line 2: declares a document type"),
        (external, "line 2: declares a document type"),
        (sdn(&id("Digital Currency Address - XBT", "&b;")), "line 3: refers to an entity"),
        (whole[..whole.len() - 60].to_owned(), "download it again"),
        (whole.replace("</idType>", "</idTyp>"), "line 3: an element doesn't end"),
        (sdn(&"<x>".repeat(100)), "line 2: more than 64 elements"),
        (sdn(&format!("<x>{}</x>", "y".repeat(3 << 20))), "longer than 1048576 bytes"),
        (sdn(&format!("<x a='{}'/>", "y".repeat(3 << 20))), "longer than 1048576 bytes"),
        (sdn("<x a=1/>"), "line 2: has an attribute"),
    ];
    for (text, says) in table {
        let error = damaged(&text);
        assert!(error.contains(says) && !error.contains("passwd"), "{says}: {error}");
    }
    let mut latin = sdn("<x>@</x>").into_bytes();
    *latin.iter_mut().find(|byte| **byte == b'@').unwrap() = 0xe9;
    assert!(damaged(&latin).contains("line 2: isn't valid UTF-8"));
    let odd = list(sdn(&format!("{good}{}", id("Digital Currency Address - XBT", &format!("{B}\0")))));
    assert_eq!(counts(&odd.report).4, [3]);
    assert!(matches!(with("<sanctionsData/>", &ListOptions::default()), Err(ListError::Unrecognised { .. })));
}

#[test]
fn sdn_advanced_has_the_same_addresses() {
    let (found, plain) = (data("sdn_advanced_shape.xml"), data("sdn_legacy_shape.xml"));
    assert_eq!(found.report.format, "ofac-advanced-xml");
    assert_eq!(counts(&found.report), (15, 4, others(&[("Ethereum", 6)]), 0, vec![]));
    assert_eq!(cases::addresses(&found), cases::addresses(&plain));
    assert_eq!(extra(&found.listings[0].label, "uid"), "33151");
}

#[test]
fn sdn_advanced_has_names_programs_lists_and_days_of_listing() {
    let shape = String::from_utf8(bytes("sdn_advanced_shape.xml")).unwrap();
    let identity = "<Identity Primary=\"true\"><Alias Primary=\"false\"><DocumentedName><DocumentedNamePart><NamePartValue>Other\
                    </NamePartValue></DocumentedNamePart></DocumentedName></Alias><Alias Primary=\"true\"><DocumentedName>\
                    <DocumentedNamePart><NamePartValue>SUEX</NamePartValue></DocumentedNamePart><DocumentedNamePart><NamePartValue>OTC\
                    </NamePartValue></DocumentedNamePart></DocumentedName><DocumentedName><DocumentedNamePart><NamePartValue>\
                    Суэкс</NamePartValue></DocumentedNamePart></DocumentedName></Alias></Identity>";
    let date = "<Year>2021</Year><Month>9</Month><Day>21</Day>";
    let entries = format!(
        "</DistinctParties><SanctionsEntries><SanctionsEntry ProfileID=\"33151\" ListID=\"1550\"><EntryEvent><Date>{date}</Date>\
         </EntryEvent><SanctionsMeasure SanctionsTypeID=\"1\"><Comment>CYBER2</Comment></SanctionsMeasure><SanctionsMeasure \
         SanctionsTypeID=\"2\"><Comment>no program</Comment></SanctionsMeasure></SanctionsEntry></SanctionsEntries>"
    );
    let text = shape
        .replace("<Feature ID=\"7000\"", &format!("{identity}<Feature ID=\"7000\""))
        .replace("</DistinctParties>", &entries)
        .replace("<ReferenceValueSets>", &format!("<DateOfIssue>{date}</DateOfIssue><ReferenceValueSets><ListValues><List ID=\"1550\">SDN List</List></ListValues><SanctionsTypeValues><SanctionsType ID=\"1\">Program</SanctionsType></SanctionsTypeValues>"));
    let found = list(&text);
    assert_eq!((found.report.accepted, found.report.published.as_deref()), (15, Some("2021-09-21")));
    let label = &found.listings[0].label;
    assert_eq!((label.label.as_deref(), label.source.as_deref()), (Some("SUEX OTC"), Some("SDN List")));
    assert_eq!((extra(label, "program"), extra(label, "listed on")), ("CYBER2", "2021-09-21"));
    let none = damaged("<Sanctions><DistinctParties></DistinctParties></Sanctions>");
    assert!(none.contains("FeatureTypeValues"), "{none}");
}

#[test]
fn sdn_csv_needs_its_comments_and_joins_the_address_that_is_cut() {
    let (sdn, comments) = (bytes("sdn_sample_SUEX.csv"), bytes("sdn_comments_sample_SUEX.csv"));
    let plain = data("sdn_legacy_shape.xml");
    let together = [&sdn[..], &comments, b"\x1a\r\n"].concat();
    for text in [&together, &[&comments[..], &sdn].concat()] {
        let found = list(text);
        assert_eq!((found.report.format, cases::addresses(&found)), ("ofac-sdn-csv", cases::addresses(&plain)));
        assert_eq!(counts(&found.report), (15, 4, others(&[("Ethereum", 6)]), 0, vec![]));
        let label = &found.listings[0].label;
        assert_eq!(label.label.as_deref(), Some("SUEX OTC, S.R.O."));
        assert_eq!((extra(label, "program"), extra(label, "uid")), ("CYBER2", "33151"));
    }
    let alone = list(&sdn);
    assert_eq!(counts(&alone.report), (13, 0, vec![], 0, vec![1]));
    assert!(reasons(&alone.report)[0].contains("sdn_comments.csv"));
    let short = b"1,\"X\",-0- ,\"SDGT] [IFSR\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n\"open\r\n";
    let found = list([&together[..], short].concat());
    assert_eq!(found.report.quarantined.len(), 1, "a row that can't be read may hold an address");
}

#[test]
fn tag_packs_inherit_what_their_header_says() {
    let table = [
        ("tagpack-blender_io.yaml", (45, 0, others(&[]), 0, vec![])),
        ("tagpack-hydra.yaml", (117, 0, others(&[]), 0, vec![])),
        ("tagpack-lazarus2.yaml", (6, 0, others(&[]), 0, vec![])),
        // Cut within its last tag, whose address is whole.
        ("tagpack-ransomwhere.yaml", (101, 0, others(&[]), 0, vec![])),
    ];
    for (name, expected) in table {
        let found = data(name);
        assert_eq!((found.report.format, counts(&found.report)), ("tagpack", expected), "{name}");
    }
    assert_eq!(data("tagpack-ransomwhere.yaml").listings[0].label.category.as_deref(), Some("ransomware"));
    let label = &data("tagpack-blender_io.yaml").listings[1].label;
    assert_eq!((label.label.as_deref(), label.category.as_deref()), (Some("Blender.io"), Some("mixing_service")));
    assert_eq!((extra(label, "confidence"), extra(label, "lastmod")), ("authority_data", "2022-05-16"));
    assert_eq!((extra(label, "actor"), extra(label, "currency"), label.line), ("blenderio", "BTC", 14));
    assert!(label.source.as_deref().unwrap().starts_with("https://home.treasury.gov"));
}

#[test]
fn tag_packs_of_many_chains_are_counted_by_name() {
    let demo = data("tagpack-demo.yaml").report;
    assert_eq!(counts(&demo), (1, 0, others(&[("Ethereum", 1), ("XRP", 1), ("Zcash", 1)]), 0, vec![14]));
    assert!(reasons(&demo)[0].contains("Bitcoin Cash"));
    let binance = data("tagpack-exchange-wallets-binance.yaml").report;
    assert_eq!(
        counts(&binance),
        (4, 0, others(&[("BNB", 16), ("BNB Beacon Chain", 25), ("Ethereum", 32), ("TRON", 9)]), 0, vec![])
    );
    let ofac = data("tagpack-ofac.yaml").report;
    assert_eq!(ofac.rows, 572);
    assert_eq!(ofac.rows, counted(&ofac));
}

#[test]
fn a_header_below_the_tags_and_an_alias_of_a_text_are_understood() {
    let text = format!(
        "---\ntags:\n- address: {A}\n- {{address: '{B}', label: own, category: x}}\n- address: {C}\n  tx_hash: ~\n\
         - tx_hash: {}\n- just text\n- address: &t {TRON}\n- address: *t\nlabel: pack\nabuse: scam\nconcepts: [a, b]\n...\n",
        "ab".repeat(32)
    );
    let found = list(&text);
    assert_eq!(counts(&found.report), (3, 0, others(&[("TRON", 2)]), 0, vec![7, 8]));
    assert!(reasons(&found.report)[0].contains("a label of a transaction"));
    let said: Vec<_> = found.listings.iter().map(|listing| &listing.label).collect();
    assert_eq!((said[0].label.as_deref(), said[0].category.as_deref()), (Some("pack"), Some("scam")));
    assert_eq!((said[1].label.as_deref(), said[1].category.as_deref()), (Some("own"), Some("x")));
    assert_eq!(extra(said[0], "concepts"), "a, b");
}

#[test]
fn damaged_yaml_is_an_error_with_its_line_and_nothing_is_half_loaded() {
    let pack = |tags: &str| format!("title: x\ntags:\n- address: {A}\n{tags}");
    let bomb = "- &a [x, x]\n- &b [*a, *a]\n- label: *b\n";
    let anchors: String = (0..2000).map(|number| format!("- label: &a{number} x\n")).collect();
    let table = [
        (pack(bomb), "line 4: a tag must be a mapping"),
        (pack("- label: &a [x]\n  source: *a\n"), "line 5: an alias"),
        (pack(&anchors), "anchors"),
        (pack(&format!("- label: {}\n", "[".repeat(100))), "line 4: more than 64 lists"),
        (pack(&format!("- label: {}\n", "x".repeat(3 << 20))), "longer than 1048576 bytes"),
        (pack("- label: \"secret\n"), "isn't valid YAML"),
        (pack("- label: *secret\n"), "YAML"),
        (pack("- label: a\0b\n"), "line 4: holds a zero byte"),
        ("tags: 5\naddress: x\n".to_owned(), "line 1: tags must be a list"),
        (format!("label: a\nlabel: b\ntags:\n- address: {A}\n"), "line 2: the pack names the same thing twice"),
    ];
    for (text, says) in table {
        let error = damaged(&text);
        assert!(error.contains(says) && !error.contains("secret"), "{says}: {error}");
    }
    let mut latin = pack("- label: caf@\n").into_bytes();
    *latin.iter_mut().find(|byte| **byte == b'@').unwrap() = 0xe9;
    assert!(damaged(&latin).contains("line 4: isn't valid UTF-8"));
    let twice = report(pack(&format!("- address: {B}\n  address: {C}\n")));
    assert_eq!((twice.accepted, lines(&twice)), (1, vec![4]));
}

#[test]
fn json_arrays_and_objects_by_chain_are_taken() {
    let found = data("sanctioned_addresses_XBT.json");
    assert_eq!(counts(&found.report), (434, 0, others(&[("TRON", 1)]), 0, vec![]));
    assert_eq!((found.report.format, found.listings[0].label.line), ("json", 2));
    let text = format!(
        "{{\"updated\": \"2025-03-01\",\n\"0221\": {{\"btc\": [\"{A}\",\n\"{C}\"], \"eth\": [\"0x175d44451403Edf28469dF03A9280c1197ADb92c\"],\n\
         \"ltc\": [\"{B}\"], \"sources\": [\"https://x.example\"]}},\n\"list\": [{{\"address\": \"{B}\", \"name\": \"x\", \"n\": 5}},\n\
         {{\"name\": \"y\"}}, \"hello\"], \"{TRON}\": 1}}"
    );
    let found = list(&text);
    assert_eq!(counts(&found.report), (3, 0, others(&[("Ethereum", 1), ("TRON", 1)]), 2, vec![4, 6, 6]));
    let label = &found.listings[0].label;
    assert_eq!((extra(label, "chain"), extra(label, "path"), label.line), ("btc", "0221.btc", 2));
    let record = &found.listings[2].label;
    assert_eq!((record.label.as_deref(), extra(record, "n"), extra(record, "path")), (Some("x"), "5", "list"));
}

#[test]
fn records_of_json_are_known_by_their_names() {
    let text = format!(
        "[{{\"desc\": \"wpkh({XPUB}/*)\", \"range\": [0, 4]}},\n{{\"addresses\": [\"{A}\", \"{B}\"], \"role\": \"service\"}},\n\
         {{\"address\": \"{A}\", \"address\": \"{B}\"}},\n{{\"address\": \"{C}\", \"note\": \"{WIF}\"}}, {{\"address\": \"{TRON}\\u0000\"}}]"
    );
    let found = list(&text);
    assert_eq!((found.report.accepted, found.listings.len(), lines(&found.report)), (3, 8, vec![3, 4]));
    assert_eq!(found.listings[5].label.role, Role::Service);
    assert!(reasons(&found.report)[0].contains("twice") && reasons(&found.report)[1].contains("zero byte"));
    assert_eq!(found.report.hidden, 1);
    assert!(!format!("{found:?}").contains(&WIF[4..20]));
}

#[test]
fn damaged_json_is_an_error_with_its_line_and_nothing_is_half_loaded() {
    let table = [
        (format!("[\"{A}\",\n"), "line 2: the file ends"),
        (format!("[\"{A}\",\n{}", "[".repeat(500)), "more than 127"),
        (format!("[\"{A}\"]\n[\"{B}\"]"), "line 2: column 1"),
        (format!("[\"{A}\",\n\"{}\"]", "x".repeat(20 << 20)), "longer than 16777216 bytes"),
        (format!("[\"{A}\",\n{{\"{}\": 1}}]", "x".repeat(20 << 20)), "longer than 16777216 bytes"),
    ];
    for (text, says) in table {
        let error = damaged(&text);
        assert!(error.contains(says), "{says}: {error}");
    }
    let wide: String = (0..20_000).map(|number| format!("\"c{number}\": 1,")).collect();
    let found = report(format!("[\"{A}\", {{{wide} \"address\": \"{B}\"}}]"));
    assert_eq!((found.accepted, found.quarantined.len()), (1, 1));
    assert!(found.quarantined[0].reason.contains("a row may have 10000"), "{found:?}");
}

#[test]
fn ransomwhere_has_its_family_as_label() {
    let text = format!(
        "{{\"result\":[{{\"address\":\"{A}\",\"balance\":5,\"blockchain\":\"bitcoin\",\"createdAt\":\"2021-07-08T06:43:08.000Z\",\
         \"family\":\"Netwalker (Mailto)\",\"transactions\":[{{\"hash\":\"{}\",\"amount\":1}}]}},\n{{\"address\":\"{TRON}\",\"blockchain\":\"tron\",\
         \"family\":\"x\"}}]}}",
        "ab".repeat(32)
    );
    let found = list(&text);
    assert_eq!(
        (found.report.format, counts(&found.report)),
        ("ransomwhere", (1, 0, others(&[("TRON", 1)]), 0, vec![]))
    );
    let label = &found.listings[0].label;
    assert_eq!((label.label.as_deref(), label.category.as_deref()), (Some("Netwalker (Mailto)"), Some("ransomware")));
    assert_eq!((label.source.as_deref(), extra(label, "balance")), (Some("https://ransomwhe.re"), ""));
}

#[test]
fn follow_the_money_has_its_wallets_as_entries_and_the_rest_as_remarks() {
    let wallet = format!(
        "{{\"id\":\"ofac-1\",\"caption\":\"{A}\",\"schema\":\"CryptoWallet\",\"properties\":{{\"publicKey\":[\"{A}\",\"{B}\"],\
         \"currency\":[\"XBT\"],\"topics\":[\"sanction\"],\"holder\":[\"NK-1\"]}},\"datasets\":[\"us_ofac_sdn\"],\"first_seen\":\"2023-04-20\"}}"
    );
    let text = format!(
        "{wallet}\n{{\"id\":\"NK-1\",\"caption\":\"X\",\"schema\":\"Person\",\"properties\":{{\"name\":[\"X\"]}}}}\n\
         {{\"id\":\"w\",\"schema\":\"CryptoWallet\",\"properties\":{{\"publicKey\":[\"{TRON}\"]}}}}\n{{\"schema\":\n"
    );
    let found = list(&text);
    assert_eq!((found.report.format, counts(&found.report)), ("ftm", (1, 0, others(&[("TRON", 1)]), 1, vec![4])));
    assert!(reasons(&found.report)[0].contains("column"));
    assert_eq!(found.listings.len(), 2);
    let label = &found.listings[0].label;
    assert_eq!((label.category.as_deref(), label.source.as_deref()), (Some("sanction"), Some("us_ofac_sdn")));
    assert_eq!(
        (extra(label, "holder"), extra(label, "first seen"), extra(label, "id")),
        ("NK-1", "2023-04-20", "ofac-1")
    );
}

#[test]
fn wallet_labels_say_what_is_no_address() {
    let line = |kind: &str, name: &str| format!("{{\"type\":\"{kind}\",\"ref\":\"{name}\",\"label\":\"x\"}}\n");
    let hash = "ab".repeat(32);
    let text = [
        line("addr", A),
        line("tx", &hash),
        line("output", &format!("{hash}:0")),
        line("input", &format!("{hash}:0")),
        line("xpub", XPUB),
        line("pubkey", KEY),
        line("addr", TRON),
        line("other", A),
    ]
    .concat();
    let found = list(&text);
    assert_eq!(
        (found.report.format, counts(&found.report)),
        ("bip329", (1, 0, others(&[("TRON", 1)]), 0, vec![2, 3, 4, 5, 6, 8]))
    );
    let said = reasons(&found.report);
    for (reason, says) in
        said.iter().zip(["transaction", "output", "input", "extended public key", "public key", "isn't known"])
    {
        assert!(reason.contains(says), "{said:?}");
    }
    assert_eq!(found.listings[0].label.label.as_deref(), Some("x"));
}

#[test]
fn json_lines_are_records_one_by_one() {
    let text = format!(
        "{{\"address\":\"{A}\",\"label\":\"x\"}}\n\n{{\"address\":\"{B}\"\n{{\"address\":\"{C}\",\"chain\":\"btc\"}}\n"
    );
    let found = list(&text);
    assert_eq!((found.report.format, counts(&found.report)), ("json-lines", (2, 0, others(&[]), 0, vec![3])));
    let one = list(format!("{{\"address\":\"{A}\",\"label\":\"x\"}}"));
    assert_eq!(labels(&one), [(1, "x")]);
}
