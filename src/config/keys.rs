//! The keys of an experiment, at any depth, taken from the schema of its types.
//!
//! In: a type with a JSON schema ([`Keys::of`]). Out: its keys in the order of the fields, which of them are paths, and the
//! work on TOML that needs to know keys: where each stands in a document, the nearest one to a slip of the keyboard,
//! one value set in a table, every path of a table, and the settings as a flat list. A list of tables, `[[stage]]`, holds
//! elements that are told apart by their `name`: their keys are written `stage.NAME.key`, or `stage[1].key` where the name is missing.
//! Does not read files and knows no types of values: serde does.

use std::ops::Range;
use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::Experiment;

/// The key that tells the elements of a list of tables apart.
const NAME: &str = "name";

static EXPERIMENT: LazyLock<Keys> = LazyLock::new(Keys::of::<Experiment>);

/// The fields of a section, in their order.
#[derive(Debug)]
pub struct Keys(Vec<(String, Node)>);

/// What stands under a key.
#[derive(Debug)]
pub enum Node {
    /// A value that is no path.
    Value,
    /// A path or a list of paths, but for these words.
    Path(Vec<String>),
    /// `[section]`
    Section(Keys),
    /// `[[section]]`
    Elements(Keys),
}

/// A key of a document.
#[derive(Debug)]
pub struct Entry {
    /// `train.epochs`, `stage.mlm.epochs`, `stage[1].epochs`.
    pub key: String,
    /// Whether the type has it.
    pub is_known: bool,
    /// Byte offset of the key itself.
    pub start: usize,
    /// Byte range of its value.
    pub value: Range<usize>,
}

/// A key names an element that is not there.
#[derive(Debug, PartialEq)]
pub struct NoElement {
    /// `stage`
    pub list: String,
    /// The names there are.
    pub names: Vec<String>,
}

impl Keys {
    /// The keys of a type.
    pub fn of<T: JsonSchema>() -> Self {
        let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<T>();
        Self::of_object(schema.as_value()).unwrap_or(Self(Vec::new()))
    }

