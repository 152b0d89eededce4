//! What can go wrong with a call, and how often it does in one simulation.

use std::time::Duration;

use super::dice::Dice;

/// What befalls one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies before anything has happened.
    CrashBefore,
    /// It happens, and the process dies before it hears of it.
    CrashAfter,
    /// The process dies, and its request is carried out long after.
    CrashThenLands,
    /// Nothing happens, and that is said.
    Refused,
    /// It happens, and a failure is reported.
    DoneAndFails,
    /// A failure is reported, and it happens long after.
    FailsThenLands,
    /// Put if absent: it happens, and the answer is that it had been there, as when a client repeats a request by itself.
    DoneAndExists,
    /// It takes so long that others take over.
    Slow,
}

const FAULTS: [Fault; 8] = [
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::CrashThenLands,
    Fault::Refused,
    Fault::DoneAndFails,
    Fault::FailsThenLands,
    Fault::DoneAndExists,
    Fault::Slow,
];

/// How often each fault comes in one simulation; most have some of them often, and others not at all.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// Of ten thousand calls.
    rates: Vec<(Fault, u64)>,
    /// While one lasts, most calls to one of the stores are refused.
    storms: Vec<Storm>,
    /// Of a hundred messages: received once more while somebody has them.
    pub(crate) duplicated: u64,
    /// Of a hundred messages: on their way for long.
    pub(crate) delayed: u64,
    /// Of a hundred acknowledgements: accepted, and without effect.
    pub(crate) unheeded: u64,
    /// How fast the clock of the queues goes, in percent: they think that visibility has passed when it has not, or later.
    pub(crate) queue_clock: u64,
}

#[derive(Clone, Copy, Debug)]
struct Storm {
    service: Service,
    begins: u64,
    ends: u64,
}

/// What a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Storage,
    Table,
    Queue,
}

impl Weather {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let rate = |fault, dice: &mut Dice| {
            let is_crash = matches!(fault, Fault::CrashBefore | Fault::CrashAfter | Fault::CrashThenLands);
            let rates: &[u64] = if is_crash { &[0, 0, 30, 100, 200] } else { &[0, 0, 50, 200, 500] };
            (fault, dice.one_of(rates))
        };
        let rates = FAULTS.iter().map(|fault| rate(*fault, dice)).collect();
        let storm = |dice: &mut Dice| {
            let service = dice.one_of(&[Service::Storage, Service::Table, Service::Queue]);
            let begins = dice.below(20_000);
            Storm { service, begins, ends: begins + dice.between(500, 60_000) }
        };
        let storms = (0..dice.one_of(&[0, 0, 1, 2])).map(|_| storm(dice)).collect();
        Self {
            rates,
            storms,
            duplicated: dice.one_of(&[0, 5, 40]),
            delayed: dice.one_of(&[0, 10, 50]),
            unheeded: dice.one_of(&[0, 5, 30]),
            queue_clock: dice.one_of(&[100, 100, 20, 300, 1000]),
        }
    }

    /// What befalls a call at a time, in milliseconds. Puts that are refused when the object is there decide what is true:
    /// they are few, and are to fail in every way.
    pub(crate) fn fault(&self, dice: &mut Dice, (service, if_absent): (Service, bool), now: u64) -> Option<Fault> {
        let weight = if if_absent { 3 } else { 1 };
        let in_storm = |storm: &Storm| storm.service == service && (storm.begins..storm.ends).contains(&now);
        let mut drawn = dice.below(10_000);
        if dice.percent(70) && self.storms.iter().any(in_storm) {
            return Some(Fault::Refused);
        }
        for (fault, rate) in &self.rates {
            match drawn.checked_sub(weight * rate) {
                Some(rest) => drawn = rest,
                None => return Some(*fault),
            }
        }
        None
    }
}

/// How long something takes that takes long.
pub(crate) fn long(dice: &mut Dice) -> Duration {
    Duration::from_millis(dice.one_of(&[100, 1_000, 10_000, 100_000, 400_000]) + dice.below(100))
}
