//! Output scripts of every shape that a chain has, made from deterministic keys. `sign` spends them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::opcodes::all::{
    OP_CHECKMULTISIG, OP_CHECKSIG, OP_DROP, OP_EQUAL, OP_NOP, OP_PUSHBYTES_0, OP_PUSHNUM_1, OP_RETURN, OP_SHA256,
};
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::secp256k1::{All, Keypair, Secp256k1, SecretKey};
use bitcoin::taproot::{TaprootBuilder, TaprootSpendInfo};
use bitcoin::{Opcode, PublicKey, ScriptBuf, opcodes};

/// The curve, with its tables built once.
pub static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Longest script that can be run (`MAX_SCRIPT_SIZE` in Core's `script.h`); a longer one makes its output unspendable.
pub const MAX_SCRIPT_SIZE: usize = 10_000;

/// A kind of output script. Every one can be created in a valid block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// A compressed key and OP_CHECKSIG.
    P2pk,
    /// An uncompressed key and OP_CHECKSIG, as in the first blocks.
    P2pkUncompressed,
    /// A key in the hybrid form (first byte 6 or 7), which consensus accepts and policy doesn't.
    P2pkHybrid,
    /// The hash of a compressed key.
    P2pkh,
    /// The hash of an uncompressed key.
    P2pkhUncompressed,
    /// Bare 1-of-2.
    Multisig1of2,
    /// Bare 2-of-3, one key uncompressed.
    Multisig2of3,
    /// Bare 1-of-3 with two keys that are data, not points on the curve.
    MultisigData,
    /// P2SH of a 2-of-3.
    P2shMultisig,
    /// P2SH of a P2WPKH.
    P2shP2wpkh,
    /// P2SH of a P2WSH.
    P2shP2wsh,
    /// Witness version 0, 20 bytes.
    P2wpkh,
    /// Witness version 0, 32 bytes: a 2-of-2.
    P2wsh,
    /// Taproot, spent by its key.
    P2trKey,
    /// Taproot, spent by its one leaf.
    P2trScript,
    /// Witness version 1 with a program that isn't 32 bytes: anyone can spend it.
    WitnessV1Odd,
    /// A witness version from 2 to 16, which has no meaning yet: anyone can spend it.
    Witness(u8),
    /// Pay to anchor: OP_1 and the two bytes 4e73. One script for all keys.
    Anchor,
    /// OP_TRUE alone. One script for all keys.
    True,
    /// A push, OP_DROP, OP_TRUE: nonstandard, anyone can spend it.
    Drop,
    /// The SHA-256 of a secret: nonstandard.
    HashLock,
    /// An empty script, spent by pushing a true value. One script for all keys.
    Empty,
    /// Nonstandard, of exactly 10,000 bytes, the longest that can be spent.
    Longest,
    /// OP_RETURN with data: unspendable.
    OpReturn,
    /// OP_RETURN and bytes that don't parse: unspendable.
    OpReturnBroken,
    /// Like `Longest`, but of 10,001 bytes: unspendable.
    Oversized,
    /// A push of 33 bytes of which only four are there: it can't be spent, but the node keeps the coin.
    TruncatedPush,
}

impl Shape {
    /// Every shape, with each witness version.
    pub fn all() -> Vec<Self> {
        use Shape::*;
        let mut all = vec![P2pk, P2pkUncompressed, P2pkHybrid, P2pkh, P2pkhUncompressed];
        all.extend([Multisig1of2, Multisig2of3, MultisigData, P2shMultisig, P2shP2wpkh, P2shP2wsh, P2wpkh, P2wsh]);
        all.extend([P2trKey, P2trScript, WitnessV1Odd, Anchor, True, Drop, HashLock, Empty, Longest]);
        all.extend([OpReturn, OpReturnBroken, Oversized, TruncatedPush]);
        all.extend((2..=16).map(Witness));
        all
    }

    /// The shapes that can be spent.
    pub fn spendable() -> Vec<Self> {
        Self::all().into_iter().filter(|shape| shape.is_spendable()).collect()
    }

    /// Whether a coin of this shape can be spent.
    pub fn is_spendable(self) -> bool {
        !matches!(self, Self::OpReturn | Self::OpReturnBroken | Self::Oversized | Self::TruncatedPush)
    }

    /// Whether the node keeps a coin of this shape in its UTXO set (`CScript::IsUnspendable` in Core's `script.h`).
    pub fn is_kept(self) -> bool {
        self.is_spendable() || self == Self::TruncatedPush
    }

    /// Whether all keys share one script.
    pub fn is_keyless(self) -> bool {
        matches!(self, Self::Anchor | Self::True | Self::Empty)
    }
}

