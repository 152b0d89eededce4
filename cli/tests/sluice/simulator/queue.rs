//! The queues: at least once, in any order, each message hidden for as long as the queue's own clock thinks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use shared::{Message, Queue, QueueError, ReceiptHandle};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::dice::Dice;
use super::faults::{Service, Weather, long};
use super::scenario::Scenario;
use super::world::{Call, Failure, Process, World};

/// One queue with its dead letters.
#[derive(Debug)]
pub(crate) struct Channel {
    name: &'static str,
    visibility: Duration,
    max_receives: u32,
    weather: Weather,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    messages: Vec<Stored>,
    dead: Vec<Stored>,
    sent: u64,
    received: u64,
    dice: Dice,
    is_calm: bool,
}

#[derive(Clone, Debug)]
struct Stored {
    id: String,
    body: String,
    visible_at: Instant,
    /// The latest is the last.
    receipts: Vec<ReceiptHandle>,
    receive_count: u32,
}

impl Channel {
    pub(crate) fn new(name: &'static str, seed: u64, visibility: Duration, scenario: &Scenario) -> Self {
        let dice = Dice::of(seed, &[name]);
        let state = State { messages: Vec::new(), dead: Vec::new(), sent: 0, received: 0, dice, is_calm: false };
        Self {
            name,
            visibility,
            max_receives: scenario.max_receives,
            weather: scenario.weather.clone(),
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// From now on messages come at once, and once.
    pub(crate) fn calm_down(&self) {
        self.state.lock().unwrap().is_calm = true;
    }

    pub(crate) fn send(&self, bodies: &[String]) {
        let mut guard = self.state.lock().unwrap();
        let state = &mut *guard;
        for body in bodies {
            state.sent += 1;
            let is_late = !state.is_calm && state.dice.percent(self.weather.delayed);
            let delay = if is_late { long(&mut state.dice) } else { Duration::ZERO };
            let id = format!("{}-{}", self.name, state.sent);
            let visible_at = Instant::now() + delay;
            let (body, receipts) = (body.clone(), Vec::new());
            state.messages.push(Stored { id, body, visible_at, receipts, receive_count: 0 });
        }
        drop(guard);
        self.changed.notify_waiters();
    }

    /// Waits for messages, and gives up to so many of those that are visible, no matter which.
    pub(crate) async fn receive(&self, most: usize) -> Vec<Message> {
        loop {
            let changed = self.changed.notified();
            let (taken, next_visible) = self.take(most);
            if !taken.is_empty() {
                return taken;
            }
            match next_visible {
                // Whether it was a change or the time that came first, look again.
                Some(at) => drop(timeout(at.saturating_duration_since(Instant::now()), changed).await),
                None => changed.await,
            }
        }
    }

    fn take(&self, most: usize) -> (Vec<Message>, Option<Instant>) {
        let now = Instant::now();
        let mut guard = self.state.lock().unwrap();
        let state = &mut *guard;
        let (spent, mut kept): (Vec<_>, Vec<_>) = std::mem::take(&mut state.messages)
            .into_iter()
            .partition(|message| message.visible_at <= now && message.receive_count >= self.max_receives);
        state.dead.extend(spent);
        let mut taken = Vec::new();
        while taken.len() < most {
            let visible: Vec<usize> = (0..kept.len()).filter(|index| kept[*index].visible_at <= now).collect();
            if visible.is_empty() {
                break;
            }
            let message = &mut kept[state.dice.one_of(&visible)];
            let is_doubled = !state.is_calm && state.dice.percent(self.weather.duplicated);
            let hidden = if is_doubled { long(&mut state.dice).min(self.visibility) } else { self.visibility };
            state.received += 1;
            message.visible_at = now + self.by_own_clock(hidden, state.is_calm);
            message.receive_count += 1;
            let receipt = ReceiptHandle(format!("{}#{}", message.id, state.received));
            message.receipts.push(receipt.clone());
            let (id, body) = (message.id.clone(), message.body.clone());
            taken.push(Message { id, receipt, body, receive_count: message.receive_count });
        }
        let next_visible = kept.iter().map(|message| message.visible_at).min();
        state.messages = kept;
        (taken, next_visible)
    }

    fn by_own_clock(&self, time: Duration, is_calm: bool) -> Duration {
        let percent = if is_calm { 100 } else { self.weather.queue_clock };
        Duration::from_millis(u64::try_from(time.as_millis()).unwrap() * 100 / percent)
    }

    /// Removes a message by any of its receipts; that it does so by an old one is possible, and not certain.
    fn acknowledge(&self, receipt: &ReceiptHandle) {
        let mut guard = self.state.lock().unwrap();
        let state = &mut *guard;
        let is_heeded = state.is_calm || !state.dice.percent(self.weather.unheeded);
        let takes_old = state.dice.percent(50);
        let is_meant = |message: &Stored| match message.receipts.iter().position(|known| known == receipt) {
            Some(position) => takes_old || position + 1 == message.receipts.len(),
            None => false,
        };
        if is_heeded {
            state.messages.retain(|message| !is_meant(message));
        }
        drop(guard);
        self.changed.notify_waiters();
    }

    fn hide(&self, receipt: &ReceiptHandle, time: Duration) {
        let mut guard = self.state.lock().unwrap();
        let visible_at = Instant::now() + self.by_own_clock(time, guard.is_calm);
        if let Some(message) = guard.messages.iter_mut().find(|message| message.receipts.last() == Some(receipt)) {
            message.visible_at = visible_at;
        }
        drop(guard);
        self.changed.notify_waiters();
    }

    /// What was sent in a message that is still there.
    fn body(&self, receipt: &ReceiptHandle) -> Option<String> {
        let state = self.state.lock().unwrap();
        let message = state.messages.iter().find(|message| message.receipts.contains(receipt));
        message.map(|message| message.body.clone())
    }

    /// How many messages say this, dead letters included.
    fn copies(&self, body: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.messages.iter().chain(&state.dead).filter(|message| message.body == body).count()
    }

    /// Sends dead letters back; gives their number.
    pub(crate) fn replay_dead_letters(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        let dead = std::mem::take(&mut state.dead);
        let replayed = dead.len();
        let fresh = dead.into_iter().map(|letter| Stored { receive_count: 0, visible_at: Instant::now(), ..letter });
        state.messages.extend(fresh);
        drop(state);
        self.changed.notify_waiters();
        replayed
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.messages.is_empty() && state.dead.is_empty()
    }
}

/// A queue as one process reaches it.
#[derive(Debug)]
pub(crate) struct SimulatedQueue {
    process: Arc<Process>,
    channel: fn(&World) -> &Channel,
}

impl SimulatedQueue {
    pub(crate) fn tasks(process: &Arc<Process>) -> Arc<Self> {
        Arc::new(Self { process: Arc::clone(process), channel: |world| &world.tasks })
    }

    pub(crate) fn events(process: &Arc<Process>) -> Arc<Self> {
        Arc::new(Self { process: Arc::clone(process), channel: |world| &world.events })
    }

    async fn call<T: Send + 'static>(
        &self,
        verb: &'static str,
        object: &str,
        effect: impl FnOnce(&Process, &Channel) -> T + Send + 'static,
    ) -> Result<T, QueueError> {
        let queue = (self.channel)(&self.process.world).name;
        let failed = |failure: Failure| {
            let source = failure.text().into();
            QueueError::Unavailable { queue: queue.to_owned(), action: "reach", source }
        };
        let (process, channel) = (Arc::clone(&self.process), self.channel);
        let call = Call { service: Service::Queue, verb, object, if_absent: false };
        self.process.call(call, failed, move || Ok(effect(&process, channel(&process.world)))).await
    }
}

#[async_trait]
impl Queue for SimulatedQueue {
    async fn send(&self, bodies: &[String]) -> Result<(), QueueError> {
        // One after the other: a failure leaves some of them sent.
        for body in bodies {
            let body = body.clone();
            let queue = (self.channel)(&self.process.world).name;
            let sending = move |process: &Process, channel: &Channel| {
                if channel.name == "tasks" {
                    let checked = process.world.ledger().send(&body);
                    process.world.check(&process.name, checked);
                }
                channel.send(&[body]);
            };
            self.call("send", queue, sending).await?;
        }
        Ok(())
    }

