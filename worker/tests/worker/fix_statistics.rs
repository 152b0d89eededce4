//! Statistics are fixed beside other writers.

use shared::testing::run_python;
use worker::{Maintenance, maintain};

use crate::compact::WITHIN;
use crate::support::world;
use crate::watched::Watched;

/// Replaces wrong statistics, and does nothing else.
const FIX: Maintenance = Maintenance { compact: worker::Compaction::Off, fix_statistics: true, ..WITHIN };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_others_removed_are_not_brought_back() {
    let mut world = world().await;
    // More files than one commit has. The package rounds bounds of decimals.
    let script = "
import deltalake, decimal, pyarrow as pa
money = pa.array([decimal.Decimal('1234567890123456.79')] * 1001, pa.decimal128(18, 2))
deltalake.write_deltalake('table', pa.table({'p': range(1001), 'money': money}), partition_by=['p'])
";
    let folder = world.folder.path().to_owned();
    run_python(&folder, script);
    let store = Watched::new();
    store.before_commit(async move {
        let script = "import deltalake; print(deltalake.DeltaTable('table').delete('p != 7')['num_removed_files'])";
        assert_eq!(run_python(&folder, script), "1000");
    });
    world.restart_with(store);
    let prefix = world.area.root().parent().unwrap();
    let maintained = maintain(&world.context, &world.table, &prefix, &FIX).await.unwrap();
    let fixed = maintained.statistics.unwrap();
    assert_eq!(fixed.checked, 1001);
    let paths: Vec<&str> = fixed.files.iter().map(|file| file.path.split('/').next().unwrap()).collect();
    assert_eq!(paths, ["p=7"]);
    assert_eq!(world.rows().await, ["p=7 money=1234567890123456.79"]);
}
