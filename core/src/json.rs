//! Reading and writing JSON the way the real nodes do.
//!
//! [`parse`] builds a [`Value`] that borrows from its input and keeps every number as its text, so
//! 64-bit integers and decimal prices stay exact. Structural errors are worded as Haskell's aeson
//! words them (`Error in $.address.port: parsing Word16 failed, expected Number, but encountered
//! String`), because the nodes answer them to clients; syntax errors have our own words. Reading is
//! strict: UTF-8, no text behind the value, no control characters in strings, no lone surrogates, at
//! most [`DEPTH_MAX`](crate::limits::DEPTH_MAX) levels.

mod number;
mod parse;
mod write;

use std::borrow::Cow;
use std::fmt;

pub use number::{Decimal, Number};
pub use parse::{parse, parse_bytes, string_array, string_literal};
pub use write::{haskell_show, write_string};

/// A JSON value that borrows from the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A list of values.
    Array(Vec<Self>),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
    /// A number, as its text.
    Number(Number<'a>),
    /// An object.
    Object(Object<'a>),
    /// A string with its escapes resolved; borrowed if it had none.
    String(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// The elements of an array; `name` is the type that the error says it was parsing.
    ///
    /// # Errors
    ///
    /// `parsing NAME failed, expected Array, but encountered …`. A list is called `[]` by aeson.
    pub fn array(&self, name: &str) -> Result<&[Self], Error> {
        if let Self::Array(values) = self {
            Ok(values)
        } else {
            Err(self.mistaken(name, "Array"))
        }
    }

    /// The boolean this is; errors as for [`Value::array`].
    ///
    /// # Errors
    ///
    /// `parsing NAME failed, expected Boolean, but encountered …`.
    pub fn boolean(&self, name: &str) -> Result<bool, Error> {
        if let Self::Boolean(value) = self {
            Ok(*value)
        } else {
            Err(self.mistaken(name, "Boolean"))
        }
    }

    /// Reads every element of an array; an error carries the element's index in its path.
    ///
    /// # Errors
    ///
    /// That this is not an array, or the first error of `read`.
    pub fn each<T>(
        &self,
        name: &str,
        mut read: impl FnMut(&Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let values = self.array(name)?.iter().enumerate();
        values
            .map(|(index, value)| read(value).map_err(|error| error.at_index(index)))
            .collect()
    }

    /// The signed 64-bit integer this is; `4.43e2` and `443.0` are 443.
    ///
    /// # Errors
    ///
    /// As [`Value::word16`], with the name `Int64`.
    pub fn int64(&self) -> Result<i64, Error> {
        self.bounded("Int64")
    }

    /// The number this is; errors as for [`Value::array`].
    ///
    /// # Errors
    ///
    /// `parsing NAME failed, expected Number, but encountered …`.
    pub fn number(&self, name: &str) -> Result<Number<'a>, Error> {
        if let Self::Number(number) = self {
            Ok(*number)
        } else {
            Err(self.mistaken(name, "Number"))
        }
    }

    /// The object this is; errors as for [`Value::array`].
    ///
    /// # Errors
    ///
    /// `parsing NAME failed, expected Object, but encountered …`.
    pub fn object(&self, name: &str) -> Result<&Object<'a>, Error> {
        if let Self::Object(object) = self {
            Ok(object)
        } else {
            Err(self.mistaken(name, "Object"))
        }
    }

    /// The string this is; errors as for [`Value::array`]. Plain strings are called `Text`.
    ///
    /// # Errors
    ///
    /// `parsing NAME failed, expected String, but encountered …`.
    pub fn string(&self, name: &str) -> Result<&str, Error> {
        if let Self::String(text) = self {
            Ok(text)
        } else {
            Err(self.mistaken(name, "String"))
        }
    }

    /// The unsigned 16-bit integer this is, for example a port; `4.43e2` and `443.0` are 443.
    ///
    /// # Errors
    ///
    /// `parsing Word16 failed, expected Number, but encountered …`, or `parsing Word16 failed, value
    /// is either floating or will cause over or underflow 65536.0`.
    pub fn word16(&self) -> Result<u16, Error> {
        self.bounded("Word16")
    }

    fn bounded<T: TryFrom<i128>>(&self, name: &str) -> Result<T, Error> {
        let number = self.number(name)?;
        number.to_integer().and_then(|integer| T::try_from(integer).ok()).ok_or_else(|| {
            Error::new(format!(
                "parsing {name} failed, value is either floating or will cause over or underflow {}",
                number.scientific(),
            ))
        })
    }

    fn mistaken(&self, name: &str, expected: &str) -> Error {
        let encountered = match self {
            Self::Array(_) => "Array",
            Self::Boolean(_) => "Boolean",
            Self::Null => "Null",
            Self::Number(_) => "Number",
            Self::Object(_) => "Object",
            Self::String(_) => "String",
        };
        Error::new(format!(
            "parsing {name} failed, expected {expected}, but encountered {encountered}"
        ))
    }
}

/// The members of a JSON object, in the order of the text. Of a repeated key the first counts,
/// because aeson collects members in reverse and then lets later ones win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Object<'a> {
    /// The value of `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.members
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// All members in the order of the text, repeated keys included.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.members
            .iter()
            .map(|(name, value)| (name.as_ref(), value))
    }

    /// Reads the value of a key that must be present; the path of an error then names the key.
    ///
    /// # Errors
    ///
    /// `key "NAME" not found`, or the error of `read`.
    pub fn read<'s, T>(
        &'s self,
        key: &str,
        read: impl FnOnce(&'s Value<'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(value) = self.get(key) else {
            return Err(Error::new(format!("key {} not found", haskell_show(key))));
        };
        read(value).map_err(|error| error.at_key(key))
    }

    /// Reads the value of a key that may be absent or `null`, which is the same.
    ///
    /// # Errors
    ///
    /// The error of `read`.
    pub fn read_optional<'s, T>(
        &'s self,
        key: &str,
        read: impl FnOnce(&'s Value<'a>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|error| error.at_key(key)),
        }
    }
}

/// What is wrong with a JSON text, and where: `Error in $.sigs[0]: key "sig" not found`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    path: String,
    message: String,
}

impl Error {
    /// An error about the value at hand; the callers add where that is.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
        }
    }

    /// The same error, one array level further out.
    #[must_use]
    pub fn at_index(self, index: usize) -> Self {
        Self {
            path: format!("[{index}]{}", self.path),
            message: self.message,
        }
    }

    /// The same error, one object level further out.
    #[must_use]
    pub fn at_key(self, key: &str) -> Self {
        let plain = key.starts_with(char::is_alphabetic) && key.chars().all(char::is_alphanumeric);
        let path = if plain {
            format!(".{key}{}", self.path)
        } else {
            format!(
                "['{}']{}",
                key.replace('\\', "\\\\").replace('\'', "\\'"),
                self.path
            )
        };
        Self {
            path,
            message: self.message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error in ${}: {}", self.path, self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
