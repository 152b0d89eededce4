//! The Python that the emulator and other programs of the tests run in.

#![expect(clippy::expect_used, reason = "a test that has no Python fails, and says why")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// What to do when there is no Python that could be used.
const ADVICE: &str = "the tests need Python 3.10 or newer with venv and pip \
                      (on Debian and Ubuntu: apt-get install python3 python3-venv) \
                      and, the first time, access to a Python package index";

/// A file of `fixtures`, by its path there.
pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// A Python with the emulator of AWS, and with what deploys to it: `fixtures/emulator/requirements.txt`.
///
/// # Panics
///
/// When there is none and none can be made; the message says what to install.
pub fn emulator_python() -> PathBuf {
    with_requirements("emulator/requirements.txt")
}

/// A Python with the other readers and writers of tables that the tests compare with: `fixtures/readers/requirements.txt`.
///
/// # Panics
///
/// When there is none and none can be made; the message says what to install.
pub fn readers_python() -> PathBuf {
    with_requirements("readers/requirements.txt")
}

/// Runs a Python script with [`readers_python`] in a folder, and gives what it prints. The module `readers` of
/// `fixtures/readers/readers.py` can be imported.
///
/// # Panics
///
/// When the script fails; the message has what it printed.
pub fn run_python(folder: &Path, script: &str) -> String {
    let mut command = Command::new(readers_python());
    let path = fixture("readers");
    // Threads of deltalake's may abort an interpreter that ends in the usual way.
    let script = format!("{script}\nimport os, sys; sys.stdout.flush(); os._exit(0)");
    run(command.current_dir(folder).env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1").args(["-c", &script]))
}

/// A Python that has all packages of a requirements file of the fixtures. The first call makes it, which takes a minute;
/// processes that call at the same time wait for it.
pub(super) fn with_requirements(requirements: &str) -> PathBuf {
    let requirements = fixture(requirements);
    let version = run(Command::new("python3").arg("--version"));
    let needed = fs::read_to_string(&requirements).expect("a requirements file of the fixtures");
    let digest = Sha256::digest(format!("{version}\n{needed}"));
    let name = digest.iter().take(8).fold(0, |name, byte| name << 8 | u64::from(*byte));

    let home = target_folder().join("sluice-python");
    fs::create_dir_all(&home).expect("a folder for Python");
    let lock = File::create(home.join("lock")).expect("a lock for Python");
    // Held until the file is closed, at the end of this function or of this process.
    lock.lock().expect("a lock for Python");
    let environment = home.join(format!("venv-{name:016x}"));
    let python = environment.join("bin/python");
    // Written last: without it an earlier attempt was cut short.
    let complete = environment.join("complete");
    if !complete.exists() {
        if environment.exists() {
            fs::remove_dir_all(&environment).expect("removal of an incomplete Python environment");
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"];
        run(Command::new(&python).args(pip).arg(&requirements));
        fs::write(&complete, "").expect("a mark for Python");
    }
    python
}

/// Cargo's target folder, which this program lies in; it survives the program, and `cargo clean` removes it.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    let marked = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    marked.map_or_else(std::env::temp_dir, Path::to_owned)
}

/// What a command prints.
fn run(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{ADVICE}; {command:?} could not be run: {error}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (printed, complaint) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{ADVICE}; {command:?} ended with {}:\n{printed}\n{complaint}", output.status);
    printed
}
