//! The world of one simulation, and the processes in it: every call that a process makes goes through [`Process::call`].

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::Duration;

use deltalake::logstore::object_store::memory::InMemory;
use shared::testing::MemoryStorage;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::faults::{Fault, Service, long};
use super::invariants::Ledger;
use super::queue::Channel;
use super::scenario::Scenario;

/// How long nothing happens, in real time, before simulated time is moved on by force.
const WATCH: Duration = Duration::from_millis(100);

/// What outlives every process.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) scenario: Scenario,
    pub(crate) objects: MemoryStorage,
    pub(crate) table: Arc<InMemory>,
    /// News of drops.
    pub(crate) events: Channel,
    /// Chunk tasks.
    pub(crate) tasks: Channel,
    ledger: Mutex<Ledger>,
    trace: Mutex<Vec<String>>,
    calm: AtomicBool,
    began: Instant,
    /// Milliseconds since then, for threads that have no part in the simulated time.
    now: AtomicU64,
    /// The thread whose time is simulated.
    thread: ThreadId,
    /// Requests whose senders gave them up and that are still to be carried out.
    in_flight: AtomicU64,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let scenario = Scenario::new(seed);
        let channel = |name, visibility| Channel::new(name, seed, visibility, &scenario);
        Arc::new(Self {
            seed,
            objects: MemoryStorage::default(),
            table: Arc::new(InMemory::new()),
            events: channel("events", Duration::from_mins(15)),
            tasks: channel("tasks", Duration::from_mins(3)),
            ledger: Mutex::default(),
            trace: Mutex::default(),
            calm: AtomicBool::new(false),
            began: Instant::now(),
            now: AtomicU64::new(0),
            thread: std::thread::current().id(),
            in_flight: AtomicU64::new(0),
            scenario,
        })
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Milliseconds of simulated time.
    pub(crate) fn now(&self) -> u64 {
        if self.is_simulated_thread() {
            let now = u64::try_from(self.began.elapsed().as_millis()).unwrap();
            self.now.store(now, Ordering::Relaxed);
        }
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn is_simulated_thread(&self) -> bool {
        std::thread::current().id() == self.thread
    }

    pub(crate) fn note(&self, who: &str, what: impl fmt::Display) {
        let line = format!("{:>9} ms  {who:<12} {what}", self.now());
        self.trace.lock().unwrap().push(line);
    }

    /// How much has happened so far.
    fn steps(&self) -> usize {
        self.trace.lock().unwrap().len()
    }

    /// Moves time on when nothing has happened for a while: some thread is at work that waits for what only time brings.
    pub(crate) async fn watch(&self) {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        // Its time is not simulated.
        std::thread::spawn(move || {
            while sender.blocking_send(()).is_ok() {
                std::thread::sleep(WATCH);
            }
        });
        let (mut before, mut stood_still) = ((0, 0), 0);
        while receiver.recv().await.is_some() {
            let now = (self.now(), self.steps());
            stood_still = if now == before { stood_still + 1 } else { 0 };
            before = now;
            // One look may come right after another, when there was much to do before.
            if stood_still >= 2 {
                tokio::time::advance(Duration::from_millis(20)).await;
            }
        }
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace.lock().unwrap().clone()
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn calm_down(&self) {
        if !self.calm.swap(true, Ordering::Relaxed) {
            self.note("world", "no more faults");
        }
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Notes what is wrong, if anything is.
    pub(crate) fn check(&self, who: &str, checked: Result<(), String>) {
        if let Err(broken) = checked {
            self.note(who, format_args!("BROKEN: {broken}"));
            self.ledger().broken.push(broken);
        }
    }
}

/// One life of a splitter or a worker.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) world: Arc<World>,
    pub(crate) name: String,
    death: CancellationToken,
    /// Whether its calls take no time. While a thread is at work simulated time stands still, and the splitter's thread that
    /// reads Parquet waits for whoever takes what it has read: who may then not wait for time.
    is_timeless: bool,
    /// How often each call was made.
    calls: Mutex<HashMap<String, u32>>,
}

/// A call to a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) service: Service,
    /// What is done.
    pub(crate) verb: &'static str,
    /// To what.
    pub(crate) object: &'a str,
    /// Whether it is a put that is refused when the object is there.
    pub(crate) if_absent: bool,
}

/// How a call fails that the service did not answer as it would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Refused,
    Lost,
    Exists,
}

impl Failure {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Refused => "503 Slow Down",
            Self::Lost => "connection reset",
            Self::Exists => "412 Precondition Failed",
        }
    }
}

impl Process {
    pub(crate) fn start(world: &Arc<World>, name: String, is_timeless: bool) -> Arc<Self> {
        world.note(&name, "starts");
        let (world, death) = (Arc::clone(world), CancellationToken::new());
        Arc::new(Self { world, name, death, is_timeless, calls: Mutex::default() })
    }

