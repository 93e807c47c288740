//! A call to a node and its answer, as the proxy sees them.

use serde_json::{Value, json};

/// A request.
#[derive(Clone, Debug)]
pub enum NodeCall {
    /// A REST request, by its path.
    Get(String),
    /// An RPC call.
    One(Value),
    /// A batch of RPC calls.
    Many(Vec<Value>),
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub struct NodeAnswer {
    /// HTTP status code.
    pub status: u16,
    /// Content type.
    pub kind: String,
    /// Body, uncompressed.
    pub body: Vec<u8>,
    /// Content encoding that it claims.
    pub encoding: Option<&'static str>,
    /// The way it is sent.
    pub delivery: Delivery,
}

/// The way in which an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Whole and at once.
    Whole,
    /// In small pieces, with pauses.
    Drip,
    /// Without its last bytes, this many; the connection is closed instead.
    Cut(usize),
    /// This many bytes, then a connection reset.
    Reset(usize),
    /// With this Content-Length.
    Claim(u64),
    /// Without an end.
    Endless,
    /// Not at all, until the client hangs up.
    Never,
    /// In another protocol.
    NoHttp,
}

impl NodeAnswer {
    /// An answer that is sent whole.
    pub fn of(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self { status, kind: kind.to_owned(), body, encoding: None, delivery: Delivery::Whole }
    }

    /// The same, sent in another way.
    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// The same with another body.
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Whether it has a result: an error of the node itself isn't worth changing.
    pub fn is_good(&self) -> bool {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]).into_owned();
        self.status == 200 && (!text.contains("\"error\":{") || self.kind.contains("octet"))
    }
}

impl NodeCall {
    /// A name for messages: the beginning of the path, or the method.
    pub fn name(&self) -> String {
        match self {
            Self::Get(path) => path.split('/').take(3).collect::<Vec<_>>().join("/"),
            Self::One(call) => format!("{}{}", method(call), if call["params"][1] == 3 { " 3" } else { "" }),
            Self::Many(calls) => format!("{} {}s", calls.len(), calls.first().map_or("", method)),
        }
    }

    /// The body of the request; empty for REST.
    pub fn body(&self) -> String {
        match self {
            Self::Get(_) => String::new(),
            Self::One(call) => call.to_string(),
            Self::Many(calls) => json!(calls).to_string(),
        }
    }

    /// Whether a run makes it for every block.
    pub fn is_frequent(&self) -> bool {
        self.is_of_block() || self.is_of_spent()
    }

    /// Whether it goes to RPC.
    pub fn is_rpc(&self) -> bool {
        !matches!(self, Self::Get(_))
    }

    /// Whether it only probes for REST: only the status of the answer matters.
    pub fn is_probe(&self) -> bool {
        matches!(self, Self::Get(path) if path == "/rest/chaininfo.json" || path == "/rest/spenttxouts/0.bin")
    }

    /// Whether it requests a block.
    pub fn is_of_block(&self) -> bool {
        match self {
            Self::Get(path) => path.starts_with("/rest/block/"),
            Self::One(call) => method(call) == "getblock",
            Self::Many(_) => false,
        }
    }

    /// Whether it requests a raw block over RPC.
    pub fn is_hex_of_block(&self) -> bool {
        matches!(self, Self::One(call) if method(call) == "getblock" && call["params"][1] == 0)
    }

    /// Whether it requests the spent outputs of a block or a transaction.
    pub fn is_of_spent(&self) -> bool {
        match self {
            Self::Get(path) => path.starts_with("/rest/spenttxouts/") && !self.is_probe(),
            Self::One(call) => {
                method(call) == "getrawtransaction" || method(call) == "getblock" && call["params"][1] == 3
            }
            Self::Many(_) => false,
        }
    }

    /// Whether it requests headers.
    pub fn is_of_headers(&self) -> bool {
        match self {
            Self::Get(path) => path.starts_with("/rest/headers/"),
            Self::One(_) => false,
            Self::Many(calls) => calls.first().is_some_and(|call| method(call) == "getblockheader"),
        }
    }

    /// Whether it requests a header on the way down a stale branch.
    pub fn is_of_ancestor(&self) -> bool {
        matches!(self, Self::One(call) if method(call) == "getblockheader" && call["params"][1] == false)
    }

    /// Whether it requests hashes by height.
    pub fn is_of_hashes(&self) -> bool {
        match self {
            Self::Get(path) => path.starts_with("/rest/blockhashbyheight/"),
            Self::One(_) => false,
            Self::Many(calls) => calls.first().is_some_and(|call| method(call) == "getblockhash"),
        }
    }

    /// Hash of the block that it names.
    pub fn block(&self) -> Option<&str> {
        let hash = match self {
            Self::Get(path) => path.split(['/', '.', '?']).find(|part| part.len() == 64),
            Self::One(call) => match method(call) {
                "getrawtransaction" => call["params"][2].as_str(),
                _ => call["params"][0].as_str(),
            },
            Self::Many(_) => None,
        };
        hash.filter(|hash| hash.len() == 64)
    }

    /// The same call for another block.
    pub fn about(&self, hash: &str) -> Self {
        match (self, self.block()) {
            (Self::Get(path), Some(old)) => Self::Get(path.replace(old, hash)),
            (Self::One(call), Some(_)) => {
                let mut call = call.clone();
                call["params"][0] = hash.into();
                Self::One(call)
            }
            _ => self.clone(),
        }
    }
}

/// The method of an RPC call.
pub fn method(call: &Value) -> &str {
    call["method"].as_str().unwrap_or_default()
}
