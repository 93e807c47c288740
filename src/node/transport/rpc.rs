//! Bitcoin Core's JSON-RPC. Calls go through `bitcoincore-rpc`, by its raw `call` only, over this layer's own HTTP: the crate's transport
//! gives up after 15 s, does not read a new cookie, and reports all failures alike. This is the only file that names the crate, which
//! is archived, so that it can be replaced here.

use std::fmt;

use bitcoin::BlockHash;
use bitcoincore_rpc::jsonrpc::{self, Request, Response, Transport};
use bitcoincore_rpc::{Client, RpcApi};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::http::{Reply, Request as HttpRequest, excerpt};
use super::link::Caller;
use crate::node::error::{CallError, NodeError, Transient};

/// The largest answer: `getblock` verbosity 3 of a full block has some tens of MB.
const ANSWER_CAP: usize = 256 << 20;
/// The largest raw block as hex (twice 4 MB) with the JSON around it.
const BLOCK_HEX_CAP: usize = (8 << 20) + 4096;

/// Core's error codes, as far as they are handled (`src/rpc/protocol.h`).
pub(in crate::node) mod code {
    /// `RPC_MISC_ERROR`; among others for too many arguments.
    pub(in crate::node) const MISC: i64 = -1;
    /// `RPC_INVALID_ADDRESS_OR_KEY`: unknown block or transaction.
    pub(in crate::node) const NOT_FOUND: i64 = -5;
    /// `RPC_INVALID_PARAMETER`: a height above the tip, for one.
    pub(in crate::node) const OUT_OF_RANGE: i64 = -8;
    /// `RPC_CLIENT_NOT_CONNECTED`: shutting down.
    pub(in crate::node) const NOT_CONNECTED: i64 = -9;
    /// `RPC_IN_WARMUP`: starting up.
    pub(in crate::node) const IN_WARMUP: i64 = -28;
    /// `RPC_METHOD_NOT_FOUND`: the node is too old for it.
    pub(in crate::node) const NO_METHOD: i64 = -32601;
}

/// A client of the node's RPC. Each thread that uses one has a connection of its own.
pub(in crate::node) struct Rpc {
    client: Client,
    pub(in crate::node) caller: Caller,
}

impl Rpc {
    pub(in crate::node) fn new(caller: Caller) -> Self {
        let transport = HttpTransport { caller: caller.clone() };
        let client = Client::from_jsonrpc(jsonrpc::Client::with_transport(transport));
        Self { client, caller }
    }

    /// Makes one call, once.
    pub(in crate::node) fn call<T: DeserializeOwned>(&self, method: &str, args: &[Value]) -> Result<T, CallError> {
        self.client.call(method, args).map_err(|error| match error {
            bitcoincore_rpc::Error::JsonRpc(error) => self.name(method, classify(method, error)),
            other => CallError::bad(method, other),
        })
    }

    /// The error of a call, with the call's name where the node refuses it.
    fn name(&self, method: &str, error: CallError) -> CallError {
        match error {
            CallError::Forbidden => CallError::Fatal(self.caller.refusal(method)),
            other => other,
        }
    }

    /// Makes one call until it is answered or fails for good.
    pub(in crate::node) fn call_until_answered<T: DeserializeOwned>(
        &self,
        method: &str,
        args: &[Value],
    ) -> Result<T, NodeError> {
        self.caller.persist(method, || self.call(method, args))
    }

    /// Makes many calls of one method in one request, once. Returns the answers in the order of `args`, each perhaps an RPC error.
    pub(in crate::node) fn batch<T: DeserializeOwned>(
        &self,
        method: &str,
        args: &[Vec<Value>],
    ) -> Result<Vec<Result<T, CallError>>, CallError> {
        let client = self.client.get_jsonrpc_client();
        let params = args.iter().map(to_raw_value).collect::<Result<Vec<_>, _>>();
        let params: Vec<Box<RawValue>> = params.map_err(|error| CallError::bad(method, error))?;
        let requests: Vec<_> = params.iter().map(|params| client.build_request(method, Some(params))).collect();
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let answers = client.send_batch(&requests).map_err(|error| self.name(method, classify(method, error)))?;
        let mut results = Vec::with_capacity(answers.len());
        for answer in answers {
            let answer = answer.ok_or_else(|| CallError::bad(method, "the batch lacks an answer"))?;
            results.push(match answer.result().map_err(|error| classify(method, error)) {
                // Then the whole batch is made again.
                Err(CallError::Retry(failure)) => return Err(CallError::Retry(failure)),
                result => result,
            });
        }
        Ok(results)
    }

