//! Spends coins of every shape that `scripts` makes: with signatures, preimages or nothing.

use bitcoin::hashes::Hash;
use bitcoin::script::Builder;
use bitcoin::secp256k1::Message;
use bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::taproot::LeafVersion;
use bitcoin::{Script, ScriptBuf, TapLeafHash, Transaction, TxOut, Witness, ecdsa, key::TapTweak, taproot};

use crate::support::scripts::{SECP, Shape, Wallet, push};

/// The script and the witness of an input.
struct Satisfaction {
    script_sig: ScriptBuf,
    witness: Witness,
}

impl Satisfaction {
    /// A script of these pushes, without a witness.
    fn legacy(pushes: &[&[u8]]) -> Self {
        let script_sig = pushes.iter().fold(Builder::new(), |script, bytes| push(script, bytes)).into_script();
        Self { script_sig, witness: Witness::new() }
    }

    /// A witness without a script.
    fn witness<T: AsRef<[u8]>>(items: &[T]) -> Self {
        Self { script_sig: ScriptBuf::new(), witness: Witness::from_slice(items) }
    }

    /// The same within P2SH.
    fn within(self, redeem: &Script) -> Self {
        let script_sig = push(Builder::from(self.script_sig.into_bytes()), redeem.as_bytes()).into_script();
        Self { script_sig, ..self }
    }
}

impl Wallet {
    /// Signs every input of `transaction`; `prevouts` are the outputs it spends, in the order of its inputs.
    ///
    /// Panics if a script isn't this wallet's, or can't be spent.
    pub fn sign(&self, transaction: &mut Transaction, prevouts: &[TxOut]) {
        assert_eq!(transaction.input.len(), prevouts.len(), "one spent output for each input");
        let mut signer = Signer { wallet: self, cache: SighashCache::new(&*transaction), prevouts };
        let all: Vec<_> = (0..prevouts.len()).map(|vin| signer.satisfy(vin)).collect();
        for (input, satisfaction) in transaction.input.iter_mut().zip(all) {
            input.script_sig = satisfaction.script_sig;
            input.witness = satisfaction.witness;
        }
    }
}

/// Signs one transaction.
struct Signer<'a> {
    wallet: &'a Wallet,
    cache: SighashCache<&'a Transaction>,
    prevouts: &'a [TxOut],
}

