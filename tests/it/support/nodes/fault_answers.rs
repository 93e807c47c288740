//! The answers of a faulty node. They are only changed in ways that can be detected: see `chain_facts`.

use bitcoin::consensus::encode::{VarInt, serialize};
use bitcoin::consensus::{Decodable, Encodable};
use bitcoin::{Amount, TxOut};
use serde_json::{Value, json};

use crate::support::chain_facts::ChainFacts;
use crate::support::faults::Fault;
use crate::support::node_call::{Delivery, NodeAnswer, NodeCall, method};
use crate::support::random::Rng;

impl Fault {
    /// The faulty answer to a call, made from the node's own, which `ask` returns. `None` if this call's answer can't be changed in
    /// that way.
    pub fn answer(
        self,
        call: &NodeCall,
        chain_facts: &ChainFacts,
        rng: &mut Rng,
        ask: &mut dyn FnMut(&NodeCall) -> NodeAnswer,
    ) -> Option<NodeAnswer> {
        match self {
            Self::AnotherBlock => {
                Some(ask(&call.about(chain_facts.another(call.block()?, rng)))).filter(NodeAnswer::is_good)
            }
            Self::AnotherHeader | Self::AnotherAncestor => another_header(call, chain_facts, rng, ask),
            Self::AnotherSpent => another_spent(call, chain_facts, rng, ask),
            Self::FlippedBlock => {
                let good = chain_facts.of(call).is_some_and(|facts| facts.paying >= 2);
                good.then(|| ask(call)).filter(NodeAnswer::is_good).and_then(|answer| flip_bytes(answer, rng))
            }
            Self::FlippedHeader => {
                Some(ask(call)).filter(NodeAnswer::is_good).and_then(|answer| flip_bytes(answer, rng))
            }
            Self::FlippedSpent => flipped_spent(call, chain_facts, rng, ask),
            Self::UnknownFields => Some(with_unknown_fields(ask(call))),
            Self::WrongId => with_wrong_id(ask(call), rng),
            Self::Drip => Some(ask(call).delivered(Delivery::Drip)),
            Self::Cut | Self::Short => {
                let answer = ask(call);
                let left = 1 + rng.index(answer.body.len().max(1));
                let kept = answer.body.len().checked_sub(left)?;
                if self == Self::Cut {
                    return Some(answer.delivered(Delivery::Cut(left)));
                }
                let body = answer.body[..kept].to_vec();
                Some(answer.with_body(body))
            }
            Self::Reset => {
                let answer = ask(call);
                let sent = if rng.once_in(2) { 0 } else { rng.index(answer.body.len() + 60) };
                Some(answer.delivered(Delivery::Reset(sent)))
            }
            Self::Elsewhere => Some(ask(call)),
            // The proxy does that, since it has the cookie.
            Self::NewCookie => None,
            Self::UnknownAncestor
            | Self::Stall
            | Self::Refused
            | Self::NotDownloaded
            | Self::WarmUp
            | Self::Busy
            | Self::TooMany
            | Self::Gateway
            | Self::Html
            | Self::Gzip
            | Self::NoHttp
            | Self::Huge => self.made_up(call, rng),
        }
    }