    /// The keys of [`Experiment`].
    pub fn experiment() -> &'static Self {
        &EXPERIMENT
    }

    fn of_object(schema: &serde_json::Value) -> Option<Self> {
        let fields = schema.get("properties")?.as_object()?;
        let fields = fields.iter();
        Some(Self(
            fields
                .map(|(name, schema)| (name.clone(), Node::of(schema)))
                .collect(),
        ))
    }

    fn field(&self, name: &str) -> Option<&Node> {
        let mut fields = self.0.iter();
        fields.find_map(|(field, node)| (field == name).then_some(node))
    }

    /// What stands under `key`; none where the type has no such key. A single element is no key.
    pub fn find(&self, key: &str) -> Option<&Node> {
        let (name, rest) = first(key);
        let node = self.field(name)?;
        match (node, rest) {
            (_, None) => Some(node),
            (Node::Section(inner), Some(rest)) => inner.find(rest),
            (Node::Elements(inner), Some(rest)) => inner.find(first(rest).1?),
            _ => None,
        }
    }

    /// All keys that hold values. Elements have the name that they have in `key`, or else `NAME`.
    fn list(&self, prefix: &str, key: &str, found: &mut Vec<String>) {
        for (name, node) in &self.0 {
            let path = join(prefix, name);
            match node {
                Node::Value | Node::Path(_) => found.push(path),
                Node::Section(inner) => inner.list(&path, key, found),
                Node::Elements(inner) => inner.list(&element_in(key, &path), key, found),
            }
        }
    }

    /// The keys of values that are called `name`, in any section but the elements of lists.
    pub fn named(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (field, node) in &self.0 {
            match node {
                Node::Value | Node::Path(_) if field == name => found.push(field.clone()),
                Node::Section(inner) => {
                    let inner = inner.named(name).into_iter();
                    found.extend(inner.map(|key| join(field, &key)));
                }
                _ => {}
            }
        }
        found
    }

    /// What to do about a key that is not known. `more` are sections that a file may have besides.
    pub fn hint(&self, key: &str, more: &[&str]) -> String {
        match self.nearest(key) {
            Some(known) if known == key => format!("write `{known}` without quotes"),
            Some(known) => format!("did you mean `{known}`?"),
            None => self.siblings(key, more),
        }
    }

    /// The known key that is at most two slips of the keyboard away, and fewer for a short name, or has the same name in
    /// another section.
    fn nearest(&self, key: &str) -> Option<String> {
        let mut known = Vec::new();
        self.list("", key, &mut known);
        // A key in a section is none.
        if !key.contains('.') {
            let sections = self.0.iter().filter(|(_, node)| node.inner().is_some());
            known.extend(sections.map(|(name, _)| name.clone()));
        }
        let split = |key: &str| match key.rsplit_once('.') {
            Some((section, name)) => (section.to_owned(), name.to_owned()),
            None => (String::new(), key.to_owned()),
        };
        let (section, name) = split(key);
        let distance = |known: &String| {
            let whole = strsim::damerau_levenshtein(key, known);
            let (other_section, other_name) = split(known);
            let elsewhere = usize::from(section != other_section);
            whole.min(strsim::damerau_levenshtein(&name, &other_name) + elsewhere)
        };
        let known = known.into_iter().map(|known| (distance(&known), known));
        let nearest = known.min_by_key(|(distance, _)| *distance); // the first where several are as near
        let most = (name.chars().count() / 3).clamp(1, 2); // two of four letters make another word
        nearest
            .filter(|(distance, _)| *distance <= most)
            .map(|(_, known)| known)
    }

    /// The keys one could have meant, where none is near.
    fn siblings(&self, key: &str, more: &[&str]) -> String {
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let (list, in_list) = match section.rsplit_once(['.', '[']) {
            Some((list, _)) => (list, matches!(self.find(list), Some(Node::Elements(_)))),
            None => (section, false),
        };
        let (shown, node) = match in_list {
            true => (format!("[[{list}]]"), self.find(list)),
            false => (format!("[{section}]"), self.find(section)),
        };
        if let Some(inner) = node.and_then(Node::inner) {
            let names: Vec<&str> = inner.0.iter().map(|(name, _)| name.as_str()).collect();
            return format!("{shown} has {}", names.join(", "));
        }
        let (sections, values): (Vec<_>, Vec<_>) =
            (self.0.iter()).partition(|(_, node)| node.inner().is_some());
        let sections = sections.iter().map(|(name, _)| name.as_str());
        let mut sections: Vec<&str> = sections.chain(more.iter().copied()).collect();
        let last = sections.pop().unwrap_or_default();
        let values: Vec<String> = (values.iter().map(|(name, _)| format!("`{name}`"))).collect();
        format!(
            "sections are {} and {last}; {} stands above them",
            sections.join(", "),
            values.join(", ")
        )
    }

    /// The keys of a document that hold values, the elements of lists of tables, and what the type does not know; in the order of the text.
    pub fn entries(&self, document: &DeTable) -> Vec<Entry> {
        let mut found = Vec::new();
        self.walk(document, "", &mut found);
        found.sort_by_key(|entry| entry.start); // the first mistake is the one reported
        found
    }

    fn walk(&self, table: &DeTable, prefix: &str, found: &mut Vec<Entry>) {
        for (name, value) in table {
            let key = join(prefix, name.get_ref());
            let node = self.field(name.get_ref());
            match (node, value.get_ref()) {
                (Some(Node::Section(inner)), DeValue::Table(table)) => {
                    inner.walk(table, &key, found);
                    continue;
                }
                (Some(Node::Elements(inner)), DeValue::Array(elements)) => {
                    for (at, element) in elements.iter().enumerate() {
                        let name = element.get_ref().get(NAME);
                        let name = name.and_then(|name| name.get_ref().as_str());
                        let key = element_key(&key, name, at);
                        if let DeValue::Table(table) = element.get_ref() {
                            inner.walk(table, &key, found);
                        }
                        let value = element.span();
                        found.push(Entry {
                            key,
                            is_known: true,
                            start: value.start,
                            value,
                        });
                    }
                }
                _ => {}
            }
            found.push(Entry {
                key,
                is_known: node.is_some(),
                start: name.span().start,
                value: value.span(),
            });
        }
    }

    /// Sets one key. A section that is there keeps what `value` does not say; lists are replaced.
    ///
    /// # Errors
    /// [`NoElement`] where the key names an element that is not there.
    pub fn set(&self, table: &mut Table, key: &str, value: Value) -> Result<(), NoElement> {
        let (name, rest) = first(key);
        let Some(rest) = rest else {
            merge(table, name, value);
            return Ok(());
        };
        match (self.field(name), table.get_mut(name)) {
            (Some(Node::Elements(inner)), elements) => {
                let (element, rest) = first(rest);
                let mut elements = elements.and_then(Value::as_array_mut);
                let tables = elements.iter_mut().flat_map(|elements| elements.iter_mut());
                let mut tables: Vec<_> = tables.filter_map(Value::as_table_mut).collect();
                match tables
                    .iter_mut()
                    .find(|table| named(table) == Some(element))
                {
                    Some(table) => inner.set(table, rest.unwrap_or(NAME), value),
                    None => Err(NoElement {
                        list: name.to_owned(),
                        names: (tables.iter().filter_map(|table| named(table)))
                            .map(str::to_owned)
                            .collect(),
                    }),
                }
            }
            (Some(Node::Section(inner)), Some(Value::Table(section))) => {
                inner.set(section, rest, value)
            }
            _ => {
                merge(table, name, self.alone_under(name, rest, value));
                Ok(())
            }
        }
    }

    /// A table of this key alone. An element gets its name beside it.
    pub fn alone(&self, key: &str, value: Value) -> Table {
        let (name, rest) = first(key);
        let value = match rest {
            Some(rest) => self.alone_under(name, rest, value),
            None => value,
        };
        Table::from_iter([(name.to_owned(), value)])
    }

    /// What stands under `name` where `rest` is the key in it.
    fn alone_under(&self, name: &str, rest: &str, value: Value) -> Value {
        match self.field(name) {
            Some(Node::Elements(inner)) => {
                let (element, rest) = first(rest);
                let mut table = Table::from_iter([(NAME.to_owned(), element.into())]);
                table.extend(inner.alone(rest.unwrap_or(NAME), value));
                Value::Array(vec![Value::Table(table)])
            }
            Some(Node::Section(inner)) => Value::Table(inner.alone(rest, value)),
            _ => Value::Table(Self(Vec::new()).alone(rest, value)), // unknown: its error comes from serde
        }
    }

    /// Hands every path in a table to `change`.
    pub fn each_path(&self, table: &mut Table, change: &mut dyn FnMut(&mut String)) {
        for (name, node) in &self.0 {
            if let Some(value) = table.get_mut(name) {
                node.each_path(value, change);
            }
        }
    }

    /// Every value of a table that is no path, by its key, in the order of the fields. Elements go by their number, from 1.
    pub fn settings(&self, table: &Table) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        self.collect(table, "", &mut found);
        found
    }

    fn collect(&self, table: &Table, prefix: &str, found: &mut Vec<(String, Value)>) {
        for (name, node) in &self.0 {
            let Some(value) = table.get(name) else {
                continue;
            };
            let key = join(prefix, name);
            match (node, value) {
                (Node::Section(inner), Value::Table(section)) => {
                    inner.collect(section, &key, found);
                }
                (Node::Elements(inner), Value::Array(elements)) => {
                    for (at, element) in elements.iter().filter_map(Value::as_table).enumerate() {
                        inner.collect(element, &element_key(&key, None, at), found);
                    }
                }
                (Node::Path(words), Value::String(_) | Value::Array(_))
                    if !is_word(words, value) => {}
                (_, value) => found.push((key, value.clone())),
            }
        }
    }
}

