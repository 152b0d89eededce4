//! What is read without a setting from files as other systems write them, and what is refused.

use crate::types::load;

/// Files, each with its columns and rows as they must be.
const READ: &[(&[u8], &str)] = &[
    // Encodings, by symbols and a few letters.
    (b"sku,price\nA,\xa312.50\nB,\xa39.99\n", "sku:text price:text\nA | £12.50\nB | £9.99"),
    (b"sensor,unit\ns1,\xb5g/m\xb3\n", "sensor:text unit:text\ns1 | µg/m³"),
    (b"id,gap\n1,5 \xb5m\n2,7 \xb5m\n", "id:int64 gap:text\n1 | 5 µm\n2 | 7 µm"),
    (b"id,tol\n1,\xb13\n2,\xb15\n", "id:int64 tol:text\n1 | ±3\n2 | ±5"),
    (b"ID,CIUDAD\n1,LOGRO\xd1O\n2,M\xc1LAGA\n", "id:int64 ciudad:text\n1 | LOGROÑO\n2 | MÁLAGA"),
    // Backslashes that escape nothing.
    (b"i,t\n1,\"a \\\"b\\\" c\"\n2,\"C:\\new\\table\"\n", "i:int64 t:text\n1 | a \"b\" c\n2 | C:\\new\\table"),
    (b"i,t\n1,\"a \\\"b\\\" c\"\n2,\"\\\\d\\d\"\n", "i:int64 t:text\n1 | a \"b\" c\n2 | \\d\\d"),
    (b"i,t\n1,\"say \\\"\"x\\\"\"\"\n2,\"y\"\n", "i:int64 t:text\n1 | say \\\"x\\\"\n2 | y"),
    // A `\r` within a record, and records that end with one.
    (
        b"ticket,status,comment\r\n1,open,customer called\rasked for refund\r\n2,closed,ok\r\n",
        "ticket:int64 status:text comment:text\n1 | open | customer called\rasked for refund\n2 | closed | ok",
    ),
    (b"i,t\n1,a\rb\n2,c\n", "i:int64 t:text\n1 | a\rb\n2 | c"),
    (b"i,t\r1,a\r2,\"b\nc\"\r", "i:int64 t:text\n1 | a\n2 | b\nc"),
    // One record with a list is no document of rows.
    (
        b"{\"order_id\":1,\"customer\":\"x\",\"items\":[{\"sku\":\"a\"}]}",
        "order_id:int64 customer:text items:text\n1 | x | [{\"sku\":\"a\"}]",
    ),
    // One column of texts with blanks at the same places.
    (
        b"note\n0001  paid\n0002  sent\n0003  lost\n0004  kept\n0005  paid\n",
        "note:text\n0001  paid\n0002  sent\n0003  lost\n0004  kept\n0005  paid",
    ),
    (
        b"note\n\"Q0:  a  A0:  b\"\n\"Q1:  c  A1:  d\"\n\"Q2:  e  A2:  f\"\n\"Q3:  g  A3:  h\"\n",
        "note:text\nQ0:  a  A0:  b\nQ1:  c  A1:  d\nQ2:  e  A2:  f\nQ3:  g  A3:  h",
    ),
    // Headers, and what is none.
    (
        b"s,t,h\nk,unavailable,unknown\nk,21.5,48\nk,21.6,47\nk,21.7,46\n",
        "s:text t:text h:text\nk | unavailable | unknown\nk | 21.5 | 48\nk | 21.6 | 47\nk | 21.7 | 46",
    ),
    (b"2026-03-01,21.5,48\n", "column_1:date column_2:float64 column_3:int64\n2026-03-01 | 21.5 | 48"),
    (b"c,2023,2022,2021\nAT,12.5,11.2,10.1\n", "c:text 2023:float64 2022:float64 2021:float64\nAT | 12.5 | 11.2 | 10.1"),
    (b"sep=;\nid;wert\n1;10\n", "id:int64 wert:int64\n1 | 10"),
    (b"\"mpg\",\"cyl\"\n\"a\",20,4\n\"b\",21,5\n", "column_1:text mpg:int64 cyl:int64\na | 20 | 4\nb | 21 | 5"),
    (b"a;b;c;\n1;2;3\n4;5;6\n", "a:int64 b:int64 c:int64\n1 | 2 | 3\n4 | 5 | 6"),
    (b"\"n\";\"v\"\n\"p\";\"0\";\"\n\"\n\"q\";\"1\";\" \"\n", "n:text v:int64\np | 0\nq | 1"),
    (
        b"at;m\n;[C]\n2020-08-14 22:00:00;1.5\n2020-08-14 22:10:00;1.6\n",
        "at:timestamp m_[c]:float64\n2020-08-14T22:00:00 | 1.5\n2020-08-14T22:10:00 | 1.6",
    ),
    (
        b"\"Where, if any\",\"Which\"\nPOINT (0 80),'delta'\nPOINT (1 80),'delta'\n",
        "where__if_any:text which:text\nPOINT (0 80) | 'delta'\nPOINT (1 80) | 'delta'",
    ),
    (
        b"h 2026-05-12T06:00:00Z 0.001 \"GET /?a=0; b\" \"M (W; x)\"\nh 2026-05-12T06:00:01Z 0.002 \"GET /?a=1; b\" \"M (W; x)\"\n",
        "column_1:text column_2:timestamp_utc column_3:float64 column_4:text column_5:text\n\
         h | 2026-05-12T06:00:00Z | 0.001 | GET /?a=0; b | M (W; x)\nh | 2026-05-12T06:00:01Z | 0.002 | GET /?a=1; b | M (W; x)",
    ),
    // Values.
    (b"region,sku\nNA,A1\nNA,A2\n", "region:text sku:text\nNA | A1\nNA | A2"),
    (b"n,m\n1,NA\n5,\\N\n", "n:int64 m:text\n1 | ∅\n5 | ∅"),
    (b"n,m\nNA,NULL\n5,NULL\n", "n:int64 m:text\n∅ | ∅\n5 | ∅"),
    (b"id|tags\n1|1,2\n2|3,10\n3|7\n", "id:int64 tags:text\n1 | 1,2\n2 | 3,10\n3 | 7"),
    (b"ort;n\nA;1.200\nB;950\n", "ort:text n:text\nA | 1.200\nB | 950"),
    (b"code,n\n250.00,3\n250.0,1\n", "code:text n:int64\n250.00 | 3\n250.0 | 1"),
    (
        b"a,b\n1.343642441124012210e-01,0.84743373693723267\n4.378875936505720601e-01,1e-05\n",
        "a:float64 b:float64\n0.13436424411240122 | 0.8474337369372327\n0.43788759365057206 | 0.00001",
    ),
    (
        b"id,amount,when,ok\n   0,  965.54, 2026-01-01, true\n   1,        ,\t2026-01-02,false \n",
        "id:int64 amount:float64 when:date ok:boolean\n0 | 965.54 | 2026-01-01 | true\n1 | ∅ | 2026-01-02 | false",
    ),
    (b"t,n\n x ,1\ny, 2\n", "t:text n:int64\n x  | 1\ny | 2"),
    // An order and its lines, and two documents, are records.
    (b"{\"order\":1,\"lines\":[{\"a\":1}]}\n", "order:int64 lines:text\n1 | [{\"a\":1}]"),
    (b"{\"data\":[{\"a\":1}]}\n{\"data\":[]}\n", "data:text\n[{\"a\":1}]\n[]"),
    // Two blanks here and there are text.
    (b"note\nsome  words\nand so   on\nthe  end\n", "note:text\nsome  words\nand so   on\nthe  end"),
];

