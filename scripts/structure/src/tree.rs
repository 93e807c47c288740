//! The modules of a crate and the names each of them uses, read by following `mod` declarations from the roots.
//!
//! Nothing is resolved here; [`crate::resolve`] does that.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, UseTree, Visibility};

/// The sources of a crate: text by path below `src`, with `/` between folders.
pub type Sources = BTreeMap<String, String>;

/// All modules of a package: those of its library and those of its program.
#[derive(Debug, Default)]
pub struct Tree {
    /// Modules; the first is the root of the library, if there is one.
    pub modules: Vec<Module>,
    /// Every name that a module uses, in the order of the files.
    pub mentions: Vec<Mention>,
}

/// One module: a file, or an inline `mod` in a file.
#[derive(Debug, Default)]
pub struct Module {
    /// Names from the root down; empty for a root.
    pub path: Vec<String>,
    /// The file that holds it, as in [`Sources`].
    pub file: String,
    /// The module that declares it; itself for a root.
    pub parent: usize,
    /// The root of its crate.
    pub root: usize,
    /// Compiled for unit tests only.
    pub is_test: bool,
    /// Modules it declares.
    pub children: BTreeMap<String, usize>,
    /// Items it defines.
    pub items: BTreeSet<String>,
    /// Names that it imports, each with the paths that bring it.
    pub imports: BTreeMap<String, Vec<Path>>,
    /// Paths of its glob imports.
    pub globs: Vec<Path>,
}

/// A path as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// It begins with `::`, so its first name is a crate's.
    pub is_global: bool,
    /// Its names, without generic arguments.
    pub names: Vec<String>,
}

/// How a name is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Imported for the module itself.
    Import,
    /// Imported and handed on by `pub use`.
    Reexport,
    /// Named in code.
    Code,
    /// Called as a macro.
    Macro,
    /// Called as a method; the path is its name alone.
    Method,
}

/// One use of a name.
#[derive(Clone, Debug)]
pub struct Mention {
    /// The module that uses it.
    pub module: usize,
    /// The name.
    pub path: Path,
    /// How it is used.
    pub usage: Usage,
    /// Line in the module's file, from 1.
    pub line: usize,
    /// Used by code that is compiled for unit tests only.
    pub is_test: bool,
}

/// The roots of a package's crates.
const ROOTS: [&str; 2] = ["lib.rs", "main.rs"];

impl Tree {
    /// Reads the crates whose roots are `lib.rs` and `main.rs`. Errors: a file can't be parsed or is missing, or no `mod` leads to it.
    pub fn read(sources: &Sources) -> Result<Self, String> {
        let mut reader =
            Reader { sources, tree: Self::default(), module: 0, folder: String::new(), is_test: false, error: None };
        for file in ROOTS.into_iter().filter(|file| sources.contains_key(*file)) {
            let root = reader.tree.modules.len();
            reader.tree.modules.push(Module { file: file.to_owned(), parent: root, root, ..Module::default() });
            reader.module = root;
            reader.file(file);
        }
        if let Some(error) = reader.error {
            return Err(error);
        }
        let read: BTreeSet<&str> = reader.tree.modules.iter().map(|module| module.file.as_str()).collect();
        match sources.keys().find(|file| !read.contains(file.as_str())) {
            Some(file) => Err(format!("{file}: no `mod` leads to this file")),
            None => Ok(reader.tree),
        }
    }
}

/// Whether attributes limit an item to unit tests.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test_only = attribute.parse_args::<Ident>().is_ok_and(|name| name == "test");
        attribute.path().is_ident("test") || (attribute.path().is_ident("cfg") && is_test_only)
    })
}

struct Reader<'a> {
    sources: &'a Sources,
    tree: Tree,
    /// The module at hand.
    module: usize,
    /// The folder for files of the modules that it declares; empty, or with a slash at its end.
    folder: String,
    /// Within an item that is compiled for unit tests only.
    is_test: bool,
    error: Option<String>,
}

