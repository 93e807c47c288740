//! Bitcoin Core's JSON-RPC: control calls through `bitcoincore-rpc`, by raw `call` only, over this layer's own HTTP
//! (the crate's own transport gives up after 15 s, knows no new cookie, and tells no failure from another).
//! The only file that names the crate: it is archived, and this is what replacing it would touch.

use std::fmt;
use std::sync::Arc;

use bitcoin::BlockHash;
use bitcoincore_rpc::jsonrpc::{self, Request, Response, Transport};
use bitcoincore_rpc::{Client, RpcApi};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::error::{NodeError, Problem, Trouble};
use super::http::{Ask, excerpt};
use super::link::{Link, Patience};

/// The largest answer read: `getblock` verbosity 3 of a full block has some tens of MB.
const ANSWER_CAP: usize = 256 << 20;
/// The largest raw block as hex (4 MB of weight, twice) with the JSON around it.
const BLOCK_HEX_CAP: usize = (8 << 20) + 4096;

/// Core's error codes that this layer knows (`src/rpc/protocol.h`).
pub(super) mod code {
    /// Anything else: too many arguments, for one.
    pub(in crate::node) const MISC: i64 = -1;
    /// Unknown block or transaction.
    pub(in crate::node) const NOT_FOUND: i64 = -5;
    /// A height above the tip, and other parameters out of range.
    pub(in crate::node) const OUT_OF_RANGE: i64 = -8;
    /// "Shutting down".
    pub(super) const NOT_CONNECTED: i64 = -9;
    /// Starting up.
    pub(super) const IN_WARMUP: i64 = -28;
    /// No such method, in an older node.
    pub(in crate::node) const NO_METHOD: i64 = -32601;
}

/// A client of the node's RPC, with a connection of its own while it is asked from one thread.
pub(super) struct Rpc {
    client: Client,
    link: Arc<Link>,
    patience: Patience,
}

impl Rpc {
    pub(super) fn new(link: &Arc<Link>, patience: Patience) -> Self {
        let carrier = Carrier { link: Arc::clone(link), patience };
        let client = Client::from_jsonrpc(jsonrpc::Client::with_transport(carrier));
        Self { client, link: Arc::clone(link), patience }
    }

    /// One call, made once.
    pub(super) fn call<T: DeserializeOwned>(&self, method: &str, args: &[Value]) -> Result<T, Problem> {
        self.client.call(method, args).map_err(|error| match error {
            bitcoincore_rpc::Error::JsonRpc(error) => problem(method, error),
            other => Problem::bad(method, other),
        })
    }

    /// One call, made until it is answered or refused.
    pub(super) fn ask<T: DeserializeOwned>(&self, method: &str, args: &[Value]) -> Result<T, NodeError> {
        self.link.persist(self.patience, || method.to_owned(), || self.call(method, args))
    }

    /// Many calls of one method in one request, made once; answers in the order of `args`, the node's own errors among them.
    pub(super) fn batch<T: DeserializeOwned>(
        &self,
        method: &str,
        args: &[Vec<Value>],
    ) -> Result<Vec<Result<T, Problem>>, Problem> {
        let client = self.client.get_jsonrpc_client();
        let params = args.iter().map(to_raw_value).collect::<Result<Vec<_>, _>>();
        let params: Vec<Box<RawValue>> = params.map_err(|error| Problem::bad(method, error))?;
        let requests: Vec<_> = params.iter().map(|params| client.build_request(method, Some(params))).collect();
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let answers = client.send_batch(&requests).map_err(|error| problem(method, error))?;
        let mut results = Vec::with_capacity(answers.len());
        for answer in answers {
            let answer = answer.ok_or_else(|| Problem::bad(method, "the batch lacks an answer"))?;
            results.push(match answer.result().map_err(|error| problem(method, error)) {
                // The whole batch goes again.
                Err(Problem::Wait(trouble)) => return Err(Problem::Wait(trouble)),
                result => result,
            });
        }
        Ok(results)
    }

    /// The raw block as `getblock` verbosity 0 has it, made once. The megabytes of hex never pass through a JSON parser:
    /// `buffer` is kept between calls. Where the block comes to is `room`'s memory.
    pub(super) fn block_hex(
        &self,
        hash: BlockHash,
        buffer: &mut Vec<u8>,
        mut room: Vec<u8>,
    ) -> Result<Vec<u8>, Problem> {
        let request = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"getblock","params":["{hash}",0]}}"#);
        let reply = self.link.exchange(self.patience, Ask::Post(request.as_bytes()), BLOCK_HEX_CAP, buffer)?;
        if let Some(hex) = long_result(buffer) {
            room.resize(hex.len() / 2, 0);
            let decoded = const_hex::decode_to_slice(hex, &mut room);
            return decoded.map(|()| room).map_err(|error| Problem::bad("getblock", error));
        }
        match serde_json::from_slice::<Response>(buffer).map_err(|_| not_json(buffer, reply))?.result::<String>() {
            Ok(hex) => const_hex::decode(hex).map_err(|error| Problem::bad("getblock", error)),
            Err(error) => Err(problem("getblock", error)),
        }
    }
}

