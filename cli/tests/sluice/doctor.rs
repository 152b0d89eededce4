//! `sluice doctor`, on a deployment that is broken bit by bit.

mod patient;

use aws_sdk_lambda::types::{FunctionResponseType, RecursiveLoop};
use aws_sdk_s3::types::{Event, NotificationConfiguration, TopicConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use tokio::runtime::Runtime;

use self::patient::{Patient, expiry, to_queue};
use crate::deployed::deployment::Deployment;
use crate::support::Place;

const CHUNKS: &str = "sluice-chunks-000000000000-eu-central-1";

#[test]
fn doctor_finds_what_terraform_deploys_healthy() {
    let patient = Patient::new("deployment");
    let ran = patient.doctor(&["-v"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    insta::assert_snapshot!(ran.stdout, @r"
    ok       state of sluice-splitter: active, provided.al2023 on arm64
    ok       size of sluice-splitter: 900 s and 1769 MB a call
    ok       environment of sluice-splitter: complete, and every variable can be used
    ok       state of sluice-worker: active, provided.al2023 on arm64
    ok       size of sluice-worker: 300 s and 1769 MB a call
    ok       environment of sluice-worker: complete, and every variable can be used
    ok       environment of sluice-splitter and sluice-worker: both name the same work areas and the same table
    ok       recursion of sluice-splitter: it may hand over to itself as often as a file needs
    ok       mapping of sluice-splitter: batches of 1 from sluice-events, 10 calls at once
    ok       visibility of sluice-events: 5400 s for the 900 s of the splitter
    ok       redrive of sluice-events: to sluice-events-dead after 5 receives
    ok       redrive of sluice-events-dead: takes dead letters of sluice-events
    ok       retention of sluice-events-dead: 14 days
    ok       dead letters of sluice-events-dead: none
    ok       mapping of sluice-worker: batches of 10 from sluice-chunks, 10 calls at once
    ok       visibility of sluice-chunks: 1805 s for the 300 s of the worker
    ok       redrive of sluice-chunks: to sluice-chunks-dead after 5 receives
    ok       redrive of sluice-chunks-dead: takes dead letters of sluice-chunks
    ok       retention of sluice-chunks-dead: 14 days
    ok       dead letters of sluice-chunks-dead: none
    ok       policy of sluice-events: bucket example-drops may send
    ok       notification of example-drops: all objects to sluice-events
    ok       loop of s3://sluice-chunks-000000000000-eu-central-1/sluice/: nothing that is written to the chunks is taken for a drop
    ok       loop of s3://example-lake/tables/orders/: nothing that is written to the table is taken for a drop
    ok       permissions of sluice-splitter: all 19 that were looked at of what the splitter needs
    ok       permissions of sluice-worker: all 17 that were looked at of what the worker needs
    ok       lifecycle of s3://sluice-chunks-000000000000-eu-central-1/sluice/: chunks expire after 30 days
    ok       content of s3://example-lake/tables/orders: no table yet; the first chunk makes it
    ok       conditional writes of s3://example-lake/tables/orders/_sluice/: a second writer is refused
    ok       concurrency of the account: the account has room for the 20 calls at once of both functions
    30 checks passed
    ");
    let brief = patient.doctor(&[]);
    assert_eq!(brief.stdout, "30 checks passed\n");
    let listed = patient.runtime.block_on(patient.s3.list_objects_v2().bucket("example-lake").send()).unwrap();
    assert_eq!(listed.key_count(), Some(0), "what was tried is cleared away");
}

#[test]
fn doctor_says_what_is_broken() {
    let mut patient = Patient::new("deployment");
    queues_break(&mut patient);
    functions_break(&mut patient);
    the_notification_breaks(&mut patient);
    roles_and_buckets_break(&mut patient);
    it_is_told_to_machines(&patient);
    functions_vanish(&mut patient);
}

fn queues_break(patient: &mut Patient) {
    use QueueAttributeName as Name;
    patient.set("sluice-events", Name::VisibilityTimeout, "5399");
    insta::assert_snapshot!(patient.news(), @r"
    warning  visibility of sluice-events: 5399 s, less than six times the 900 s of the splitter: throttled calls use up receives
             hint: set it to 5400 s, six times splitter_timeout_seconds and the batch window: run terraform apply
    ");
    patient.set("sluice-events", Name::VisibilityTimeout, "899");
    insta::assert_snapshot!(patient.news(), @r"
    problem  visibility of sluice-events: 899 s, less than the 900 s of the splitter: a message comes again while it is worked on
             hint: set it to 5400 s, six times splitter_timeout_seconds and the batch window: run terraform apply
    ");
    let dead = "arn:aws:sqs:eu-central-1:000000000000:sluice-events-dead";
    let redrive = json!({"deadLetterTargetArn": dead, "maxReceiveCount": 3}).to_string();
    patient.set("sluice-events", Name::RedrivePolicy, &redrive);
    insta::assert_snapshot!(patient.news(), @r"
    warning  redrive of sluice-events: 3 receives until a message is a dead letter: throttling alone can make one
             hint: set max_receive_count to 5 or more
    ");
    patient.set("sluice-events-dead", Name::MessageRetentionPeriod, "86400");
    insta::assert_snapshot!(patient.news(), @r"
    problem  retention of sluice-events-dead: 1 day from the first sending, and sluice-events keeps 4 days: a letter may be gone at once
             hint: set message_retention_seconds to 1209600, 14 days: run terraform apply
    ");
    patient.set("sluice-events-dead", Name::RedriveAllowPolicy, r#"{"redrivePermission":"denyAll"}"#);
    insta::assert_snapshot!(patient.news(), @r"
    problem  redrive of sluice-events-dead: its redrive allow policy lets no dead letters of sluice-events in
             hint: add arn:aws:sqs:eu-central-1:000000000000:sluice-events to sourceQueueArns: run terraform apply
    ");
    patient.runtime.block_on(async {
        let url = patient.queue("sluice-chunks-dead").await;
        patient.sqs.send_message().queue_url(url).message_body("x").send().await.unwrap();
    });
    insta::assert_snapshot!(patient.news(), @r"
    warning  dead letters of sluice-chunks-dead: 1 message failed too often
             hint: look: sluice dlq list --queue-url [emulator]/000000000000/sluice-chunks-dead
    ");
    patient.set("sluice-chunks", Name::RedrivePolicy, "");
    insta::assert_snapshot!(patient.news(), @r"
    problem  redrive of sluice-chunks: there is no redrive policy: a message that cannot be done comes again until it expires, and is lost
             hint: give it a queue of dead letters: run terraform apply
    ");
}

fn functions_break(patient: &mut Patient) {
    patient.runtime.block_on(async {
        let put = patient.lambda.put_function_recursion_config().function_name("sluice-splitter");
        put.recursive_loop(RecursiveLoop::Terminate).send().await.unwrap();
    });
    insta::assert_snapshot!(patient.news(), @r"
    problem  recursion of sluice-splitter: it hands over to itself, and Lambda ends that as a loop after 16 calls
             hint: allow recursive loops (aws_lambda_function_recursion_config): run terraform apply
    ");
    patient.runtime.block_on(async {
        let update = patient.lambda.update_event_source_mapping().uuid(patient.mapping("sluice-worker").await);
        update.set_function_response_types(Some(Vec::<FunctionResponseType>::new())).send().await.unwrap();
        let update = patient.lambda.update_event_source_mapping().uuid(patient.mapping("sluice-splitter").await);
        update.enabled(false).batch_size(10).send().await.unwrap();
    });
    insta::assert_snapshot!(patient.news(), @r#"
    problem  mapping of sluice-worker: ReportBatchItemFailures is missing: messages of sluice-chunks that failed are deleted with the others
             hint: set function_response_types = ["ReportBatchItemFailures"]: run terraform apply
    warning  mapping of sluice-splitter: it is disabled: nothing calls the function from sluice-events
             hint: enable it, unless sluice work does its work
    warning  mapping of sluice-splitter: batches of 10 files share the time of one call
             hint: set batch_size = 1: run terraform apply
    "#);
    patient.set_variables("sluice-worker", |all| drop(all.insert("TABLE_URI".to_owned(), "s3://other/t".to_owned())));
    insta::assert_snapshot!(patient.news(), @r"
    problem  environment of sluice-splitter and sluice-worker: TABLE_URI differs: s3://example-lake/tables/orders for the splitter, s3://other/t for the worker
             hint: set both alike: run terraform apply, which does
    ");
    patient.set_variables("sluice-splitter", |all| drop(all.remove("SOURCE_QUEUE_URL")));
    insta::assert_snapshot!(patient.news(), @r"
    warning  environment of sluice-splitter: SOURCE_QUEUE_URL is not set: a file that needs several calls uses up a receive with each
             hint: set splitter_hand_over = true
    ");
}

fn the_notification_breaks(patient: &mut Patient) {
    patient.notify("example-drops", to_queue("sluice-events", &[Event::S3ObjectCreatedPut]));
    insta::assert_snapshot!(patient.news(), @r"
    problem  notification of example-drops: sluice-events is not notified of s3:ObjectCreated:CompleteMultipartUpload: large files come in parts, and are left alone
             hint: notify of s3:ObjectCreated:*
    ");
    patient.notify(CHUNKS, to_queue("sluice-events", &[Event::S3ObjectCreated]));
    insta::assert_snapshot!(patient.news(), @r"
    problem  loop of s3://sluice-chunks-000000000000-eu-central-1/sluice/: sluice-events is notified of all objects: what is written to the chunks is split again
             hint: keep source_prefix apart from chunk_prefix and table_uri, or give each a bucket
    ");
    patient.notify("example-drops", NotificationConfiguration::builder().build());
    insta::assert_snapshot!(patient.news(), @r"
    problem  notification of example-drops: it does not notify sluice-events of what is dropped
             hint: set manage_notification = true, or have the bucket notify it of s3:ObjectCreated:*
    ");
    let elsewhere = patient.doctor(&["--source", "s3://nowhere/in/"]).stdout;
    assert!(elsewhere.contains("problem  notification of nowhere: there is no such bucket\n"), "{elsewhere}");
    patient.set("sluice-events", QueueAttributeName::Policy, "");
    insta::assert_snapshot!(patient.news(), @r"
    problem  policy of sluice-events: neither S3, SNS nor EventBridge may send to it: no drop is ever heard of
             hint: allow sqs:SendMessage to the service that notifies it: run terraform apply
    ");
}

fn roles_and_buckets_break(patient: &mut Patient) {
    patient.runtime.block_on(async {
        let policy = json!({"Statement": [{"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::example-lake/*"}]});
        let put = patient.iam.put_role_policy().role_name("sluice-worker").policy_name("worker");
        put.policy_document(policy.to_string()).send().await.unwrap();
    });
    insta::assert_snapshot!(patient.news(), @r"
    problem  permissions of sluice-worker: denied on arn:aws:s3:::example-lake/tables/orders/*: s3:DeleteObject
             hint: allow it in the worker's role, its boundary and the account's policies: run terraform apply
    problem  permissions of sluice-worker: denied on arn:aws:sqs:eu-central-1:000000000000:sluice-chunks: sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility, sqs:GetQueueAttributes
             hint: allow it in the worker's role, its boundary and the account's policies: run terraform apply
    ");
    let put = patient.s3.put_bucket_lifecycle_configuration().bucket(CHUNKS).lifecycle_configuration(expiry("", 2));
    patient.runtime.block_on(put.send()).unwrap();
    insta::assert_snapshot!(patient.news(), @r"
    problem  lifecycle of s3://sluice-chunks-000000000000-eu-central-1/sluice/: chunks expire after 2 days, and their messages may wait 4 days
             hint: set chunk_expiration_days above 14, the days that a dead letter is kept
    ");
    patient.runtime.block_on(patient.s3.delete_bucket_lifecycle().bucket(CHUNKS).send()).unwrap();
    insta::assert_snapshot!(patient.news(), @r"
    warning  lifecycle of s3://sluice-chunks-000000000000-eu-central-1/sluice/: chunks never expire, and cost for ever
             hint: set chunk_expiration_days: run terraform apply
    ");
    patient.runtime.block_on(patient.s3.delete_bucket().bucket("example-lake").send()).unwrap();
    insta::assert_snapshot!(patient.news(), @r"
    problem  content of s3://example-lake/tables/orders: there is no such bucket
             hint: set create_table_bucket = true, or table_uri to a bucket that is there
    ");
}

fn it_is_told_to_machines(patient: &Patient) {
    let ran = patient.doctor(&["--json", "--read-only"]);
    let document = ran.json();
    let findings = document["findings"].as_array().unwrap();
    let with = |status: &str| findings.iter().filter(|finding| finding["status"] == status).count();
    assert_eq!((ran.status, &document["name"]), (1, &json!("sluice")));
    assert_eq!((&document["problems"], &document["warnings"]), (&json!(with("problem")), &json!(with("warning"))));
    let redrive = findings.iter().find(|finding| finding["object"] == "sluice-chunks" && finding["check"] == "redrive");
    let says = "there is no redrive policy: a message that cannot be done comes again until it expires, and is lost";
    let hint = "give it a queue of dead letters: run terraform apply";
    let expected =
        json!({"check": "redrive", "object": "sluice-chunks", "status": "problem", "says": says, "hint": hint});
    assert_eq!(redrive, Some(&expected));
}

fn functions_vanish(patient: &mut Patient) {
    patient.set_variables("sluice-splitter", |all| drop(all.insert("CHUNK_SIZE_MB".to_owned(), "ten".to_owned())));
    insta::assert_snapshot!(patient.news(), @r"
    problem  environment of sluice-splitter: CHUNK_SIZE_MB='ten' cannot be used: it must be a whole number from 1 to 5120
             hint: fix the variable and run terraform apply
    problem  permissions of sluice-splitter: denied on arn:aws:s3:::other/t/_delta_log/*: s3:GetObject
             hint: allow it in the splitter's role, its boundary and the account's policies: run terraform apply
    problem  permissions of sluice-splitter: denied on arn:aws:s3:::other, prefix t/_delta_log/*: s3:ListBucket
             hint: allow it in the splitter's role, its boundary and the account's policies: run terraform apply
    problem  content of s3://other/t: there is no such bucket
             hint: set create_table_bucket = true, or table_uri to a bucket that is there
    ");
    patient.runtime.block_on(patient.lambda.delete_function().function_name("sluice-splitter").send()).unwrap();
    insta::assert_snapshot!(patient.news(), @r"
    problem  state of sluice-splitter: there is no such function
             hint: run terraform apply, or name it with --splitter or --worker
    ");
    patient.runtime.block_on(patient.lambda.delete_function().function_name("sluice-worker").send()).unwrap();
    let ran = patient.doctor(&[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    insta::assert_snapshot!(ran.stderr, @r"
    error: cannot look into the functions sluice-splitter and sluice-worker: ResourceNotFoundException: Function not found: arn:aws:lambda:eu-central-1:000000000000:function:sluice-splitter
    hint: set --name to the name in Terraform, or --splitter and --worker; AWS_REGION must be their region
    ");
}

#[test]
fn doctor_follows_a_topic() {
    let mut patient = Patient::new("through_sns");
    assert_eq!(patient.news(), "");
    assert_eq!(patient.doctor(&["--source", "s3://example-drops/in/"]).stdout, "33 checks passed\n");
    let elsewhere = patient.doctor(&["--source", "s3://example-drops/out/"]).stdout;
    insta::assert_snapshot!(elsewhere, @r"
    problem  notification of example-drops: sluice-events is notified of objects under in/ that end in .csv and objects under in/ that end in .csv.gz, not of what is under out/
             hint: set source_prefix to where files are dropped
    problem  permissions of sluice-splitter: denied on arn:aws:s3:::example-drops/out/*: s3:GetObject
             hint: allow it in the splitter's role, its boundary and the account's policies: run terraform apply
    problem  permissions of sluice-splitter: denied on arn:aws:s3:::example-drops, prefix out/*: s3:ListBucket
             hint: allow it in the splitter's role, its boundary and the account's policies: run terraform apply
    30 checks passed
    ");
    let topic = "arn:aws:sns:eu-central-1:000000000000:sluice-events";
    patient.runtime.block_on(async {
        let listed = patient.sns.list_subscriptions_by_topic().topic_arn(topic).send().await.unwrap();
        let ours = listed.subscriptions()[0].subscription_arn().unwrap();
        patient.sns.unsubscribe().subscription_arn(ours).send().await.unwrap();
    });
    insta::assert_snapshot!(patient.news(), @r"
    problem  subscription of topic sluice-events: sluice-events does not subscribe to it
             hint: run terraform apply, which subscribes it
    ");
    let rule = TopicConfiguration::builder().topic_arn(topic).events(Event::S3ObjectCreatedCompleteMultipartUpload);
    let rules = NotificationConfiguration::builder().topic_configurations(rule.build().unwrap()).build();
    patient.notify("example-drops", rules);
    insta::assert_snapshot!(patient.news(), @r"
    problem  notification of example-drops: sluice-events is not notified of s3:ObjectCreated:Put
             hint: notify of s3:ObjectCreated:*
    problem  permissions of sluice-splitter: denied on arn:aws:s3:::example-drops/*: s3:GetObject
             hint: allow it in the splitter's role, its boundary and the account's policies: run terraform apply
    problem  permissions of sluice-splitter: denied on arn:aws:s3:::example-drops, prefix *: s3:ListBucket
             hint: allow it in the splitter's role, its boundary and the account's policies: run terraform apply
    ");
    patient.runtime.block_on(patient.sns.delete_topic().topic_arn(topic).send()).unwrap();
    insta::assert_snapshot!(patient.news(), @r"
    problem  policy of topic sluice-events: there is no such topic
             hint: run terraform apply, which makes it
    unknown  notification of sluice-events: no policy names the bucket
             hint: name the place where files are dropped: --source s3://bucket/prefix
    ");
}

/// Who may see the functions and nothing else hears of everything that stays unknown.
#[test]
fn doctor_says_what_it_may_not_look_into() {
    let deployment = Deployment::with_true_timeouts("deployment", &[("AUTH", "true")]);
    let key = Runtime::new().unwrap().block_on(async {
        let iam = aws_sdk_iam::Client::new(&deployment.emulator.sdk_config().await);
        iam.create_user().user_name("guest").send().await.unwrap();
        let policy =
            json!({"Statement": [{"Effect": "Allow", "Action": "lambda:GetFunctionConfiguration", "Resource": "*"}]});
        let put = iam.put_user_policy().user_name("guest").policy_name("p").policy_document(policy.to_string());
        put.send().await.unwrap();
        iam.create_access_key().user_name("guest").send().await.unwrap().access_key.unwrap()
    });
    let mut env = deployment.emulator.env();
    env.push(("AWS_ACCESS_KEY_ID".to_owned(), key.access_key_id));
    env.push(("AWS_SECRET_ACCESS_KEY".to_owned(), key.secret_access_key));
    let ran = Place::with_env(env).run(&["doctor"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    // The words of the service are its own.
    let line = |line: &str| line.split_inclusive("cannot be looked into").next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(ran.stdout.lines().map(line).collect::<Vec<_>>().join("\n"), @r"
    unknown  recursion of sluice-splitter: cannot be looked into
             hint: allow lambda:GetFunctionRecursionConfig to whoever runs this
    unknown  mapping of sluice-splitter: cannot be looked into
             hint: allow lambda:ListEventSourceMappings to whoever runs this
    unknown  queue of sluice-events: cannot be looked into
             hint: allow sqs:GetQueueAttributes to whoever runs this
    unknown  mapping of sluice-worker: cannot be looked into
             hint: allow lambda:ListEventSourceMappings to whoever runs this
    unknown  queue of sluice-chunks: cannot be looked into
             hint: allow sqs:GetQueueAttributes to whoever runs this
    unknown  permissions of sluice-splitter: cannot be looked into
             hint: allow iam:SimulatePrincipalPolicy to whoever runs this
    unknown  permissions of sluice-worker: cannot be looked into
             hint: allow iam:SimulatePrincipalPolicy to whoever runs this
    unknown  lifecycle of s3://sluice-chunks-000000000000-eu-central-1/sluice/: cannot be looked into
             hint: allow s3:GetLifecycleConfiguration to whoever runs this
    unknown  content of s3://example-lake/tables/orders: cannot be looked into
             hint: allow s3:ListBucket to whoever runs this
    7 checks passed
    ");
}

#[test]
fn doctor_without_credentials_or_sense() {
    let env = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let ran = Place::with_env(vec![
        env("AWS_REGION", "eu-central-1"),
        env("AWS_EC2_METADATA_DISABLED", "true"),
        env("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ])
    .run(&["doctor", "--name", "x"]);
    insta::assert_snapshot!(ran.stderr, @r"
    error: no AWS credentials can be used: the credential provider was not enabled: no credentials found in chain
    hint: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `aws sso login` renews those of a profile with SSO
    ");
    assert_eq!(ran.status, 1);
    for source in ["in/x.csv", "gs://b/k", ""] {
        let ran = Place::new().run(&["doctor", "--source", source]);
        assert_eq!(ran.status, 2, "{ran:?}");
    }
    let help = Place::new().run(&["doctor", "--help"]).stdout;
    assert!(help.contains("two empty objects below TABLE/_sluice/_first-wins"), "{help}");
}
