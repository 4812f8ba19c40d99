//! Tables of TOML with places: whatever is wrong is said with file, line, column and key.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value is of the kind that is wanted, or of another"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub what: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            what,
        } = self;
        write!(f, "{file}:{line}:{column}: {what}")
    }
}

impl std::error::Error for ScenarioError {}

pub(super) type Result<T> = std::result::Result<T, ScenarioError>;

/// A file that is read.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl File<'_> {
    /// An error at a place of the file.
    pub(super) fn error(&self, offset: usize, what: impl Into<String>) -> ScenarioError {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        ScenarioError {
            file: self.name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line..].chars().count() + 1,
            what: what.into(),
        }
    }

    /// The whole file as a table.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'_>>> {
        DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, error.message())
        })
    }
}

/// A table of the file, whose keys are asked for one by one. What was never asked for is an error.
#[derive(Debug)]
pub(super) struct Section<'a> {
    file: &'a File<'a>,
    path: String,
    entries: BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'a>>)>,
    asked: RefCell<BTreeSet<String>>,
}

/// A value with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) offset: usize,
    pub(super) value: T,
}

impl<'a> Section<'a> {
    pub(super) fn new(file: &'a File<'a>, path: &str, table: &'a DeTable<'a>) -> Self {
        let entries = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value)))
            .collect();
        Self {
            file,
            path: path.to_owned(),
            entries,
            asked: RefCell::default(),
        }
    }

    pub(super) const fn file(&self) -> &'a File<'a> {
        self.file
    }

    /// All keys that are there, which all count as asked for.
    pub(super) fn keys(&self) -> Vec<&'a str> {
        self.entries.keys().copied().collect()
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.entries.get(key).map(|(_, value)| *value)
    }

    /// An error about a key.
    pub(super) fn error(&self, key: &str, what: impl fmt::Display) -> ScenarioError {
        let offset = self
            .entries
            .get(key)
            .map_or(0, |(_, value)| value.span().start);
        self.file
            .error(offset, format!("key `{}`: {what}", self.name(key)))
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub(super) fn string(&self, key: &str) -> Result<Option<At<&'a str>>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some(At {
                offset: value.span().start,
                value: text.as_ref(),
            })),
            other => Err(self.error(
                key,
                format_args!("expected a text in quotes, not {}", kind(other)),
            )),
        }
    }

    /// A text that means something.
    pub(super) fn meaning<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> std::result::Result<T, String>,
    ) -> Result<Option<T>> {
        match self.string(key)? {
            None => Ok(None),
            Some(text) => read(text.value)
                .map(Some)
                .map_err(|what| self.error(key, what)),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => {
                u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
            }
            _ => None,
        };
        number.map(Some).ok_or_else(|| {
            self.error(
                key,
                format_args!("expected a whole number, not {}", kind(value.get_ref())),
            )
        })
    }

    /// A number within bounds.
    pub(super) fn within(&self, key: &str, low: u64, high: u64) -> Result<Option<u64>> {
        match self.number(key)? {
            Some(number) if !(low..=high).contains(&number) => Err(self.error(
                key,
                format_args!("{number} is not between {low} and {high}"),
            )),
            number => Ok(number),
        }
    }

    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Boolean(truth)) => Ok(Some(*truth)),
            Some(other) => Err(self.error(
                key,
                format_args!("expected true or false, not {}", kind(other)),
            )),
        }
    }

    /// A list of texts.
    pub(super) fn strings(&self, key: &str) -> Result<Option<Vec<At<&'a str>>>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.error(key, "expected a list of texts: [\"…\", \"…\"]"));
        };
        items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(At {
                    offset: item.span().start,
                    value: text.as_ref(),
                }),
                other => Err(self.file.error(
                    item.span().start,
                    format!(
                        "key `{}`: expected a text in quotes, not {}",
                        self.name(key),
                        kind(other)
                    ),
                )),
            })
            .collect::<Result<_>>()
            .map(Some)
    }

    pub(super) fn section(&self, key: &str) -> Result<Option<Self>> {
        match self.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Table(table)) => Ok(Some(Self::new(self.file, &self.name(key), table))),
            Some(other) => {
                Err(self.error(key, format_args!("expected a table, not {}", kind(other))))
            }
        }
    }

    /// A list of tables, `[[key]]`.
    pub(super) fn sections(&self, key: &str) -> Result<Vec<(usize, Self)>> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.error(key, format_args!("expected tables: [[{key}]]")));
        };
        items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::Table(table) => Ok((
                    item.span().start,
                    Self::new(self.file, &self.name(key), table),
                )),
                other => Err(self.file.error(
                    item.span().start,
                    format!("expected a table [[{key}]], not {}", kind(other)),
                )),
            })
            .collect()
    }

    /// A value of any kind as JSON.
    pub(super) fn json(&self, key: &str) -> Result<Option<serde_json::Value>> {
        self.get(key)
            .map(|value| {
                json(value.get_ref())
                    .ok_or_else(|| self.error(key, "this is nothing that JSON has"))
            })
            .transpose()
    }

    /// All was asked for; a key that was not is a mistake.
    pub(super) fn finish(self) -> Result<()> {
        let asked = self.asked.borrow();
        for (key, (offset, _)) in &self.entries {
            if asked.contains(*key) {
                continue;
            }
            let near = asked
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known, key), known))
                .filter(|(distance, known)| *distance <= known.len().max(3) / 3)
                .min();
            let hint = match near {
                Some((_, known)) => format!("; did you mean `{known}`?"),
                None => {
                    let all: Vec<&str> = asked.iter().map(String::as_str).collect();
                    format!("; known here: {}", all.join(", "))
                }
            };
            let what = format!("key `{}` is unknown{hint}", self.name(key));
            return Err(self.file.error(*offset, what));
        }
        Ok(())
    }
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) => "a decimal number",
        DeValue::Integer(_) => "a number",
        DeValue::String(_) => "a text",
        DeValue::Table(_) => "a table",
    }
}

fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match value {
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| json(item.get_ref()))
                .collect::<Option<_>>()?,
        ),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Float(number) => serde_json::from_str(number.as_str()).ok()?,
        DeValue::Integer(number) => {
            i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
                .ok()?
                .into()
        }
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
        DeValue::Datetime(_) => return None,
    })
}