    /// A faulty answer that the node has no part in.
    fn made_up(self, call: &NodeCall, rng: &mut Rng) -> Option<NodeAnswer> {
        let text = |status, body: &str| NodeAnswer::of(status, "text/plain", body.as_bytes().to_vec());
        let is_rest = !call.is_rpc();
        Some(match self {
            Self::UnknownAncestor => error(call, -5, "Block not found"),
            Self::Stall => text(200, "").delivered(Delivery::Never),
            Self::Refused => refusal(call, rng),
            Self::NotDownloaded if is_rest => text(404, "0f91 not available (not fully downloaded)\r\n"),
            Self::NotDownloaded => error(call, -1, "Block not available (not fully downloaded)"),
            Self::WarmUp if is_rest => text(503, "Service temporarily unavailable: Loading block index\u{2026}"),
            Self::WarmUp => error(call, -28, "Verifying blocks\u{2026}"),
            Self::Busy => text(if is_rest { 503 } else { 500 }, "Work queue depth exceeded"),
            Self::TooMany => text(429, ""),
            Self::Gateway => text([502, 503, 504][rng.index(3)], "upstream is away"),
            Self::Html => {
                NodeAnswer::of(200, "text/html; charset=utf-8", b"<html>Log in to your router</html>".to_vec())
            }
            Self::Gzip => {
                let mut answer = NodeAnswer::of(200, "application/octet-stream", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
                // A length that neither a hash nor any number of headers has.
                answer.body.extend((0..93 + 80 * rng.below(3)).map(|_| rng.bits().to_be_bytes()[0] | 1));
                answer.encoding = rng.once_in(2).then_some("gzip");
                answer
            }
            Self::NoHttp => text(200, "").delivered(Delivery::NoHttp),
            Self::Huge => {
                let endless = is_rest && !call.is_of_spent() && rng.once_in(2);
                let delivery = if endless { Delivery::Endless } else { Delivery::Claim(1 << (30 + rng.below(20))) };
                let status = if call.is_probe() { 400 } else { 200 };
                NodeAnswer::of(status, "application/json", b"{".to_vec()).delivered(delivery)
            }
            _ => return None,
        })
    }
}

/// The node's error, for every call of a batch.
fn error(call: &NodeCall, code: i64, message: &str) -> NodeAnswer {
    let of = |call: &Value| json!({"result": null, "error": {"code": code, "message": message}, "id": call["id"]});
    let body = match call {
        NodeCall::Get(_) => json!(null),
        NodeCall::One(call) => of(call),
        NodeCall::Many(calls) => calls.iter().map(of).collect(),
    };
    NodeAnswer::of(
        if matches!(call, NodeCall::Many(_)) { 200 } else { 500 },
        "application/json",
        body.to_string().into_bytes(),
    )
}

/// One of Core's errors that isn't temporary by its code: for a call, for each call of a batch, or one for the whole batch.
fn refusal(call: &NodeCall, rng: &mut Rng) -> NodeAnswer {
    let (code, message) =
        *rng.pick(&[(-1, "Block not found on disk"), (-5, "Block not found"), (-8, "Block height out of range")]);
    match call {
        NodeCall::Get(_) => {
            let (status, text) =
                *rng.pick(&[(404, "0f91 not found\r\n"), (400, "Invalid hash: 0f91\r\n"), (500, "broken\r\n")]);
            NodeAnswer::of(status, "text/plain", text.as_bytes().to_vec())
        }
        NodeCall::One(_) => error(call, code, message),
        NodeCall::Many(calls) if rng.once_in(2) => error(&NodeCall::One(json!({"id": calls[0]["id"]})), code, message),
        NodeCall::Many(_) => error(call, code, message),
    }
}

/// Headers or hashes, one of which isn't the one requested.
fn another_header(
    call: &NodeCall,
    chain_facts: &ChainFacts,
    rng: &mut Rng,
    ask: &mut dyn FnMut(&NodeCall) -> NodeAnswer,
) -> Option<NodeAnswer> {
    let other = match call {
        NodeCall::Get(path) if call.is_of_hashes() => {
            let (height, other) = (path.split(['/', '.']).nth(3)?, rng.below(100).to_string());
            (height != other).then(|| NodeCall::Get(path.replace(height, &other)))?
        }
        NodeCall::Get(_) | NodeCall::One(_) => call.about(chain_facts.another(call.block()?, rng)),
        NodeCall::Many(calls) => {
            let mut calls = calls.clone();
            let at = rng.index(calls.len());
            let other: Value =
                if call.is_of_hashes() { rng.below(100).into() } else { chain_facts.another("", rng).into() };
            let asked = std::mem::replace(&mut calls[at]["params"][0], other.clone());
            (asked != other).then_some(NodeCall::Many(calls))?
        }
    };
    Some(ask(&other)).filter(NodeAnswer::is_good)
}

/// The spent outputs of another block, or of another transaction.
fn another_spent(
    call: &NodeCall,
    chain_facts: &ChainFacts,
    rng: &mut Rng,
    ask: &mut dyn FnMut(&NodeCall) -> NodeAnswer,
) -> Option<NodeAnswer> {
    let other = match call {
        NodeCall::Get(_) => call.about(chain_facts.unlike(call, rng)?),
        NodeCall::One(one) if method(one) == "getblock" => call.about(chain_facts.another(call.block()?, rng)),
        NodeCall::One(one) => {
            let others: Vec<_> =
                chain_facts.of(call)?.txids.iter().filter(|txid| one["params"][0] != txid.as_str()).collect();
            let mut one = one.clone();
            one["params"][0] = rng.pick(&others).as_str().into();
            NodeCall::One(one)
        }
        NodeCall::Many(_) => return None,
    };
    Some(ask(&other)).filter(NodeAnswer::is_good)
}

/// Flips one bit of a binary answer, or of the bytes in a long hex string.
fn flip_bytes(mut answer: NodeAnswer, rng: &mut Rng) -> Option<NodeAnswer> {
    let places: Vec<usize> = if answer.kind.contains("octet") {
        (0..answer.body.len()).collect()
    } else {
        let mut start = 0;
        let mut places = Vec::new();
        for part in answer.body.split(|byte| *byte == b'"') {
            if part.len() >= 160 {
                places.extend(start..start + part.len());
            }
            start += part.len() + 1;
        }
        places
    };
    let at = *(!places.is_empty()).then(|| rng.pick(&places))?;
    answer.body[at] = if answer.kind.contains("octet") {
        answer.body[at] ^ 1 << rng.below(8)
    } else {
        let digits = b"0123456789abcdef";
        let value = digits.iter().position(|digit| *digit == answer.body[at])?;
        digits[value ^ 1 << rng.below(4)]
    };
    Some(answer)
}

/// Another value or script for a spent output that the index knows as a coin.
fn flipped_spent(
    call: &NodeCall,
    chain_facts: &ChainFacts,
    rng: &mut Rng,
    ask: &mut dyn FnMut(&NodeCall) -> NodeAnswer,
) -> Option<NodeAnswer> {
    let facts = chain_facts.of(call)?;
    let asked = match call {
        NodeCall::One(one) if method(one) == "getrawtransaction" => one["params"][0].as_str(),
        _ => None,
    };
    let coins = facts.coins.iter().filter(|(index, ..)| asked.is_none_or(|txid| facts.txids[*index] == txid));
    let coins: Vec<_> = coins.collect();
    let (index, vin, coin) = *(!coins.is_empty()).then(|| rng.pick(&coins))?;
    let answer = Some(ask(call)).filter(NodeAnswer::is_good)?;
    let mut changed = coin.clone();
    if rng.once_in(2) || coin.script_pubkey.is_empty() {
        changed.value += Amount::ONE_SAT;
    } else {
        let mut bytes = coin.script_pubkey.to_bytes();
        let at = rng.index(bytes.len());
        bytes[at] ^= 1 << rng.below(8);
        changed.script_pubkey = bytes.into();
    }
    if let NodeCall::Get(_) = call {
        let mut spent = read_spent(&answer.body)?;
        *spent.get_mut(*index)?.get_mut(*vin)? = changed;
        return Some(answer.with_body(write_spent(&spent)));
    }
    // Replaced in the text, since a parser would change how amounts are written. Equal outputs are changed too.
    let hex = |output: &TxOut| format!("\"hex\":\"{}\"", output.script_pubkey.to_hex_string());
    let text = String::from_utf8(answer.body.clone()).ok()?;
    let exact = |output: &TxOut| {
        let sat = output.value.to_sat();
        format!("\"value\":{}.{:08},", sat / 100_000_000, sat % 100_000_000)
    };
    let next = text.replace(&exact(coin), &exact(&changed)).replace(&hex(coin), &hex(&changed));
    (next != text).then(|| answer.with_body(next.into_bytes()))
}

fn read_spent(mut bytes: &[u8]) -> Option<Vec<Vec<TxOut>>> {
    let count = VarInt::consensus_decode(&mut bytes).ok()?.0;
    (0..count).map(|_| Vec::<TxOut>::consensus_decode(&mut bytes).ok()).collect()
}

fn write_spent(spent: &[Vec<TxOut>]) -> Vec<u8> {
    let mut bytes = serialize(&VarInt::from(spent.len()));
    for outputs in spent {
        outputs.consensus_encode(&mut bytes).expect("memory doesn't fail");
    }
    bytes
}

/// Adds an unknown field to every object, and gives `warnings` another type.
fn with_unknown_fields(answer: NodeAnswer) -> NodeAnswer {
    let text = String::from_utf8_lossy(&answer.body).replace("\"warnings\":", "\"warnings\":{\"level\":1},\"older\":");
    let text = text.replace("{}", "\u{1}").replace('{', "{\"of_the_future\":[null,0.5],").replace('\u{1}', "{}");
    answer.with_body(text.into_bytes())
}

/// The right answer under the id of another request.
fn with_wrong_id(answer: NodeAnswer, rng: &mut Rng) -> Option<NodeAnswer> {
    let text = String::from_utf8(answer.body.clone()).ok()?;
    let ids: Vec<usize> = text.match_indices("\"id\":").map(|(at, key)| at + key.len()).collect();
    let at = *(!ids.is_empty()).then(|| rng.pick(&ids))?;
    let digits = text[at..].find(|letter: char| !letter.is_ascii_digit())?;
    let text = format!("{}{}{}", &text[..at], 1_000_000 + rng.below(1000), &text[at + digits..]);
    Some(answer.with_body(text.into_bytes()))
}
