//! What one file holds: functions, types, `let`s, lines of code and of comments; for unit tests and for all else apart.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Ident, Item, Signature};

use crate::tree::is_for_tests;

/// Counts of one kind of code.
#[derive(Debug, Default)]
pub struct Census {
    /// Every function and method with a body.
    pub functions: Vec<Function>,
    /// The places where each type name is given to a struct, an enum, a union, a trait or an alias.
    pub types: BTreeMap<String, Vec<String>>,
    /// `let` statements.
    pub lets: usize,
    /// Of those, the ones that bind a closure.
    pub closures: usize,
    /// Lines that hold code. Documentation is no code.
    pub code_lines: usize,
    /// Lines that hold a comment. Documentation is no comment.
    pub comment_lines: usize,
    /// All lines.
    pub lines: usize,
}

/// A function with a body.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// File and line.
    pub place: String,
    /// From `fn` to the closing brace.
    pub lines: usize,
    /// `self` included.
    pub parameters: usize,
}

/// Counts the text of `file`: first what is compiled always, then what is compiled for unit tests only; `is_test` says that all of it is.
/// Errors: the text can't be parsed.
pub fn count(file: &str, text: &str, is_test: bool) -> Result<[Census; 2], String> {
    let parsed = syn::parse_file(text).map_err(|error| format!("{file}: {error}"))?;
    let mut counter =
        Counter { file, counts: [Census::default(), Census::default()], is_test, test_lines: BTreeSet::new() };
    counter.visit_file(&parsed);
    counter.lines(text)?;
    Ok(counter.counts)
}

struct Counter<'a> {
    file: &'a str,
    counts: [Census; 2],
    is_test: bool,
    /// Lines of items that are compiled for unit tests only.
    test_lines: BTreeSet<usize>,
}

impl Counter<'_> {
    fn here(&mut self) -> &mut Census {
        &mut self.counts[usize::from(self.is_test)]
    }

    fn function(&mut self, signature: &Signature, end: Span) {
        let from = signature.fn_token.span.start().line;
        let place = format!("{}:{from}", self.file);
        let lines = end.end().line + 1 - from;
        let (name, parameters) = (signature.ident.to_string(), signature.inputs.len());
        self.here().functions.push(Function { name, place, lines, parameters });
    }

    fn define(&mut self, name: &Ident) {
        let place = format!("{}:{}", self.file, name.span().start().line);
        self.here().types.entry(name.to_string()).or_default().push(place);
    }

    /// Counts the lines of a file whose syntax was read.
    fn lines(&mut self, text: &str) -> Result<(), String> {
        let tokens: TokenStream = text.parse().map_err(|error| format!("{}: {error}", self.file))?;
        let mut code = Code::default();
        code.read(tokens);
        for (number, line) in (1..).zip(text.lines()) {
            let of = usize::from(self.is_test || self.test_lines.contains(&number));
            let count = &mut self.counts[of];
            count.lines += 1;
            count.code_lines += usize::from(code.ends.contains_key(&number));
            let after_code = line.char_indices().map(|(at, _)| at).nth(code.ends.get(&number).copied().unwrap_or(0));
            let after_code = after_code.map_or("", |at| &line[at..]);
            let is_comment = after_code.trim_start().starts_with("//") && !code.documentation.contains(&number);
            count.comment_lines += usize::from(is_comment && !code.inside.contains(&number));
        }
        Ok(())
    }
}

impl<'ast> Visit<'ast> for Counter<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let outer = self.is_test;
        if let Some((attributes, lines)) = guard(item)
            && is_for_tests(attributes)
        {
            self.test_lines.extend(lines);
            self.is_test = true;
        }
        match item {
            Item::Enum(item) => self.define(&item.ident),
            Item::Struct(item) => self.define(&item.ident),
            Item::Trait(item) => self.define(&item.ident),
            Item::Type(item) => self.define(&item.ident),
            Item::Union(item) => self.define(&item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
        self.is_test = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, item.block.brace_token.span.close());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.block.brace_token.span.close());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body.brace_token.span.close());
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let is_closure = local.init.as_ref().is_some_and(|init| matches!(*init.expr, Expr::Closure(_)));
        self.here().lets += 1;
        self.here().closures += usize::from(is_closure);
        visit::visit_local(self, local);
    }
}

