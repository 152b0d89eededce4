//! Escape characters that are text.

use shared::Dialect;

/// Where a reader is in a record, as the `csv` crate has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote within quotes: the closing one, or the first of two.
    Quote,
}

/// A record, or several, whose escape characters that are text are doubled, if there are any. Within quotes one escapes a quote and itself;
/// before anything else it is text, which the `csv` crate drops.
pub(crate) fn of_text_doubled(record: &[u8], dialect: &Dialect) -> Option<Vec<u8>> {
    let byte = |character: char| u8::try_from(character).ok();
    let (quote, escape, delimiter) = (byte(dialect.quote?)?, byte(dialect.escape?)?, byte(dialect.delimiter)?);
    if quote == escape || memchr::memchr(escape, record).is_none() {
        return None;
    }
    let (mut doubled, mut has_any) = (Vec::with_capacity(record.len() + 16), false);
    let (mut state, mut rest) = (State::FieldStart, record.iter().copied().peekable());
    while let Some(here) = rest.next() {
        doubled.push(here);
        state = match state {
            State::Quoted if here == escape => {
                let escaped = rest.next_if(|next| *next == quote || *next == escape);
                has_any |= escaped.is_none();
                doubled.push(escaped.unwrap_or(escape));
                State::Quoted
            }
            State::Quoted if here == quote => State::Quote,
            State::Quoted => State::Quoted,
            State::FieldStart | State::Quote if here == quote => State::Quoted,
            _ if here == delimiter || dialect.ends_record(here) => State::FieldStart,
            _ => State::Unquoted,
        };
    }
    has_any.then_some(doubled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_nothing_are_text() {
        let dialect = Dialect { escape: Some('\\'), ..Dialect::default() };
        for (record, expected) in [
            (r#"1,"C:\new\table""#, Some(r#"1,"C:\\new\\table""#)),
            (r#"1,"\"x\n\"",2"#, Some(r#"1,"\"x\\n\"",2"#)),
            (r#"1,"\\d","\d""#, Some(r#"1,"\\d","\\d""#)),
            (r#"1,"a""\b""#, Some(r#"1,"a""\\b""#)),
            // Escapes of quotes and of themselves, and outside of quotes.
            (r#"1,"say \"x\"","\\""#, None),
            (r#"1,C:\new,"x"y\z"#, None),
            ("1,2", None),
        ] {
            let doubled = of_text_doubled(record.as_bytes(), &dialect);
            assert_eq!(doubled.as_deref(), expected.map(str::as_bytes), "{record}");
        }
        // At the end of a record that is cut off.
        assert_eq!(of_text_doubled(b"\"x\\", &dialect).as_deref(), Some(&b"\"x\\\\"[..]));
        assert_eq!(of_text_doubled(b"\"x\\y\"", &Dialect::default()), None);
    }
}
