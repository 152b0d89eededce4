//! Rows of a job that others deleted by deletion vectors.

use super::{ingest, made, python, with_table};
use crate::support::Place;

/// Deletes the first row of each file of a job, as Spark does: the file is removed and added with a vector.
const DELETE: &str = "import base64, struct
bitmap = struct.pack('<IQIIIHHIH', 1681511377, 1, 0, 12346, 1, 0, 0, 16, 0)
bitmap += bytes(-len(bitmap) % 4)
of_python = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~'
of_delta = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
text = base64.b85encode(bitmap).decode().translate(str.maketrans(of_python, of_delta))
vector = {'storageType': 'i', 'pathOrInlineDv': text, 'sizeInBytes': len(bitmap), 'cardinality': 1}
logs = sorted(pathlib.Path('t/_delta_log').glob('*.json'))
adds = [json.loads(line)['add'] for log in logs for line in log.read_text().splitlines() if '\"sluice.chunk\"' in line]
actions = [{'commitInfo': {'operation': 'DELETE'}}]
for add in adds:
    actions.append({'remove': {'path': add['path'], 'dataChange': True, 'deletionTimestamp': 0, 'extendedFileMetadata': True,
                               'partitionValues': add['partitionValues'], 'size': add['size']}})
    actions.append({'add': {**add, 'deletionVector': vector}})
pathlib.Path(f't/_delta_log/{int(logs[-1].stem) + 1:020}.json').write_text('\\n'.join(map(json.dumps, actions)))";

const INTACT: &str = "because      1 of its rows are deleted since, by deletion vectors; with them, the files hold the very rows that \
                      were committed, so no other row is missing or changed";

fn verified(place: &Place) -> String {
    let ran = place.run(&["status", "a.csv", "--table", "t", "--verify"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    ran.stdout
}

/// Files of their own, and chunks that were copied as they are, with the chunk and without.
#[test]
fn verify_tells_deleted_rows_from_all_others() {
    let place = with_table("spark-deletion-vectors");
    place.write("a.csv", "part,col1,col2\n0,1,x\n0,2,y\n0,3,z\n");
    assert_eq!(ingest(&place, "a.csv", &[]).status, 0);
    python(&place, DELETE);
    let said = verified(&place);
    assert!(said.contains(INTACT) && said.contains("rows         2 in the table, 3 by the receipts"), "{said}");
    let hashes: Vec<&str> = said.lines().find(|line| line.contains("hash  ")).unwrap().split_whitespace().collect();
    assert!(hashes[1].len() == 32 && hashes[5].len() == 32 && hashes[1] != hashes[5], "{said}");

    let place = made(
        "write('t', pa.table({'id': pa.array([1], pa.int64())}))
log = pathlib.Path('t/_delta_log/00000000000000000000.json')
actions = [json.loads(line) for line in log.read_text().splitlines()]
for action in actions:
    if 'protocol' in action:
        action['protocol'] = {'minReaderVersion': 3, 'minWriterVersion': 7, 'readerFeatures': ['deletionVectors'], 'writerFeatures': ['deletionVectors']}
    if 'metaData' in action:
        action['metaData']['configuration'] = {'delta.enableDeletionVectors': 'true'}
log.write_text('\\n'.join(map(json.dumps, actions)))",
    );
    place.write("a.csv", "id\n7\n8\n9\n");
    assert_eq!(ingest(&place, "a.csv", &[]).status, 0);
    python(&place, DELETE);
    assert!(verified(&place).contains(INTACT), "{}", verified(&place));
    // Another row is missing, too.
    let file = place.files().into_iter().find(|file| crate::support::read(file).num_rows() == 3).unwrap();
    let rows = crate::support::read(&file).slice(0, 2);
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(std::fs::File::create(&file).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let said = verified(&place);
    assert!(said.contains("even with them, the files do not hold the rows that were committed"), "{said}");
}
