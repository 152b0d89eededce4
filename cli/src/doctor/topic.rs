//! The topic that is notified of jobs that are done.

use super::aws::{Aws, Refusal};
use super::findings::{Finding, Subject};
use super::functions::Functions;

/// Looks for the topic, if one is set. Whichever function sees a job done tells of it, so both have to name the same.
pub(super) async fn check(aws: &Aws, functions: &Functions, findings: &mut Vec<Finding>) {
    let topics: Vec<Option<String>> = functions.all().map(super::functions::function::Function::topic).collect();
    findings.extend(judge_agreement(&topics));
    let Some(arn) = topics.into_iter().flatten().next() else { return };
    let asked = aws.sns.get_topic_attributes().topic_arn(&arn).send().await;
    let asked = asked.map(drop).map_err(|error| Refusal::new("sns:GetTopicAttributes", &error));
    findings.push(judge(&arn, asked));
}

fn judge(arn: &str, asked: Result<(), Refusal>) -> Finding {
    let subject = Subject::new("completion topic", arn);
    match asked {
        Ok(()) => subject.ok("is there"),
        Err(refusal) if refusal.is_missing() => subject.problem(
            "there is no such topic, and messages of jobs that are done end among the dead letters",
            "make it, or set completion_topic_arn to one that is there",
        ),
        Err(refusal) => refusal.finding(&subject),
    }
}

fn judge_agreement(topics: &[Option<String>]) -> Option<Finding> {
    let [one, other] = topics else { return None };
    let shown = |topic: &Option<String>| topic.clone().unwrap_or_else(|| "nothing".to_owned());
    let says =
        format!("COMPLETION_TOPIC_ARN differs: {} for the splitter, {} for the worker", shown(one), shown(other));
    let hint = "set both alike: run terraform apply, which does";
    (one != other).then(|| Subject::new("completion topic", "both functions").problem(says, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_name_the_same() {
        let arn = || Some("arn:t".to_owned());
        for topics in [vec![], vec![arn()], vec![None, None], vec![arn(), arn()]] {
            assert_eq!(judge_agreement(&topics), None, "{topics:?}");
        }
        let text = judge_agreement(&[arn(), None]).unwrap().text();
        assert!(
            text.contains("COMPLETION_TOPIC_ARN differs: arn:t for the splitter, nothing for the worker"),
            "{text}"
        );
        assert!(judge("arn:t", Ok(())).text().contains("completion topic of arn:t: is there"));
    }
}
