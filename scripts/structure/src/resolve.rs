//! From a name as written to what it means: by way of `crate`, `self` and `super`, of imports, renamed or not, of glob imports, and of
//! re-exports.

use std::collections::BTreeSet;

use crate::tree::{Mention, Path, Tree, Usage};

/// What a path means, and by which way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The full path at every stage: that which the path spells, then those to which re-exports lead. `crate::…` for what is ours.
    pub spellings: Vec<String>,
    /// Modules it goes through, the last of which defines what is named. Empty for what is another crate's.
    pub modules: Vec<usize>,
    /// Names after the module: an item, then what the item holds. Empty where a module itself is meant.
    pub rest: Vec<String>,
}

/// One name looked for in one module.
type Asked = (usize, String);

impl Tree {
    /// Everything that a mention can mean: nothing for local variables, generic parameters and the prelude, and more than one thing
    /// where a name is imported twice, in two functions for instance.
    pub fn meanings(&self, mention: &Mention) -> Vec<Meaning> {
        match mention.usage {
            Usage::Method => Vec::new(),
            // The prelude's, or defined by `macro_rules!`, whose names are not paths.
            Usage::Macro if mention.path.names.len() == 1 => {
                let found = self.resolve(mention.module, &mention.path, &mut BTreeSet::new());
                if found.is_empty() { vec![Meaning::outside(&mention.path.names)] } else { found }
            }
            _ => {
                let found = self.resolve(mention.module, &mention.path, &mut BTreeSet::new());
                let is_path = mention.path.names.len() > 1 || mention.usage != Usage::Code;
                if found.is_empty() && is_path { vec![Meaning::outside(&mention.path.names)] } else { found }
            }
        }
    }

    /// The meanings of `path` as written in `module`. None where its first name is not known there.
    fn resolve(&self, module: usize, path: &Path, asked: &mut BTreeSet<Asked>) -> Vec<Meaning> {
        let Some(first) = path.names.first() else { return Vec::new() };
        let begin = match first.as_str() {
            _ if path.is_global => vec![self.crate_named(&path.names[..1])],
            "crate" => vec![self.module_meaning(self.modules[module].root)],
            "self" => vec![self.module_meaning(module)],
            "super" => vec![self.module_meaning(self.modules[module].parent)],
            "Self" => Vec::new(),
            "coinhound" => vec![self.crate_named(&path.names[..1])],
            name => self.find(module, name, asked),
        };
        begin.into_iter().flat_map(|meaning| self.walk(meaning, &path.names[1..], asked)).collect()
    }

    /// Our own library where a crate's name is ours, else something of another crate.
    fn crate_named(&self, names: &[String]) -> Meaning {
        let library = self.modules.iter().position(|module| module.path.is_empty() && module.file == "lib.rs");
        match library.filter(|_| names[0] == "coinhound") {
            Some(root) => self.module_meaning(root),
            None => Meaning::outside(names),
        }
    }

    /// Follows `names` from a module on.
    fn walk(&self, from: Meaning, names: &[String], asked: &mut BTreeSet<Asked>) -> Vec<Meaning> {
        let Some((name, more)) = names.split_first() else { return vec![from] };
        let Some(module) = from.module() else { return vec![from.then(names)] };
        if name == "super" {
            return self.walk(from.on(&self.module_meaning(self.modules[module].parent)), more, asked);
        }
        let found = self.find_in(&from, module, name, asked);
        if found.is_empty() {
            // What a macro defines there.
            return vec![from.then(names)];
        }
        found.into_iter().flat_map(|meaning| self.walk(meaning, more, asked)).collect()
    }

    /// What `name` means within `module`, to which `from` leads.
    fn find_in(&self, from: &Meaning, module: usize, name: &str, asked: &mut BTreeSet<Asked>) -> Vec<Meaning> {
        let spelled = format!("{}::{name}", self.spell(module));
        let mut found = self.find(module, name, asked);
        for meaning in &mut found {
            *meaning = from.on(meaning);
            if !meaning.spellings.contains(&spelled) {
                let before_last = meaning.spellings.len() - 1;
                meaning.spellings.insert(before_last, spelled.clone());
            }
        }
        found
    }

    /// What `name` means within `module`: a module or an item of its own, an import, or something of a glob import.
    fn find(&self, module: usize, name: &str, asked: &mut BTreeSet<Asked>) -> Vec<Meaning> {
        if !asked.insert((module, name.to_owned())) {
            return Vec::new();
        }
        let here = &self.modules[module];
        let mut found = Vec::new();
        if let Some(child) = here.children.get(name) {
            found.push(self.module_meaning(*child));
        }
        if here.items.contains(name) {
            found.push(self.module_meaning(module).then(&[name.to_owned()]));
        }
        for path in here.imports.get(name).into_iter().flatten() {
            let meanings = self.resolve(module, path, asked);
            match meanings.is_empty() {
                true => found.push(Meaning::outside(&path.names)),
                false => found.extend(meanings),
            }
        }
        if found.is_empty() {
            for path in &here.globs {
                for target in self.resolve(module, path, asked) {
                    if let Some(inner) = target.module() {
                        found.extend(self.find_in(&target, inner, name, asked));
                    }
                }
            }
        }
        asked.remove(&(module, name.to_owned()));
        found
    }

    fn module_meaning(&self, module: usize) -> Meaning {
        Meaning { spellings: vec![self.spell(module)], modules: vec![module], rest: Vec::new() }
    }

    /// The path of a module from its crate's root.
    pub fn spell(&self, module: usize) -> String {
        std::iter::once("crate")
            .chain(self.modules[module].path.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("::")
    }
}

impl Meaning {
    /// Something of another crate.
    fn outside(names: &[String]) -> Self {
        Self { spellings: vec![names.join("::")], modules: Vec::new(), rest: names.to_vec() }
    }

    /// The module that is meant, unless it is an item.
    fn module(&self) -> Option<usize> {
        self.modules.last().copied().filter(|_| self.rest.is_empty())
    }

    /// The same, and names below it.
    fn then(mut self, names: &[String]) -> Self {
        if let Some(last) = self.spellings.last_mut() {
            *last = [last.as_str(), &names.join("::")].join("::");
        }
        self.rest.extend(names.iter().cloned());
        self
    }

    /// What `next` means, reached by way of this.
    fn on(&self, next: &Self) -> Self {
        let mut on = next.clone();
        on.spellings.splice(0..0, self.spellings.iter().filter(|spelling| !next.spellings.contains(spelling)).cloned());
        // What is another crate's was named by way of our modules all the same.
        on.modules.splice(0..0, self.modules.iter().filter(|module| !next.modules.contains(module)).copied());
        on
    }
}