/// Keys by number, and the scripts made of them. The same seed gives the same keys.
#[derive(Clone, Debug)]
pub struct Wallet {
    seed: u64,
    known: RefCell<HashMap<ScriptBuf, (Shape, u32)>>,
}

impl Wallet {
    /// A wallet whose keys come from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, known: RefCell::default() }
    }

    /// The script of this shape for key `n`; the wallet can spend it from now on.
    pub fn script(&self, shape: Shape, n: u32) -> ScriptBuf {
        let script = self.build(shape, n);
        let n = if shape.is_keyless() { 0 } else { n };
        self.known.borrow_mut().insert(script.clone(), (shape, n));
        script
    }

    /// The shape and the key that this script was made of; `None` if this wallet never made it.
    pub fn recall(&self, script: &ScriptBuf) -> Option<(Shape, u32)> {
        self.known.borrow().get(script).copied()
    }

    /// 32 bytes that depend on the seed, on what they are for and on `n`.
    pub fn bytes(&self, purpose: &str, n: u32) -> [u8; 32] {
        let mut engine = sha256::Hash::engine();
        engine.input(purpose.as_bytes());
        engine.input(&self.seed.to_be_bytes());
        engine.input(&n.to_be_bytes());
        sha256::Hash::from_engine(engine).to_byte_array()
    }

    /// Secret key `n`. Numbers from 2^30 up are the further keys of multisig scripts.
    pub fn secret(&self, n: u32) -> SecretKey {
        SecretKey::from_slice(&self.bytes("key", n)).expect("a hash is a valid key but for one chance in 2^127")
    }

    /// Key `n` for taproot.
    pub fn keypair(&self, n: u32) -> Keypair {
        Keypair::from_secret_key(&SECP, &self.secret(n))
    }

    /// Public key `n`, compressed.
    pub fn public(&self, n: u32) -> PublicKey {
        PublicKey::new(self.secret(n).public_key(&SECP))
    }

    /// Public key `n`, uncompressed.
    pub fn public_uncompressed(&self, n: u32) -> PublicKey {
        PublicKey::new_uncompressed(self.secret(n).public_key(&SECP))
    }

    /// The keys of the multisig scripts of key `n`, by number: the first is `n`.
    pub fn cosigners(n: u32) -> [u32; 3] {
        [n, (1 << 30) | n, (1 << 31) | n]
    }

    /// 2-of-3, the second key uncompressed: the bare script, and what the P2SH one hides.
    pub fn two_of_three(&self, n: u32) -> ScriptBuf {
        let [first, second, third] = Self::cosigners(n);
        let keys = [self.public(first), self.public_uncompressed(second), self.public(third)];
        multisig(2, &keys.map(|key| key.to_bytes()))
    }

    /// 2-of-2: what the P2WSH scripts hide.
    pub fn two_of_two(&self, n: u32) -> ScriptBuf {
        let [first, second, _] = Self::cosigners(n);
        multisig(2, &[self.public(first).to_bytes(), self.public(second).to_bytes()])
    }

    /// The P2WPKH program of key `n`: also what the P2SH one hides.
    pub fn witness_key_hash(&self, n: u32) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&self.public(n).wpubkey_hash().expect("the key is compressed"))
    }

    /// The leaf of `P2trScript`.
    pub fn leaf(&self, n: u32) -> ScriptBuf {
        Builder::new().push_x_only_key(&self.keypair(n).x_only_public_key().0).push_opcode(OP_CHECKSIG).into_script()
    }

    /// The tree of `P2trScript`: one leaf.
    pub fn tree(&self, n: u32) -> TaprootSpendInfo {
        let internal = self.keypair(Self::cosigners(n)[1]).x_only_public_key().0;
        let tree = TaprootBuilder::new().add_leaf(0, self.leaf(n)).expect("depth 0 is free");
        tree.finalize(&SECP, internal).expect("one leaf makes a whole tree")
    }

    fn build(&self, shape: Shape, n: u32) -> ScriptBuf {
        let unique = self.bytes("script", n);
        match shape {
            Shape::P2pk => ScriptBuf::new_p2pk(&self.public(n)),
            Shape::P2pkUncompressed => ScriptBuf::new_p2pk(&self.public_uncompressed(n)),
            Shape::P2pkHybrid => {
                let mut key = self.public_uncompressed(n).to_bytes();
                key[0] = 6 + (key[64] & 1);
                push(Builder::new(), &key).push_opcode(OP_CHECKSIG).into_script()
            }
            Shape::P2pkh => ScriptBuf::new_p2pkh(&self.public(n).pubkey_hash()),
            Shape::P2pkhUncompressed => ScriptBuf::new_p2pkh(&self.public_uncompressed(n).pubkey_hash()),
            Shape::Multisig1of2 => {
                let [first, second, _] = Self::cosigners(n);
                multisig(1, &[self.public(first).to_bytes(), self.public(second).to_bytes()])
            }
            Shape::Multisig2of3 => self.two_of_three(n),
            Shape::MultisigData => {
                let data = [[2].as_slice(), [0xff; 32].as_slice()].concat();
                let more = [[0x99].as_slice(), unique.as_slice()].concat();
                multisig(1, &[self.public(n).to_bytes(), data, more])
            }
            Shape::P2shMultisig => self.two_of_three(n).to_p2sh(),
            Shape::P2shP2wpkh => self.witness_key_hash(n).to_p2sh(),
            Shape::P2shP2wsh => self.two_of_two(n).to_p2wsh().to_p2sh(),
            Shape::P2wpkh => self.witness_key_hash(n),
            Shape::P2wsh => self.two_of_two(n).to_p2wsh(),
            Shape::P2trKey => ScriptBuf::new_p2tr(&SECP, self.keypair(n).x_only_public_key().0, None),
            Shape::P2trScript => ScriptBuf::new_p2tr_tweaked(self.tree(n).output_key()),
            Shape::WitnessV1Odd => witness_program(1, &unique[..20]),
            Shape::Witness(version) => {
                let long = [unique, unique].concat();
                witness_program(version, &long[..usize::from(version) * 2 + 8])
            }
            Shape::Anchor => ScriptBuf::from_bytes(vec![0x51, 0x02, 0x4e, 0x73]),
            Shape::True => Builder::new().push_opcode(OP_PUSHNUM_1).into_script(),
            Shape::Drop => {
                let number = push(Builder::new(), &unique[..4]);
                number.push_opcode(OP_DROP).push_opcode(OP_PUSHNUM_1).into_script()
            }
            Shape::HashLock => {
                let hash = sha256::Hash::hash(&self.bytes("preimage", n)).to_byte_array();
                push(Builder::new().push_opcode(OP_SHA256), &hash).push_opcode(OP_EQUAL).into_script()
            }
            Shape::Empty => ScriptBuf::new(),
            Shape::Longest => longest(&unique),
            Shape::OpReturn => push(Builder::new().push_opcode(OP_RETURN), &unique).into_script(),
            Shape::OpReturnBroken => {
                ScriptBuf::from_bytes([&[OP_RETURN.to_u8(), 0x4d, 0xff][..], &unique[..4]].concat())
            }
            Shape::Oversized => {
                let mut bytes = longest(&self.bytes("oversized", n)).into_bytes();
                bytes.push(OP_NOP.to_u8());
                ScriptBuf::from_bytes(bytes)
            }
            Shape::TruncatedPush => ScriptBuf::from_bytes([&[33][..], &unique[..4]].concat()),
        }
    }
}