    async fn receive(&self, most: usize, _: Duration) -> Result<Vec<Message>, QueueError> {
        Ok((self.channel)(&self.process.world).receive(most).await)
    }

    async fn acknowledge(&self, receipts: &[ReceiptHandle]) -> Result<(), QueueError> {
        for receipt in receipts {
            let given = receipt.clone();
            let acknowledging = move |process: &Process, channel: &Channel| {
                if let Some(body) = channel.body(&given) {
                    let ledger = process.world.ledger();
                    let checked = match channel.name {
                        "tasks" => ledger.acknowledge_task(&body),
                        _ => ledger.acknowledge_event(&body, channel.copies(&body) > 1),
                    };
                    drop(ledger);
                    process.world.check(&process.name, checked);
                }
                channel.acknowledge(&given);
            };
            self.call("acknowledge", &receipt.0, acknowledging).await?;
        }
        Ok(())
    }

    async fn hide(&self, receipt: &ReceiptHandle, visibility: Duration) -> Result<(), QueueError> {
        let given = receipt.clone();
        self.call("hide", &receipt.0, move |_, channel| channel.hide(&given, visibility)).await
    }

    async fn visibility(&self) -> Result<Duration, QueueError> {
        self.call("attributes", "visibility", |_, channel| channel.visibility).await
    }
}
