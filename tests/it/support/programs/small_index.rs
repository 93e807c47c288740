//! A small index of the real chain's first blocks, made by the program, with its node and its lists.

use std::path::PathBuf;

use crate::support::bitcoind::Bitcoind;
use crate::support::program::Program;

/// Block 9's key: it got 50 BTC at height 9, paid 10, 10, 1 and 1 BTC to others at 170, 181, 182 and 183, and got the rest back.
pub const PAYER: &str = "pk(0411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3)";
/// The same key's address, which had no payment by then.
pub const UNLISTED: &str = "12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S";
/// The address of the genesis block's key, listed as a service.
pub const SERVICE: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
/// The transaction of block 170, the first payment to another person.
pub const FIRST_PAYMENT: &str = "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16";
/// The hash of block 170.
pub const BLOCK_170: &str = "00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee";
/// The payer's label: it tries to clear a screen, to turn the writing direction, and to be a formula.
pub const NASTY: &str = "=cmd|'/c calc'!A0 \u{1b}[2J\u{202e}evil";

/// A node, and the program with its settings and lists.
pub struct SmallIndex {
    /// At the height that the test chose.
    pub node: Bitcoind,
    /// Watches both lists.
    pub program: Program,
    /// The list of flagged scripts.
    pub list: PathBuf,
}

impl SmallIndex {
    /// A node at `height`, settings and lists, without an index.
    pub fn without_index(height: u32) -> Self {
        Self::with_options(height, "")
    }

    /// The same, with options for the list of flagged scripts, such as `,from=100`.
    pub fn with_options(height: u32, options: &str) -> Self {
        let node = Bitcoind::mainnet_offline_with(&["-maxtipage=10000000000"]);
        node.feed_mainnet(height);
        let folder = tempfile::Builder::new().prefix("coinhound-small-").tempdir().expect("a folder").keep();
        let program = Program::new(&node, folder.join("index"));
        let (list, services) = (program.home().join("flagged.csv"), program.home().join("services.txt"));
        let quoted = NASTY.replace('"', "\"\"");
        std::fs::write(&list, format!("descriptor,label\n{PAYER},\"{quoted}\"\n")).expect("a file of the test");
        std::fs::write(&services, format!("{SERVICE} An exchange\n")).expect("a file of the test");
        let flagged = format!("{}{options}", list.display());
        let services = format!("{},role=service", services.display());
        Self { node, program: program.with(&["--watch", &flagged, "--watch", &services]), list }
    }

    /// With an index up to the node's tip.
    pub fn at(height: u32) -> Self {
        let small = Self::without_index(height);
        small.backfill();
        small
    }

    /// Runs a backfill that must succeed.
    pub fn backfill(&self) {
        let out = self.program.run(&["backfill"]);
        assert_eq!(out.code, 0, "{out:#?}");
    }
}

impl Drop for SmallIndex {
    fn drop(&mut self) {
        // The index is outside of the home folder, so that tests see what is made around it.
        if let Some(folder) = self.program.index().parent() {
            std::fs::remove_dir_all(folder).ok();
        }
    }
}
