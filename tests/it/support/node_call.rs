//! A call on its way to a node, and the answer on its way back: what a call asks, and how an answer arrives.

use serde_json::{Value, json};

/// A request.
#[derive(Clone, Debug)]
pub enum NodeCall {
    /// To REST: the path.
    Get(String),
    /// To RPC.
    One(Value),
    /// Several at once to RPC.
    Many(Vec<Value>),
}

/// What is sent back.
#[derive(Clone, Debug)]
pub struct NodeAnswer {
    /// HTTP status.
    pub status: u16,
    /// Content type.
    pub kind: String,
    /// Body.
    pub body: Vec<u8>,
    /// Content encoding, where it claims one.
    pub encoding: Option<&'static str>,
    /// How it arrives.
    pub delivery: Delivery,
}

/// How an answer arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Well.
    Whole,
    /// In small pieces.
    Drip,
    /// Without its last so many bytes; the connection is closed instead.
    Cut(usize),
    /// So many bytes, then a reset.
    Reset(usize),
    /// With another length in its head.
    Claim(u64),
    /// For ever.
    Endless,
    /// Not, until the asker hangs up.
    Never,
    /// As another protocol.
    NoHttp,
}

impl NodeAnswer {
    /// One that arrives well.
    pub fn of(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self { status, kind: kind.to_owned(), body, encoding: None, delivery: Delivery::Whole }
    }

    /// The same, arriving otherwise.
    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// The same with another body.
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Whether a block, headers, spent outputs or a result are in it: what the node itself refuses needs no lie.
    pub fn is_good(&self) -> bool {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]).into_owned();
        self.status == 200 && (!text.contains("\"error\":{") || self.kind.contains("octet"))
    }
}

impl NodeCall {
    /// A name for people: the kind of path, or the method.
    pub fn name(&self) -> String {
        match self {
            Self::Get(path) => path.split('/').take(3).collect::<Vec<_>>().join("/"),
            Self::One(call) => format!("{}{}", method(call), if call["params"][1] == 3 { " 3" } else { "" }),
            Self::Many(calls) => format!("{} {}s", calls.len(), calls.first().map_or("", method)),
        }
    }

    /// The JSON that asks it; nothing for REST.
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

    /// Whether it only asks what REST has: of the answer just the status counts.
    pub fn is_probe(&self) -> bool {
        matches!(self, Self::Get(path) if path == "/rest/chaininfo.json" || path == "/rest/spenttxouts/0.bin")
    }

    /// Whether it asks for a block.
    pub fn is_of_block(&self) -> bool {
        match self {
            Self::Get(path) => path.starts_with("/rest/block/"),
            Self::One(call) => method(call) == "getblock",
            Self::Many(_) => false,
        }
    }

    /// Whether it asks RPC for a raw block.
    pub fn is_hex_of_block(&self) -> bool {
        matches!(self, Self::One(call) if method(call) == "getblock" && call["params"][1] == 0)
    }

    /// Whether it asks what a block, or a transaction, spends.
    pub fn is_of_spent(&self) -> bool {
        match self {
            Self::Get(path) => path.starts_with("/rest/spenttxouts/") && !self.is_probe(),
            Self::One(call) => {
                method(call) == "getrawtransaction" || method(call) == "getblock" && call["params"][1] == 3
            }
            Self::Many(_) => false,
        }
    }

    /// Whether it asks for headers.
    pub fn is_of_headers(&self) -> bool {
        match self {
            Self::Get(path) => path.starts_with("/rest/headers/"),
            Self::One(_) => false,
            Self::Many(calls) => calls.first().is_some_and(|call| method(call) == "getblockheader"),
        }
    }

    /// Whether it asks for a header on the way down a branch that left the active chain.
    pub fn is_of_ancestor(&self) -> bool {
        matches!(self, Self::One(call) if method(call) == "getblockheader" && call["params"][1] == false)
    }

    /// Whether it asks for hashes by height.
    pub fn is_of_hashes(&self) -> bool {
        match self {
            Self::Get(path) => path.starts_with("/rest/blockhashbyheight/"),
            Self::One(_) => false,
            Self::Many(calls) => calls.first().is_some_and(|call| method(call) == "getblockhash"),
        }
    }

    /// The block it is about.
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

    /// The same about another block.
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

/// The method of one call to RPC.
pub fn method(call: &Value) -> &str {
    call["method"].as_str().unwrap_or_default()
}