/// Adds a push of `bytes`.
pub fn push(builder: Builder, bytes: &[u8]) -> Builder {
    builder.push_slice(PushBytesBuf::try_from(bytes.to_vec()).expect("what tests push is far below 4 GiB"))
}

/// `required` of these keys, which needn't be points on the curve.
fn multisig(required: i64, keys: &[Vec<u8>]) -> ScriptBuf {
    let all = keys.iter().fold(Builder::new().push_int(required), |script, key| push(script, key));
    all.push_int(i64::try_from(keys.len()).expect("few keys")).push_opcode(OP_CHECKMULTISIG).into_script()
}

/// A witness version and its program.
fn witness_program(version: u8, program: &[u8]) -> ScriptBuf {
    let opcode =
        if version == 0 { OP_PUSHBYTES_0 } else { Opcode::from(opcodes::all::OP_PUSHNUM_1.to_u8() + version - 1) };
    push(Builder::new().push_opcode(opcode), program).into_script()
}

/// Pushes that are dropped again, then OP_TRUE: 10,000 bytes in all.
fn longest(filling: &[u8; 32]) -> ScriptBuf {
    let chunk: Vec<u8> = filling.iter().copied().cycle().take(520).collect();
    let mut script = Builder::new();
    for _ in 0..19 {
        script = push(script, &chunk).push_opcode(OP_DROP);
    }
    // 19 * (3 + 520 + 1) + (1 + 41 + 1) + 1 bytes.
    let script = push(script, &chunk[..41]).push_opcode(OP_DROP).push_opcode(OP_PUSHNUM_1).into_script();
    assert_eq!(script.len(), MAX_SCRIPT_SIZE);
    script
}
