//! Where routes are kept.

use std::fmt;
use std::str::FromStr;

use crate::location::Location;

const DYNAMODB: &str = "dynamodb://";

/// Where routes are kept: in a file, or in a table of `DynamoDB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutesAt {
    /// A TOML file.
    File(Location),
    /// A table of `DynamoDB`, an item a route: `dynamodb://NAME`, or `dynamodb://NAME?tables=s3://bucket/prefix`.
    DynamoDb(RoutesTable),
}

/// A table of `DynamoDB`, each of whose items is a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutesTable {
    /// Its name, in the account and region of the process.
    pub name: String,
    /// Where the Delta tables are that items name as `database.table`.
    pub tables: Option<Location>,
}

impl From<Location> for RoutesAt {
    fn from(file: Location) -> Self {
        Self::File(file)
    }
}

impl FromStr for RoutesAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix(DYNAMODB) else {
            return text.parse().map(Self::File).map_err(|error: crate::location::LocationError| error.to_string());
        };
        let (name, query) = rest.split_once('?').map_or((rest, None), |(name, query)| (name, Some(query)));
        // As DynamoDB has them.
        let is_name =
            (3..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !is_name {
            return Err(format!("'{name}' is not the name of a table of DynamoDB"));
        }
        let tables = match query.map(|query| query.strip_prefix("tables=")) {
            None => None,
            Some(Some(tables)) => {
                Some(tables.parse().map_err(|error: crate::location::LocationError| error.to_string())?)
            }
            Some(None) => return Err(format!("'{text}' has a part after '?' that is not tables=URI")),
        };
        Ok(Self::DynamoDb(RoutesTable { name: name.to_owned(), tables }))
    }
}

impl fmt::Display for RoutesAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.fmt(f),
            Self::DynamoDb(table) => table.fmt(f),
        }
    }
}

impl fmt::Display for RoutesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DYNAMODB}{}", self.name)?;
        self.tables.as_ref().map_or(Ok(()), |tables| write!(f, "?tables={tables}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (text, expected) in [
            ("s3://config/routes.toml", Ok("s3://config/routes.toml")),
            ("dynamodb://routes", Ok("dynamodb://routes")),
            ("dynamodb://routes?tables=s3://lake/raw/", Ok("dynamodb://routes?tables=s3://lake/raw")),
            ("dynamodb://", Err("'' is not the name of a table of DynamoDB")),
            ("dynamodb://a/b", Err("'a/b' is not the name of a table of DynamoDB")),
            (
                "dynamodb://routes?region=x",
                Err("'dynamodb://routes?region=x' has a part after '?' that is not tables=URI"),
            ),
            ("gs://b/routes", Err("'gs://b/routes' has the scheme 'gs'; known are s3:// and plain paths")),
        ] {
            let read = text.parse::<RoutesAt>();
            assert_eq!(
                read.as_ref().map(ToString::to_string).map_err(String::as_str),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }
}
