//! Why rows are not used.

use serde::{Serialize, Serializer};

/// Why a row was not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// Not a JSON object, or a CSV record of the wrong length.
    Unreadable,
    /// Its bytes are not UTF-8.
    NotUtf8,
    /// Subject and body are missing or blank.
    NoText,
    /// The category is missing or blank.
    NoCategory,
    /// So is one level of it; holds the reason, which names the column.
    NoLevel(Box<str>),
    /// A label has a line break or another control character in it: names are one line.
    ControlCharacter,
}

impl Rejection {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NotUtf8 => "not_utf8",
            Self::NoText => "no_text",
            Self::NoCategory => "no_category",
            Self::NoLevel(reason) => reason,
            Self::ControlCharacter => "control_character_in_label",
        }
    }

    /// For a row that has nothing in one of the columns that make its category.
    pub(super) fn no_category(column: &str, columns: usize) -> Self {
        match columns {
            1 => Self::NoCategory,
            _ => Self::NoLevel(format!("no value in `{column}`").into()),
        }
    }
}

/// As its name, which a map's key can be.
impl Serialize for Rejection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
