//! What was guessed about a source is told, with the setting that says it for good, and nothing else is.

use std::sync::Arc;

use shared::testing::MemoryStorage;
use shared::{Examined, PutMode, Settings, Storage};
use splitter::{SplitContext, examine};

use crate::properties::at;

/// What is told of a text that is examined with settings, for a table.
async fn examined(text: &[u8], told: &[(&str, &str)]) -> Examined {
    let objects = MemoryStorage::default();
    objects.put(&at("source"), text.to_vec().into(), PutMode::Overwrite).await.unwrap();
    let told = |name: &str| told.iter().find(|(told, _)| *told == name).map(|(_, value)| (*value).to_owned());
    let settings = Settings::from_lookup(told).unwrap();
    let context =
        SplitContext { table: Some(at("table")), ..SplitContext::new(Arc::new(objects), at("work"), settings) };
    examine(&context, &at("source")).await.unwrap().examined
}

async fn warnings(text: &[u8], told: &[(&str, &str)]) -> String {
    let warnings = examined(text, told).await.warnings;
    warnings.iter().map(|warning| format!("{}: {warning}", warning.about)).collect::<Vec<_>>().join("\n")
}

/// Texts, each with the warnings about it.
const GUESSED: &[(&[u8], &str)] = &[
    (
        b"id,ort\n1,M\xfcnchen\n2,K\xf6ln\n3,Gie\xdfen\n",
        "encoding: the encoding is taken to be windows-1252, by its letters; ENCODING=windows-1252 says so for good",
    ),
    (
        b"id,gap\n1,5 \xb5m\n2,7 \xb5m\n",
        "encoding: the encoding is taken to be windows-1252, by few letters; ENCODING=windows-1252 says so for good",
    ),
    (
        b"id,t\n1,\"a \\\"b\\\" c\"\n2,\"x\"\n",
        "escape: \\ within quotes is taken to escape the quote after it; CSV_ESCAPE=\\ says so for good",
    ),
    (
        b"id,t\n1,\"back\\\\slash\"\n2,\"x\"\n",
        "escape: backslashes within quotes come in twos, and are kept (CSV_ESCAPE=\\ if each two stand for one); CSV_ESCAPE=none says so for good",
    ),
    (
        b"id,name\n1,\"x, y\"\n2,'O''Brien'\n3,\"z\"\n",
        "quote: values stand in single quotes, which are taken for a part of them (CSV_QUOTE=' if they are not); CSV_QUOTE=\" says so for good",
    ),
    (
        b"Report of May\n\nid,name,n\n1,a,2\n2,b,3\n",
        "preamble: 2 lines are taken to stand before the table, and skipped: 'Report of May'; CSV_SKIP_LINES=2 says so for good",
    ),
    (
        b"bolt,blue\nnut,red\nscrew,green\n",
        "header: no value shows that the first row is the header (CSV_HEADER=0 if it is a record): bolt, blue; CSV_HEADER=1 says so for good",
    ),
    (
        b"id;km\n1;7,5\n2;12,25\n",
        "decimal: the comma is taken for the decimal sign of numbers, such as '7,5' in column 'km'; CSV_DECIMAL=, says so for good",
    ),
    (
        b"id,day,d2\n1,03/04/2026,01/02/2026\n2,05/06/2026,02/02/2026\n",
        "dates: dates such as '03/04/2026' may be DD/MM/YYYY or MM/DD/YYYY, so columns 'day', 'd2' are text; SCHEMA=day:date(DD/MM/YYYY),d2:date(DD/MM/YYYY) says so for good",
    ),
    (
        b"id,code\n1,250.00\n2,250.0\n3,7\n",
        "numbers: numbers such as '250.00' may be codes or thousands, so column 'code' is text; SCHEMA=code:text says so for good",
    ),
];

/// Texts that are what they seem to be.
const PLAIN: &[&[u8]] = &[
    b"id,name\n1,a\n2,b\n",
    b"id,name\n1,a\n",
    b"id;name\r\n1;a\r\n2;b\r\n",
    b"id\tname\n1\ta\n2\tb\n",
    b"id|name\n1|a\n2|b\n",
    b"id\n1\n2\n",
    b"name\nann\nbob\n",
    b"name,city\nann,rome\nbob,oslo\n",
    b"customer_id,place\nann,rome\nbob,oslo\n",
    b"createdBy,place\nann,rome\nbob,oslo\n",
    "id,ort\n1,M\u{fc}nchen\n2,K\u{f6}ln\n".as_bytes(),
    b"\xef\xbb\xbfid,name\n1,a\n2,b\n",
    b"\xff\xfei\0d\0,\0n\0\n\x001\0,\0a\0\n\0",
    b"sep=;\nid;name\n1;a\n2;b\n",
    b"\n\nid,name\n1,a\n2,b\n",
    b"id,name,day\n1,a,2026-01-31\nNA,b,NA\n",
    b"id,price\n1,2.50\n2,12.25\n",
    b"1,2\n3,4\n5,6\n",
    b"",
    b"{\"a\":1}\n{\"a\":2}\n",
    // Backslashes that no writer escaped: one alone, and quotes that are doubled.
    br#"id,share
1,"\\server\it"
2,"C:\"
3,"D:\temp"
"#,
];

#[tokio::test]
async fn guesses_are_told() {
    for (text, expected) in GUESSED {
        assert_eq!(warnings(text, &[]).await, *expected, "{}", String::from_utf8_lossy(text));
    }
}

#[tokio::test]
async fn plain_files_have_no_warnings() {
    for text in PLAIN {
        assert_eq!(warnings(text, &[]).await, "", "{}", String::from_utf8_lossy(text));
    }
}

/// The setting that a warning names ends the warning, and changes nothing else.
#[tokio::test]
async fn the_setting_of_a_warning_ends_it() {
    for (text, _) in GUESSED {
        for warning in examined(text, &[]).await.warnings {
            let setting = warning.setting.split_once('=').unwrap();
            assert_eq!(warnings(text, &[setting]).await, "", "{warning}");
        }
    }
}

#[tokio::test]
async fn a_delimiter_that_explains_little_is_told() {
    let text = b"a b, c d\ne f\ng, h i, j\nk\nl m n, o\np q, r, s, t\n";
    let told = warnings(text, &[]).await;
    assert!(told.contains("delimiter: "), "{told}");
    assert!(!warnings(text, &[("CSV_DELIMITER", ",")]).await.contains("delimiter: "));
}

#[tokio::test]
async fn words_that_are_null_are_told_of_columns_that_are_not_text() {
    let found = examined(b"id,name,n\n1,NA,1\n2,b,NA\n3,c,\n", &[]).await;
    assert_eq!(found.null_words_in, ["n"]);
    let found = found.table.unwrap();
    assert_eq!((found.is_new, found.added.len(), found.lacking.len()), (true, 0, 0));
}
