//! Which columns of data files have a dictionary.

use std::collections::BTreeMap;
use std::fs::File;

use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use shared::DataFileMode;

use crate::support::{Load, World, message, numbered};

/// For each column of the table's only file, whether it has a dictionary, once a chunk is loaded in which `id` has none.
async fn dictionaries(load: Load<'_>) -> BTreeMap<String, bool> {
    let world = World::new(Load { data_files: DataFileMode::Rewritten, ..load }).await;
    let rows = numbered(0..300);
    let properties = WriterProperties::builder().set_column_dictionary_enabled("id".into(), false).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    let entry = world.store_encoded(0, 300, writer.into_inner().unwrap()).await;
    world.load_done(&[message(&entry.task(&world.area, &world.job.job_id).body().unwrap())]).await;
    let names: Vec<String> = world.delta().await.get_file_uris().unwrap().collect();
    let [name] = &names[..] else { panic!("{names:?}") };
    let file = SerializedFileReader::new(File::open(name).unwrap()).unwrap();
    let group = file.metadata().row_group(0);
    let has = group.columns().iter().map(|column| (column.column_path().string(), column.dictionary_page_offset()));
    has.map(|(name, offset)| (name, offset.is_some())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_without_a_dictionary_in_the_chunk_gets_none() {
    for (sql, expected) in [
        (None, &[("id", false), ("name", true)][..]),
        (Some("select name as id, id as name from chunk"), &[("id", true), ("name", false)]),
        (Some("select id, id % 3 as rest from chunk where id > 5"), &[("id", false), ("rest", true)]),
    ] {
        let found = dictionaries(Load { sql, ..Load::default() }).await;
        let expected = expected.iter().map(|(name, has)| ((*name).to_owned(), *has)).collect();
        assert_eq!(found, expected, "{sql:?}");
    }
}
