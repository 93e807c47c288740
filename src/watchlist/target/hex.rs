//! Scripts written in hex: any bytes if a prefix or column says that it is a script, else only what can be nothing but a script.

use bitcoin::opcodes::all::{OP_CHECKMULTISIG, OP_PUSHNUM_1};
use bitcoin::script::Instruction;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Script, ScriptBuf};

use super::refusal::Refusal;
use crate::watchlist::text::is_hex;

/// Parses any script, also an empty one.
///
/// # Errors
/// [`Refusal::BadHex`] unless `hex` is an even number of hex digits.
pub(super) fn parse(hex: &str) -> Result<ScriptBuf, Refusal> {
    // const_hex would accept `0x`.
    if !is_hex(hex) {
        return Err(Refusal::BadHex);
    }
    const_hex::decode(hex).map(ScriptBuf::from_bytes).map_err(|_| Refusal::BadHex)
}

/// Parses hex that nothing marks as a script: only one of the usual output scripts, which can't be a key, a hash or a txid.
///
/// # Errors
/// [`Refusal::BareHash`], [`Refusal::BareKey`], [`Refusal::BareHex`] for what may be something else; [`Refusal::Truncated`] for an odd
/// number of digits.
pub(super) fn parse_unmarked(hex: &str) -> Result<ScriptBuf, Refusal> {
    if hex.len() == 64 {
        return Err(Refusal::BareHash);
    }
    let script = parse(hex).map_err(|_| Refusal::Truncated)?;
    let bytes = script.as_bytes();
    match bytes.len() {
        33 | 64 | 65 => Err(Refusal::BareKey),
        _ if is_usual(&script) => Ok(script),
        _ => Err(Refusal::BareHex),
    }
}

/// Whether a script is P2PKH, P2SH, a witness program of any version, P2PK with a key on the curve, or bare multisig.
fn is_usual(script: &Script) -> bool {
    script.is_p2pkh() || script.is_p2sh() || script.is_witness_program() || is_p2pk(script) || is_multisig(script)
}

fn is_p2pk(script: &Script) -> bool {
    let bytes = script.as_bytes();
    script.is_p2pk() && bytes.get(1..bytes.len() - 1).is_some_and(|key| PublicKey::from_slice(key).is_ok())
}

/// Whether a script is `M <key>… N OP_CHECKMULTISIG` with pushes as long as keys. They need not be on the curve, as they have been used
/// to store data.
fn is_multisig(script: &Script) -> bool {
    // Consensus allows 20 keys, but there is no opcode that pushes a number above 16.
    if script.len() > 3 + 16 * 66 {
        return false;
    }
    let Ok(parts) = script.instructions().collect::<Result<Vec<_>, _>>() else {
        return false;
    };
    let [first, keys @ .., last, check] = parts.as_slice() else {
        return false;
    };
    check.opcode() == Some(OP_CHECKMULTISIG)
        && pushed_number(last) == Some(keys.len())
        && pushed_number(first).is_some_and(|required| (1..=keys.len()).contains(&required))
        && keys.iter().all(|key| key.push_bytes().is_some_and(|push| matches!(push.len(), 33 | 65)))
}

/// The number that an opcode from `OP_1` to `OP_16` pushes.
fn pushed_number(part: &Instruction) -> Option<usize> {
    let number = part.opcode()?.to_u8().checked_sub(OP_PUSHNUM_1.to_u8())?;
    (number < 16).then_some(usize::from(number) + 1)
}
