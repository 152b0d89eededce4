//! What is said of Parquet files that cannot be read.

use super::{ingest, python, refused};
use crate::support::Place;

#[test]
fn files_that_are_not_whole() {
    let place = Place::new();
    python(
        &place,
        "pq.write_table(pa.table({'id': list(range(1000)), 't': ['x' * 50] * 1000}), 'whole.parquet', compression='none')",
    );
    let whole = std::fs::read(place.path("whole.parquet")).unwrap();
    let cases: [(&str, Vec<u8>); 4] = [
        ("begun", b"PAR1".to_vec()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("tail", whole[..whole.len() - 1].to_vec()),
        ("twice", [b"PAR1", &whole[whole.len() - 8..]].concat()),
    ];
    for (name, bytes) in cases {
        let said = refused(&place, place.write(&format!("{name}.parquet"), &bytes).to_str().unwrap(), name);
        let expected = format!("this Parquet file of {} bytes does not end as one", bytes.len());
        assert!(said.contains(&expected), "{name}: {said}");
        assert!(said.contains("hint: the file is damaged or was not written to its end"), "{name}: {said}");
        assert!(!place.path(name).join("_delta_log").exists());
    }
    // A CSV may begin with these letters, too.
    place.write("names.csv", "PAR1,PAR2\n1,2\n");
    assert_eq!(ingest(&place, "names.csv", "names").status, 0);
}

#[test]
fn encrypted_files() {
    let place = Place::new();
    python(
        &place,
        r"
import pyarrow.parquet.encryption as pe
class Keys(pe.KmsClient):
    def __init__(self, config): super().__init__()
    def wrap_key(self, key, name): return key.hex()
    def unwrap_key(self, wrapped, name): return bytes.fromhex(wrapped)
for name, plain in (('footer', False), ('columns', True)):
    config = pe.EncryptionConfiguration(footer_key='f', column_keys={'c': ['id']}, plaintext_footer=plain)
    properties = pe.CryptoFactory(Keys).file_encryption_properties(pe.KmsConnectionConfig(), config)
    with pq.ParquetWriter(f'{name}.parquet', pa.schema([('id', pa.int64())]), encryption_properties=properties) as writer:
        writer.write_table(pa.table({'id': [1]}))
",
    );
    let said = refused(&place, "footer.parquet", "t");
    assert!(said.contains("this Parquet file is encrypted\nhint: have it written without encryption"), "{said}");
    let said = refused(&place, "columns.parquet", "t");
    assert!(said.contains("columns of this Parquet file are encrypted\nhint: have it written without"), "{said}");
    assert!(!place.path("t").exists() || !place.path("t/_delta_log").exists());
}

#[test]
fn pages_that_are_damaged_and_types_that_nobody_reads() {
    let place = Place::new();
    python(
        &place,
        "columns = {'id': list(range(1000)), 'name': [f'name {n}' for n in range(1000)]}\n\
         pq.write_table(pa.table(columns), 'pages.parquet', compression='zstd', use_dictionary=False)\n\
         duckdb.sql(\"copy (select 1 id, interval '1 month 2 days' span) to 'span.parquet'\")",
    );
    let mut bytes = std::fs::read(place.path("pages.parquet")).unwrap();
    let footer = bytes.windows(4).position(|window| window == b"name").unwrap_or(bytes.len());
    let middle = bytes.len() / 2;
    for byte in bytes.iter_mut().take(middle.min(footer.max(200))).skip(middle.min(footer.max(200)) - 60) {
        *byte ^= 0x55;
    }
    place.write("pages.parquet", bytes);
    let said = refused(&place, "pages.parquet", "t");
    assert!(said.contains("/pages.parquet, column '") && said.contains("row group 0 of"), "{said}");
    assert!(said.contains("hint: "), "{said}");
    let said = refused(&place, "span.parquet", "t");
    assert!(said.contains("column 'span': is an INTERVAL of months, days and milliseconds"), "{said}");
    assert!(said.contains("hint: have it written as text"), "{said}");
    assert!(!place.path("t/_delta_log").exists());
}

#[test]
fn footers_that_tell_of_other_rows_or_of_codecs_that_nobody_reads() {
    let place = Place::new();
    python(
        &place,
        r"
for name in ('rows', 'lzo'):
    pq.write_table(pa.table({'id': [1, 2, 3], 't': ['a', 'b', 'c']}), f'{name}.parquet', compression='none')
def rows(footer): footer.num_rows = footer.row_groups[0].num_rows = 7
def lzo(footer): footer.row_groups[0].columns[1].meta_data.codec = 3
sources.change_footer('rows.parquet', rows)
sources.change_footer('lzo.parquet', lzo)
",
    );
    let said = refused(&place, "rows.parquet", "t");
    assert!(said.contains("/rows.parquet, ") && said.contains("hint: the file is damaged, or written in"), "{said}");
    let said = refused(&place, "lzo.parquet", "t");
    assert!(said.contains("/lzo.parquet, column 't': is compressed with LZO, which cannot be read\nhint: "), "{said}");
    assert!(!place.path("t/_delta_log").exists());
}
