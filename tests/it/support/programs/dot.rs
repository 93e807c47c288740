//! A strict reader of the part of Graphviz's language that coinhound writes: quoted ids, attribute lists, edges.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// A graph.
#[derive(Debug, Default)]
pub struct DotGraph {
    /// The label of each node, by its id.
    pub nodes: BTreeMap<String, String>,
    /// Each edge's two nodes: from, to.
    pub edges: Vec<(String, String)>,
    /// Number of statements, with the three for defaults.
    pub statements: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

/// Reads a graph. Panics if Graphviz would refuse it.
pub fn read(text: &str) -> DotGraph {
    let mut tokens = tokens(text).into_iter().peekable();
    assert_eq!(tokens.next(), Some(Token::Word("digraph".into())));
    assert_eq!(tokens.next(), Some(Token::Word("trace".into())));
    assert_eq!(tokens.next(), Some(Token::Sign("{")));
    let mut graph = DotGraph::default();
    loop {
        let subject = tokens.next().expect("the graph is closed");
        let from = match subject {
            Token::Sign("}") => break,
            Token::Word(word) => {
                assert!(["graph", "node", "edge"].contains(&word.as_str()), "{word} is no default");
                attributes(&mut tokens);
                graph.statements += 1;
                continue;
            }
            Token::Text(text) => text,
            other => panic!("{other:?} begins no statement"),
        };
        graph.statements += 1;
        if tokens.peek() == Some(&Token::Sign("->")) {
            tokens.next();
            let Some(Token::Text(to)) = tokens.next() else { panic!("an edge from {from} leads nowhere") };
            attributes(&mut tokens);
            graph.edges.push((from, to));
        } else {
            let label = attributes(&mut tokens).remove("label").unwrap_or_default();
            assert!(graph.nodes.insert(from, label).is_none(), "a node is named twice");
        }
    }
    assert_eq!(tokens.next(), None, "nothing after the graph");
    graph
}

fn attributes(tokens: &mut Peekable<std::vec::IntoIter<Token>>) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    assert_eq!(tokens.next(), Some(Token::Sign("[")));
    loop {
        let Some(Token::Word(name)) = tokens.next() else { panic!("an attribute has a name") };
        assert_eq!(tokens.next(), Some(Token::Sign("=")));
        let (Some(Token::Word(value)) | Some(Token::Text(value))) = tokens.next() else { panic!("{name} has a value") };
        assert!(read.insert(name, value).is_none());
        match tokens.next() {
            Some(Token::Sign(",")) => {}
            Some(Token::Sign("]")) => break,
            other => panic!("{other:?} within attributes"),
        }
    }
    assert_eq!(tokens.next(), Some(Token::Sign(";")));
    read
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), text.chars().peekable());
    while let Some(character) = rest.next() {
        tokens.push(match character {
            ' ' | '\n' => continue,
            '{' => Token::Sign("{"),
            '}' => Token::Sign("}"),
            '[' => Token::Sign("["),
            ']' => Token::Sign("]"),
            ';' => Token::Sign(";"),
            ',' => Token::Sign(","),
            '=' => Token::Sign("="),
            '-' if rest.next_if_eq(&'>').is_some() => Token::Sign("->"),
            '"' => Token::Text(quoted(&mut rest)),
            first if first.is_ascii_alphanumeric() => {
                let mut word = String::from(first);
                while let Some(next) = rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '.') {
                    word.push(next);
                }
                Token::Word(word)
            }
            other => panic!("{other:?} outside quotes"),
        });
    }
    tokens
}

/// The text of a quoted string, without its escapes and entities.
fn quoted(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    loop {
        match rest.next().expect("quotes are closed") {
            '"' => break,
            '\\' => match rest.next().expect("quotes are closed") {
                'n' => text.push('\n'),
                plain @ ('\\' | '"') => text.push(plain),
                other => panic!("\\{other} means something to Graphviz"),
            },
            '\n' => panic!("a line break within quotes"),
            plain => text.push(plain),
        }
    }
    let entities = text.matches('&').count();
    assert_eq!(text.matches("&amp;").count(), entities, "every & is an entity: {text}");
    text.replace("&amp;", "&")
}
