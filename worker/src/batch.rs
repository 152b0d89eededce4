//! The messages of one call: what they ask for, and what each is answered.

use std::time::Duration;

use shared::{ChunkTask, Location, Message, Verdict};

use crate::error::LoadError;
use crate::route::RoutedChunk;

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
}

/// Reads the messages; one that is no chunk task is answered and left out, and a task that came twice stands once.
pub(crate) fn read_tasks(messages: &[Message], answers: &mut Answers) -> Vec<ReceivedTask> {
    let mut tasks: Vec<ReceivedTask> = Vec::new();
    for (position, message) in messages.iter().enumerate() {
        match ChunkTask::parse(&message.body) {
            Ok(task) => match tasks.iter_mut().find(|known| known.task == task) {
                Some(known) => known.messages.push(position),
                None => tasks.push(ReceivedTask { task, messages: vec![position] }),
            },
            Err(source) => {
                let error = LoadError::Message { message: message.id.clone(), source };
                answers.give(&[position], &error.verdict());
            }
        }
    }
    tasks
}

/// The chunks of each table, in the order in which the tables first came up. Of two work areas with the same job, one has to
/// wait until the table says whose cut it has.
pub(crate) fn by_table(chunks: Vec<RoutedChunk>, answers: &mut Answers) -> Vec<(Location, Vec<RoutedChunk>)> {
    let mut tables: Vec<(Location, Vec<RoutedChunk>)> = Vec::new();
    for chunk in chunks {
        let Some((_, known)) = tables.iter_mut().find(|(table, _)| *table == chunk.table) else {
            tables.push((chunk.table.clone(), vec![chunk]));
            continue;
        };
        match known.iter_mut().find(|known| known.app_id == chunk.app_id) {
            Some(same) if same.at == chunk.at => same.messages.extend(chunk.messages),
            Some(same) => {
                let reason = format!("{} is the same chunk of the same job, and is loaded first", same.at);
                let again = Verdict::Retry { reason, after: Duration::from_secs(1), most_receives: None };
                answers.give(&chunk.messages, &again);
            }
            None => known.push(chunk),
        }
    }
    tables
}
