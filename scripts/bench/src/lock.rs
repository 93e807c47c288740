//! The scripts of the generated chain's outputs, and the scripts and witnesses that unlock them without a signature.

use bitcoin::hashes::{Hash, hash160};
use bitcoin::opcodes::all::{OP_2DROP, OP_CHECKSIG, OP_DROP};
use bitcoin::opcodes::{OP_TRUE, all::OP_RETURN};
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::{PubkeyHash, ScriptBuf, Witness, WitnessProgram, WitnessVersion};

use crate::rng::Rng;

/// The shape of an output's script. The first four can be spent by anyone who knows the `id`; the others by no one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A 20-byte program of witness version 2: P2WPKH by size, in the script and in the witness that spends it.
    Program20,
    /// A 32-byte program of witness version 2: P2TR by size.
    Program32,
    /// P2SH of `<32 bytes> OP_DROP OP_TRUE`.
    ScriptHash,
    /// P2WSH of `<32 bytes> OP_DROP OP_2DROP OP_DROP OP_TRUE`, spent with a witness of a multisig's size.
    WitnessScriptHash,
    /// P2WPKH of no known key.
    Wpkh,
    /// P2PKH of no known key.
    Pkh,
    /// P2TR of no known key.
    Tr,
    /// P2PK with 33 or 65 random bytes instead of a key.
    Pk,
    /// OP_RETURN with data.
    Data,
}

impl Kind {
    /// A shape that can be spent, as often as recent blocks spend it.
    pub fn alive(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..45 => Self::Program20,
            45..75 => Self::Program32,
            75..87 => Self::ScriptHash,
            _ => Self::WitnessScriptHash,
        }
    }

    /// A shape that no one can spend.
    pub fn dead(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..50 => Self::Wpkh,
            50..72 => Self::Tr,
            72..96 => Self::Pkh,
            _ => Self::Pk,
        }
    }
}

/// One script, by its shape and by the seed of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Its shape.
    pub kind: Kind,
    /// Seed of its bytes: locks of one kind differ if their seeds do.
    pub id: u64,
}

impl Lock {
    /// A new script of `kind`.
    pub fn new(kind: Kind, rng: &mut Rng) -> Self {
        Self { kind, id: rng.next_u64() }
    }

    /// A new script, of a shape that no one can spend in `dead_percent` of a hundred cases.
    pub fn mixed(dead_percent: usize, rng: &mut Rng) -> Self {
        let kind = if rng.chance(dead_percent) { Kind::dead(rng) } else { Kind::alive(rng) };
        Self::new(kind, rng)
    }

    /// Whether [`Lock::unlock`] unlocks it.
    pub fn is_spendable(self) -> bool {
        matches!(self.kind, Kind::Program20 | Kind::Program32 | Kind::ScriptHash | Kind::WitnessScriptHash)
    }

    fn payload(self) -> [u8; 32] {
        Rng::new(self.id).bytes32()
    }

    /// The script whose hash a P2SH or P2WSH output holds.
    fn inner(self) -> ScriptBuf {
        let begin = Builder::new().push_slice(self.payload()).push_opcode(OP_DROP);
        match self.kind {
            Kind::WitnessScriptHash => begin.push_opcode(OP_2DROP).push_opcode(OP_DROP),
            _ => begin,
        }
        .push_opcode(OP_TRUE)
        .into_script()
    }

    /// The output's script.
    pub fn script_pubkey(self) -> ScriptBuf {
        let payload = self.payload();
        match self.kind {
            Kind::Program20 => program(WitnessVersion::V2, &payload[..20]),
            Kind::Program32 => program(WitnessVersion::V2, &payload),
            Kind::ScriptHash => self.inner().to_p2sh(),
            Kind::WitnessScriptHash => self.inner().to_p2wsh(),
            Kind::Wpkh => program(WitnessVersion::V0, &payload[..20]),
            Kind::Pkh => ScriptBuf::new_p2pkh(&PubkeyHash::from_raw_hash(hash160::Hash::hash(&payload))),
            Kind::Tr => program(WitnessVersion::V1, &payload),
            Kind::Pk => {
                let mut key = vec![2 + u8::from(self.id & 2 == 2)];
                key.extend_from_slice(&payload);
                if self.id & 1 == 1 {
                    key[0] = 4;
                    key.extend_from_slice(&Rng::new(self.id.rotate_left(7)).bytes32());
                }
                Builder::new().push_slice(push(key)).push_opcode(OP_CHECKSIG).into_script()
            }
            Kind::Data => Builder::new().push_opcode(OP_RETURN).push_slice(payload).into_script(),
        }
    }