impl Node {
    fn of(schema: &serde_json::Value) -> Self {
        if let Some(keys) = Keys::of_object(schema) {
            return Self::Section(keys);
        }
        if let Some(keys) = schema.get("items").and_then(Keys::of_object) {
            return Self::Elements(keys);
        }
        let words = schema.get("x-words").and_then(|words| words.as_array());
        let words = words.into_iter().flatten().filter_map(|word| word.as_str());
        match schema.get("x-path") {
            Some(_) => Self::Path(words.map(str::to_owned).collect()),
            None => Self::Value,
        }
    }

    /// The keys below.
    fn inner(&self) -> Option<&Keys> {
        match self {
            Self::Section(keys) | Self::Elements(keys) => Some(keys),
            Self::Value | Self::Path(_) => None,
        }
    }

    /// As [`Keys::each_path`], of the value that stands here.
    pub fn each_path(&self, value: &mut Value, change: &mut dyn FnMut(&mut String)) {
        match (self, value) {
            (Self::Path(words), value) if is_word(words, value) => {}
            (Self::Path(_), Value::String(path)) => change(path),
            (Self::Path(_), Value::Array(paths)) => {
                for path in paths {
                    if let Value::String(path) = path {
                        change(path);
                    }
                }
            }
            (Self::Section(keys), Value::Table(table)) => keys.each_path(table, change),
            (Self::Elements(keys), Value::Array(elements)) => {
                for table in elements.iter_mut().filter_map(Value::as_table_mut) {
                    keys.each_path(table, change);
                }
            }
            _ => {}
        }
    }
}

/// `section.name`; the name alone at the top.
pub fn join(section: &str, name: &str) -> String {
    match section {
        "" => name.to_owned(),
        _ => format!("{section}.{name}"),
    }
}

/// How the keys of an element begin; `at` counts from 0.
fn element_key(list: &str, name: Option<&str>, at: usize) -> String {
    match name {
        Some(name) => join(list, name),
        None => format!("{list}[{}]", at + 1),
    }
}

/// As `key` names the element of `list` that it is in, or with `NAME`.
fn element_in(key: &str, list: &str) -> String {
    let rest = key.strip_prefix(list).unwrap_or_default();
    let length = match rest.chars().next() {
        Some('[') => rest.find(']').map(|end| end + 1),
        Some('.') => Some(1 + first(&rest[1..]).0.len()),
        _ => None,
    };
    match length {
        Some(length) => format!("{list}{}", &rest[..length]),
        None => join(list, "NAME"),
    }
}

/// The first name of a key, and what follows it.
fn first(key: &str) -> (&str, Option<&str>) {
    match key.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (key, None),
    }
}

fn named(element: &Table) -> Option<&str> {
    element.get(NAME)?.as_str()
}

fn is_word(words: &[String], value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|value| words.iter().any(|word| word == value))
}

/// Puts a value under a name. Of two tables the new one lies over the old one.
/// Lays `value` over what stands under `name`: tables key by key, anything else as a whole.
pub fn merge(table: &mut Table, name: &str, value: Value) {
    match (table.get_mut(name), value) {
        (Some(Value::Table(old)), Value::Table(new)) => {
            for (name, value) in new {
                merge(old, &name, value);
            }
        }
        (_, value) => {
            table.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests;