/// Files that are not read, each with the reason.
const REFUSED: &[(&[u8], &str)] = &[
    (
        b"Nr;Name\n1;M\x81ller\n2;J\x84ger\n",
        "s3://b/source, byte 11: byte 0x81 is not a character of windows-1252, in which the text seems to be written",
    ),
    (b"id,v\n1,a\0\n22,b\n3,c\0\n", "s3://b/source, byte 8: a NUL byte, so this is neither CSV nor Parquet"),
    (
        b"{\"id\":1,\"v\":NaN}\n{\"id\":2,\"v\":1.5}\n",
        "s3://b/source: line 1 is not a JSON object: expected value at byte 13 of the line, at 'NaN}'",
    ),
    (b"{\"data\": [{\"a\": 1}, {\"a\": 2}]}\n", "s3://b/source: this is one JSON object, whose rows are in 'data'"),
    (b"{\"page\":1,\"items\":[ {\"a\": 1}]}", "s3://b/source: this is one JSON object, whose rows are in 'items'"),
    (
        b"ID      NAME       AMOUNT\r\n00001   Ann         12.50\r\n00002   Bob Smith    3.10\r\n00003   Eve          0.10\r\n00004   Jo          99.99\r\n",
        "s3://b/source: columns of a fixed width: blanks in all lines end before byte 8, 19 of a line",
    ),
];

#[tokio::test]
async fn files_as_other_systems_write_them() {
    for (text, expected) in READ {
        let loaded = load(text, &[], "").await.unwrap();
        let found = format!("{}\n{}", loaded.columns, loaded.rows.join("\n"));
        assert_eq!(found, *expected, "{}", text.escape_ascii());
        assert!(loaded.rejects.is_empty(), "{}: {:?}", text.escape_ascii(), loaded.rejects);
    }
}

#[tokio::test]
async fn files_that_cannot_be_told() {
    for (text, reason) in REFUSED {
        let refused = load(text, &[], "").await.unwrap_err();
        assert_eq!(refused, *reason, "{}", text.escape_ascii());
    }
}

/// No record of a table that got a column is lost without a count.
#[tokio::test]
async fn a_table_that_got_a_column_loses_no_record() {
    let text = "time,cpu\n09:00,1\n09:01,2\ntime,cpu,gpu\n09:02,3,4\n09:03,3,4\n09:04,3,4\n";
    let loaded = load(text, &[], "").await.unwrap();
    assert_eq!((loaded.columns.as_str(), loaded.rows.len(), loaded.rejects.len()), ("time:text cpu:int64", 2, 4));
}
