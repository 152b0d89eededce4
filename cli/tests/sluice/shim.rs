//! Faults at a chosen file operation of the real binary, and a clock of its own: `shim.c`, preloaded.
//!
//! It is compiled with `cc` by the first test that needs it, and works for programs that call the C library on Linux.

mod stopped;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// What happens before the chosen operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The process is killed.
    Kill,
    /// It is stopped, until it gets SIGCONT.
    Stop,
    /// The operation fails with this errno.
    Fail(i32),
    /// It fails with this errno, and so do all later ones.
    FailFromThere(i32),
}

/// What the shim is told; see `shim.c`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shim {
    env: Vec<(&'static str, String)>,
}

impl Shim {
    /// Numbers the operations that change something below a folder.
    pub(crate) fn below(root: &Path) -> Self {
        let root = root.canonicalize().unwrap();
        Self::default().with("SHIM_ROOT", root.to_str().unwrap())
    }

    /// A fault at the n-th operation, counted from 1.
    pub(crate) fn at(self, number: u64, fault: Fault) -> Self {
        let what = match fault {
            Fault::Kill => "kill".to_owned(),
            Fault::Stop => "stop".to_owned(),
            Fault::Fail(errno) | Fault::FailFromThere(errno) => errno.to_string(),
        };
        let told = self.with("SHIM_AT", &number.to_string()).with("SHIM_DO", &what);
        if matches!(fault, Fault::FailFromThere(_)) { told.with("SHIM_STICKY", "1") } else { told }
    }

    /// Counts only operations whose line, such as `create /t/x` or `rename /t/a -> /t/b`, has this text.
    pub(crate) fn matching(self, text: &str) -> Self {
        self.with("SHIM_MATCH", text)
    }

    /// Appends a line for each operation that counts to a file.
    pub(crate) fn log(self, file: &Path) -> Self {
        self.with("SHIM_LOG", file.to_str().unwrap())
    }

    /// Sets the clock.
    pub(crate) fn clock(self, clock: &Clock) -> Self {
        self.with("SHIM_CLOCK", clock.file.to_str().unwrap())
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    /// The variables that a program has to be started with.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        let preload = [("LD_PRELOAD", library().to_str().unwrap().to_owned())];
        preload.into_iter().chain(self.env.iter().cloned()).collect()
    }

    /// Has a command start with the shim.
    pub(crate) fn on<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.env())
    }
}

/// A clock that a test sets, for all programs that are started with it, those that run included.
#[derive(Debug)]
pub(crate) struct Clock {
    file: PathBuf,
    ahead: u64,
    /// What was written later is not dated yet: a time of the file system, which is a little behind the system's.
    since: SystemTime,
}

impl Clock {
    /// A clock that goes right, kept in a new file.
    pub(crate) fn new(file: PathBuf) -> Self {
        let mut clock = Self { file, ahead: 0, since: UNIX_EPOCH };
        clock.write();
        clock.all_is_dated();
        clock
    }

    /// Seconds that it is ahead.
    pub(crate) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// Sets it to be so many seconds ahead. Files that were written before have to be dated: [`Clock::date`].
    pub(crate) fn set(&mut self, ahead: u64) {
        self.ahead = ahead;
        self.write();
    }

    /// Gives files below a folder that were written since the last call the times that they have by this clock.
    pub(crate) fn date(&mut self, folder: &Path) {
        if self.ahead > 0 {
            self.date_below(folder);
        }
        self.all_is_dated();
    }

    fn all_is_dated(&mut self) {
        self.write();
        self.since = std::fs::metadata(&self.file).unwrap().modified().unwrap();
        self.write();
    }

    fn date_below(&self, folder: &Path) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
        for entry in entries {
            let (path, found) = (entry.path(), entry.metadata().unwrap());
            if found.is_dir() {
                self.date_below(&path);
                continue;
            }
            let modified = found.modified().unwrap();
            if found.is_file() && modified > self.since && modified <= SystemTime::now() {
                let file = std::fs::File::open(&path).unwrap();
                file.set_modified(modified + std::time::Duration::from_secs(self.ahead)).unwrap();
            }
        }
    }

    /// In place: programs that run have the file mapped.
    fn write(&self) {
        use std::os::unix::fs::FileExt;
        let since = u64::try_from(self.since.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
        let bytes = [self.ahead.to_ne_bytes(), since.to_ne_bytes()].concat();
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(&self.file).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The shim, compiled once for this process.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = LIBRARY.get_or_init(|| {
        let folder = tempfile::TempDir::new().unwrap();
        let library = folder.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sluice/shim.c");
        let mut compiler = Command::new("cc");
        let ran = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).arg("-ldl").output();
        let ran = ran.expect("the tests need a C compiler (cc)");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        (folder, library)
    });
    library
}

#[test]
fn a_fault_at_a_chosen_operation() {
    use crate::support::Place;
    let place = Place::new();
    place.write("x.csv", "id\n1\n");
    let log = place.path("log");
    let ran = |shim: &Shim| {
        let mut command = place.command(&["ingest", "x.csv", "--table", "t"]);
        shim.on(&mut command).output().unwrap()
    };
    std::fs::create_dir(place.path("t")).unwrap();
    let entry = "_delta_log/00000000000000000001.json";
    let killed = ran(&Shim::below(&place.path("t")).matching(entry).at(1, Fault::Kill));
    assert_eq!(killed.status.code(), None, "{killed:?}");
    assert!(!place.path("t").join(entry).exists());
    let failed = ran(&Shim::below(&place.path("t")).at(1, Fault::FailFromThere(30)));
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let mut shell = Command::new("sh");
    shell.current_dir(place.path("t")).args(["-c", "exec mkdir a b c"]);
    let once = Shim::below(&place.path("t")).matching("mkdir").at(2, Fault::Fail(30));
    let failed = once.on(&mut shell).output().unwrap();
    assert!(!failed.status.success() && place.path("t/c").exists(), "{failed:?}");
    let done = ran(&Shim::below(&place.path("t")).log(&log));
    assert!(done.status.success(), "{done:?}");
    assert!(place.path("t").join(entry).exists());
    assert!(std::fs::read_to_string(log).unwrap().contains(entry));
}

#[test]
fn a_clock_of_its_own() {
    use crate::support::Place;
    let place = Place::new();
    let mut clock = Clock::new(place.path("clock"));
    let shell = |clock: &Clock, script: &str| {
        let mut command = Command::new("sh");
        let ran = Shim::default().clock(clock).on(command.current_dir(place.path("")).args(["-c", script])).output();
        String::from_utf8(ran.unwrap().stdout).unwrap().trim().parse::<u64>().unwrap()
    };
    let day = 86_400;
    clock.set(10 * day);
    clock.date(&place.path(""));
    let written = shell(&clock, "echo x > file; stat -c %Y file");
    assert!(written.abs_diff(seconds() + 10 * day) < 60, "{written}");
    clock.date(&place.path(""));
    let dated = shell(&clock, "stat -c %Y file");
    assert!(dated.abs_diff(written) < 60, "{dated}: not dated twice");
    clock.set(20 * day);
    assert!(shell(&clock, "date +%s").abs_diff(seconds() + 20 * day) < 60);
    assert!(shell(&clock, "stat -c %Y file").abs_diff(written) < 60, "it is ten days old");
    assert_eq!(clock.ahead(), 20 * day);
}
