use super::*;
use proptest::prelude::*;

fn state(history: usize) -> State {
    let resource = ResourceType::new("", "v1", "pods", "Pod", true);
    State::new(vec![resource], &Options { history, ..Options::default() })
}

fn pod(name: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "shop" }, "spec": { "a": 1 } })
}

#[test]
fn the_server_sets_the_common_metadata() {
    let mut state = state(10);
    let object = state.create(0, pod("a"), false).expect("created");
    let metadata = &object["metadata"];
    assert_eq!(metadata["uid"].as_str().map(str::len), Some(36));
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["resourceVersion"], "2");
    assert_eq!(object["kind"], "Pod");
    assert_eq!(state.create(0, pod("a"), false).map_err(|e| e.code), Err(409));
    let named = state.create(0, json!({ "metadata": { "generateName": "b-", "namespace": "shop" } }), false);
    assert!(named.expect("created")["metadata"]["name"].as_str().is_some_and(|n| n.len() == 7));
    assert_eq!(state.create(0, json!({ "metadata": { "name": "c" } }), false).map_err(|e| e.code), Err(422));
    assert_eq!(state.create(0, json!([]), false).map_err(|e| e.code), Err(400));
}

#[test]
fn a_write_from_an_old_version_is_a_conflict_and_one_that_changes_nothing_is_no_event() {
    let mut state = state(10);
    let first = state.create(0, pod("a"), false).expect("created");
    let same = state.update(0, pod("a"), false).expect("unchanged");
    assert_eq!(same, first);
    assert_eq!(state.tables[0].next(), 1);
    let mut newer = Value::clone(&first);
    newer["spec"]["a"] = 2.into();
    let second = state.update(0, newer.clone(), false).expect("updated");
    assert_eq!(second["metadata"]["generation"], 2);
    assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(state.update(0, newer, false).map_err(|e| e.code), Err(409));
    let patched = state.patch(0, "shop", "a", &json!({ "spec": { "a": null }, "status": { "x": 1 } }));
    let patched = patched.expect("patched");
    assert_eq!((&patched["spec"], &patched["status"]), (&json!({}), &json!({ "x": 1 })));
    let stale = json!({ "metadata": { "resourceVersion": "2" } });
    assert_eq!(state.patch(0, "shop", "a", &stale).map_err(|e| e.code), Err(409));
    let other = json!({ "uid": "another" });
    assert_eq!(state.delete(0, "shop", "a", &other).map_err(|e| e.code), Err(409));
    assert!(state.delete(0, "shop", "a", &Value::Null).is_ok());
    assert_eq!(state.get(0, "shop", "a").map_err(|e| e.code), Err(404));
}

#[test]
fn compacted_versions_are_expired_but_current_watches_miss_nothing() {
    let mut state = state(10);
    state.create(0, pod("a"), false).expect("created");
    let kept_up = state.tables[0].next();
    state.compact();
    assert_eq!(state.tables[0].after(1), None);
    assert_eq!(state.tables[0].after(state.version), Some(kept_up));
    assert!(state.tables[0].since(kept_up).is_some());
    assert!(state.tables[0].since(0).is_none());
}

proptest! {
    #[test]
    fn pages_are_the_list_as_of_the_first_page(count in 0_usize..40, limit in 1_usize..15, new in 0_usize..5) {
        let mut state = state(10);
        for i in 0..count {
            state.create(0, pod(&format!("p{i:03}")), false).expect("created");
        }
        let mut page = state.list(0, &Scope::default(), limit);
        let version = page.version;
        for i in 0..new {
            state.create(0, pod(&format!("a{i}")), false).expect("created");
        }
        let mut all = Vec::new();
        loop {
            prop_assert_eq!(page.version, version);
            all.append(&mut page.objects);
            prop_assert_eq!(all.len() + page.remaining, count);
            let Some((id, from)) = page.next else { break };
            page = state.page(id, from, limit).expect("not expired");
        }
        prop_assert_eq!(all.len(), count);
        prop_assert!(all.iter().all(|object| object["metadata"]["name"].as_str().is_some_and(|n| n.starts_with('p'))));
    }

    #[test]
    fn a_bounded_history_forgets_and_says_so(bound in 1_usize..8, changes in 0_u64..20) {
        let mut state = state(bound);
        for i in 0..changes {
            state.create(0, pod(&format!("p{i}")), false).expect("created");
        }
        for version in 1..=state.version {
            let newer = usize::try_from(state.version - version).expect("small");
            let found = state.tables[0].after(version).and_then(|at| state.tables[0].since(at)).map(Iterator::count);
            prop_assert_eq!(found, (newer <= bound).then_some(newer));
        }
    }
}
