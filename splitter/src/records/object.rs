//! Fields without a column of their own, as one JSON object.

/// Adds a member to an object that is not closed yet: a text as it stands, or null where it is empty.
///
/// Bytes that are not UTF-8 stay as they are, so that the object is rejected as any other text with such bytes.
pub(crate) fn append_member(object: &mut Vec<u8>, key: &str, text: &[u8]) {
    append_key(object, key);
    if text.is_empty() {
        object.extend_from_slice(b"null");
    } else {
        append_text(object, text);
    }
}

/// The same of a value that is JSON.
pub(crate) fn append_json(object: &mut Vec<u8>, key: &str, json: &str) {
    append_key(object, key);
    object.extend_from_slice(json.as_bytes());
}

fn append_key(object: &mut Vec<u8>, key: &str) {
    object.push(if object.is_empty() { b'{' } else { b',' });
    append_text(object, key.as_bytes());
    object.push(b':');
}

fn append_text(object: &mut Vec<u8>, text: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    object.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => object.extend_from_slice(&[b'\\', *byte]),
            b'\n' => object.extend_from_slice(b"\\n"),
            b'\r' => object.extend_from_slice(b"\\r"),
            b'\t' => object.extend_from_slice(b"\\t"),
            0..0x20 => {
                let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0');
                object.extend_from_slice(b"\\u00");
                object.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
            }
            _ => object.push(*byte),
        }
    }
    object.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_object_is_json(members in proptest::collection::btree_map("(?s).{0,6}", "(?s).{0,6}", 1..5)) {
            let mut object = Vec::new();
            for (key, text) in &members {
                append_member(&mut object, key, text.as_bytes());
            }
            object.push(b'}');
            let read: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&object).unwrap();
            let expected: Vec<_> = members.iter().map(|(key, text)| (key.clone(), (!text.is_empty()).then_some(text.as_str()))).collect();
            let read: Vec<_> = read.iter().map(|(key, value)| (key.clone(), value.as_str())).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
