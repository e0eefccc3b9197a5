//! Stick tables as JSON.

use crate::proxy::table_row;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A stick table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Table {
    pub(super) name: String,
    /// There is one worker.
    process: u32,
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    used: u64,
}

/// Reads the answer to `show table`: `# table: st_users, type: string, size:1024, used:2`.
pub(super) fn tables(text: &str) -> Vec<Table> {
    text.lines().filter_map(table).collect()
}

fn table(line: &str) -> Option<Table> {
    let mut table = Table {
        name: String::new(),
        process: 1,
        kind: String::new(),
        size: 0,
        used: 0,
    };
    for part in line.strip_prefix("# ")?.split(',') {
        let (name, value) = part.split_once(':')?;
        let value = value.trim();
        match name.trim() {
            "table" => value.clone_into(&mut table.name),
            "type" => value.clone_into(&mut table.kind),
            "size" => table.size = value.parse().unwrap_or(0),
            "used" => table.used = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    (!table.name.is_empty()).then_some(table)
}

/// Reads the answer to `show table NAME`.
pub(super) fn entries(text: &str) -> Vec<Value> {
    text.lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<Value> {
    let (id, fields) = table_row(line)?;
    let mut entry = Map::new();
    entry.insert("id".to_owned(), json!(id));
    for (name, value) in fields {
        // `http_req_rate(1000)`: the period is not told.
        let name = name.split('(').next().unwrap_or(name);
        let value = match name {
            "key" => json!(value),
            "use" => json!(value != "0"),
            _ => match value.parse::<i64>() {
                Ok(number) => json!(number),
                Err(_) => continue,
            },
        };
        if name == "gpt0" {
            entry.insert("gpt".to_owned(), json!({"idx": 0, "value": value}));
        }
        entry.insert(name.to_owned(), value);
    }
    Some(Value::Object(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_as_haproxy_2_6_names_them() {
        let text = "# table: st_users_func_figlet, type: integer, size:10, used:1\n\
            # table: main, type: string, size:1, used:0\n\n";
        let tables = tables(text);
        assert_eq!(
            serde_json::to_value(&tables).unwrap(),
            json!([
                {"name": "st_users_func_figlet", "process": 1, "type": "integer", "size": 10, "used": 1},
                {"name": "main", "process": 1, "type": "string", "size": 1, "used": 0},
            ])
        );
    }

    #[test]
    fn entries_as_haproxy_2_6_prints_them() {
        let text = "# table: st_users_func_figlet, type: integer, size:10, used:1\n\
            0x55841f289c20: key=8180 use=0 exp=59868 http_req_cnt=3 http_req_rate(1000)=2\n\n";
        let expected = json!([{"id": "0x55841f289c20", "key": "8180", "use": false, "exp": 59868,
            "http_req_cnt": 3, "http_req_rate": 2}]);
        assert_eq!(Value::Array(entries(text)), expected);
        let stage = "0x55841f289ce8: key=global use=1 exp=49909 gpt0=8\n";
        let expected = json!([{"id": "0x55841f289ce8", "key": "global", "use": true, "exp": 49909,
            "gpt0": 8, "gpt": {"idx": 0, "value": 8}}]);
        assert_eq!(Value::Array(entries(stage)), expected);
    }

    #[test]
    fn what_is_no_table() {
        for text in ["", "\n", "No such table\n", "# pid\n", "# table: ,\n"] {
            assert!(tables(text).is_empty(), "{text:?}");
            assert!(entries(text).is_empty(), "{text:?}");
        }
    }
}
