//! Tables that are partitioned by instants: the protocol has two ways to write these, and a table keeps its own.

use super::{ALL, actions, count, ingest, made, python};
use crate::support::Place;

/// Has the first version of `t` write its instants in another way, in the log and in the names of folders.
const REWRITE: &str = r"
import os, urllib.parse
def rewrite(in_log, in_folders):
    entry = pathlib.Path('t/_delta_log/00000000000000000000.json')
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if 'add' in action:
            at = urllib.parse.unquote(action['add']['path'])
            folder = 'p=' + urllib.parse.quote(in_folders, safe='-. ')
            moved = folder + '/' + at.split('/')[1]
            os.makedirs('t/' + folder, exist_ok=True)
            os.rename('t/' + at, 't/' + moved)
            action['add']['path'] = urllib.parse.quote(moved, safe='/=')
            action['add']['partitionValues'] = {'p': in_log}
    entry.write_text('\n'.join(map(json.dumps, actions)))
";

const TABLE: &str = "at = pa.array([1_700_000_000_123_456], pa.int64()).cast(pa.timestamp('us', 'UTC'))
write('t', pa.table({'id': [1], 'p': at}), partition_by=['p'])";

#[test]
fn instants_are_written_as_the_table_has_them() {
    let (spaced, iso) = ("2023-11-14 22:13:20.123456", "2023-11-14T22:13:20.123456Z");
    let folders = ["p=2024-07-01%252012%253A00%253A00.500000", "p=2024-07-01T12%253A00%253A00.500000Z"];
    for (rewritten, expected, folder) in [
        // As deltalake writes it, as programs on Delta's kernel do, and as Spark does, whose folders are not as its log.
        (None, "2024-07-01 12:00:00.500000", folders[0]),
        (Some((iso, iso)), "2024-07-01T12:00:00.500000Z", folders[1]),
        (Some((iso, spaced)), "2024-07-01T12:00:00.500000Z", folders[0]),
        (Some(("2023-11-14 22:13:20", "2023-11-14 22:13:20")), "2024-07-01 12:00:00.500000", folders[0]),
    ] {
        let place = made(TABLE);
        if let Some((in_log, in_folders)) = rewritten {
            python(&place, &format!("{REWRITE}\nrewrite('{in_log}', '{in_folders}')"));
        }
        place.write("x.csv", "id,p\n2,2024-07-01T12:00:00.5Z\n3,2024-07-01T12:00:00.5Z\n4,\n");
        let ran = ingest(&place, "x.csv", &[]);
        assert_eq!((ran.status, &ran.json()["rows"]["committed"]), (0, &3.into()), "{ran:?}");
        assert_eq!(written(&place), [(expected.to_owned(), folder.to_owned())], "{rewritten:?}");
        assert_eq!(count(&place, ALL), 4, "{rewritten:?}");
        let found = python(&place, "print(readers.rows('t', ['id', 'p'])[1:3])");
        assert_eq!(
            found, "[['2', '2024-07-01 12:00:00.500000+00:00'], ['3', '2024-07-01 12:00:00.500000+00:00']]",
            "{rewritten:?}"
        );
        let verified = place.run(&["status", "x.csv", "--table", "t", "--verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
        place.write("y.csv", "id,p\n5,2024-07-01T12:00:00.5Z\n");
        assert_eq!(ingest(&place, "y.csv", &[]).status, 0);
        let merged = place.run(&["maintain", "--table", "t", "--compact", "across-jobs", "--compact-after", "0s"]);
        assert!(merged.status == 0 && merged.stdout.contains("small files  2 small files"), "{merged:?}");
        assert_eq!(count(&place, ALL), 5, "{rewritten:?}");
    }
}

/// Partition values and folders of the files that Sluice wrote, but those without a value.
fn written(place: &Place) -> Vec<(String, String)> {
    let adds = actions(place, "add", 1);
    let with_value = adds.iter().filter_map(|add| {
        let value = add["partitionValues"]["p"].as_str()?.to_owned();
        Some((value, add["path"].as_str()?.split('/').next()?.to_owned()))
    });
    with_value.collect()
}
