//! The messages of one call: what they ask for, and what each is answered.

use shared::{ChunkTask, Message, Verdict};

use crate::error::LoadError;

/// The answers to the messages of one call, in their order.
#[derive(Debug)]
pub(crate) struct Answers(Vec<Option<Verdict>>);

impl Answers {
    pub(crate) fn new(messages: usize) -> Self {
        Self(vec![None; messages])
    }

    /// Answers messages; the first answer stands.
    pub(crate) fn give(&mut self, messages: &[usize], verdict: &Verdict) {
        for message in messages {
            if let Some(answer) = self.0.get_mut(*message) {
                answer.get_or_insert_with(|| verdict.clone());
            }
        }
    }

    pub(crate) fn into_verdicts(self) -> Vec<Verdict> {
        let unanswered =
            || LoadError::Bug { what: "a message".to_owned(), reason: "it was left out".to_owned() }.verdict();
        self.0.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }
}

/// A chunk task and the positions of the messages that carry it.
#[derive(Debug)]
pub(crate) struct ReceivedTask {
    pub(crate) task: ChunkTask,
    pub(crate) messages: Vec<usize>,
    /// Times that the one which came most often was received.
    pub(crate) receives: u32,
}

/// Reads the messages; one that is not a chunk task is answered and left out, and a task that came twice stands once.
pub(crate) fn read_tasks(messages: &[Message], answers: &mut Answers) -> Vec<ReceivedTask> {
    let mut tasks: Vec<ReceivedTask> = Vec::new();
    for (position, message) in messages.iter().enumerate() {
        match ChunkTask::parse(&message.body) {
            Ok(task) => match tasks.iter_mut().find(|known| known.task == task) {
                Some(known) => {
                    known.messages.push(position);
                    known.receives = known.receives.max(message.receive_count);
                }
                None => tasks.push(ReceivedTask { task, messages: vec![position], receives: message.receive_count }),
            },
            Err(source) => {
                let error = LoadError::Message { message: message.id.clone(), source };
                answers.give(&[position], &error.verdict());
            }
        }
    }
    tasks
}
