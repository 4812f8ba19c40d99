//! The room's rows as keys and values.

use super::kept::Row;
use crate::ids::PeerId;
use crate::rows::{Record, RowError, from_json_value, json_value};

const OWN: u8 = 0x40;
const MEMBER: u8 = 0x41;
const TOMBSTONE: u8 = 0x42;
const CREDENTIAL: u8 = 0x43;
const SHARED: u8 = 0x44;
const BOUGHT: u8 = 0x45;
const USED: u8 = 0x46;

impl Row {
    /// The table tags that the room owns.
    pub const TABLES: core::ops::RangeInclusive<u8> = 0x40..=0x4f;
}

impl Record for Row {
    fn key(&self) -> Vec<u8> {
        let (table, name) = match self {
            Self::Bought(_) => (BOUGHT, String::new()),
            Self::Credential(client, _) => (CREDENTIAL, client.clone()),
            Self::Member(id, _) => (MEMBER, id.to_string()),
            Self::Own(_) => (OWN, String::new()),
            Self::Shared(_) => (SHARED, String::new()),
            Self::Tombstone(id, _) => (TOMBSTONE, id.to_string()),
            Self::Used(client, _) => (USED, client.clone()),
        };
        [&[table], name.as_bytes()].concat()
    }

    fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Bought(value) => value.as_ref().map(json_value),
            Self::Credential(_, value) => value.as_ref().map(json_value),
            Self::Member(_, value) => value.as_ref().map(json_value),
            Self::Own(value) => value.as_ref().map(json_value),
            Self::Shared(value) => value.as_ref().map(json_value),
            Self::Tombstone(_, value) => value.as_ref().map(json_value),
            Self::Used(_, value) => value.as_ref().map(json_value),
        }
    }

    fn deletes(&self) -> bool {
        match self {
            Self::Bought(value) => value.is_none(),
            Self::Credential(_, value) => value.is_none(),
            Self::Member(_, value) => value.is_none(),
            Self::Own(value) => value.is_none(),
            Self::Shared(value) => value.is_none(),
            Self::Tombstone(_, value) => value.is_none(),
            Self::Used(_, value) => value.is_none(),
        }
    }

    fn lazy(&self) -> bool {
        matches!(self, Self::Used(..))
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<Self, RowError> {
        let Some((&table, name)) = key.split_first() else {
            return Err(RowError::DamagedKey { table: 0 });
        };
        let damaged = RowError::DamagedKey { table };
        let name = core::str::from_utf8(name).map_err(|_| damaged.clone())?;
        let id = || name.parse::<PeerId>().map_err(|_| damaged.clone());
        match table {
            CREDENTIAL => Ok(Self::Credential(
                name.into(),
                Some(from_json_value(table, value)?),
            )),
            MEMBER => Ok(Self::Member(id()?, Some(from_json_value(table, value)?))),
            TOMBSTONE => Ok(Self::Tombstone(id()?, Some(from_json_value(table, value)?))),
            USED => Ok(Self::Used(
                name.into(),
                Some(from_json_value(table, value)?),
            )),
            BOUGHT | OWN | SHARED if !name.is_empty() => Err(damaged),
            BOUGHT => Ok(Self::Bought(Some(from_json_value(table, value)?))),
            OWN => Ok(Self::Own(Some(from_json_value(table, value)?))),
            SHARED => Ok(Self::Shared(Some(from_json_value(table, value)?))),
            _ => Err(RowError::UnknownTable { table }),
        }
    }
}