    /// The raw block, by `getblock` verbosity 0, in the memory of `spare`. Its megabytes of hex, in `buffer`, bypass the JSON parser.
    /// The call is made once.
    pub(in crate::node) fn block(
        &self,
        hash: BlockHash,
        buffer: &mut Vec<u8>,
        mut spare: Vec<u8>,
    ) -> Result<Vec<u8>, CallError> {
        let request = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"getblock","params":["{hash}",0]}}"#);
        let reply = self.caller.exchange(HttpRequest::Post(request.as_bytes()), BLOCK_HEX_CAP, buffer);
        let reply = reply.map_err(|error| self.name("getblock", error))?;
        if let Some(hex) = long_result(buffer) {
            spare.resize(hex.len() / 2, 0);
            let decoded = const_hex::decode_to_slice(hex, &mut spare);
            return decoded.map(|()| spare).map_err(|error| CallError::bad("getblock", error));
        }
        match serde_json::from_slice::<Response>(buffer).map_err(|_| not_json(buffer, reply))?.result::<String>() {
            Ok(hex) => const_hex::decode(hex).map_err(|error| CallError::bad("getblock", error)),
            Err(error) => Err(classify("getblock", error)),
        }
    }
}

/// The text of `"result":"…"` in an answer without an error. In every version of Core it comes first, or right after
/// `"jsonrpc":"2.0"`.
fn long_result(body: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = br#""result":""#;
    let head = &body[..body.len().min(64)];
    let from = head.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    // The hex has no quote in it; what follows is at most the error and the id.
    let tail = body.len().saturating_sub(128).max(from);
    let to = tail + body[tail..].iter().position(|byte| *byte == b'"')?;
    Some(&body[from..to])
}

/// The transport of `bitcoincore-rpc`'s requests over this layer's HTTP.
struct HttpTransport {
    caller: Caller,
}

impl HttpTransport {
    /// Sends `request` and returns the JSON that answers it, whatever the HTTP status: before version 28 an RPC error has 404 or 500.
    fn send(&self, request: &impl serde::Serialize) -> Result<Vec<u8>, jsonrpc::Error> {
        let json = serde_json::to_vec(request)?;
        let mut body = Vec::new();
        let reply = self.caller.exchange(HttpRequest::Post(&json), ANSWER_CAP, &mut body).map_err(boxed)?;
        match body.first() {
            Some(b'{' | b'[') => Ok(body),
            _ => Err(boxed(not_json(&body, reply))),
        }
    }
}

impl Transport for HttpTransport {
    fn send_request(&self, request: Request<'_>) -> Result<Response, jsonrpc::Error> {
        let response: Response = serde_json::from_slice(&self.send(&request)?)?;
        // The crate checks this in one of its two call functions, but not in the one behind `RpcApi::call`.
        if response.id != request.id {
            return Err(jsonrpc::Error::NonceMismatch);
        }
        Ok(response)
    }

    fn send_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Response>, jsonrpc::Error> {
        let body = self.send(&requests)?;
        if body.first() == Some(&b'[') {
            return Ok(serde_json::from_slice(&body)?);
        }
        // A failure before the batch is looked at has a single error as its answer.
        match serde_json::from_slice::<Response>(&body)?.error {
            Some(error) => Err(jsonrpc::Error::Rpc(error)),
            None => Err(jsonrpc::Error::WrongBatchResponseSize),
        }
    }

    fn fmt_target(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.caller.url())
    }
}

fn not_json(body: &[u8], reply: Reply) -> CallError {
    CallError::bad("a call", format!("it is not JSON ({})", excerpt(body, reply)))
}

/// A [`CallError`] on its way through the crate's error type.
#[derive(Debug)]
struct Carried(CallError);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Carried {}

fn boxed(problem: CallError) -> jsonrpc::Error {
    jsonrpc::Error::Transport(Box::new(Carried(problem)))
}

/// What an error of the crate means for the caller of `method`.
fn classify(method: &str, error: jsonrpc::Error) -> CallError {
    match error {
        jsonrpc::Error::Transport(inner) => match inner.downcast::<Carried>() {
            Ok(carried) => carried.0,
            Err(other) => CallError::bad(method, other),
        },
        jsonrpc::Error::Rpc(error) => match i64::from(error.code) {
            code::IN_WARMUP | code::NOT_CONNECTED => CallError::Retry(Transient::Starting(error.message)),
            _ if error.message.contains("Work queue depth exceeded") => CallError::Retry(Transient::Busy),
            code => CallError::Rpc { code, message: error.message },
        },
        other => CallError::bad(method, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hex_of_a_block_is_found_in_every_versions_answer() {
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
    fn calls_are_made_again_if_the_node_is_busy_or_starting_up() {
        let said = |code, message: &str| {
            classify("x", jsonrpc::Error::Rpc(jsonrpc::error::RpcError { code, message: message.into(), data: None }))
        };
        assert!(matches!(said(-28, "Loading block index…"), CallError::Retry(Transient::Starting(_))));
        assert!(matches!(said(-9, "Shutting down"), CallError::Retry(Transient::Starting(_))));
        assert!(matches!(said(-1, "Work queue depth exceeded"), CallError::Retry(Transient::Busy)));
        assert!(matches!(said(-5, "Block not found"), CallError::Rpc { code: code::NOT_FOUND, .. }));
    }
}
