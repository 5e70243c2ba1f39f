//! Which fields of a ticket a model reads beside subject and body.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Columns, Recipe, RecipeError};
use crate::triage::text::fields::Source;

/// A field, and where its value stands in tickets and in training data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What the vocabulary and explanations call it.
    pub name: String,
    /// JSON pointer into the ticket; in training data, into each object of JSON lines.
    pub from: String,
    /// Column of training data, where the value is not at `from` or, in CSV and Parquet, not in
    /// a column of the field's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Field {
    /// What of it a model needs.
    pub fn source(&self) -> Source {
        Source { name: self.name.clone(), from: self.from.clone() }
    }

    /// Its column in CSV and Parquet.
    pub(in crate::train) fn table_column(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }

    /// Where its value is in a JSON object: a key of it, and a pointer into what is there.
    pub(in crate::train) fn place(&self) -> (String, &str) {
        if let Some(column) = &self.column {
            return (column.clone(), "");
        }
        let path = self.from.strip_prefix('/').unwrap_or_default();
        let (key, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        (key.replace("~1", "/").replace("~0", "~"), rest)
    }

    fn check(&self, columns: &Columns) -> Result<(), RecipeError> {
        let refuse = |wanted| {
            let found = format!("{:?}", (&self.name, &self.from, &self.column));
            Err(RecipeError::Value { key: "fields", found, wanted })
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        let begins = |c: char| c.is_ascii_lowercase();
        let name = &self.name;
        if !name.starts_with(begins) || name.len() > 64 || !name.chars().all(plain) {
            return refuse("the name must be 1 to 64 of a-z 0-9 _ - and begin with a letter");
        }
        if !self.from.starts_with('/') {
            return refuse("from must be a JSON pointer into the ticket, such as /source");
        }
        let label =
            |column: &str| columns.category.iter().chain(&columns.other).any(|c| c == column);
        let (key, rest) = self.place();
        if label(self.table_column()) || (rest.is_empty() && label(&key)) {
            return refuse("it is read from the column of the label itself");
        }
        Ok(())
    }
}

impl Recipe {
    /// Reads the fields of a trained model too, so that it is asked about tickets as it is in use.
    ///
    /// # Errors
    /// When the recipe has a field of that name from another place.
    pub fn add_fields(&mut self, sources: &[Source]) -> Result<(), RecipeError> {
        for Source { name, from } in sources {
            match self.fields.iter().find(|field| field.name == *name) {
                Some(field) if field.from == *from => {}
                Some(field) => {
                    return Err(RecipeError::Value {
                        key: "fields",
                        found: format!("{:?}", (name, &field.from, from)),
                        wanted: "a field must have one place in the recipe and in all models",
                    });
                }
                None => {
                    let (name, from) = (name.clone(), from.clone());
                    self.fields.push(Field { name, from, column: None });
                }
            }
        }
        self.check()
    }

    pub(super) fn check_fields(&self) -> Result<(), RecipeError> {
        let mut names = BTreeSet::new();
        for field in &self.fields {
            field.check(&self.columns)?;
            if !names.insert(&field.name) {
                let wanted = "give each field a name of its own";
                return Err(RecipeError::Value {
                    key: "fields",
                    found: field.name.clone(),
                    wanted,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_a_name_and_a_place() {
        let recipe = Recipe::parse(
            "[[fields]]\nname = \"department\"\nfrom = \"/requester/a~1b~01/0\"\n\
             [[fields]]\nname = \"via\"\nfrom = \"/source\"\ncolumn = \"Channel\"",
        )
        .unwrap();
        let places: Vec<_> = recipe.fields.iter().map(Field::place).collect();
        assert_eq!(places, [("requester".to_owned(), "/a~1b~01/0"), ("Channel".to_owned(), "")]);
        let columns: Vec<_> = recipe.fields.iter().map(Field::table_column).collect();
        assert_eq!(columns, ["department", "Channel"]);
        assert_eq!(recipe.fields[1].source().from, "/source");
        let escaped = Field { from: "/a~1b~01".to_owned(), ..recipe.fields[0].clone() };
        assert_eq!(escaped.place(), ("a/b~1".to_owned(), ""));
    }

    #[test]
    fn what_cannot_be_a_field_is_refused() {
        let field =
            |name: &str, from: &str| format!("[[fields]]\nname = {name:?}\nfrom = {from:?}\n");
        for bad in [
            field("", "/source"),
            field("Source", "/source"),
            field("a=b", "/source"),
            field("a b", "/source"),
            field("source", "source"),
            field("source", ""),
            field("own", "/category"),
            field("category", "/custom/category"),
            field("own", "/source") + "column = \"category\"",
            field("source", "/source") + &field("source", "/via"),
        ] {
            let error = Recipe::parse(&bad).unwrap_err();
            assert!(matches!(error, RecipeError::Value { key: "fields", .. }), "{bad}: {error}");
        }
        assert!(matches!(Recipe::parse("[[fields]]\nname = \"a\""), Err(RecipeError::Toml(_))));
        assert!(Recipe::parse(&field("category", "/custom/category/name")).is_err());
        assert!(Recipe::parse(&field("own", "/category/name")).is_ok());
    }

    #[test]
    fn a_models_fields_join_those_of_the_recipe() {
        let source =
            |name: &str, from: &str| Source { name: name.to_owned(), from: from.to_owned() };
        let mut recipe =
            Recipe::parse("[[fields]]\nname = \"via\"\nfrom = \"/source\"\ncolumn = \"channel\"")
                .unwrap();
        recipe.add_fields(&[source("via", "/source"), source("site", "/site")]).unwrap();
        let columns: Vec<_> = recipe.fields.iter().map(Field::table_column).collect();
        assert_eq!(columns, ["channel", "site"]);
        assert!(recipe.add_fields(&[source("via", "/channel")]).is_err());
    }
}