/// The attributes of an item that can be for unit tests only, and its lines.
fn guard(item: &Item) -> Option<(&[Attribute], std::ops::RangeInclusive<usize>)> {
    let (attributes, begin, end) = match item {
        Item::Mod(item) => (&item.attrs, item.mod_token.span, item.content.as_ref()?.0.span.close()),
        Item::Fn(item) => (&item.attrs, item.sig.fn_token.span, item.block.brace_token.span.close()),
        Item::Impl(item) => (&item.attrs, item.impl_token.span, item.brace_token.span.close()),
        _ => return None,
    };
    let begin = attributes.first().map_or(begin, |attribute| attribute.pound_token.span);
    Some((attributes, begin.start().line..=end.end().line))
}

/// Where the tokens of a text lie.
#[derive(Default)]
struct Code {
    /// The column after the last token of each line that holds code, in characters.
    ends: BTreeMap<usize, usize>,
    /// Lines within a token of several lines, the last one left out.
    inside: BTreeSet<usize>,
    /// Lines of documentation.
    documentation: BTreeSet<usize>,
}

impl Code {
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let Some(group) = documentation(&tokens[at..]) {
                let span = group.span();
                self.documentation.extend(span.start().line..=span.end().line);
                at += 2 + usize::from(matches!(&tokens[at + 1], TokenTree::Punct(_)));
                continue;
            }
            match &tokens[at] {
                TokenTree::Group(group) => {
                    self.token(group.span_open());
                    self.read(group.stream());
                    self.token(group.span_close());
                }
                token => self.token(token.span()),
            }
            at += 1;
        }
    }

    fn token(&mut self, span: Span) {
        let (start, end) = (span.start(), span.end());
        for line in start.line..=end.line {
            let column = if line == end.line { end.column } else { usize::MAX };
            let last = self.ends.entry(line).or_default();
            *last = column.max(*last);
        }
        self.inside.extend(start.line..end.line);
    }
}

/// The brackets of `#[doc = …]` or `#![doc = …]`, which comments of documentation become, if the tokens begin with them.
fn documentation(tokens: &[TokenTree]) -> Option<&TokenTree> {
    let [TokenTree::Punct(pound), rest @ ..] = tokens else { return None };
    let group = match rest {
        [TokenTree::Punct(bang), group, ..] if bang.as_char() == '!' => group,
        [group, ..] => group,
        [] => return None,
    };
    let TokenTree::Group(brackets) = group else { return None };
    let first = brackets.stream().into_iter().next();
    let is_doc = matches!(first, Some(TokenTree::Ident(name)) if name == "doc");
    (pound.as_char() == '#' && is_doc).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"//! A file.
// A comment.
/// Documentation.
struct One { field: u8 } // Another.
trait Two { fn no_body(&self); fn body(&self) {} }

fn long(
    a: u8, // of two
    b: u8,
) {
    let text = "
        // no comment
    ";
    let closure = |x: u8| x;
    let moved = move || 1;
}

#[cfg(test)]
mod tests {
    // Of the tests.
    type One = u8;
    #[test]
    fn test() { let a = 1; }
}
"#;

    #[test]
    fn code_and_unit_tests_are_counted_apart() {
        let [code, tests] = count("a.rs", TEXT, false).unwrap();
        let functions: Vec<_> = code.functions.iter().map(|of| (of.name.as_str(), of.lines, of.parameters)).collect();
        assert_eq!(functions, [("body", 1, 1), ("long", 10, 2)]);
        assert_eq!(code.functions[1].place, "a.rs:7");
        assert_eq!(code.types.keys().collect::<Vec<_>>(), ["One", "Two"]);
        assert_eq!((code.lets, code.closures), (3, 2));
        assert_eq!((code.lines, code.code_lines, code.comment_lines), (17, 12, 3));
        assert_eq!(tests.functions.len(), 1);
        assert_eq!(tests.types["One"], ["a.rs:21"]);
        assert_eq!((tests.lets, tests.closures), (1, 0));
        assert_eq!((tests.lines, tests.code_lines, tests.comment_lines), (7, 6, 1));
    }

    #[test]
    fn a_file_of_unit_tests_has_nothing_else() {
        let [code, tests] = count("a.rs", TEXT, true).unwrap();
        assert_eq!((code.lines, code.lets), (0, 0));
        assert_eq!((tests.lines, tests.lets, tests.types["One"].len()), (24, 4, 2));
    }
}
