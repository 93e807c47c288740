//! Scripts in hex: any script where a word or a column introduces it, else only those that can't be anything else.

use bitcoin::opcodes::all::{OP_CHECKMULTISIG, OP_PUSHNUM_1};
use bitcoin::script::Instruction;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Script, ScriptBuf};

use super::reason::Reason;
use super::secret;

/// Any script in hex, also an empty one.
///
/// # Errors
/// [`Reason::BadHex`] unless it is an even number of hex digits.
pub fn from_hex(hex: &str) -> Result<ScriptBuf, Reason> {
    // No `0x` here: const_hex would take it.
    if !secret::is_hex(hex) {
        return Err(Reason::BadHex);
    }
    const_hex::decode(hex).map(ScriptBuf::from_bytes).map_err(|_| Reason::BadHex)
}

/// Hex that nothing introduces: only what can't be a key, a hash or a transaction id.
pub fn bare_hex(hex: &str) -> Result<ScriptBuf, Reason> {
    if hex.len() == 64 {
        return Err(Reason::BareHash);
    }
    let script = from_hex(hex).map_err(|_| Reason::Truncated)?;
    let bytes = script.as_bytes();
    match bytes.len() {
        33 | 64 | 65 => Err(Reason::BareKey),
        _ if is_usual(&script) => Ok(script),
        _ => Err(Reason::BareHex),
    }
}

/// P2PKH, P2SH, a witness program of any version, P2PK with a key on the curve, or bare multisig.
fn is_usual(script: &Script) -> bool {
    script.is_p2pkh() || script.is_p2sh() || script.is_witness_program() || is_p2pk(script) || is_multisig(script)
}

fn is_p2pk(script: &Script) -> bool {
    let bytes = script.as_bytes();
    script.is_p2pk() && bytes.get(1..bytes.len() - 1).is_some_and(|key| PublicKey::from_slice(key).is_ok())
}

/// `M <key>… N OP_CHECKMULTISIG` with pushes as long as keys. They need not be on the curve: data has been kept in them.
fn is_multisig(script: &Script) -> bool {
    // 20 keys are the consensus limit; beyond 16 the count is no single opcode.
    if script.len() > 3 + 16 * 66 {
        return false;
    }
    let Ok(parts) = script.instructions().collect::<Result<Vec<_>, _>>() else {
        return false;
    };
    let [first, keys @ .., last, check] = parts.as_slice() else {
        return false;
    };
    let number = |part: &Instruction| {
        let number = part.opcode()?.to_u8().checked_sub(OP_PUSHNUM_1.to_u8())?;
        (number < 16).then_some(usize::from(number) + 1)
    };
    let key = |part: &Instruction| part.push_bytes().is_some_and(|push| matches!(push.len(), 33 | 65));
    check.opcode() == Some(OP_CHECKMULTISIG)
        && number(last) == Some(keys.len())
        && number(first).is_some_and(|wanted| (1..=keys.len()).contains(&wanted))
        && keys.iter().all(key)
}