    /// Ends it: whatever is left of it, in whatever thread, has no effect from now on.
    pub(crate) fn die(&self, why: &str) {
        self.world.note(&self.name, format_args!("dies: {why}"));
        self.death.cancel();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.death.is_cancelled()
    }

    pub(crate) async fn died(&self) {
        self.death.cancelled().await;
    }

    /// Dice for the next call of its kind: they depend on nothing but the seed, this process and the calls of this kind
    /// before, so that the order in which threads come has no influence.
    pub(crate) fn dice(&self, kind: &str) -> Dice {
        let mut calls = self.calls.lock().unwrap();
        let count = calls.entry(kind.to_owned()).or_default();
        *count += 1;
        Dice::of(self.world.seed, &[&self.name, kind, &count.to_string()])
    }

    /// Makes a call: `effect` is what it does, all at once, and `failed` makes the error of a failure that is injected.
    pub(crate) async fn call<T: Send + 'static, E: fmt::Display + Send + 'static>(
        &self,
        call: Call<'_>,
        failed: impl Fn(Failure) -> E + Send,
        effect: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let mut dice = self.dice(&format!("{} {}", call.verb, kind(call.object)));
        let fault = self.fault(call, &mut dice);
        self.reach(call, fault, &mut dice).await;
        if self.is_dead() {
            return Err(failed(Failure::Lost));
        }
        let note = |what: &str| self.world.note(&self.name, format_args!("{} {}: {what}", call.verb, call.object));
        match fault {
            Some(Fault::CrashBefore) => {
                self.die(&format!("before {} {}", call.verb, call.object));
                return Err(failed(Failure::Lost));
            }
            Some(Fault::Refused) => {
                note("refused");
                return Err(failed(Failure::Refused));
            }
            Some(landing @ (Fault::FailsThenLands | Fault::CrashThenLands)) => {
                note("lost for now");
                self.land_later(long(&mut dice), format!("{} {}", call.verb, call.object), effect);
                if landing == Fault::CrashThenLands {
                    self.die("with a request under way");
                }
                return Err(failed(Failure::Lost));
            }
            _ => {}
        }
        let result = effect();
        note(&result.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned()));
        let spoiled = self.spoiled(call, fault, result.is_ok());
        self.pause(Duration::from_millis(dice.below(12))).await;
        match spoiled {
            Some(failure) => {
                note(&format!("but the answer is {}", failure.text()));
                Err(failed(failure))
            }
            None if self.is_dead() => Err(failed(Failure::Lost)),
            None => result,
        }
    }

    /// The time until a request takes effect.
    async fn reach(&self, call: Call<'_>, fault: Option<Fault>, dice: &mut Dice) {
        // Commits take longer, so that others come between.
        let most = if call.service == Service::Table && call.if_absent { 60 } else { 12 };
        self.pause(Duration::from_millis(dice.below(most))).await;
        if fault == Some(Fault::Slow) {
            self.pause(long(dice)).await;
        }
    }

    /// What is answered in place of what happened.
    fn spoiled(&self, call: Call<'_>, fault: Option<Fault>, is_done: bool) -> Option<Failure> {
        match fault? {
            Fault::CrashAfter => {
                self.die(&format!("after {} {}", call.verb, call.object));
                Some(Failure::Lost)
            }
            Fault::DoneAndFails => Some(Failure::Lost),
            Fault::DoneAndExists if call.if_absent && is_done => Some(Failure::Exists),
            _ => None,
        }
    }

    fn fault(&self, call: Call<'_>, dice: &mut Dice) -> Option<Fault> {
        if self.world.is_calm() {
            return None;
        }
        let fault = self.world.scenario.weather.fault(dice, (call.service, call.if_absent), self.world.now());
        // Elsewhere there is no time in which it could land.
        let has_time = self.world.is_simulated_thread() && !self.is_timeless;
        fault.filter(|fault| has_time || !matches!(fault, Fault::FailsThenLands | Fault::CrashThenLands | Fault::Slow))
    }

    /// Lets simulated time pass. Threads beside the simulated one wait for nothing: it does, and time with it.
    async fn pause(&self, time: Duration) {
        if !self.world.is_simulated_thread() || time.is_zero() {
            return;
        }
        if self.is_timeless {
            tokio::task::yield_now().await;
        } else {
            sleep(time).await;
        }
    }

    fn land_later<T, E: fmt::Display>(
        &self,
        after: Duration,
        what: String,
        effect: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) {
        let (world, name) = (Arc::clone(&self.world), self.name.clone());
        world.in_flight.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            sleep(after).await;
            let ended = effect().map_or_else(|error| error.to_string(), |_| "done".to_owned());
            world.note(&name, format_args!("{what}, sent long ago: {ended}"));
            world.in_flight.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// The object's name without what chance has put into it.
fn kind(object: &str) -> &str {
    if object.contains("/part-") { "data file" } else { object }
}