impl Reader<'_> {
    fn file(&mut self, file: &str) {
        let parsed = match self.sources.get(file) {
            Some(text) => syn::parse_file(text).map_err(|error| {
                let at = error.span().start();
                format!("{file}:{}:{}: {error}", at.line, at.column + 1)
            }),
            None => Err(format!("{file}: a `mod` leads to this file, but it is missing")),
        };
        match parsed {
            Ok(parsed) => self.visit_file(&parsed),
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    fn here(&mut self) -> &mut Module {
        &mut self.tree.modules[self.module]
    }

    fn mention(&mut self, path: Path, usage: Usage, span: Span) {
        let is_test = self.is_test || self.here().is_test;
        let line = span.start().line;
        self.tree.mentions.push(Mention { module: self.module, path, usage, line, is_test });
    }

    /// Records the imports of a `use` tree below `prefix`.
    fn import(&mut self, tree: &UseTree, prefix: &Path, usage: Usage) {
        match tree {
            UseTree::Path(tree_path) => self.import(&tree_path.tree, &prefix.then(&tree_path.ident), usage),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, prefix, usage)),
            UseTree::Name(name) => self.bind(&name.ident, prefix.then(&name.ident), usage),
            UseTree::Rename(rename) => {
                let path = prefix.then(&rename.ident);
                self.mention(path.clone(), usage, rename.ident.span());
                self.here().imports.entry(rename.rename.to_string()).or_default().push(path);
            }
            UseTree::Glob(glob) => {
                self.mention(prefix.clone(), usage, glob.star_token.span);
                self.here().globs.push(prefix.clone());
            }
        }
    }

    /// Records an import under its own name, or under its parent's for `{self}`.
    fn bind(&mut self, ident: &Ident, path: Path, usage: Usage) {
        self.mention(path.clone(), usage, ident.span());
        if let Some(name) = path.names.last().cloned() {
            self.here().imports.entry(name).or_default().push(path);
        }
    }

    /// Reads an item with these attributes.
    fn guarded(&mut self, attributes: &[Attribute], read: impl FnOnce(&mut Self)) {
        let outer = self.is_test;
        self.is_test |= is_for_tests(attributes);
        read(self);
        self.is_test = outer;
    }

    fn define(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => name,
                None => return,
            },
            _ => return,
        };
        let name = name.to_string();
        self.here().items.insert(name);
    }

    /// Reads what is inside a `mod`, in this file or in its own.
    fn submodule(&mut self, item: &syn::ItemMod) {
        let name = item.ident.to_string();
        let folder = format!("{}{name}/", self.folder);
        let file = match (&item.content, path_attribute(&item.attrs)) {
            (Some(_), _) => self.here().file.clone(),
            (None, Some(path)) => {
                let file = &self.here().file;
                let end = file.rfind('/').map_or(0, |slash| slash + 1);
                format!("{}{path}", &file[..end])
            }
            (None, None) => Some(format!("{}{name}.rs", self.folder))
                .filter(|file| self.sources.contains_key(file))
                .unwrap_or_else(|| format!("{folder}mod.rs")),
        };
        if item.content.is_none() && self.tree.modules.iter().any(|module| module.file == file) {
            // Declared once for each of two features, say.
            return;
        }
        let (outer, outer_folder) = (self.module, std::mem::replace(&mut self.folder, folder));
        let is_test = self.here().is_test || is_for_tests(&item.attrs);
        let (mut path, root, inner) = (self.here().path.clone(), self.here().root, self.tree.modules.len());
        path.push(name.clone());
        self.here().children.insert(name, inner);
        self.tree.modules.push(Module { path, file: file.clone(), parent: outer, root, is_test, ..Module::default() });
        self.module = inner;
        match &item.content {
            Some((_, items)) => items.iter().for_each(|item| self.visit_item(item)),
            None => self.file(&file),
        }
        self.module = outer;
        self.folder = outer_folder;
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        self.define(item);
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.guarded(&item.attrs, |reader| visit::visit_item_fn(reader, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.guarded(&item.attrs, |reader| visit::visit_item_impl(reader, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.guarded(&item.attrs, |reader| visit::visit_impl_item_fn(reader, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        self.submodule(item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let usage = if matches!(item.vis, Visibility::Inherited) { Usage::Import } else { Usage::Reexport };
        let prefix = Path { is_global: item.leading_colon.is_some(), names: Vec::new() };
        self.guarded(&item.attrs, |reader| reader.import(&item.tree, &prefix, usage));
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let is_self = item.ident == "self";
        let names = vec![if is_self { "crate".to_owned() } else { item.ident.to_string() }];
        let path = Path { is_global: !is_self, names };
        self.mention(path.clone(), Usage::Import, item.ident.span());
        let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name).to_string();
        self.here().imports.entry(name).or_default().push(path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(in crate::a)` names a module without using it.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.mention(path.into(), Usage::Code, begin(path));
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.mention(Path::of(&call.method), Usage::Method, call.method.span());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.mention((&called.path).into(), Usage::Macro, begin(&called.path));
        Tokens { reader: self, is_attribute: false }.read(called.tokens.clone(), &Path::default());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta
            && !list.path.is_ident("cfg")
        {
            Tokens { reader: self, is_attribute: true }.read(list.tokens.clone(), &Path::default());
        }
    }
}

impl Path {
    fn of(name: &Ident) -> Self {
        Self::default().then(name)
    }

    /// This path and one more name; `self` adds none, except at the beginning.
    fn then(&self, name: &Ident) -> Self {
        let mut path = self.clone();
        if name != "self" || path.names.is_empty() {
            path.names.push(name.to_string());
        }
        path
    }
}

impl From<&syn::Path> for Path {
    fn from(path: &syn::Path) -> Self {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        Self { is_global: path.leading_colon.is_some(), names }
    }
}

fn begin(path: &syn::Path) -> Span {
    path.segments.first().map_or_else(Span::call_site, |segment| segment.ident.span())
}

/// Finds paths in tokens that have no syntax tree: the arguments of macros and attributes.
struct Tokens<'a, 'b> {
    reader: &'a mut Reader<'b>,
    is_attribute: bool,
}

impl Tokens<'_, '_> {
    /// Records every path in `tokens`; each begins with `prefix`, which is not empty within the braces of `a::{b, c}`.
    fn read(&mut self, tokens: TokenStream, prefix: &Path) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(_) => at = self.path(&tokens, at, prefix),
                TokenTree::Group(group) => {
                    self.read(group.stream(), &Path::default());
                    at += 1;
                }
                TokenTree::Literal(literal) if self.is_attribute => {
                    let text = literal.to_string();
                    let path = syn::parse_str::<syn::Path>(text.trim_matches('"'));
                    if text.contains("::")
                        && let Ok(path) = path
                    {
                        self.reader.mention((&path).into(), Usage::Code, literal.span());
                    }
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Records the path that begins at `at`, and gives the place after it.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, prefix: &Path) -> usize {
        let span = tokens[at].span();
        let is_method = at > 0 && is_punct(&tokens[at - 1], '.') && !(at > 1 && is_punct(&tokens[at - 2], '.'));
        let mut path = prefix.clone();
        path.is_global |= at > 1
            && is_colons(tokens, at - 2)
            && !(at > 2 && matches!(tokens[at - 3], TokenTree::Ident(_)))
            && !(at > 2 && is_punct(&tokens[at - 3], '>'));
        while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
            path = path.then(ident);
            at += 1;
            if !is_colons(tokens, at) {
                break;
            }
            match tokens.get(at + 2) {
                Some(TokenTree::Ident(_)) => at += 2,
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.read(group.stream(), &path);
                    return at + 3;
                }
                _ => break,
            }
        }
        let is_macro = tokens.get(at).is_some_and(|token| is_punct(token, '!'))
            && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
        let usage = match (is_method, is_macro) {
            (true, _) => Usage::Method,
            (_, true) => Usage::Macro,
            _ => Usage::Code,
        };
        self.reader.mention(path, usage, span);
        at
    }
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    [at, at + 1].iter().all(|at| tokens.get(*at).is_some_and(|token| is_punct(token, ':')))
}

/// The file that `#[path = "…"]` names.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find(|attribute| attribute.path().is_ident("path")).and_then(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) = &pair.value else { return None };
        Some(path.value())
    })
}
