//! Look-ups that are files.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use shared::{LookupFormat, LookupProblem, guarded};

use super::room::Room;
use crate::sql::references::bytes;

/// Records of a CSV file between two looks at the room that they take.
const RECORDS_AT_ONCE: usize = 8192;

/// What a look-up has: its columns, and its rows batch by batch.
pub(super) type FoundRows = Result<(SchemaRef, Vec<RecordBatch>), LookupProblem>;

/// The rows of a file.
pub(super) async fn rows(stored: Bytes, format: LookupFormat, room: Arc<Room>) -> FoundRows {
    let read = tokio::task::spawn_blocking(move || match format {
        LookupFormat::Csv => csv(&stored, &room),
        LookupFormat::Parquet | LookupFormat::Delta => parquet(stored, &room),
    });
    read.await.unwrap_or_else(|error| Err(LookupProblem::Unusable(format!("it cannot be decoded: {error}"))))
}

fn parquet(file: Bytes, room: &Room) -> FoundRows {
    let wrong = |error: ParquetError| LookupProblem::Unusable(format!("it is not Parquet that can be read: {error}"));
    // Without the hints of Arrow, texts are of one type, whatever their writer held them as.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)).map_err(wrong)?;
    let stored =
        builder.metadata().row_groups().iter().map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0));
    room.has(stored.fold(0, u64::saturating_add))?;
    let schema = Arc::clone(builder.schema());
    let mut reader = guarded(|| builder.build()).map_err(wrong)?;
    let mut batches = Vec::new();
    while let Some(batch) = guarded(|| Ok(reader.next().transpose()?)).map_err(wrong)? {
        room.take(bytes(&batch))?;
        batches.push(batch);
    }
    Ok((schema, batches))
}

/// Every column is text, and null where a field is empty: nothing is guessed. SQL casts.
fn csv(text: &Bytes, room: &Room) -> FoundRows {
    let wrong = |error: csv::Error| {
        let error = error.to_string();
        LookupProblem::Unusable(format!("it is not CSV that can be read: {}", error.trim_start_matches("CSV error: ")))
    };
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_ref());
    let header = reader.headers().map_err(wrong)?.clone();
    if header.is_empty() {
        return Err(LookupProblem::Unusable("it has no header".to_owned()));
    }
    let fields = header.iter().map(|name| Field::new(name.trim(), DataType::Utf8, true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut batches = Vec::new();
    let mut records = reader.records();
    loop {
        let mut columns: Vec<StringBuilder> = header.iter().map(|_| StringBuilder::new()).collect();
        let mut count = 0;
        for record in records.by_ref().take(RECORDS_AT_ONCE) {
            for (column, value) in columns.iter_mut().zip(&record.map_err(wrong)?) {
                column.append_option(Some(value).filter(|value| !value.is_empty()));
            }
            count += 1;
        }
        if count == 0 {
            return Ok((schema, batches));
        }
        let finished = |column: &mut StringBuilder| -> ArrayRef { Arc::new(column.finish()) };
        let columns: Vec<ArrayRef> = columns.iter_mut().map(finished).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        let batch = batch.map_err(|error| LookupProblem::Unusable(error.to_string()))?;
        room.take(bytes(&batch))?;
        batches.push(batch);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use parquet::arrow::ArrowWriter;
    use shared::Memory;

    use super::*;

    fn room(mb: u64) -> Arc<Room> {
        Arc::new(Room::of(&Memory::of_mb(mb)))
    }

    async fn of_csv(text: &str) -> FoundRows {
        rows(Bytes::from(text.to_owned()), LookupFormat::Csv, room(512)).await
    }

    #[tokio::test]
    async fn csv_is_text() {
        let (schema, batches) = of_csv("\u{feff}id,Name \n007,\"a, b\"\n8,\n").await.unwrap();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["id", "Name"]);
        let (ids, names) = (batches[0].column(0).as_string::<i32>(), batches[0].column(1).as_string::<i32>());
        assert_eq!((ids.value(0), names.value(0), names.is_null(1)), ("007", "a, b", true));
        let ragged = of_csv("id,name\n1,a\n2\n").await.unwrap_err();
        insta::assert_snapshot!(ragged, @"it is not CSV that can be read: record 2 (line: 3, byte: 12): found record with 1 fields, but the previous record has 2 fields");
        assert_eq!(of_csv("").await.unwrap_err(), LookupProblem::Unusable("it has no header".to_owned()));
        assert!(of_csv("id\n").await.unwrap().1.is_empty());
    }

    #[tokio::test]
    async fn what_has_no_room_is_refused() {
        let text = Bytes::from("id,name\n".to_owned() + &"1,abcdefghijklmnopqrstuvwxyz\n".repeat(200_000));
        let refused = rows(text, LookupFormat::Csv, room(128)).await.unwrap_err();
        assert!(matches!(refused, LookupProblem::TooLarge(_)), "{refused}");
        // A dictionary of one value: little in the file.
        let column: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["x".repeat(100); 200_000]));
        let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(file.len() < 100_000);
        let refused = rows(file.into(), LookupFormat::Parquet, room(128)).await.unwrap_err();
        assert!(matches!(refused, LookupProblem::TooLarge(_)), "{refused}");
        let damaged = rows(Bytes::from_static(b"PAR1 no"), LookupFormat::Parquet, room(128)).await.unwrap_err();
        assert!(matches!(damaged, LookupProblem::Unusable(_)), "{damaged}");
    }
}