    /// The script and the witness of an input that spends it, as large as with signatures and keys. Both are empty for a shape that
    /// can't be spent.
    pub fn unlock(self, rng: &mut Rng) -> (ScriptBuf, Witness) {
        let signature = 71 + rng.below(2);
        match self.kind {
            Kind::Program20 => (ScriptBuf::new(), Witness::from_slice(&[rng.bytes(signature), rng.bytes(33)])),
            Kind::Program32 => (ScriptBuf::new(), Witness::from_slice(&[rng.bytes(64)])),
            // The two pushes below the redeem script stay on the stack: for P2SH a clean one is policy, not consensus.
            Kind::ScriptHash => (
                Builder::new()
                    .push_slice(push(rng.bytes(signature)))
                    .push_slice(push(rng.bytes(33)))
                    .push_slice(push(self.inner().into_bytes()))
                    .into_script(),
                Witness::new(),
            ),
            Kind::WitnessScriptHash => (
                ScriptBuf::new(),
                Witness::from_slice(&[vec![], rng.bytes(105), rng.bytes(105), self.inner().into_bytes()]),
            ),
            Kind::Wpkh | Kind::Pkh | Kind::Tr | Kind::Pk | Kind::Data => (ScriptBuf::new(), Witness::new()),
        }
    }

    /// Unlocks with `length` bytes of witness besides, as an inscription does. `None` where consensus limits a witness item.
    pub fn inscribe(self, length: usize, rng: &mut Rng) -> Option<(ScriptBuf, Witness)> {
        (self.kind == Kind::Program32)
            .then(|| (ScriptBuf::new(), Witness::from_slice(&[rng.bytes(64), rng.bytes(length), rng.bytes(33)])))
    }
}

fn program(version: WitnessVersion, bytes: &[u8]) -> ScriptBuf {
    let program = WitnessProgram::new(version, bytes).expect("20 or 32 bytes suit every version used here");
    ScriptBuf::new_witness_program(&program)
}

fn push(bytes: Vec<u8>) -> PushBytesBuf {
    PushBytesBuf::try_from(bytes).expect("some hundred bytes are far below what a push holds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(id: u64, kind: Kind) -> ScriptBuf {
        Lock { kind, id }.script_pubkey()
    }

    #[test]
    fn each_kind_has_the_shape_it_is_named_for() {
        assert_eq!(script(5, Kind::Program20).len(), 22);
        assert_eq!(script(5, Kind::Program32).len(), 34);
        assert!(script(5, Kind::ScriptHash).is_p2sh());
        assert!(script(5, Kind::WitnessScriptHash).is_p2wsh());
        assert!(script(5, Kind::Wpkh).is_p2wpkh());
        assert!(script(5, Kind::Pkh).is_p2pkh());
        assert!(script(5, Kind::Tr).is_p2tr());
        assert_eq!(script(5, Kind::Pk).len(), 67);
        assert_eq!(script(4, Kind::Pk).len(), 35);
        assert!(script(5, Kind::Data).is_op_return());
    }

    #[test]
    fn another_id_is_another_script() {
        let mut rng = Rng::new(3);
        for _ in 0..50 {
            let kind = if rng.chance(50) { Kind::alive(&mut rng) } else { Kind::dead(&mut rng) };
            let (a, b) = (Lock::new(kind, &mut rng), Lock::new(kind, &mut rng));
            assert_ne!(a.script_pubkey(), b.script_pubkey());
            assert_eq!(a.script_pubkey(), a.script_pubkey());
        }
    }

    #[test]
    fn an_unlock_shows_the_script_that_the_output_hashed() {
        let mut rng = Rng::new(4);
        let lock = Lock { kind: Kind::WitnessScriptHash, id: 9 };
        let (_, witness) = lock.unlock(&mut rng);
        let shown = ScriptBuf::from_bytes(witness.last().unwrap().to_vec());
        assert_eq!(shown.to_p2wsh(), lock.script_pubkey());
        let lock = Lock { kind: Kind::ScriptHash, id: 9 };
        let (script, _) = lock.unlock(&mut rng);
        let last = script.instructions().last().unwrap().unwrap();
        let shown = ScriptBuf::from_bytes(last.push_bytes().unwrap().as_bytes().to_vec());
        assert_eq!(shown.to_p2sh(), lock.script_pubkey());
    }
}
