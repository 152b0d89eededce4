//! Examples of each command, for its help. A test holds them to what the command line takes.

/// Commands by name, each with one to three examples.
pub(super) const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "ingest",
        &[
            "sluice ingest orders.csv --table lake/orders",
            "sluice ingest a.csv folder/ 'daily/*.csv' s3://drops/2026/ --table s3://lake/orders",
            "find drops -name '*.csv' -mtime -1 -print0 | sluice ingest --files-from - --table lake/orders",
        ],
    ),
    (
        "plan",
        &[
            "sluice plan orders.csv --table lake/orders",
            "sluice plan orders.csv --sql 'select id, price * 2 as double from chunk'",
            "sluice plan 'daily/*.csv' --save orders.toml",
        ],
    ),
    ("contract check", &["sluice contract check orders.csv --contract orders.toml"]),
    ("route check", &["sluice route check s3://landing/crm/orders/a.csv --routes routes.toml"]),
    ("route list", &["sluice route list --routes routes.toml"]),
    ("route test", &["sluice route test routes.toml"]),
    (
        "chain",
        &[
            "sluice chain --routes routes.toml",
            "sluice chain --routes routes.toml --dry-run",
            "sluice chain --routes s3://config/routes.toml --every 1m",
        ],
    ),
    ("tune", &["sluice tune orders.csv", "sluice tune s3://drops/orders.csv --sizes 64,128 --html tune.html"]),
    (
        "jobs",
        &[
            "sluice jobs --table lake/orders --since 1d",
            "sluice jobs --table lake/orders --failed",
            "sluice jobs --work-dir s3://chunks/sluice --most 20 --json",
        ],
    ),
    ("status", &["sluice status latest --table lake/orders", "sluice status orders.csv --table lake/orders --verify"]),
    ("undo", &["sluice undo latest --table lake/orders --dry-run", "sluice undo orders-02-6cf1 --table lake/orders"]),
    (
        "maintain",
        &["sluice maintain --table lake/orders --dry-run", "sluice maintain --table lake/orders --compact within-jobs"],
    ),
    ("quarantine show", &["sluice quarantine show latest --table lake/orders"]),
    (
        "quarantine replay",
        &[
            "sluice quarantine replay latest --table lake/orders --schema 'day:date(DD.MM.YYYY)' --dry-run",
            "sluice quarantine replay latest --table lake/orders --bad-records null",
        ],
    ),
    ("enqueue", &["sluice enqueue s3://in/2026/ --queue-url https://sqs.eu-central-1.amazonaws.com/1/q --dry-run"]),
    (
        "split",
        &["sluice split orders.csv --out chunks", "sluice split s3://drops/orders.csv --out s3://chunks/sluice --json"],
    ),
    (
        "work",
        &[
            "sluice work --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/chunks",
            "sluice work --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/drops --splitter",
        ],
    ),
    ("dlq list", &["sluice dlq list --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/dead"]),
    (
        "dlq replay",
        &["sluice dlq replay --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/dead --dry-run"],
    ),
    ("doctor", &["sluice doctor --name sluice", "sluice doctor --source s3://drops/in/ --read-only"]),
    ("settings", &["sluice settings", "sluice settings --json"]),
    (
        "completions",
        &[
            "sluice completions bash > ~/.local/share/bash-completion/completions/sluice",
            "sluice completions fish > ~/.config/fish/completions/sluice.fish",
        ],
    ),
    ("man", &["sluice man | man -l -", "sluice man ~/.local/share/man/man1"]),
];
