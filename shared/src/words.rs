//! Types whose values are words: as settings have them, and as documents do.

/// Gives an enumeration the words that settings have for it.
macro_rules! words {
    ($type:ident: $($word:literal => $variant:ident),* $(,)?) => {
        impl $type {
            /// The words that name its values.
            pub(crate) const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl ::std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("one of {}", Self::WORDS.join(", "))),
                }
            }
        }
    };
}

pub(crate) use words;
