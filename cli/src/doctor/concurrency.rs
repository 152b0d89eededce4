//! Whether the account has room for the calls that both functions may take at once.

use aws_sdk_lambda::types::AccountLimit;

use super::aws::{Aws, Refusal};
use super::findings::{Finding, Subject};
use super::functions::Functions;
use super::mappings;

/// Looks at the account's concurrency, where the functions' mappings are bounded.
pub(super) async fn check(aws: &Aws, functions: &Functions, findings: &mut Vec<Finding>) {
    let mut most = 0;
    for function in functions.all() {
        // That they cannot be seen is a finding already.
        let found = mappings::look(aws, function, &mut Vec::new()).await.unwrap_or_default();
        most += found.iter().filter_map(|mapping| mapping.most_calls).sum::<i32>();
    }
    if most == 0 {
        return;
    }
    let subject = Subject::new("concurrency", "the account");
    findings.push(match aws.lambda.get_account_settings().send().await {
        Ok(account) => {
            let free = account.account_limit().and_then(AccountLimit::unreserved_concurrent_executions);
            judge(&subject, most, free)
        }
        Err(error) => Refusal::new("lambda:GetAccountSettings", &error).finding(&subject),
    });
}

/// `most` calls of both functions, and those that all functions without a reservation may have.
fn judge(subject: &Subject, most: i32, free: Option<i32>) -> Finding {
    match free {
        Some(free) if free < most => subject.warning(
            format!("both functions may take {most} calls at once, and all functions of the account together have {free}: messages of calls that are throttled spend receives"),
            "ask for a higher quota of concurrent executions of Lambda, or lower splitter_max_concurrency and worker_max_concurrency",
        ),
        Some(_) => subject.ok(format!("the account has room for the {most} calls at once of both functions")),
        None => subject.unknown("AWS does not say how many calls it may have at once", "see the quotas of Lambda"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_account_has_room_for() {
        let subject = Subject::new("concurrency", "the account");
        for (free, expected) in [
            (Some(20), "ok       concurrency of the account: the account has room for the 20 calls"),
            (Some(10), "warning  concurrency of the account: both functions may take 20 calls at once, and all"),
            (None, "unknown  concurrency of the account: AWS does not say"),
        ] {
            let found = judge(&subject, 20, free).text();
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