impl Signer<'_> {
    fn satisfy(&mut self, vin: usize) -> Satisfaction {
        let spent = self.prevouts[vin].script_pubkey.clone();
        let Some((shape, n)) = self.wallet.recall(&spent) else {
            panic!("input {vin} spends the script {}, which this wallet never made", spent.to_hex_string());
        };
        let [first, second, third] = Wallet::cosigners(n);
        match shape {
            Shape::P2pk | Shape::P2pkUncompressed | Shape::P2pkHybrid => {
                Satisfaction::legacy(&[&self.legacy(vin, &spent, n)])
            }
            Shape::P2pkh => Satisfaction::legacy(&[&self.legacy(vin, &spent, n), &self.wallet.public(n).to_bytes()]),
            Shape::P2pkhUncompressed => {
                Satisfaction::legacy(&[&self.legacy(vin, &spent, n), &self.wallet.public_uncompressed(n).to_bytes()])
            }
            // OP_CHECKMULTISIG takes one element too many: the empty push.
            Shape::Multisig1of2 => Satisfaction::legacy(&[&[], &self.legacy(vin, &spent, second)]),
            Shape::MultisigData => Satisfaction::legacy(&[&[], &self.legacy(vin, &spent, n)]),
            Shape::Multisig2of3 => self.two_of_three(vin, &spent, [first, third]),
            Shape::P2shMultisig => {
                let redeem = self.wallet.two_of_three(n);
                self.two_of_three(vin, &redeem, [first, second]).within(&redeem)
            }
            Shape::P2wpkh => self.witness_key_hash(vin, n),
            Shape::P2shP2wpkh => self.witness_key_hash(vin, n).within(&self.wallet.witness_key_hash(n)),
            Shape::P2wsh => self.witness_script(vin, n),
            Shape::P2shP2wsh => self.witness_script(vin, n).within(&self.wallet.two_of_two(n).to_p2wsh()),
            Shape::P2trKey => self.taproot_key(vin, n),
            Shape::P2trScript => self.taproot_script(vin, n),
            Shape::HashLock => Satisfaction::legacy(&[&self.wallet.bytes("preimage", n)]),
            Shape::Empty => Satisfaction::legacy(&[&[1]]),
            Shape::WitnessV1Odd | Shape::Witness(_) | Shape::Anchor | Shape::True | Shape::Drop | Shape::Longest => {
                Satisfaction::legacy(&[])
            }
            Shape::OpReturn | Shape::OpReturnBroken | Shape::Oversized | Shape::TruncatedPush => {
                panic!("input {vin} spends {shape:?}, which can't be spent")
            }
        }
    }

    /// An ECDSA signature by key `n` under the rules before segwit, with its sighash byte.
    fn legacy(&self, vin: usize, script_code: &Script, n: u32) -> Vec<u8> {
        let sighash_type = EcdsaSighashType::All;
        let hash = self.cache.legacy_signature_hash(vin, script_code, sighash_type.to_u32()).expect("the input exists");
        let signature = SECP.sign_ecdsa(&Message::from_digest(hash.to_byte_array()), &self.wallet.secret(n));
        ecdsa::Signature { signature, sighash_type }.to_vec()
    }

    fn two_of_three(&self, vin: usize, script: &Script, keys: [u32; 2]) -> Satisfaction {
        let [one, two] = keys.map(|n| self.legacy(vin, script, n));
        Satisfaction::legacy(&[&[], &one, &two])
    }

    fn witness_key_hash(&mut self, vin: usize, n: u32) -> Satisfaction {
        let (sighash_type, value) = (EcdsaSighashType::All, self.prevouts[vin].value);
        let program = self.wallet.witness_key_hash(n);
        let hash = self.cache.p2wpkh_signature_hash(vin, &program, value, sighash_type).expect("the input exists");
        let signature = SECP.sign_ecdsa(&Message::from_digest(hash.to_byte_array()), &self.wallet.secret(n));
        let signature = ecdsa::Signature { signature, sighash_type }.to_vec();
        Satisfaction::witness(&[signature, self.wallet.public(n).to_bytes()])
    }

    fn witness_script(&mut self, vin: usize, n: u32) -> Satisfaction {
        let (sighash_type, value) = (EcdsaSighashType::All, self.prevouts[vin].value);
        let script = self.wallet.two_of_two(n);
        let hash = self.cache.p2wsh_signature_hash(vin, &script, value, sighash_type).expect("the input exists");
        let message = Message::from_digest(hash.to_byte_array());
        let [first, second, _] = Wallet::cosigners(n).map(|key| {
            let signature = SECP.sign_ecdsa(&message, &self.wallet.secret(key));
            ecdsa::Signature { signature, sighash_type }.to_vec()
        });
        Satisfaction::witness(&[Vec::new(), first, second, script.into_bytes()])
    }

    fn taproot_key(&mut self, vin: usize, n: u32) -> Satisfaction {
        let (sighash_type, prevouts) = (TapSighashType::Default, Prevouts::All(self.prevouts));
        let hash = self.cache.taproot_key_spend_signature_hash(vin, &prevouts, sighash_type).expect("the input exists");
        let pair = self.wallet.keypair(n).tap_tweak(&SECP, None).to_keypair();
        let signature = SECP.sign_schnorr_no_aux_rand(&Message::from_digest(hash.to_byte_array()), &pair);
        Satisfaction::witness(&[taproot::Signature { signature, sighash_type }.to_vec()])
    }

    fn taproot_script(&mut self, vin: usize, n: u32) -> Satisfaction {
        let (sighash_type, prevouts) = (TapSighashType::All, Prevouts::All(self.prevouts));
        let leaf = self.wallet.leaf(n);
        let leaf_hash = TapLeafHash::from_script(&leaf, LeafVersion::TapScript);
        let hash = self.cache.taproot_script_spend_signature_hash(vin, &prevouts, leaf_hash, sighash_type);
        let message = Message::from_digest(hash.expect("the input exists").to_byte_array());
        let signature = SECP.sign_schnorr_no_aux_rand(&message, &self.wallet.keypair(n));
        let signature = taproot::Signature { signature, sighash_type }.to_vec();
        let control = self.wallet.tree(n).control_block(&(leaf.clone(), LeafVersion::TapScript));
        let control = control.expect("the leaf is in the tree").serialize();
        Satisfaction::witness(&[signature, leaf.into_bytes(), control])
    }
}