/// The text of `"result":"…"` in an answer that has no error: it stands first (Core has written it so in every version),
/// or right after `"jsonrpc":"2.0"`.
fn long_result(body: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = br#""result":""#;
    let head = &body[..body.len().min(64)];
    let from = head.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    // The hex has no quote in it; what follows is at most the error and the id.
    let tail = body.len().saturating_sub(128).max(from);
    let to = tail + body[tail..].iter().position(|byte| *byte == b'"')?;
    Some(&body[from..to])
}

/// Carries `bitcoincore-rpc`'s requests over this layer's HTTP.
struct Carrier {
    link: Arc<Link>,
    patience: Patience,
}

impl Carrier {
    /// The JSON that answers `request`, whatever its HTTP status: Core before 28 gives its errors 404 or 500.
    fn carry(&self, request: &impl serde::Serialize) -> Result<Vec<u8>, jsonrpc::Error> {
        let json = serde_json::to_vec(request)?;
        let mut body = Vec::new();
        let reply = self.link.exchange(self.patience, Ask::Post(&json), ANSWER_CAP, &mut body).map_err(boxed)?;
        match body.first() {
            Some(b'{' | b'[') => Ok(body),
            _ => Err(boxed(not_json(&body, reply))),
        }
    }
}

impl Transport for Carrier {
    fn send_request(&self, request: Request<'_>) -> Result<Response, jsonrpc::Error> {
        let response: Response = serde_json::from_slice(&self.carry(&request)?)?;
        // The crate checks this in one of its two ways to call, not in the one that `RpcApi::call` takes.
        if response.id != request.id {
            return Err(jsonrpc::Error::NonceMismatch);
        }
        Ok(response)
    }

    fn send_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Response>, jsonrpc::Error> {
        let body = self.carry(&requests)?;
        if body.first() == Some(&b'[') {
            return Ok(serde_json::from_slice(&body)?);
        }
        // What fails before the batch is looked at is answered with one error.
        match serde_json::from_slice::<Response>(&body)?.error {
            Some(error) => Err(jsonrpc::Error::Rpc(error)),
            None => Err(jsonrpc::Error::WrongBatchResponseSize),
        }
    }

    fn fmt_target(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.link.connection.url())
    }
}

fn not_json(body: &[u8], reply: super::http::Reply) -> Problem {
    Problem::bad("a call", format!("it is not JSON ({})", excerpt(body, reply)))
}

/// A [`Problem`] on its way through the crate's error type.
#[derive(Debug)]
struct Carried(Problem);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Carried {}

fn boxed(problem: Problem) -> jsonrpc::Error {
    jsonrpc::Error::Transport(Box::new(Carried(problem)))
}

fn problem(method: &str, error: jsonrpc::Error) -> Problem {
    match error {
        jsonrpc::Error::Transport(inner) => match inner.downcast::<Carried>() {
            Ok(carried) => carried.0,
            Err(other) => Problem::bad(method, other),
        },
        jsonrpc::Error::Rpc(error) => match i64::from(error.code) {
            code::IN_WARMUP | code::NOT_CONNECTED => Problem::Wait(Trouble::Starting(error.message)),
            _ if error.message.contains("Work queue depth exceeded") => Problem::Wait(Trouble::Busy),
            code => Problem::Said { code, message: error.message },
        },
        other => Problem::bad(method, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hex_of_a_block_is_found_in_answers_of_every_version() {
        let long = "ab".repeat(300);
        let cases = [
            (format!(r#"{{"result":"{long}","error":null,"id":0}}"#), Some(long.as_str())),
            (format!(r#"{{"jsonrpc":"2.0","result":"{long}","id":0}}"#), Some(long.as_str())),
            (r#"{"result":"00ff","error":null,"id":0}"#.to_owned(), Some("00ff")),
            (r#"{"result":null,"error":{"code":-5,"message":"Block not found"},"id":0}"#.to_owned(), None),
            (r#"{"jsonrpc":"2.0","error":{"code":-5,"message":"Block not found"},"id":0}"#.to_owned(), None),
            (r#"{"result":"00ff"#.to_owned(), None),
            (String::new(), None),
        ];
        for (body, expected) in cases {
            let found = long_result(body.as_bytes()).map(|hex| std::str::from_utf8(hex).unwrap());
            assert_eq!(found, expected, "{body}");
        }
    }

    #[test]
    fn errors_of_a_node_that_is_busy_or_starting_are_waited_for_and_others_are_not() {
        let said = |code, message: &str| {
            problem("x", jsonrpc::Error::Rpc(jsonrpc::error::RpcError { code, message: message.into(), data: None }))
        };
        assert!(matches!(said(-28, "Loading block index…"), Problem::Wait(Trouble::Starting(_))));
        assert!(matches!(said(-9, "Shutting down"), Problem::Wait(Trouble::Starting(_))));
        assert!(matches!(said(-1, "Work queue depth exceeded"), Problem::Wait(Trouble::Busy)));
        assert!(matches!(said(-5, "Block not found"), Problem::Said { code: code::NOT_FOUND, .. }));
    }
}
